//! Late entries and corrections: a state of any instant, as it is known at any instant.

use crate::harness::{ALICE, App, account, dataset, id, send, with};
use insta::assert_snapshot;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

/// Sends an event and expects this result.
async fn sent(app: &App, detail: Value, result: &str) {
    let event = json!({"detail-type": "AccountBalanceChanged", "detail": detail});
    let answer = send(app.request(Method::POST, "/_local/events").body(event.to_string())).await;
    assert_eq!(answer.to_string(), format!(r#"200 {{"result":"{result}"}}"#), "{event}");
}

fn entry(balance: &str, balance_at: &str, over: Value) -> Value {
    with(with(account(1, "EUR", balance), json!({"balance_at": balance_at})), over)
}

async fn total(app: &App, more: &str) -> String {
    let answer = app.balance("EUR", more).await;
    let total = answer.text().split_once(r#""total_balance":"#).map(|(_, rest)| rest);
    let total = total.and_then(|rest| rest.split_once(',')).map(|(total, _)| total.to_owned());
    total.unwrap_or_else(|| answer.to_string())
}

#[tokio::test]
async fn an_account_that_is_closed_today_was_open_before() {
    let app = App::start(dataset(vec![])).await;
    sent(&app, entry("100000", "2026-01-01T00:00:00Z", json!({})), "recorded").await;
    let closed = json!({"status": "closed", "active": false});
    sent(&app, entry("0", "2026-06-01T00:00:00Z", closed), "recorded").await;
    struct Case {
        filter: &'static str,
        then: &'static str,
    }
    let cases = [
        Case { filter: "", then: "100000.00" },
        Case { filter: "&search.status=active", then: "100000.00" },
        Case { filter: "&search.active=true", then: "100000.00" },
        Case { filter: "&search.status=closed", then: "0.00" },
    ];
    for Case { filter, then } in cases {
        assert_eq!(total(&app, &format!("&as_of=2026-05-01T00:00:00Z{filter}")).await, then, "{filter}");
        assert_eq!(total(&app, filter).await, "0.00", "{filter}");
    }
    let path =
        format!("/v2/accounts?search.customer_id={ALICE}&search.status=active&as_of=2026-05-01T00:00:00Z");
    assert_snapshot!(app.get(&path).await, @r#"200 {"data":[{"id":"00000000-0000-4000-8000-000000000001","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"EUR","balance":100000.00,"available":100000.00,"locked":0.00,"is_crypto":false,"active":true,"status":"active","balance_at":"2026-01-01T00:00:00.000Z","metadata":{"icon_url":"/v2/assets/EUR/icon.svg","name":"Euro"}}],"pagination":{"limit":50,"offset":0,"total":1,"next_cursor":null}}"#);
}

#[tokio::test]
async fn several_changes_of_one_instant_are_ordered_by_their_versions() {
    for order in [[1, 2], [2, 1]] {
        let app = App::start(dataset(vec![])).await;
        for version in order {
            let balance = if version == 1 { "100" } else { "60" };
            // A version may be a number or its digits.
            let version = if version == 1 { json!(1) } else { json!("2") };
            let result = if order[0] == 2 && balance == "100" { "superseded" } else { "recorded" };
            let entry = entry(balance, "2026-06-01T00:00:00Z", json!({"version": version}));
            sent(&app, entry, result).await;
        }
        assert_eq!(total(&app, "").await, "60.00", "{order:?}");
    }
}

#[tokio::test]
async fn a_wrong_balance_is_corrected_in_its_place_and_the_wrong_answer_can_be_had_again() {
    let app = App::start(dataset(vec![])).await;
    for (balance, day) in [("1000", 1), ("9999", 2), ("1200", 3)] {
        sent(&app, entry(balance, &format!("2026-03-{day:02}T00:00:00Z"), json!({})), "recorded").await;
    }
    let known_at = app.balance("EUR", "").await.header("x-known-at").to_owned();
    app.stack.clock().advance(SignedDuration::from_secs(61));
    let corrected = entry("999", "2026-03-02T00:00:00Z", json!({"version": 1}));
    sent(&app, corrected, "superseded").await;
    assert_eq!(total(&app, "&as_of=2026-03-02T12:00:00Z").await, "999.00");
    assert_eq!(total(&app, &format!("&as_of=2026-03-02T12:00:00Z&known_at={known_at}")).await, "9999.00");
    assert_eq!(total(&app, "").await, "1200.00");
    // The newest one is corrected too, and then so is the account.
    let closed = json!({"version": 1, "status": "closed"});
    sent(&app, entry("1200", "2026-03-03T00:00:00Z", closed), "recorded").await;
    assert_eq!(total(&app, "&search.status=closed").await, "1200.00");
    assert_eq!(total(&app, "&search.status=active").await, "0.00");
    assert_eq!(total(&app, &format!("&search.status=active&known_at={known_at}")).await, "1200.00");
    let shown = app.ballast_json(&["accounts", "show", &id(1)]).await;
    let history = shown["history"].as_array().unwrap();
    let row = |row: &Value| format!("{} {} {}", row["balance"], row["version"], row["status"]);
    assert_eq!(
        history.iter().map(row).collect::<Vec<_>>(),
        [
            r#""1200.00" 1 "closed""#,
            r#""1200.00" 0 "active""#,
            r#""999.00" 1 "active""#,
            r#""9999.00" 0 "active""#,
            r#""1000.00" 0 "active""#,
        ]
    );
    // What was known is what the command line says too.
    let words = ["balance", "--customer", ALICE, "--currency", "EUR", "--known-at", &known_at];
    let then = app.ballast_json(&[&words[..], &["--as-of", "2026-03-02T12:00:00Z"]].concat()).await;
    assert_eq!(then["total_balance"], json!("9999.00"));
}

#[tokio::test]
async fn an_entry_of_the_next_minutes_counts_when_its_time_has_come() {
    let app = App::start(dataset(vec![])).await;
    let now = app.stack.clock().now();
    let in_minutes = |minutes| now.plus(SignedDuration::from_mins(minutes)).to_millis_text();
    sent(&app, entry("100", &in_minutes(-1), json!({})), "recorded").await;
    sent(&app, entry("500", &in_minutes(4), json!({})), "recorded").await;
    let as_of = format!("&as_of={}", now.to_millis_text());
    for (more, view) in [("", "now"), (as_of.as_str(), "as of now")] {
        assert_eq!(total(&app, more).await, "100.00", "{view}");
    }
    let row = app.get("/v2/accounts").await.json()["data"][0].clone();
    assert_eq!((&row["balance"], &row["updated_at"]), (&json!(100.0), &json!(in_minutes(-1))));
    app.stack.clock().advance(SignedDuration::from_mins(5));
    assert_eq!(total(&app, "").await, "500.00");
}

#[tokio::test]
async fn the_available_amount_can_be_measured() {
    let accounts = vec![
        with(account(1, "EUR", "100"), json!({"available": "30"})),
        with(account(2, "EUR", "-20"), json!({"available": "480"})),
        with(account(3, "USDC", "50"), json!({"available": "0"})),
    ];
    let app = App::start(dataset(accounts)).await;
    assert_snapshot!(app.balance("EUR", "&measure=available&stack=currency").await, @r#"200 {"total_balance":510.00,"currency":"EUR","fiat_balance":510.00,"crypto_balance":0.00,"accounts":3,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"currency":"EUR","is_crypto":false,"accounts":2,"balance":510.00,"balance_in_base":510.00},{"currency":"USDC","is_crypto":true,"accounts":1,"balance":0.00,"balance_in_base":0.00}]}"#);
    assert_snapshot!(app.balance("EUR", "&measure=available&search.balance.gt=100&details=true").await, @r#"200 {"total_balance":480.00,"currency":"EUR","fiat_balance":480.00,"crypto_balance":0.00,"accounts":1,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","details":{"fiat_accounts":[{"id":"00000000-0000-4000-8000-000000000002","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"EUR","balance":480.00,"balance_in_base":480.00,"is_crypto":false,"active":true,"status":"active","balance_at":"2026-06-01T00:00:00.000Z"}],"crypto_assets":null},"rates":[]}"#);
    assert_eq!(total(&app, "&measure=balance&search.balance.gt=50").await, "100.00");
    assert_snapshot!(app.balance("EUR", "&measure=both").await, @r#"400 {"error":"invalid_request","message":"`measure` must be `balance` or `available`.","details":{"parameter":"measure","request_id":"…"}}"#);
}

#[tokio::test]
async fn what_an_event_lacks_is_named_and_its_values_never_are() {
    let app = App::start(dataset(vec![])).await;
    struct Case {
        over: Value,
        reason: &'static str,
    }
    let merchant = "mrc_b0000000-0000-4000-8000-00000000000b";
    let cases = [
        Case { over: json!({"balance": 12.5}), reason: "detail.balance: expected a string" },
        Case { over: json!({"active": "TRUE"}), reason: "detail.active: expected true or false" },
        Case { over: json!({"iban": 370_400}), reason: "detail.iban: expected a string" },
        Case {
            over: json!({"version": -1}),
            reason: "detail.version: not a whole number from 0 to 10^18 - 1",
        },
        Case {
            over: json!({"version": 1.5}),
            reason: "detail.version: not a whole number from 0 to 10^18 - 1",
        },
        Case {
            over: json!({"version": true}),
            reason: "detail.version: expected a whole number or its digits",
        },
        Case {
            over: json!({"network": "a b"}),
            reason: "detail.network: not a network: 1 to 32 letters, digits, _ and -",
        },
        Case {
            over: json!({"merchant_id": merchant}),
            reason: "detail.merchant_id: an organization_id must be given with it or before it",
        },
        Case { over: json!({"customer_id": null}), reason: "detail.customer_id: missing" },
    ];
    for Case { over, reason } in cases {
        let event =
            json!({"detail-type": "AccountBalanceChanged", "detail": with(account(1, "EUR", "1"), over)});
        let answer = send(app.request(Method::POST, "/_local/events").body(event.to_string())).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (422, &json!(reason)), "{event}");
    }
    assert_eq!(app.get("/v2/accounts").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_list_of_another_moment_has_no_times_and_is_not_ordered_by_them() {
    let app = App::start(dataset(vec![account(1, "EUR", "1")])).await;
    let list = async |query: &str| app.get(&format!("/v2/accounts?{query}")).await;
    let moment = "known_at=2026-06-02T00:00:00Z";
    let row = list(moment).await.json()["data"][0].clone();
    assert_eq!((&row["balance"], row.get("created_at"), row.get("updated_at")), (&json!(1.0), None, None));
    assert_eq!(list("known_at=2026-05-31T00:00:00Z").await.json()["pagination"]["total"], json!(0));
    assert_snapshot!(list(&format!("{moment}&sort=-balance,created_at")).await, @r#"400 {"error":"invalid_request","message":"`sort` cannot be by `created_at` or `updated_at` together with `as_of` or `known_at`.","details":{"parameter":"sort","request_id":"…"}}"#);
    assert_snapshot!(app.get_as(crate::harness::admin(), &format!("/v2/accounts?{moment}")).await, @r#"400 {"error":"invalid_request","message":"`known_at` needs `search.customer_id` or `search.customer_id.in`; across all customers use `cursor`.","details":{"parameter":"known_at","request_id":"…"}}"#);
    assert_eq!(list("").await.header("x-known-at").len(), "2026-06-02T00:00:00.000Z".len());
    let everybody = app.get_as(crate::harness::admin(), "/v2/accounts").await;
    assert_eq!(everybody.header("x-known-at"), "", "a page of the whole table is no snapshot");
}

#[tokio::test]
async fn the_header_that_says_when_is_on_a_304_too() {
    let app = App::start(dataset(vec![account(1, "EUR", "1")])).await;
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let first = app.get(&path).await;
    let request = app.request(Method::GET, &path).bearer_auth(app.token_of(&[ALICE]));
    let again = send(request.header("if-none-match", first.header("etag"))).await;
    assert_eq!(again.status, 304);
    assert!(first.header("x-known-at") <= again.header("x-known-at"), "{}", again.header("x-known-at"));
}

#[tokio::test]
async fn a_rate_that_was_recorded_later_prices_no_earlier_answer() {
    let sheet = |usd: &str, recorded_at: &str| {
        with(
            crate::harness::sheet("2026-06-01T00:00:00Z", &[("EUR", usd)]),
            json!({"recorded_at": recorded_at}),
        )
    };
    let sheets = json!([sheet("1.10", "2026-06-01T00:00:00Z"), sheet("1.20", "2026-06-03T00:00:00Z")]);
    let app = App::start(with(dataset(vec![account(1, "EUR", "100")]), json!({"rate_sheets": sheets}))).await;
    let usd = async |more: &str| app.balance("USD", more).await.json()["total_balance"].clone();
    let as_of = "&as_of=2026-06-01T12:00:00Z";
    assert_eq!(usd(as_of).await, json!(120.0));
    assert_eq!(usd(&format!("{as_of}&known_at=2026-06-02T00:00:00Z")).await, json!(110.0));
    assert_eq!(usd(&format!("{as_of}&known_at=2026-06-03T00:00:00Z")).await, json!(120.0));
    assert_eq!(usd("").await, json!(120.0));
}
