//! How fast balances come in, and that neither order, nor repetition, nor a cut changes what they end as.

use crate::Result;
use balance_ingest::{Ingest, Payload};
use ballast::{Arguments, Ending, run};
use clap::Parser;
use futures::stream::{self, StreamExt, TryStreamExt};
use local::{Options, Stack};
use serde_json::{Value, json};
use shared::domain::{AccountId, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;
use tokio::task::yield_now;

const CUSTOMER: &str = "cccccccc-0000-4000-8000-000000000000";
/// Balances of one account.
const BALANCES: u32 = 10;
/// One event of so many comes twice.
const REPEATED: usize = 10;
const CONCURRENT_EVENTS: usize = 32;

/// Events in order on one stack, shuffled and repeated on another: both must end the same.
pub(crate) async fn events(count: u32) -> Result<()> {
    let ordered: Vec<Value> = (0..count).map(event).collect();
    let repeated = ordered.iter().step_by(REPEATED).cloned();
    let shuffled = shuffled(ordered.iter().cloned().chain(repeated).collect());
    println!("balance-ingest, {count} events of {} accounts, {CONCURRENT_EVENTS} at once", count / BALANCES);
    let mut states = Vec::new();
    // What is taken one after the other: an account's events in their order, or each for itself.
    let by_account = usize::try_from(BALANCES)?;
    for (title, events, in_order) in
        [("each account's in order", ordered, by_account), ("shuffled, some twice", shuffled, 1)]
    {
        let stack = Stack::start(Options::default()).await?;
        let (started, now) = (Instant::now(), Timestamp::of_machine());
        let ingest = Ingest::new(&stack.config().store, stack.clock().clone());
        let taken = stream::iter(events.chunks(in_order)).map(|events| take(&ingest, events, now));
        taken.buffer_unordered(CONCURRENT_EVENTS).try_collect::<()>().await?;
        let rate = events.len() as f64 / started.elapsed().as_secs_f64();
        println!("  {title:<24} {:>7} events: {rate:>6.0} per second", events.len());
        states.push(state(&stack).await?);
    }
    let [one, other] = states.as_slice() else { return Err("two runs".into()) };
    let items: usize = one.values().map(Vec::len).sum();
    if one != other {
        return Err("the shuffled run ended in another state than the ordered one".into());
    }
    println!("  both end in the same {items} items of accounts and history");
    Ok(())
}

async fn take(ingest: &Ingest, events: &[Value], now: Timestamp) -> Result<()> {
    for event in events {
        ingest.take(Payload(event.clone()), now).await?;
    }
    Ok(())
}

/// An import, one that is cut short half-way, and one of what is there already.
pub(crate) async fn import(count: u32) -> Result<()> {
    println!("ballast accounts import, {count} rows of CSV");
    let mut text = "id,customer_id,currency,balance,balance_at,account_number,description\n".to_owned();
    for number in 0..count {
        writeln!(
            text,
            "{},{CUSTOMER},EUR,{number}.25,2026-01-01T00:00:00Z,{number:012},account {number}",
            id(number)
        )?;
    }
    let file = File(std::env::temp_dir().join(format!("ballast-bench-{}.csv", std::process::id())));
    std::fs::write(&file.0, text)?;
    let whole = Stack::start(Options::default()).await?;
    timed("whole", &whole, &file).await?;
    timed("again", &whole, &file).await?;
    let cut = Stack::start(Options::default()).await?;
    let (store, middle) = (cut.store(), AccountId::parse(&id(count / 2))?);
    let half = async {
        while !matches!(store.account_by_id(middle).await, Ok(Some(_))) {
            yield_now().await;
        }
    };
    let name = file.name();
    let words = ["accounts", "import", &name];
    tokio::select! {
        () = half => println!("  cut short half-way"),
        ran = ballast(&cut, &words) => { ran?; println!("  was done before it could be cut short"); }
    }
    timed("resumed", &cut, &file).await?;
    let (_, verified) = ballast(&cut, &["verify"]).await?;
    println!("  verified: {}", verified.trim());
    if state(&whole).await? != state(&cut).await? {
        return Err("the resumed import ended in another state than the whole one".into());
    }
    println!("  both end in the same state");
    Ok(())
}

async fn timed(title: &str, stack: &Stack, file: &File) -> Result<()> {
    let (ending, out) = ballast(stack, &["accounts", "import", &file.name(), "--output", "json"]).await?;
    let tally: Value = serde_json::from_str(&out)?;
    println!(
        "  {title:<10} {:>7} rows per second ({} recorded, {} there already)",
        tally["rows_per_second"], tally["recorded"], tally["duplicates"]
    );
    if ending == Ending::Done { Ok(()) } else { Err(format!("rows were rejected: {out}").into()) }
}

async fn ballast(stack: &Stack, words: &[&str]) -> Result<(Ending, String)> {
    let url = stack.dynamodb_url();
    let line = [&["ballast", "--endpoint-url", &url], words].concat();
    let mut out = Vec::new();
    let ending = run(Arguments::try_parse_from(line)?, &mut out).await?;
    Ok((ending, String::from_utf8(out)?))
}

/// Removed when it is no longer needed.
struct File(PathBuf);

impl File {
    fn name(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn id(number: u32) -> String {
    format!("cccccccc-0000-4000-8000-{number:012}")
}

fn event(number: u32) -> Value {
    let (account, balance) = (number / BALANCES, number % BALANCES);
    json!({"detail-type": "AccountBalanceChanged", "detail": {
        "id": id(account), "customer_id": CUSTOMER, "currency": "EUR", "balance": format!("{number}.5"),
        "description": format!("after {balance} changes"), "balance_at": format!("2026-01-{:02}T00:00:00Z", balance + 1),
    }})
}

/// The same order at every run: a permutation by a multiplicative generator (Knuth's constants).
fn shuffled(mut events: Vec<Value>) -> Vec<Value> {
    let mut state: u64 = 42;
    for last in (1..events.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or_default() % (last + 1);
        events.swap(last, other);
    }
    events
}

/// What differs between two runs that record the same: times of recording, and the count of an item's writes.
const OF_THE_RUN: [&str; 2] = ["recorded_at", "revision"];

/// Every item of both tables, in an order of their own, but for what is of the run.
async fn state(stack: &Stack) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let mut state = BTreeMap::new();
    for table in ["AccountsTable", "HistoryTable"] {
        let store = stack.store();
        let items = store
            .client()
            .scan()
            .table_name(table)
            .into_paginator()
            .items()
            .send()
            .collect::<std::result::Result<Vec<_>, _>>();
        let shown = |item: &std::collections::HashMap<String, _>| {
            let of_entries = item.iter().filter(|(name, _)| !OF_THE_RUN.contains(&name.as_str()));
            format!("{:?}", of_entries.collect::<BTreeMap<_, _>>())
        };
        let mut items: Vec<String> = items.await?.iter().map(shown).collect();
        items.sort_unstable();
        state.insert(table, items);
    }
    Ok(state)
}
