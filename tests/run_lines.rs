//! A run of a function without HTTP has one line, like a request: its id, what it cost, what became of it,
//! and nothing of an account.

use crate::harness::{ALICE, App};
use crate::lines::Lines;
use balance_ingest::{Ingest, Payload};
use local::{Dataset, Options, Stack};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::{RatesConfig, StoreConfig};
use shared::domain::{AgeLimits, Timestamp};
use shared::telemetry;
use std::time::Duration;
use tracing::Instrument;

const RUN: &str = "run-1";

async fn app() -> App {
    App::start(json!({})).await
}

/// A store that cannot be reached.
fn nowhere(app: &App) -> StoreConfig {
    StoreConfig { endpoint_url: Some("http://127.0.0.1:1".to_owned()), ..app.stack.config().store.clone() }
}

/// The one line of a run, which must say what the run cost.
async fn line<T>(work: impl Future<Output = T>) -> Value {
    let (lines, _guard) = Lines::capture();
    work.instrument(telemetry::run_span(RUN)).await;
    let [line] = lines.of(RUN).try_into().unwrap_or_else(|lines| panic!("{lines:?}"));
    let is_cost = |name: &str| line[name].is_u64() || line[name].is_boolean();
    let costs = ["latency_ms", "cold_start", "store_calls", "read_units", "write_units"];
    assert!(costs.into_iter().all(is_cost), "{line}");
    line
}

fn event(account_number: Value) -> Payload {
    let detail = json!({
        "id": "00000000-0000-4000-8000-000000000001", "customer_id": ALICE, "currency": "EUR", "balance": "1.00",
        "balance_at": "2026-01-01T00:00:00Z", "account_number": account_number,
    });
    Payload(json!({"detail-type": "AccountBalanceChanged", "detail": detail}))
}

#[tokio::test]
async fn an_event_has_one_line_without_anything_of_its_account() {
    let app = app().await;
    let (good, dead) = (
        Ingest::new(&app.stack.config().store, Clock::system()),
        Ingest::new(&nowhere(&app), Clock::system()),
    );
    let now = Timestamp::of_machine();
    let number = "370400440532013000";
    let recorded = line(good.invoked(event(json!(number)), now)).await;
    assert_eq!((&recorded["message"], &recorded["result"]), (&json!("event"), &json!("Recorded")));
    let malformed = line(good.invoked(event(serde_json::from_str(number).unwrap()), now)).await;
    assert_eq!(
        (&malformed["message"], &malformed["cause"]),
        (&json!("event rejected"), &json!("detail.account_number: expected a string"))
    );
    let failed = line(dead.invoked(event(json!(number)), now)).await;
    assert_eq!((&failed["message"], &failed["server_errors"]), (&json!("event not recorded"), &json!(1)));
    for line in [recorded, malformed, failed] {
        assert!(!line.to_string().contains(number) && !line.to_string().contains(ALICE), "{line}");
    }
}

#[tokio::test]
async fn a_rate_run_has_one_line_whether_it_succeeds_or_not() {
    let app = app().await;
    let run = async |aws: &StoreConfig, rates: &RatesConfig| {
        let job = rates_sync::Job::new(aws, rates, AgeLimits::STANDARD, Clock::system()).unwrap();
        line(job.run(Timestamp::of_machine())).await
    };
    let written = run(&app.stack.config().store, app.stack.rates_config()).await;
    assert_eq!((&written["message"], &written["rate_sheets"]), (&json!("rates sync"), &json!(1)));
    let failed = run(&nowhere(&app), app.stack.rates_config()).await;
    assert_eq!((&failed["message"], &failed["server_errors"]), (&json!("rates sync failed"), &json!(1)));
    assert!(failed["cause"].as_str().unwrap().contains("unavailable"), "{failed}");
}

#[tokio::test]
async fn a_sweep_has_one_line_whether_it_succeeds_or_not() {
    let stack = Stack::start(Options {
        dataset: Dataset::demo(Timestamp::of_machine()).unwrap(),
        ..Options::default()
    })
    .await
    .unwrap();
    let job = custody_sync::Job::new(&stack.config().store, stack.custody_config(), Clock::system()).unwrap();
    let run = async |event: Value| {
        let event = serde_json::from_value(event).unwrap();
        // The demo is synced when it starts, and due again later.
        let later = Timestamp::of_machine().plus(jiff::SignedDuration::from_hours(1));
        line(job.run(event, later, Duration::from_secs(50))).await
    };
    let swept = run(json!({"shard": 0, "shards": 1})).await;
    assert_eq!(
        (&swept["message"], &swept["synced"], &swept["failed"]),
        (&json!("custody sync"), &json!(1), &json!(0)),
        "{swept}"
    );
    assert_eq!((&swept["shard"], &swept["shards"]), (&json!(0), &json!(1)));
    assert!(swept["sync_lag_seconds"].is_i64(), "{swept}");
    for (event, cause) in [
        (
            json!({"shard": 3, "shards": 3}),
            "shard 3 of 3: shards must be 1, 2, 4, 8 or 16, and the shard one of them",
        ),
        (json!({"account_id": "12"}), "account_id is not a valid identifier"),
    ] {
        let failed = run(event).await;
        assert_eq!((&failed["cause"], &failed["server_errors"]), (&json!(cause), &json!(1)));
    }
}

#[tokio::test]
async fn a_run_that_panics_has_a_line_with_its_id_and_the_place() {
    telemetry::capture_panics();
    let (lines, _guard) = Lines::capture();
    let work = async { panic!("a fault of ours") }.instrument(telemetry::run_span(RUN));
    assert!(tokio::spawn(work).await.is_err());
    let [line] = lines.of(RUN).try_into().unwrap_or_else(|lines| panic!("{lines:?}"));
    let cause = line["cause"].as_str().unwrap();
    assert!(cause.contains("run_lines.rs") && cause.contains("a fault of ours"), "{line}");
    assert_eq!(line["server_errors"], 1);
}
