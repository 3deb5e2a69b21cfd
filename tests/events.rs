//! Balances by event: strict, idempotent, and indifferent to the order of arrival.

use crate::harness::{
    ALICE, Answer, App, BOB, account, brief, custody, id, newest_accounts, send, syncer, wallet, with,
};
use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{CustomerId, Timestamp};
use std::fmt::Write;
use tokio::runtime::Runtime;

fn event(detail: Value) -> Value {
    json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "AccountBalanceChanged", "source": "core",
        "account": "123456789012", "time": "2026-06-01T00:00:00Z", "region": "eu-central-1", "resources": [], "detail": detail,
    })
}

async fn post(app: &App, event: &Value) -> Answer {
    send(app.request(Method::POST, "/_local/events").body(event.to_string())).await
}

fn at(minute: u32) -> String {
    format!("2026-06-01T00:{minute:02}:00Z")
}

#[tokio::test]
async fn an_event_is_recorded_and_seen_by_the_next_request() {
    let app = App::start(crate::harness::dataset(vec![])).await;
    let first = with(account(1, "EUR", "10"), json!({"iban": "DE1", "status": "suspended", "active": false}));
    let newer = with(account(1, "EUR", "12.5"), json!({"balance_at": at(5), "available": "20"}));
    let older = with(account(1, "EUR", "1"), json!({"balance_at": "2026-05-01T00:00:00Z"}));
    for (detail, result) in [
        (&first, "recorded"),
        (&first, "duplicate"),
        (&newer, "recorded"),
        (&first, "duplicate"),
        (&older, "superseded"),
        (&older, "duplicate"),
        (&with(newer.clone(), json!({"balance": "12.50"})), "duplicate"),
    ] {
        assert_eq!(
            post(&app, &event(detail.clone())).await.to_string(),
            format!(r#"200 {{"result":"{result}"}}"#),
            "{detail}"
        );
    }
    // The state is the newest event's. It brought no labels, so those of the first stand.
    let row = app.get("/v2/accounts").await.json()["data"][0].clone();
    assert_eq!(
        (&row["iban"], &row["status"], &row["active"]),
        (&json!("DE1"), &json!("active"), &json!(true))
    );
    assert_eq!(
        (&row["balance"], &row["available"], &row["locked"]),
        (&json!(12.5), &json!(20.0), &json!(0.0))
    );
    let then = app.balance("EUR", "&as_of=2026-05-15T00:00:00Z").await.json();
    assert_eq!(then["total_balance"], json!(1.0));
}

#[tokio::test]
async fn an_event_that_can_never_be_recorded_says_why_and_nothing_else_stops() {
    let app = App::start(crate::harness::dataset(vec![account(1, "EUR", "10")])).await;
    let changed = |change: Value| event(with(account(2, "EUR", "10"), change));
    let known = |change: Value| event(with(account(1, "EUR", "10"), change));
    let ahead = Timestamp::of_machine().plus(jiff::SignedDuration::from_mins(6)).to_millis_text();
    let rows = [
        json!([]),
        json!({}),
        with(event(account(2, "EUR", "1")), json!({"detail-type": "AccountClosed"})),
        event(json!("text")),
        event(json!([id(2), ALICE, "EUR", "1", null, true, "active", "2025-01-01T00:00:00Z"])),
        json!(["AccountBalanceChanged", account(2, "EUR", "1")]),
        changed(json!({"history": []})),
        event(json!({"id": id(2)})),
        changed(json!({"colour": "red"})),
        changed(json!({"history": [{"balance": "1", "balance_at": "2026-01-01T00:00:00Z"}]})),
        changed(json!({"id": "acc_1"})),
        changed(json!({"balance": 10})),
        changed(json!({"balance": "1e3"})),
        changed(json!({"balance": "+1"})),
        changed(json!({"balance": "1234567890123456789"})),
        changed(json!({"available": "0.1234567890123456789"})),
        changed(json!({"balance": "999999999999999999", "available": "-999999999999999999"})),
        changed(json!({"currency": "NOPE"})),
        changed(json!({"status": "frozen"})),
        changed(json!({"active": "yes"})),
        changed(json!({"balance_at": "2026-06-01"})),
        changed(json!({"balance_at": ahead})),
        changed(json!({"merchant_id": id(3)})),
        changed(json!({"description": "x".repeat(1_025)})),
        known(json!({"balance": "11"})),
        known(json!({"iban": "DE2"})),
        known(json!({"customer_id": BOB, "balance_at": at(9)})),
        known(json!({"currency": "USD", "balance_at": at(9)})),
    ];
    let mut answers = String::new();
    for event in rows {
        let answer = post(&app, &event).await;
        assert_eq!(answer.status, 422, "{answer}");
        writeln!(
            answers,
            "{}",
            answer.json()["reason"].as_str().unwrap().split(", expected one of").next().unwrap()
        )
        .unwrap();
    }
    assert_snapshot!(brief(&answers), @"
    the event: expected an object
    detail-type: missing
    detail-type: must be AccountBalanceChanged
    detail: expected an object
    detail: expected an object
    the event: expected an object
    detail.history: unknown field; known are EVERY FIELD
    detail.balance_at: missing
    detail.colour: unknown field; known are EVERY FIELD
    detail.history: unknown field; known are EVERY FIELD
    detail.id: not a valid identifier
    detail.balance: expected a string
    detail.balance: not a decimal number
    detail.balance: not a decimal number
    detail.balance: more than 18 digits before the point
    detail.available: more than 18 digits after the point
    detail.available: balance less available has more than 18 digits before the point
    detail.currency: not a known asset
    detail.status: not a known status
    detail.active: expected true or false
    detail.balance_at: not an RFC 3339 date-time
    detail.balance_at: more than 5 minutes ahead
    detail.merchant_id: not a valid identifier
    detail.description: longer than 1024 characters
    detail.balance_at: this balance_at and version were recorded with other values; give a higher version
    detail.balance_at: this balance_at and version were recorded with other values; give a higher version
    detail.customer_id: the account belongs to another customer
    detail.currency: the account holds another currency
    ");
    for twice in
        [r#"{"detail-type": "AccountBalanceChanged", "detail": {"balance": "1", "balance": "2"}}"#, "no JSON"]
    {
        let answer = send(app.request(Method::POST, "/_local/events").body(twice)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["result"]), (422, &json!("rejected")), "{answer}");
    }
    let soon = Timestamp::of_machine().plus(jiff::SignedDuration::from_mins(4)).to_millis_text();
    assert_eq!(post(&app, &changed(json!({"balance_at": soon}))).await.status, 200);
    // It counts once its time has come.
    let total = async || app.get("/v2/accounts").await.json()["pagination"]["total"].clone();
    assert_eq!(total().await, json!(1));
    app.stack.clock().advance(jiff::SignedDuration::from_mins(5));
    assert_eq!(total().await, json!(2));
}

#[tokio::test]
async fn an_event_does_not_reach_into_custody() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    app.sync(syncer()).await;
    let accounts = newest_accounts(&app.stack.store(), CustomerId::parse(ALICE).unwrap()).await;
    let detail = json!({"id": accounts[0].id.to_string(), "customer_id": ALICE, "currency": "BTC", "balance": "5", "balance_at": at(1)});
    assert_snapshot!(post(&app, &event(detail)).await, @r#"422 {"result":"rejected","reason":"detail.id: the account is kept by a custody sync"}"#);
}

#[test]
fn any_order_with_duplicates_ends_as_the_ordered_run() {
    let runtime = Runtime::new().unwrap();
    let details: Vec<_> = (0..12_u32)
        .map(|number| {
            let balance = format!("{}", number * 7 % 5);
            with(
                account(number % 3, "EUR", &balance),
                json!({"balance_at": at(number), "description": format!("{number}")}),
            )
        })
        .collect();
    let state = |order: &[usize]| {
        runtime.block_on(async {
            let app = App::start(json!({})).await;
            for index in order {
                assert_eq!(post(&app, &event(details[*index].clone())).await.status, 200);
            }
            let mut seen = vec![app.get("/v2/accounts").await.text().to_owned()];
            for minute in 0..12 {
                seen.push(
                    app.get(&format!(
                        "/v2/accounts/balance?customer_id={ALICE}&currency=EUR&as_of={}",
                        at(minute)
                    ))
                    .await
                    .text()
                    .to_owned(),
                );
            }
            seen
        })
    };
    let ordered = state(&(0..12).collect::<Vec<_>>());
    let shuffled =
        (Just((0..12).collect::<Vec<_>>()).prop_shuffle(), prop::collection::vec(0..12_usize, 0..8));
    let outcome = TestRunner::new(Config::with_cases(16)).run(&shuffled, |(order, again)| {
        prop_assert_eq!(&state(&[order, again].concat()), &ordered);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn the_published_schema_is_the_table_of_fields_and_lists_what_an_event_must_have() {
    let published = include_str!("../infra/events/AccountBalanceChanged.v1.schema.json");
    assert_eq!(published, reference::event_schema().unwrap(), "run `cargo reference`");
    let schema: Value = serde_json::from_str(published).unwrap();
    let app = App::start(json!({})).await;
    let whole = event(account(1, "EUR", "1"));
    for name in schema["required"].as_array().unwrap() {
        let mut event = whole.clone();
        event["detail"].as_object_mut().unwrap().remove(name.as_str().unwrap()).unwrap();
        let answer = post(&app, &event).await;
        assert!(
            answer.json()["reason"]
                .as_str()
                .unwrap()
                .contains(&format!("detail.{}: missing", name.as_str().unwrap())),
            "{answer}"
        );
    }
    assert_eq!(post(&app, &whole).await.status, 200);
}
