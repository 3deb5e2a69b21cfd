//! The balance as a series of 365 days, beside the plain way: a request with `as_of` for each point.
//!
//! Histories are put into the table as copies of an entry that the store itself has written, because a
//! million transactions would take an hour.

use crate::capacity::{Capacity, Usage};
use crate::function::Function;
use crate::{FUNCTION, Result, event, ms, token_of};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use local::{Dataset, Options, Stack};
use serde_json::{Value, json};
use shared::config::Table;
use shared::domain::{Catalogue, Interval, Timestamp, Zone};
use std::collections::HashMap;

const FROM: &str = "2025-01-01T00:00:00Z";
const TO: &str = "2025-12-31T23:59:59.999Z";
/// Minutes of the series.
const MINUTES: i64 = 365 * 24 * 60;
/// Items of one batch, and batches under way at once.
const BATCH: usize = 25;
const CONCURRENCY: usize = 8;
/// Of the plain way so many points are asked and the figures multiplied.
const SAMPLED: usize = 73;

/// A customer whose accounts all change at the same pace.
struct Customer {
    name: &'static str,
    number: u32,
    accounts: u32,
    minutes_between: i64,
}

const CUSTOMERS: [Customer; 3] = [
    Customer { name: "50 accounts, an entry a day", number: 1, accounts: 50, minutes_between: 24 * 60 },
    Customer {
        name: "1,000 accounts, an entry a week",
        number: 2,
        accounts: 1_000,
        minutes_between: 7 * 24 * 60,
    },
    Customer { name: "1 account, an entry a minute", number: 3, accounts: 1, minutes_between: 1 },
];

impl Customer {
    fn id(&self) -> String {
        format!("5e000000-0000-4000-8000-{:012}", self.number)
    }

    fn account_id(&self, account: u32) -> String {
        format!("5e000000-0000-4000-{:04}-{account:012}", 8_000 + self.number)
    }

    /// Each account with the entry that its history is copied from, and one of today.
    fn dataset(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.accounts).map(|account| {
            let currency = ["EUR", "USD", "USDC", "BTC"][usize::try_from(account % 4).unwrap_or_default()];
            json!({
                "id": self.account_id(account), "customer_id": self.id(), "currency": currency,
                "balance": "1000.25", "balance_at": "2026-01-01T00:00:00Z",
                "history": [{"balance": "1000.25", "balance_at": FROM}],
            })
        })
    }
}

/// Latency, CPU, calls and read units of each customer's series.
pub(crate) async fn measure(is_quick: bool) -> Result<()> {
    let stack = Stack::start(Options { dataset: dataset()?, ..Options::default() }).await?;
    let points = Interval::Day.points(&Zone::UTC, Timestamp::parse(FROM)?, Timestamp::parse(TO)?)?;
    let proxy = Capacity::start(stack.dynamodb_url()).await?;
    let mut environment = stack.environment();
    environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url.clone()));
    println!("a series of {} days, and the plain way: latency, CPU, store calls, read units", points.len());
    for customer in &CUSTOMERS {
        let entries = if is_quick { MINUTES / 50 } else { MINUTES };
        write_history(&stack, customer, entries).await?;
        let token = token_of(&stack, customer.name, &[customer.id()])?;
        let ask = |path: &str, query: String| {
            let query = format!("customer_id={}&currency=EUR{query}", customer.id());
            event::get(path, &query, ("authorization", format!("Bearer {token}")))
        };
        let series = ask("/v2/accounts/balance/history", format!("&interval=day&from={FROM}&to={TO}"));
        let sampled: Vec<String> = points
            .iter()
            .step_by(points.len().div_ceil(SAMPLED))
            .map(|at| ask("/v2/accounts/balance", format!("&as_of={}", at.to_millis_text())))
            .collect();
        let (times, count) = (points.len().div_ceil(sampled.len()), sampled.len());
        println!("  {}", customer.name);
        report("the series", &environment, &proxy, &[series], 1).await?;
        report(&format!("{count} points × {times}"), &environment, &proxy, &sampled, times).await?;
    }
    stack.stop().await;
    Ok(())
}

/// What these requests cost together, so many times.
async fn report(
    name: &str,
    environment: &[(String, String)],
    proxy: &Capacity,
    events: &[String],
    times: usize,
) -> Result<()> {
    let mut function = Function::spawn(FUNCTION, environment).await?;
    for event in events.iter().take(1) {
        function.first(event).await?;
    }
    proxy.take();
    let (cpu, mut latency) = (function.cpu()?, std::time::Duration::ZERO);
    for event in events {
        latency += function.warm(event).await?;
    }
    let times = u32::try_from(times)?;
    let cpu = (function.cpu()? - cpu) * times;
    let Usage { calls, read, write: _ } = proxy.take();
    println!(
        "    {name:<16} {:>10.1} ms {:>10.1} ms CPU {:>9} calls {:>9.1} units {:>6.1} MiB",
        ms(latency * times),
        ms(cpu),
        calls * times,
        read * f64::from(times),
        function.peak_memory_kib()? as f64 / 1024.0,
    );
    Ok(())
}

/// Copies each account's first entry to every later instant of its pace.
async fn write_history(stack: &Stack, customer: &Customer, minutes: i64) -> Result<()> {
    let (store, first) = (stack.store(), Timestamp::parse(FROM)?);
    let table = stack.config().store.tables.name(Table::History).to_owned();
    let (client, table) = (store.client(), table.as_str());
    for account in 0..customer.accounts {
        let found = client
            .query()
            .table_name(table)
            .key_condition_expression("account_id = :id AND entry > :zero")
            .expression_attribute_values(":id", AttributeValue::S(customer.account_id(account)))
            .expression_attribute_values(":zero", AttributeValue::S("0".to_owned()))
            .limit(1);
        let first_entry = found.send().await?.items().first().cloned().ok_or("no entry to copy")?;
        let copies: Vec<WriteRequest> = (1..)
            .map(|number| number * customer.minutes_between)
            .take_while(|minute| *minute < minutes)
            .map(|minute| copy(&first_entry, first, minute))
            .collect::<Result<_>>()?;
        let batches = copies.chunks(BATCH).map(|batch| {
            let request = client.batch_write_item().request_items(table, batch.to_vec());
            async move { request.send().await.map(drop) }
        });
        stream::iter(batches).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    }
    Ok(())
}

fn copy(entry: &HashMap<String, AttributeValue>, first: Timestamp, minute: i64) -> Result<WriteRequest> {
    let at = first.plus(SignedDuration::from_mins(minute)).to_stored_text();
    let mut item = entry.clone();
    item.insert("entry".to_owned(), AttributeValue::S(format!("{at}#{:018}", 0)));
    item.insert("recorded_at".to_owned(), AttributeValue::S(at));
    item.insert("balance".to_owned(), AttributeValue::N(format!("{minute}.25")));
    Ok(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build())
}

/// The customers, and a sheet of all built-in assets for every day.
fn dataset() -> Result<Dataset> {
    let accounts: Vec<Value> = CUSTOMERS.iter().flat_map(Customer::dataset).collect();
    let catalogue = Catalogue::default();
    let rates: Vec<_> = Catalogue::fiat()
        .chain(catalogue.crypto())
        .map(
            |asset| json!({"currency": asset.code(), "usd": "1.1353", "source": "bench", "method": "market"}),
        )
        .collect();
    let days = Interval::Day.points(&Zone::UTC, Timestamp::parse(FROM)?, Timestamp::parse(TO)?)?;
    let sheets: Vec<_> =
        days.iter().map(|day| json!({"observed_at": day.to_millis_text(), "entries": rates})).collect();
    let dataset = json!({"accounts": accounts, "rate_sheets": sheets});
    Ok(Dataset::parse(&dataset.to_string(), "bench", Timestamp::of_machine())?)
}
