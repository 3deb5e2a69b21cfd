//! The one clock of a process, and commits that are not answered or come late.

use crate::cli::ballast;
use crate::harness::{ALICE, App, account, dataset, id, send, with};
use crate::lines::Lines;
use crate::record::update;
use crate::store_proxy::{Passage, StoreProxy};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::Timestamp;
use shared::store::{HistoryEnd, Outcome, RecordError, Store, StoreError};
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn event(detail: &Value) -> String {
    json!({"detail-type": "AccountBalanceChanged", "detail": detail}).to_string()
}

async fn set_clock(app: &App, body: Value) {
    let answer = send(app.request(Method::PUT, "/_local/clock").body(body.to_string())).await;
    assert_eq!(answer.to_string(), r#"200 {"result":"set"}"#);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_commit_is_not_a_second_entry() {
    let app = App::start(json!({})).await;
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    for minute in [10, 5] {
        let lost = AtomicU32::new(0);
        let (_, config) = StoreProxy::start(&app, move |operation| {
            let is_first = operation == "TransactWriteItems" && lost.fetch_add(1, Ordering::SeqCst) == 0;
            if is_first { Passage::AnswerLost } else { Passage::Answered }
        })
        .await;
        let store = Store::new(&config, app.stack.clock().clone());
        // The second attempt finds what the first one wrote, and tells it from somebody else's duplicate.
        let outcome = if minute == 10 { Outcome::Recorded } else { Outcome::Superseded };
        assert_eq!(store.record(&update(customer, id, "1", minute)).await, Ok(outcome), "{minute}");
        assert_eq!(store.record(&update(customer, id, "1", minute)).await, Ok(Outcome::Duplicate));
    }
    let entries = app.stack.store().entries(id.into(), HistoryEnd::Oldest, 10).await.unwrap();
    assert_eq!(entries.len(), 2);
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_counted() {
    for passage in [Passage::Answered, Passage::AnswerLost] {
        let app = App::start(json!({})).await;
        let (lines, _guard) = Lines::capture();
        let (clock, transactions) = (app.stack.clock().clone(), AtomicU32::new(0));
        let (_, config) = StoreProxy::start(&app, move |operation| {
            if operation != "TransactWriteItems" || transactions.fetch_add(1, Ordering::SeqCst) > 0 {
                return Passage::Answered;
            }
            // The commit is under way for a minute and a second.
            clock.advance(SignedDuration::from_secs(61));
            passage
        })
        .await;
        let store = Store::new(&config, app.stack.clock().clone());
        let outcome = store.record(&update(Uuid::new_v4(), Uuid::new_v4(), "1", 1)).await;
        assert_eq!(outcome, Ok(Outcome::Recorded));
        let late: Vec<_> = lines.all().into_iter().filter(|line| line["late_commits"] == json!(1)).collect();
        assert_eq!(late.len(), 1, "{late:?}");
        assert_eq!((&late[0]["level"], &late[0]["age_seconds"]), (&json!("ERROR"), &json!(61)));
    }
}

#[tokio::test]
async fn a_function_whose_clock_is_wrong_writes_nothing_and_says_so() {
    let app = App::start(dataset(vec![account(1, "EUR", "10")])).await;
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    struct Case {
        off: SignedDuration,
        seconds: Option<i64>,
    }
    let cases = [
        Case { off: HOUR, seconds: Some(3_600) },
        Case { off: -HOUR, seconds: Some(-3_600) },
        Case { off: SignedDuration::from_secs(5), seconds: Some(5) },
        Case { off: SignedDuration::from_secs(1), seconds: None },
    ];
    for Case { off, seconds } in cases {
        let clock = Clock::system();
        clock.advance(off);
        let (proxy, config) = StoreProxy::start(&app, |_| Passage::Answered).await;
        let store = Store::new(&config, clock);
        let outcome = store.record(&update(customer, id, "1", 1)).await;
        let writes = proxy.calls().iter().filter(|call| *call == "TransactWriteItems").count();
        match (seconds, outcome) {
            (None, outcome) => assert_eq!((outcome, writes), (Ok(Outcome::Recorded), 1)),
            (Some(seconds), Err(RecordError::Store(error @ StoreError::WrongClock(wrong)))) => {
                assert!((wrong.seconds - seconds).abs() <= 1, "{wrong:?}");
                assert!(error.to_string().contains("nothing is written"), "{error}");
                assert_eq!(writes, 0);
            }
            (_, outcome) => panic!("{off:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_command_line_whose_clock_is_wrong_goes_by_the_stores() {
    let app = App::start(dataset(vec![])).await;
    // The command line runs on this machine, whose clock is years behind the store's now.
    set_clock(&app, json!({"now": "2031-05-01T12:00:00Z"})).await;
    let rows = [
        with(account(1, "EUR", "10"), json!({"balance_at": "2031-05-01T11:59:00Z"})),
        with(account(2, "EUR", "20"), json!({"balance_at": "2031-05-01T13:00:00Z"})),
    ];
    let file = std::env::temp_dir().join(format!("ballast-{}.jsonl", Uuid::new_v4()));
    std::fs::write(&file, rows.map(|row| row.to_string()).join("\n")).unwrap();
    let words = ["accounts", "import", file.to_str().unwrap(), "--output", "json"];
    let ran = ballast(&app.stack.url(), &words).await.json();
    // The second row is an hour ahead of the store's clock.
    assert_eq!((&ran["recorded"], &ran["rejected"]), (&json!(1), &json!(1)));
    for file in [file.clone(), file.with_extension("jsonl.rejects")] {
        std::fs::remove_file(file).unwrap();
    }
    let account = uuid::Uuid::parse_str(&id(1)).unwrap();
    let entries = app.stack.store().entries(account.into(), HistoryEnd::Newest, 1).await.unwrap();
    let age = at("2031-05-01T12:00:00Z").age_at(entries[0].recorded_at);
    assert!(SignedDuration::ZERO <= age && age < SignedDuration::from_mins(1), "{age:?}");
}

#[tokio::test]
async fn the_whole_stack_goes_by_its_clock() {
    let app = App::start(dataset(vec![])).await;
    set_clock(&app, json!({"now": "2030-01-01T00:00:00Z"})).await;
    let ahead = with(account(1, "EUR", "10"), json!({"balance_at": "2030-01-01T00:04:00Z"}));
    let sent = async |detail: &Value| {
        send(app.request(Method::POST, "/_local/events").body(event(detail))).await.to_string()
    };
    assert_eq!(sent(&ahead).await, r#"200 {"result":"recorded"}"#);
    let total = async || app.balance("EUR", "").await.json()["total_balance"].clone();
    assert_eq!(total().await, json!(0.0), "it is 500 in four minutes");
    let token = app.token_of(&[ALICE]);
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let by_token = async || send(app.request(Method::GET, &path).bearer_auth(&token)).await.status;
    assert_eq!(by_token().await, 200);
    set_clock(&app, json!({"now": "2030-01-01T00:04:00Z"})).await;
    assert_eq!(total().await, json!(10.0));
    set_clock(&app, json!({"now": "2030-01-03T00:00:00Z"})).await;
    assert_eq!(by_token().await, 401, "a token lasts for a day");
    let dated = send(app.request(Method::GET, &path).bearer_auth(app.token_of(&[ALICE]))).await;
    assert!(dated.header("x-known-at").starts_with("2030-01-03T00:00:"), "{dated}");
    let answer =
        app.client.post(app.stack.dynamodb_url()).header("x-amz-target", "DynamoDB_20120810.ListTables");
    let date = answer.body("{}").send().await.unwrap().headers()["date"].to_str().unwrap().to_owned();
    assert!(date.starts_with("Thu, 03 Jan 2030 00:00:"), "{date}");
    // Rates are observed, and custody is signed for, at the stack's time.
    send(app.request(Method::POST, "/_local/schedules/rates-sync")).await;
    let shown = app.ballast_json(&["rates", "show"]).await;
    assert!(shown["observed_at"].as_str().unwrap().starts_with("2030-01-03T00:00:"), "{shown}");
    set_clock(&app, json!({})).await;
    assert!(app.stack.clock().now().age_at(Timestamp::of_machine()).abs() < SignedDuration::from_mins(1));
    for body in [r#"{"now": "tomorrow"}"#, r#"{"now": 1}"#, r#"{"later": "x"}"#, "[]", ""] {
        let refused = send(app.request(Method::PUT, "/_local/clock").body(body)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]),
            (400, &json!("invalid_request")),
            "{body}"
        );
    }
}
