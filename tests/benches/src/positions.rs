//! Positions of the whole book, by the number of accounts: at once, and made again after a tenth of the
//! accounts have changed. Beside them, what a running close does to balances.
//!
//! Accounts are put into the table as copies of one that the store itself has written.

use crate::capacity::{Capacity, Usage};
use crate::function::Function;
use crate::{FUNCTION as BALANCE, Result, event, ms, token_of};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use local::{Dataset, Options, Stack};
use serde_json::json;
use shared::config::Table;
use shared::domain::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

pub(crate) const FUNCTION: &str = "book-positions";

/// Sizes of the book; a quick run takes the first two.
pub(crate) const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Items of one batch, and batches under way at once.
const BATCH: usize = 25;
const CONCURRENCY: usize = 8;
/// Accounts of one customer, as many as a person has.
const ACCOUNTS_OF_A_CUSTOMER: usize = 8;
const OPENED: &str = "2026-01-01T00:00:00.000000000Z";
const CHANGED: &str = "2026-03-01T00:00:00.000000000Z";
/// Every so many accounts one has changed since.
const CHANGED_EVERY: usize = 10;
/// Requests of which the slowest hundredth is looked at.
const REQUESTS: usize = 1_000;

type Item = HashMap<String, AttributeValue>;

pub(crate) async fn measure(sizes: &[usize], is_quick: bool) -> Result<()> {
    let rate = |(currency, usd): (&str, &str)| json!({"currency": currency, "usd": usd, "source": "bench", "method": "market"});
    let rates: Vec<_> = [("EUR", "1.1353"), ("USDC", "0.99991"), ("BTC", "97000.5")].map(rate).into();
    let dataset = json!({"accounts": [{
        "id": account_id(0), "customer_id": customer_id(0), "currency": "EUR", "balance": "1000.25",
        "balance_at": OPENED, "description": "Operating account",
    }], "rate_sheets": [{"observed_at": Timestamp::of_machine().to_millis_text(), "entries": rates}]});
    let dataset = Dataset::parse(&dataset.to_string(), "bench", Timestamp::of_machine())?;
    let stack = Stack::start(Options { dataset, ..Options::default() }).await?;
    let proxy = Capacity::start(stack.dynamodb_url()).await?;
    println!("{FUNCTION}, unpaced: seconds, CPU, peak memory, store calls, read units");
    let mut there = 1;
    for (round, accounts) in sizes.iter().enumerate() {
        put_accounts(&stack, there, *accounts).await?;
        there = *accounts;
        report(&stack, &proxy, &format!("{accounts} accounts"), &format!("2026-02-{:02}", round * 2 + 1))
            .await?;
        change(&stack, *accounts).await?;
        report(&stack, &proxy, "a tenth changed", &format!("2026-02-{:02}", round * 2 + 2)).await?;
    }
    beside_a_close(&stack, if is_quick { REQUESTS / 50 } else { REQUESTS }).await?;
    stack.stop().await;
    Ok(())
}

/// One position straight from the store, and another through the proxy that counts.
async fn report(stack: &Stack, proxy: &Capacity, name: &str, day: &str) -> Result<()> {
    let mut environment = stack.environment();
    environment.push(("BOOK_READ_UNITS_PER_SECOND".to_owned(), u32::MAX.to_string()));
    let mut function = Function::spawn(FUNCTION, &environment).await?;
    let (time, cpu) = close(&mut function, &format!("{day}T00:00:00Z")).await?;
    let memory = function.peak_memory_kib()?;
    environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url.clone()));
    proxy.take();
    let mut counted = Function::spawn(FUNCTION, &environment).await?;
    close(&mut counted, &format!("{day}T12:00:00Z")).await?;
    let Usage { calls, read, write: _ } = proxy.take();
    println!(
        "  {name:<20} {:>8.2} s {:>8.2} s CPU {:>7.1} MiB {calls:>9} calls {read:>10.1} units",
        time.as_secs_f64(),
        cpu.as_secs_f64(),
        memory as f64 / 1024.0,
    );
    Ok(())
}

/// Makes a position to its end, in as many runs as it takes.
async fn close(function: &mut Function, as_of: &str) -> Result<(Duration, Duration)> {
    let event = json!({"as_of": as_of}).to_string();
    let (mut time, cpu) = (Duration::ZERO, function.cpu()?);
    loop {
        let (run, report) = function.job(&event).await?;
        time += run;
        if report["accounts"].is_u64() {
            return Ok((time, function.cpu()? - cpu));
        }
        if !report["parts_left"].is_u64() {
            return Err(format!("not a position: {report}").into());
        }
    }
}

/// Balances of a small customer, alone and beside closes at the deployed pace.
async fn beside_a_close(stack: &Stack, requests: usize) -> Result<()> {
    let token = token_of(stack, "beside", &[customer_id(0)])?;
    let query = format!("customer_id={}&currency=EUR", customer_id(0));
    let event = event::get("/v2/accounts/balance", &query, ("authorization", format!("Bearer {token}")));
    let mut balance = Function::spawn(BALANCE, &stack.environment()).await?;
    balance.first(&event).await?;
    let mut quantiles = Vec::new();
    for is_closing in [false, true] {
        let mut closing = Function::spawn(FUNCTION, &stack.environment()).await?;
        let closes = async {
            for minute in 0.. {
                close(&mut closing, &format!("2026-02-20T{:02}:{:02}:00Z", minute / 60, minute % 60)).await?;
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        };
        let asked = async {
            let mut times = Vec::new();
            for _ in 0..requests {
                times.push(balance.warm(&event).await?);
            }
            Ok::<_, Box<dyn std::error::Error>>(times)
        };
        let mut times = if is_closing {
            tokio::select! {
                times = asked => times?,
                ended = closes => return Err(format!("the closes ended: {ended:?}").into()),
            }
        } else {
            asked.await?
        };
        times.sort_unstable();
        let at = |of_hundred: usize| times.get(times.len() * of_hundred / 100).copied().unwrap_or_default();
        quantiles.push((at(50), at(99)));
    }
    println!("balances beside a running close of {requests} requests: p50, p99");
    for (name, (median, slow)) in ["alone", "beside"].iter().zip(&quantiles) {
        println!("  {name:<20} {:>8.2} ms {:>8.2} ms", ms(*median), ms(*slow));
    }
    Ok(())
}

fn customer_id(account: usize) -> String {
    format!("b0000000-0000-4000-8000-{:012}", account / ACCOUNTS_OF_A_CUSTOMER)
}

fn account_id(account: usize) -> String {
    format!("b0000000-0000-4000-9000-{account:012}")
}

/// The one item that was recorded, of a table.
async fn recorded(stack: &Stack, table: Table) -> Result<Item> {
    let store = stack.store();
    let name = stack.config().store.tables.name(table);
    let found = store.client().scan().table_name(name).send().await?;
    let is_entry =
        |item: &&Item| item.get("entry").is_none_or(|entry| entry.as_s().is_ok_and(|text| text != "#owner"));
    found.items().iter().find(is_entry).cloned().ok_or_else(|| format!("{name} is empty").into())
}

async fn put(stack: &Stack, table: Table, items: impl Iterator<Item = Item>) -> Result<()> {
    let store = stack.store();
    let name = stack.config().store.tables.name(table).to_owned();
    let (client, name) = (store.client(), name.as_str());
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for item in items {
        batch.push(
            WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build(),
        );
        if batch.len() == BATCH {
            batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    let batches = batches.into_iter().map(|batch| {
        let request = client.batch_write_item().request_items(name, batch);
        async move { request.send().await.map(drop) }
    });
    Ok(stream::iter(batches).buffer_unordered(CONCURRENCY).try_collect::<()>().await?)
}

async fn put_accounts(stack: &Stack, from: usize, to: usize) -> Result<()> {
    let account = recorded(stack, Table::Accounts).await?;
    let copies = (from..to).map(|number| keyed(&account, number));
    put(stack, Table::Accounts, copies).await
}

/// Gives every tenth account a newer entry, and its history the one that counted before.
async fn change(stack: &Stack, accounts: usize) -> Result<()> {
    let (account, entry) = (recorded(stack, Table::Accounts).await?, recorded(stack, Table::History).await?);
    let changed = || (1..accounts).step_by(CHANGED_EVERY);
    let entries = changed().map(|number| {
        let mut item = entry.clone();
        item.insert("account_id".to_owned(), text(account_id(number)));
        item
    });
    put(stack, Table::History, entries).await?;
    let newer = changed().map(|number| {
        let mut item = keyed(&account, number);
        item.insert("entry".to_owned(), text(format!("{CHANGED}#0")));
        item.insert("recorded_at".to_owned(), text(CHANGED.to_owned()));
        item.insert("created_at".to_owned(), text(OPENED.to_owned()));
        item
    });
    put(stack, Table::Accounts, newer).await
}

fn keyed(account: &Item, number: usize) -> Item {
    let mut item = account.clone();
    item.insert("customer_id".to_owned(), text(customer_id(number)));
    item.insert("account_id".to_owned(), text(account_id(number)));
    let currency = ["EUR", "USD", "USDC", "BTC"].get(number % 4).copied().unwrap_or("EUR");
    item.insert("currency".to_owned(), text(currency.to_owned()));
    item
}

fn text(value: String) -> AttributeValue {
    AttributeValue::S(value)
}
