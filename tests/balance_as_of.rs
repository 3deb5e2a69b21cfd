//! The balance as it stood: `as_of` moves balances and rates, inclusively, to the last digit of the clock.

use crate::harness::{App, account, sheet, with};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn past(number: u32, currency: &str, balance: &str, history: &[(&str, &str)]) -> Value {
    let history: Vec<_> = history
        .iter()
        .map(|(balance, balance_at)| json!({"balance": balance, "balance_at": balance_at}))
        .collect();
    with(account(number, currency, balance), json!({"history": history}))
}

async fn app() -> App {
    let accounts = vec![
        past(1, "EUR", "300", &[("100", "2026-01-01T00:00:00.123456789Z"), ("200", "2026-03-01T00:00:00Z")]),
        past(2, "GBP", "50", &[("40", "2026-02-01T00:00:00Z")]),
        account(3, "EUR", "7"),
    ];
    let sheets = [
        sheet("2026-01-01T00:00:00Z", &[("EUR", "1.10"), ("GBP", "1.30")]),
        sheet("2026-03-01T00:00:00Z", &[("EUR", "1.20"), ("GBP", "1.32")]),
        sheet("2026-06-01T00:00:00Z", &[("EUR", "1.25")]),
    ];
    App::start(json!({"rates_never_expire": true, "accounts": accounts, "rate_sheets": sheets})).await
}

#[tokio::test]
async fn every_instant_is_answered_with_its_own_balances_and_rates() {
    let app = app().await;
    let rows = [
        ("2025-12-31T23:59:59Z", "0.00"),
        ("2026-01-01T00:00:00.123999999Z", "0.00"),
        ("2026-01-01T00:00:00.124Z", "100.00"),
        ("2026-01-01T01:00:00.124%2B0100", "100.00"),
        ("2026-02-01T00:00:00Z", "147.27"),
        ("2026-02-28T23:59:59.999999999Z", "147.27"),
        ("2026-03-01T00:00:00Z", "244.00"),
        ("2026-05-31T23:59:59.999999999Z", "244.00"),
    ];
    for (at, expected) in rows {
        let answer = app.balance("EUR", &format!("&as_of={at}")).await;
        assert!(answer.text().starts_with(&format!(r#"{{"total_balance":{expected},"#)), "{at}: {answer}");
    }
    // By June the sheet has lost its pound.
    assert_snapshot!(app.balance("EUR", "&as_of=2026-06-01T00:00:00Z").await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of GBP for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["GBP"],"gaps":[{"reason":"unpriced","currency":"GBP","balance":50.00}],"request_id":"…"}}"#);
}

#[tokio::test]
async fn bounds_apply_to_the_balance_of_that_time() {
    let app = app().await;
    let at = "&stack=currency&as_of=2026-02-01T00:00:00Z";
    assert_snapshot!(app.balance("EUR", &format!("{at}&search.balance.lte=100")).await, @r#"200 {"total_balance":147.27,"currency":"EUR","fiat_balance":147.27,"crypto_balance":0.00,"accounts":2,"complete":true,"stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":100.00,"balance_in_base":100.00},{"currency":"GBP","is_crypto":false,"accounts":1,"balance":40.00,"balance_in_base":47.27}]}"#);
    assert_snapshot!(app.balance("EUR", &format!("{at}&search.balance.gt=100")).await, @r#"200 {"total_balance":0.00,"currency":"EUR","fiat_balance":0.00,"crypto_balance":0.00,"accounts":0,"complete":true,"stacks":[]}"#);
    assert_snapshot!(app.balance("EUR", &format!("{at}&search.currency=GBP&details=true")).await, @r#"200 {"total_balance":47.27,"currency":"EUR","fiat_balance":47.27,"crypto_balance":0.00,"accounts":1,"complete":true,"stacks":[{"currency":"GBP","is_crypto":false,"accounts":1,"balance":40.00,"balance_in_base":47.27}],"details":{"fiat_accounts":[{"id":"00000000-0000-4000-8000-000000000002","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"GBP","balance":40.00,"balance_in_base":47.27,"is_crypto":false,"active":true,"status":"active","balance_at":"2026-02-01T00:00:00.000Z"}],"crypto_assets":null},"rates":[{"currency":"EUR","usd":1.1,"rate":1,"source":"test","method":"market","observed_at":"2026-01-01T00:00:00.000Z"},{"currency":"GBP","usd":1.3,"rate":1.181818181818181818181818182,"source":"test","method":"market","observed_at":"2026-01-01T00:00:00.000Z"}]}"#);
}

#[tokio::test]
async fn an_age_is_measured_from_the_asked_instant() {
    let accounts = vec![past(1, "EUR", "1", &[("1", "2026-01-01T00:00:00Z")])];
    let app = App::start(
        json!({"accounts": accounts, "rate_sheets": [sheet("2026-01-01T00:00:00Z", &[("EUR", "1.1")])]}),
    )
    .await;
    assert_eq!(app.balance("USD", "&as_of=2026-01-05T00:00:00Z").await.status, 200);
    assert_eq!(app.balance("USD", "&as_of=2026-01-05T00:00:00.001Z").await.status, 422);
}
