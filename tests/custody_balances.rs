//! `GET /custody/accounts/{accountId}/balances`: shape, order, value, age, and who may see it.

use crate::harness::{ALICE, App, BOB, CUSTODY, admin, custody, send, sheet, wallet, with};
use futures::future::join_all;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

fn holdings() -> Value {
    json!([
        with(
            wallet("USDT_ERC20", "10000", "9500"),
            json!({"last_transaction_at": "2026-11-16T14:25:10.456Z"})
        ),
        wallet("USDT_BSC", "5240.5", "5240.5"),
        wallet("BTC", "0.12345678", "0"),
    ])
}

/// The answer with the time of the sync left out.
fn timeless(text: &str) -> String {
    let at =
        text.split("\"last_updated\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    text.replace(at, "now")
}

#[tokio::test]
async fn every_supported_asset_is_shown_by_its_value() {
    let app = App::start(custody(holdings(), json!({}))).await;
    assert_snapshot!(timeless(&app.custody("").await.to_string()), @r#"200 {"account_id":"550e8400-e29b-41d4-a716-446655440000","last_updated":"now","total_usd_value":27217.39,"complete":true,"balances":[{"blockchain":"BTC","token":"BTC","balance":0.12345678,"usd_value":11975.37,"available":0.00,"locked":0.12345678,"last_transaction_at":null},{"blockchain":"ETH","token":"USDT","balance":10000.00,"usd_value":10001.00,"available":9500.00,"locked":500.00,"last_transaction_at":"2026-11-16T14:25:10.456Z"},{"blockchain":"BSC","token":"USDT","balance":5240.50,"usd_value":5241.02,"available":5240.50,"locked":0.00,"last_transaction_at":null},{"blockchain":"TRX","token":"USDT","balance":0.00,"usd_value":0.00,"available":0.00,"locked":0.00,"last_transaction_at":null}],"unlisted":[]}"#);
    assert_snapshot!(timeless(&app.custody("?partial=true&max_age=86400").await.to_string()), @r#"200 {"account_id":"550e8400-e29b-41d4-a716-446655440000","last_updated":"now","total_usd_value":27217.39,"complete":true,"balances":[{"blockchain":"BTC","token":"BTC","balance":0.12345678,"usd_value":11975.37,"available":0.00,"locked":0.12345678,"last_transaction_at":null},{"blockchain":"ETH","token":"USDT","balance":10000.00,"usd_value":10001.00,"available":9500.00,"locked":500.00,"last_transaction_at":"2026-11-16T14:25:10.456Z"},{"blockchain":"BSC","token":"USDT","balance":5240.50,"usd_value":5241.02,"available":5240.50,"locked":0.00,"last_transaction_at":null},{"blockchain":"TRX","token":"USDT","balance":0.00,"usd_value":0.00,"available":0.00,"locked":0.00,"last_transaction_at":null}],"unlisted":[]}"#);
}

#[tokio::test]
async fn unpriced_assets_are_an_error_or_come_last() {
    let sheet = sheet("2026-06-01T00:00:00Z", &[("BTC", "97000.5")]);
    let app = App::start(custody(holdings(), json!({"rate_sheets": [sheet]}))).await;
    assert_snapshot!(app.custody("").await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of USDT for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["USDT"],"gaps":[{"reason":"unpriced","currency":"USDT","balance":15240.50}],"request_id":"…"}}"#);
    assert_snapshot!(timeless(&app.custody("?partial=true").await.to_string()), @r#"200 {"account_id":"550e8400-e29b-41d4-a716-446655440000","last_updated":"now","total_usd_value":11975.37,"complete":false,"unpriced":[{"blockchain":"BSC","currency":"USDT","balance":5240.50},{"blockchain":"ETH","currency":"USDT","balance":10000.00}],"balances":[{"blockchain":"BTC","token":"BTC","balance":0.12345678,"usd_value":11975.37,"available":0.00,"locked":0.12345678,"last_transaction_at":null},{"blockchain":"TRX","token":"USDT","balance":0.00,"usd_value":0.00,"available":0.00,"locked":0.00,"last_transaction_at":null},{"blockchain":"BSC","token":"USDT","balance":5240.50,"usd_value":null,"available":5240.50,"locked":0.00,"last_transaction_at":null},{"blockchain":"ETH","token":"USDT","balance":10000.00,"usd_value":null,"available":9500.00,"locked":500.00,"last_transaction_at":"2026-11-16T14:25:10.456Z"}],"unlisted":[]}"#);
}

#[tokio::test]
async fn a_value_is_rounded_half_even_per_row_and_the_total_is_their_sum() {
    let price = sheet("2026-06-01T00:00:00Z", &[("USDT", "0.5"), ("BTC", "1")]);
    let vault = json!([
        wallet("USDT_ERC20", "0.05", "0"),
        wallet("USDT_BSC", "0.07", "0"),
        wallet("TRX_USDT_S2UZ", "0.01", "0")
    ]);
    let app = App::start(custody(vault, json!({"rate_sheets": [price]}))).await;
    let body = app.custody("").await;
    let values: Vec<_> =
        body.text().split("\"usd_value\":").skip(1).map(|rest| rest.split(',').next().unwrap()).collect();
    // 0.035, 0.025 and 0.005 dollars.
    assert_eq!(
        (values, body.text().contains("\"total_usd_value\":0.06,")),
        (vec!["0.04", "0.02", "0.00", "0.00"], true),
        "{body}"
    );
}

#[tokio::test]
async fn balances_that_are_young_enough_are_not_asked_for_again() {
    let app = App::start(custody(holdings(), json!({}))).await;
    assert_eq!(
        (app.custody("?max_age=86400").await.status.as_u16(), app.vault_reads()),
        (200, 1),
        "there are none yet"
    );
    app.vault(json!([wallet("BTC", "1", "1")])).await;
    for (query, reads) in [("?max_age=86400", 0), ("", 0), ("?max_age=15", 0), ("?max_age=0", 1), ("", 0)] {
        app.custody(query).await;
        assert_eq!(app.vault_reads(), reads, "{query}");
    }
    // What a valid answer leaves out is zero.
    let body = app.custody("").await.json();
    let balances: Vec<_> =
        body["balances"].as_array().unwrap().iter().map(|row| row["balance"].as_f64().unwrap()).collect();
    assert_eq!(balances, [1.0, 0.0, 0.0, 0.0]);
}

#[tokio::test]
async fn concurrent_reads_share_one_call_over_two_instances() {
    let app = App::start(custody(holdings(), json!({}))).await;
    let other = second_instance(&app).await;
    app.stack.sandbox().set_delay(std::time::Duration::from_millis(300));
    let token = app.token_of(&[ALICE]);
    let ask = |number: usize| {
        let base = if number.is_multiple_of(2) { app.stack.url() } else { other.clone() };
        app.client.get(format!("{base}/custody/accounts/{CUSTODY}/balances")).bearer_auth(&token)
    };
    let answers = join_all((0..50).map(|number| send(ask(number)))).await;
    let first = answers[0].text();
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text() == first), "{first}");
    assert_eq!(app.vault_reads(), 1);
}

/// Another instance of the function over the same tables.
pub async fn second_instance(app: &App) -> String {
    let instance = custody_balances::App::new(
        app.stack.config(),
        app.stack.custody_config(),
        shared::domain::AgeLimits::NONE,
        app.stack.clock().clone(),
    )
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(
        axum::serve(
            listener,
            shared::http::service(custody_balances::routes(instance), app.stack.clock().clone()),
        )
        .into_future(),
    );
    url
}

#[tokio::test]
async fn a_shared_failure_is_everybodys() {
    let app = App::start(custody(holdings(), json!({}))).await;
    app.fault(json!({"status": 401, "delay_ms": 300, "times": 1})).await;
    let answers = join_all((0..20).map(|_| app.custody(""))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.iter().filter(|status| **status == 500).count() >= 19, "{statuses:?}");
    assert_eq!(app.custody("").await.status, 200);
}

#[tokio::test]
async fn faults_are_found_in_the_documented_order() {
    let app = App::start(custody(holdings(), json!({}))).await;
    let path = |id: &str, query: &str| format!("/custody/accounts/{id}/balances{query}");
    let missing = "550e8400-e29b-41d4-a716-446655440001";
    let alice = || Some(json!({"sub": "alice", "customer_ids": [ALICE]}));
    let bob = || Some(json!({"sub": "bob", "customer_ids": [BOB]}));
    let rows = [
        (Method::POST, None, path(CUSTODY, ""), 405),
        (Method::GET, alice(), path(CUSTODY, "/"), 404),
        (Method::GET, alice(), "/custody/accounts/".to_owned(), 404),
        (Method::GET, None, path("x", "?colour=red"), 401),
        (Method::GET, alice(), path("x", ""), 400),
        (Method::GET, bob(), path(CUSTODY, "?max_age=-1"), 400),
        (Method::GET, bob(), path(CUSTODY, "?max_age=86401"), 400),
        (Method::GET, bob(), path(CUSTODY, "?max_age=1.5"), 400),
        (Method::GET, bob(), path(CUSTODY, "?partial=yes"), 400),
        (Method::GET, bob(), path(CUSTODY, "?max_age=1&max_age=1"), 400),
        (Method::GET, bob(), path(CUSTODY, "?colour=red"), 400),
        (Method::GET, bob(), path(CUSTODY, ""), 403),
        (Method::GET, bob(), path(missing, ""), 403),
        (Method::GET, Some(admin()), path(missing, ""), 404),
        (Method::GET, Some(admin()), path(CUSTODY, ""), 200),
        (Method::HEAD, alice(), path(CUSTODY, ""), 200),
    ];
    for (method, credential, path, status) in rows {
        let request = app.request(method, &path);
        let request = credential
            .map(|claims| app.token(claims))
            .into_iter()
            .fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(send(request).await.status, status, "{path}");
    }
    assert_snapshot!(app.get_as(admin(), &path(missing, "")).await, @r#"404 {"error":"account_not_found","message":"There is no such account, or there was none at that time.","details":{"request_id":"…"}}"#);
    assert_snapshot!(app.get(&path("x", "")).await, @r#"400 {"error":"invalid_request","message":"`accountId` must be a UUID.","details":{"parameter":"accountId","request_id":"…"}}"#);
}
