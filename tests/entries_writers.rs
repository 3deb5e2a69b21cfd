//! Entries are recorded and asked about at once: an answer has all that was acknowledged before it, and can
//! be had again.

use crate::harness::{ALICE, Answer, App, admin, id, send};
use crate::oracle::{ONE, Oracle, OracleEntry, OracleMoment, OracleSheet, units};
use crate::oracle_wire::{
    BalanceLiterals, DAY, Expectation, MILLISECOND, balance_text, check, dataset_accounts, dataset_sheet,
    domain_time, entry, now, plain_time, update,
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use shared::domain::{AccountId, EntryKey};
use shared::store::{HistoryEnd, RecordedEntry, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;

const WRITERS: usize = 8;
const RECORDS_PER_WRITER: usize = 150;
/// A currency for each writer, in which the customer has one account: so a balance shows each of these
/// accounts.
const TALLY_CURRENCIES: [&str; WRITERS] = ["AUD", "CAD", "CHF", "CZK", "DKK", "NOK", "PLN", "SEK"];
/// Accounts that all writers share, and those that each has for itself.
const SHARED_ACCOUNTS: usize = 4;
const OWN_ACCOUNTS: usize = 4;

fn numbered(number: usize) -> String {
    id(u32::try_from(number).unwrap())
}

fn tally_account(writer: usize) -> String {
    numbered(9_000 + writer)
}

/// The entry that a writer records in a turn. In every third turn it is of its tally, whose balance is the
/// turn's number; else of an EUR account, its own or a shared one, for now, for later, for the past, or a
/// correction.
fn written(writer: usize, turn: usize, now: Timestamp) -> OracleEntry {
    let version = u64::try_from(turn * WRITERS + writer + 1).unwrap();
    let balance = i128::try_from(turn * 100 + writer).unwrap() * ONE / 100;
    if turn.is_multiple_of(3) {
        let balance_at = tallies_begin() + MILLISECOND * i32::try_from(turn).unwrap();
        let tally = i128::try_from(turn).unwrap() * ONE;
        let currency = TALLY_CURRENCIES[writer];
        return OracleEntry { currency, ..entry(tally_account(writer), balance_at, 0, tally) };
    }
    let account = if turn % 3 == 1 {
        SHARED_ACCOUNTS + writer * OWN_ACCOUNTS + turn % OWN_ACCOUNTS
    } else {
        turn % SHARED_ACCOUNTS
    };
    let balance_at = match turn % 4 {
        0 => now,
        1 => now + SignedDuration::from_millis(500),
        2 => tallies_begin(),
        _ => now - SignedDuration::from_mins(1) * i32::try_from(turn).unwrap(),
    };
    entry(numbered(1 + account), balance_at, version, balance)
}

fn tallies_begin() -> Timestamp {
    now() - DAY
}

/// The entries of an account as the store has them.
async fn stored_entries(store: &Store, account: &str, currency: &'static str) -> Vec<OracleEntry> {
    let account_id = AccountId::parse(account).unwrap();
    let stored = store.entries(account_id, HistoryEnd::Oldest, 1_000).await.unwrap();
    let entry = |stored: &RecordedEntry| {
        let EntryKey { balance_at, version } = stored.key;
        let balance = units(&stored.state.balance.to_string());
        OracleEntry {
            currency,
            recorded_at: plain_time(stored.recorded_at),
            ..entry(account.to_owned(), plain_time(balance_at), version.number(), balance)
        }
    };
    stored.iter().map(entry).collect()
}

/// The sum of a currency's stack in an answer, 0 without one.
fn stack_of(answer: &Answer, currency: &str) -> i128 {
    let read: BalanceLiterals<'_> = serde_json::from_slice(&answer.body).unwrap();
    let stack = read.stacks.iter().find(|stack| stack.currency == currency);
    stack.map_or(0, |stack| units(stack.balance.get()))
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_a_reader_at_once_leave_every_answer_one_snapshot_of_what_was_acknowledged() {
    let prices: Vec<_> =
        TALLY_CURRENCIES.iter().map(|code| (*code, "0.5")).chain([("EUR", "1.25")]).collect();
    let prices: BTreeMap<_, _> = prices.into_iter().map(|(code, usd)| (code, units(usd))).collect();
    let since = tallies_begin() - DAY;
    let sheets = vec![OracleSheet { observed_at: since, recorded_at: since, usd: prices }];
    let opening: Vec<_> = (1..=3_000).map(|number| entry(numbered(number), since, 0, ONE)).collect();
    let dataset = json!({
        "rates_never_expire": true, "accounts": dataset_accounts(&opening),
        "rate_sheets": sheets.iter().map(dataset_sheet).collect::<Vec<_>>(),
    });
    let app = App::start(dataset).await;
    app.stack.clock().set(domain_time(now()));

    // The number of each writer's last tally whose recording was acknowledged.
    let acknowledged: Arc<[AtomicUsize; WRITERS]> = Arc::default();
    let writer = |writer: usize| {
        let (store, acknowledged) = (app.stack.store(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            for turn in 1..=RECORDS_PER_WRITER {
                let now = plain_time(store.clock().now());
                store.record(&update(&written(writer, turn, now), None)).await.unwrap();
                if turn.is_multiple_of(3) {
                    acknowledged[writer].store(turn, Ordering::SeqCst);
                }
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    let token = app.token(admin());
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR&stack=currency");
    let mut known_ats = Vec::new();
    while !writers.iter().all(JoinHandle::is_finished) {
        let before = acknowledged.each_ref().map(|turn| turn.load(Ordering::SeqCst));
        let answer = send(app.request(Method::GET, &path).bearer_auth(&token)).await;
        assert_eq!(answer.status, 200, "{answer}");
        for (turn, currency) in before.iter().zip(TALLY_CURRENCIES) {
            let shown = stack_of(&answer, currency);
            assert!(shown >= i128::try_from(*turn).unwrap() * ONE, "{turn} {currency}: {answer}");
        }
        known_ats.push(answer.header("x-known-at").to_owned());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(known_ats.len() >= 5, "{known_ats:?}");

    app.stack.clock().advance(SignedDuration::from_secs(61));
    let store = app.stack.store();
    let touched = SHARED_ACCOUNTS + WRITERS * OWN_ACCOUNTS;
    let tallies = TALLY_CURRENCIES.iter().enumerate().map(|(writer, code)| (tally_account(writer), *code));
    let written = (1..=touched).map(|number| (numbered(number), "EUR")).chain(tallies);
    let written: Vec<_> = written.collect();
    let read = written.iter().map(|(account, currency)| stored_entries(&store, account, currency));
    let written: Vec<_> = join_all(read).await.concat();
    assert_eq!(written.len(), touched + WRITERS * RECORDS_PER_WRITER);
    let entries: Vec<_> = written.into_iter().chain(opening.into_iter().skip(touched)).collect();
    let oracle = Oracle { entries, sheets };
    let expectation = |known_at: &String| {
        let at = known_at.parse().unwrap();
        let moment = OracleMoment { as_of: at, known_at: Some(at) };
        let accounts = oracle.accounts(moment);
        let amounts = accounts.iter().map(|account| (account.entry.currency, account.entry.balance));
        Expectation {
            path: format!("{path}&as_of={known_at}&known_at={known_at}"),
            text_of: balance_text,
            expected: oracle.balance(amounts, "EUR", moment),
        }
    };
    check(&app, known_ats.iter().map(expectation).collect()).await;
}
