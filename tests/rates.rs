//! The rate feed end to end: what a run writes, and what the next request sees.

use crate::harness::{ALICE, App, account, asset, dataset, send, sheet, with};
use aws_sdk_dynamodb::types::AttributeValue;
use insta::assert_snapshot;
use jiff::SignedDuration;
use rates_sync::Job;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{AgeLimits, Moment, Timestamp};
use std::fmt::Write;

async fn sync(app: &App) -> Value {
    let answer = send(app.request(Method::POST, "/_local/schedules/rates-sync")).await;
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()
}

async fn tell(app: &App, source: &str, told: Value) {
    let answer =
        send(app.request(Method::PUT, &format!("/_local/market/{source}")).body(told.to_string())).await;
    assert_eq!(answer.status, 200, "{answer}");
}

#[tokio::test]
async fn a_run_is_seen_by_the_next_request_with_its_receipts() {
    let rates = json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("EUR", "1.2"), ("USDC", "1")])], "rates_never_expire": false});
    let app =
        App::start(with(dataset(vec![account(1, "USDC", "100"), account(2, "EURSM", "10")]), rates)).await;
    assert_eq!(app.balance("EUR", "").await.status, 422);
    let report = sync(&app).await;
    assert_eq!((&report["entries"], &report["rejected"]), (&json!(56), &json!([])));
    let body = app.balance("EUR", "&details=true").await.json();
    assert_eq!((&body["total_balance"], &body["crypto_balance"]), (&json!(98.07), &json!(98.07)));
    let mut receipts = String::new();
    for rate in body["rates"].as_array().unwrap() {
        let deviation = rate
            .get("peg_deviation")
            .map_or_else(String::new, |deviation| format!(" {deviation} off its peg"));
        writeln!(
            receipts,
            "{} {} {} {}{deviation}",
            rate["currency"], rate["usd"], rate["source"], rate["method"]
        )
        .unwrap();
    }
    assert_snapshot!(receipts, @r#"
    "EUR" 1.1353 "ecb" "reference"
    "EURSM" 1.1353 "par" "par" 0 off its peg
    "USDC" 0.9999100000007289 "coinbase" "market" -0.00009 off its peg
    "#);
    // The past keeps its own rates.
    let then =
        app.balance("EUR", "&as_of=2026-06-01T00:00:01Z&search.currency=USDC&partial=true").await.json();
    assert_eq!(then["total_balance"], json!(83.33));
}

#[tokio::test]
async fn a_source_that_is_down_is_reported_and_its_word_kept() {
    let app = App::start(dataset(vec![account(1, "GBP", "100")])).await;
    sync(&app).await;
    tell(&app, "ecb", json!({"status": 500})).await;
    tell(&app, "coinbase", json!({"quotes": {"GBP": "0.5", "JPY": null}})).await;
    let report = sync(&app).await;
    assert_snapshot!(report["sources"][0].to_string(), @r#"{"error":"the source is unavailable: status 500","quotes":0,"source":"ecb","unreadable":[]}"#);
    let body = app.balance("USD", "&details=true").await.json();
    assert_eq!(body["rates"][0]["source"], json!("ecb"));
    for source in ["ecb", "coinbase", "coingecko"] {
        tell(&app, source, json!({"status": 404})).await;
    }
    // All are down: the sheet is what they said last.
    assert_eq!(sync(&app).await["entries"], json!(56));
    let empty = App::start(json!({})).await;
    for source in ["ecb", "coinbase", "coingecko"] {
        tell(&empty, source, json!({"status": 404})).await;
    }
    let answer = send(empty.request(Method::POST, "/_local/schedules/rates-sync")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (500, &json!("internal_error")));
}

fn job(app: &App) -> Job {
    Job::new(
        &app.stack.config().store,
        app.stack.rates_config(),
        AgeLimits::STANDARD,
        app.stack.clock().clone(),
    )
    .unwrap()
}

/// What the sheet of that time says of an asset, or nothing.
async fn price(app: &App, at: Timestamp, code: &str) -> String {
    let rates = app.stack.store().rates_at(Moment::as_of(at), AgeLimits::STANDARD).await.unwrap();
    rates.entry(asset(code)).map_or_else(String::new, |rate| rate.usd.to_string())
}

#[tokio::test]
async fn runs_at_once_confirm_nothing_to_each_other() {
    let app = App::start(json!({})).await;
    let now = Timestamp::of_machine();
    job(&app).run(now).await.unwrap();
    tell(&app, "coinbase", json!({"quotes": {"BTC": "0.00000168838606501"}})).await;
    // A schedule that is delivered twice, and an operator beside it.
    let runs = (1..=4).map(|millisecond| {
        let job = job(&app);
        async move { job.run(now.plus(SignedDuration::from_millis(millisecond))).await }
    });
    let reports = futures::future::join_all(runs).await;
    assert!(reports.iter().filter(|report| report.is_ok()).count() >= 2, "{reports:?}");
    let soon = now.plus(SignedDuration::from_mins(2));
    assert_eq!(price(&app, soon, "BTC").await, "");
    assert_eq!(price(&app, soon, "ETH").await, "4251.929999999666606169");
    // What it says five minutes later is a second word.
    job(&app).run(now.plus(SignedDuration::from_mins(5))).await.unwrap();
    assert!(price(&app, now.plus(SignedDuration::from_mins(6)), "BTC").await.starts_with("592281"));
}

#[tokio::test]
async fn a_poisoned_tick_is_an_error_to_whoever_needs_it_and_a_depeg_is_followed() {
    let app = App::start(json!({"accounts": [account(1, "USDC", "100")]})).await;
    let (job, start) = (job(&app), Timestamp::of_machine());
    let run = async |minutes: i64| job.run(start.plus(SignedDuration::from_mins(minutes))).await.unwrap();
    let seen =
        async |minutes: i64| price(&app, start.plus(SignedDuration::from_mins(minutes + 1)), "USDC").await;
    run(0).await;
    // A hundred times its worth, for one tick, at the exchange alone.
    tell(&app, "coinbase", json!({"quotes": {"USDC": "0.01"}})).await;
    let report = serde_json::to_string(&run(5).await).unwrap();
    assert!(
        report.contains(r#""rejected":[{"currency":"USDC","source":"coinbase","usd":"100","#),
        "{report}"
    );
    tell(&app, "coinbase", json!({})).await;
    run(10).await;
    // More than half of its worth is lost for good, and the index is silent.
    tell(&app, "coinbase", json!({"quotes": {"USDC": "2.5"}})).await;
    tell(&app, "coingecko", json!({"status": 500})).await;
    run(15).await;
    run(20).await;
    let mut prices = Vec::new();
    for minutes in [0, 5, 10, 15, 20] {
        prices.push(seen(minutes).await);
    }
    assert_eq!(prices, ["0.999910000000728934", "", "0.999910000000728934", "", "0.4"]);
}

#[tokio::test]
async fn a_holding_whose_rate_is_doubted_is_unpriced() {
    let app = App::start(json!({"accounts": [account(1, "USDC", "100")]})).await;
    sync(&app).await;
    assert_eq!(app.balance("USD", "").await.json()["total_balance"], json!(99.99));
    tell(&app, "coinbase", json!({"quotes": {"USDC": "0.01"}})).await;
    assert_eq!(sync(&app).await["rejected"][0]["last_usd"], json!("0.999910000000728934"));
    let refused = app.balance("USD", "").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["details"]["currencies"]), (422, &json!(["USDC"])));
}

#[tokio::test]
async fn a_sheet_of_another_version_does_not_stop_the_feed() {
    let app = App::start(dataset(vec![account(1, "EUR", "100")])).await;
    let client = app.stack.store().client().clone();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let rate = [
        ("usd", AttributeValue::N("2".to_owned())),
        ("source", text("test")),
        ("method", text("market")),
        ("observed_at", text("2026-06-02T00:00:00.000000000Z")),
    ];
    let rate = AttributeValue::M(rate.map(|(name, value)| (name.to_owned(), value)).into());
    // A method and a price that only a newer version knows take no other entry with them.
    let mut unknown = rate.as_m().unwrap().clone();
    unknown.insert("method".to_owned(), text("astrology"));
    let unknown = AttributeValue::M(unknown);
    let entries = [("EUR", rate.clone()), ("DOGE", rate), ("JPY", unknown), ("GBP", text("1.3"))];
    let entries =
        AttributeValue::M(entries.map(|(code, entry)| (code.to_owned(), entry)).into_iter().collect());
    let at = "2026-06-02T00:00:00.000000000Z";
    let put = client.put_item().table_name("RatesTable").item("entries", entries);
    let put = put.item("series", text("usd#2026-06")).item("place", text(&format!("{at}#{at}")));
    put.item("observed_at", text(at)).item("recorded_at", text(at)).send().await.unwrap();
    let months = AttributeValue::Ss(vec!["2026-06".to_owned()]);
    let pointer = client.put_item().table_name("RatesTable").item("months", months);
    let pointer = pointer.item("series", text("newest")).item("place", text("newest"));
    pointer.item("newest", text(&format!("{at}#{at}"))).send().await.unwrap();
    assert_eq!(app.balance("USD", "&as_of=2026-06-02T00:00:00Z").await.json()["total_balance"], json!(200.0));
    assert_eq!(sync(&app).await["entries"], json!(56));
}

impl App {
    /// Alice's total in dollars as of then, or the status of the refusal.
    async fn store_balance(&self, as_of: &str) -> String {
        let answer =
            self.get(&format!("/v2/accounts/balance?customer_id={ALICE}&currency=USD&as_of={as_of}")).await;
        let total =
            answer.text().split_once(r#""total_balance":"#).and_then(|(_, rest)| rest.split_once(','));
        total.map_or_else(|| answer.status.as_str().to_owned(), |(total, _)| total.to_owned())
    }
}

#[tokio::test]
async fn the_weekend_has_the_sheet_of_its_time() {
    let (friday, monday) = ("2026-09-25T14:00:00Z", "2026-09-28T14:00:00Z");
    let sheets = json!([sheet(friday, &[("EUR", "1.10")]), sheet(monday, &[("EUR", "1.20")])]);
    let app = App::start(json!({"accounts": [account(1, "EUR", "100")], "rate_sheets": sheets})).await;
    let rows = [
        ("2026-09-25T13:59:59.999999999Z", "422"),
        (friday, "110.00"),
        ("2026-09-27T23:00:00%2B02:00", "110.00"),
        ("2026-09-28T13:59:59.999999999Z", "110.00"),
        (monday, "120.00"),
        ("2026-10-02T14:00:00Z", "120.00"),
        ("2026-10-02T14:00:00.001Z", "422"),
    ];
    for (as_of, expected) in rows {
        assert_eq!(app.store_balance(as_of).await, expected, "{as_of}");
    }
}

#[tokio::test]
async fn the_sandbox_refuses_what_it_could_not_say() {
    let app = App::start(json!({})).await;
    for (path, body, status) in [
        ("/_local/market/nobody", json!({}), 404),
        ("/_local/market/ecb", json!({"status": 42}), 400),
        ("/_local/market/ecb", json!({"quotes": {"GBP": "much"}}), 400),
        ("/_local/market/ecb", json!({"quotes": {"GBP": "-1"}}), 400),
        ("/_local/market/ecb", json!({"quotes": {"A'<": "1"}}), 400),
        ("/_local/market/coingecko", json!({"quotes": {"bitcoin": "0118456"}}), 400),
        ("/_local/market/ecb", json!({"rates": {}}), 400),
        ("/_local/market/ecb", json!([]), 400),
        ("/_local/schedules/rates", json!({}), 404),
    ] {
        let verb = if path.contains("schedules") { Method::POST } else { Method::PUT };
        assert_eq!(
            send(app.request(verb, path).body(body.to_string())).await.status,
            status,
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn a_rate_beyond_ten_times_waits_for_an_operator_and_says_so() {
    let app = App::start(dataset(vec![account(1, "ARS", "1000000")])).await;
    sync(&app).await;
    // A redenomination, or a ticker that has become a token's: nobody but an operator can know.
    tell(&app, "coinbase", json!({"quotes": {"ARS": "1.4"}})).await;
    sync(&app).await;
    let later = |minutes| Timestamp::of_machine().plus(SignedDuration::from_mins(minutes));
    let report = serde_json::to_string(&job(&app).run(later(5)).await.unwrap()).unwrap();
    assert!(report.contains("waits for another source, or for `ballast rates accept`"), "{report}");
    let shown = app.ballast_json(&["rates", "show"]).await;
    let held = &shown["held"][0];
    assert_eq!((&held["currency"], &held["source"]), (&json!("ARS"), &json!("coinbase")));
    assert!(app.ballast(&["rates", "show"]).await.out.contains("more than ten times"));
    let refused = app.balance("EUR", "").await.text().to_owned();
    assert!(refused.contains("ARS jumped at") && refused.contains("ballast rates accept"), "{refused}");
    assert_eq!(app.ballast(&["rates", "accept", "GBP"]).await.error(), "no rate of GBP is held");
    let accepted = app.ballast_json(&["rates", "accept", "ars"]).await;
    assert_eq!(accepted["source"], json!("coinbase"));
    job(&app).run(later(10)).await.unwrap();
    assert!(price(&app, later(11), "ARS").await.starts_with("0.714285"));
}
