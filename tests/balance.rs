//! `GET /v2/accounts/balance`: what it answers.

use crate::harness::{App, BOB, account, dataset, sheet, with};
use insta::assert_snapshot;
use local::Dataset;
use num_bigint::BigInt;
use num_rational::BigRational;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::domain::Timestamp;

#[tokio::test]
async fn the_published_example_is_answered_to_the_letter() {
    let wallet = json!({"address": "0x1", "network": "ethereum"});
    let usdc = with(account(2, "USDC", "17034"), wallet);
    let eur = with(account(1, "EUR", "240.5"), json!({"iban": "DE89370400440532013000"}));
    let app = App::start(dataset(vec![eur, usdc])).await;
    assert_snapshot!(app.balance("eur", "&stack=currency&details=true").await, @r#"200 {"total_balance":15243.11,"currency":"EUR","fiat_balance":240.50,"crypto_balance":15002.61,"accounts":2,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":240.50,"balance_in_base":240.50},{"currency":"USDC","is_crypto":true,"accounts":1,"balance":17034.00,"balance_in_base":15002.61}],"details":{"fiat_accounts":[{"id":"00000000-0000-4000-8000-000000000001","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"EUR","balance":240.50,"balance_in_base":240.50,"is_crypto":false,"active":true,"status":"active","iban":"DE89370400440532013000","balance_at":"2026-06-01T00:00:00.000Z"}],"crypto_assets":[{"id":"00000000-0000-4000-8000-000000000002","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"USDC","balance":17034.00,"balance_in_base":15002.61,"is_crypto":true,"active":true,"status":"active","main_wallet_address":"0x1","main_wallet_address_tag":"","balance_at":"2026-06-01T00:00:00.000Z"}]},"rates":[{"currency":"EUR","usd":1.1353,"rate":1,"source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDC","usd":0.99991,"rate":0.8807451774861270148859332335,"source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":-0.00009}]}"#);
}

#[tokio::test]
async fn a_customer_without_accounts_has_nothing_in_any_currency() {
    let app = App::start(json!({})).await;
    assert_snapshot!(app.balance("EUR", "&stack=currency&details=true&partial=true").await, @r#"200 {"total_balance":0.00,"currency":"EUR","fiat_balance":0.00,"crypto_balance":0.00,"accounts":0,"complete":true,"oldest_balance_at":null,"stacks":[],"details":{"fiat_accounts":null,"crypto_assets":null},"rates":[]}"#);
    assert_snapshot!(app.balance("JPY", "").await, @r#"200 {"total_balance":0,"currency":"JPY","fiat_balance":0,"crypto_balance":0,"accounts":0,"complete":true,"oldest_balance_at":null}"#);
}

#[tokio::test]
async fn amounts_keep_every_digit_and_print_with_their_assets() {
    let accounts = vec![
        account(1, "JPY", "1000"),
        account(2, "ETH", "0.000000000000000001"),
        account(3, "EUR", "-0"),
        account(4, "USD", "1000.5"),
        account(5, "BTC", "0.12345678"),
        account(6, "EUROP", "1.123456789"),
        account(7, "USD", "-999999999999999999.999999999999999999"),
    ];
    let app = App::start(dataset(accounts)).await;
    assert_snapshot!(app.balance("USD", "&search.currency=USD&stack=currency").await, @r#"200 {"total_balance":-999999999999998999.50,"currency":"USD","fiat_balance":-999999999999998999.50,"crypto_balance":0.00,"accounts":2,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"currency":"USD","is_crypto":false,"accounts":2,"balance":-999999999999998999.499999999999999999,"balance_in_base":-999999999999998999.50}]}"#);
    assert_snapshot!(app.balance("USD", "&stack=currency&partial=true").await, @r#"200 {"total_balance":-999999999999987017.50,"currency":"USD","fiat_balance":-999999999999998992.87,"crypto_balance":11975.37,"accounts":7,"complete":false,"oldest_balance_at":"2026-06-01T00:00:00.000Z","gaps":[{"reason":"unpriced","currency":"ETH","balance":0.000000000000000001},{"reason":"unpriced","currency":"EURØP","balance":1.123456789}],"unpriced":[{"currency":"ETH","balance":0.000000000000000001},{"currency":"EURØP","balance":1.123456789}],"stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":0.12345678,"balance_in_base":11975.37},{"currency":"ETH","is_crypto":true,"accounts":1,"balance":0.000000000000000001,"balance_in_base":null},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":0.00,"balance_in_base":0.00},{"currency":"EURØP","is_crypto":true,"accounts":1,"balance":1.123456789,"balance_in_base":null},{"currency":"JPY","is_crypto":false,"accounts":1,"balance":1000,"balance_in_base":6.63},{"currency":"USD","is_crypto":false,"accounts":2,"balance":-999999999999998999.499999999999999999,"balance_in_base":-999999999999998999.50}]}"#);
}

#[tokio::test]
async fn filters_choose_the_accounts_that_count() {
    let accounts = vec![
        account(1, "EUR", "10"),
        with(account(2, "EUR", "20"), json!({"active": false, "status": "suspended"})),
        account(3, "USDC", "30"),
        with(account(4, "USDC", "-5"), json!({"status": "closed"})),
        with(account(5, "EUR", "1000"), json!({"customer_id": BOB})),
    ];
    let app = App::start(dataset(accounts)).await;
    let rows = [
        ("", "4"),
        ("&search.is_crypto=true", "2"),
        ("&search.is_crypto=false", "2"),
        ("&search.currency=usdc", "2"),
        ("&search.active=true", "3"),
        ("&search.active=false", "1"),
        ("&search.status=closed", "1"),
        ("&search.status=inactive", "0"),
        ("&search.balance.gt=10", "2"),
        ("&search.balance.gte=10", "3"),
        ("&search.balance.lt=10", "1"),
        ("&search.balance.lte=-5", "1"),
        ("&search.balance.gt=-5&search.balance.lt=30", "2"),
        ("&search.currency=EUR&search.active=false", "1"),
        ("&search.balance.gt=10.000000000000000001", "2"),
    ];
    for (filter, expected) in rows {
        let answer = app.balance("EUR", &format!("&stack=currency{filter}")).await.json();
        let count: u64 = answer["stacks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stack| stack["accounts"].as_u64().unwrap())
            .sum();
        assert_eq!(count.to_string(), expected, "{filter}");
    }
}

#[tokio::test]
async fn an_unpriced_holding_is_an_error_until_it_is_asked_to_be_left_out() {
    let app = App::start(dataset(vec![
        account(1, "EUR", "10"),
        account(2, "SOL", "3"),
        account(3, "TRX", "0"),
        account(4, "BNB", "-1"),
    ]))
    .await;
    assert_snapshot!(app.balance("EUR", "").await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of BNB for the sheet of 2026-06-01T00:00:00.000Z; no source had a rate of SOL for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["BNB","SOL"],"gaps":[{"reason":"unpriced","currency":"BNB","balance":-1.00},{"reason":"unpriced","currency":"SOL","balance":3.00}],"request_id":"…"}}"#);
    assert_snapshot!(app.balance("EUR", "&partial=true&stack=currency").await, @r#"200 {"total_balance":10.00,"currency":"EUR","fiat_balance":10.00,"crypto_balance":0.00,"accounts":4,"complete":false,"oldest_balance_at":"2026-06-01T00:00:00.000Z","gaps":[{"reason":"unpriced","currency":"BNB","balance":-1.00},{"reason":"unpriced","currency":"SOL","balance":3.00}],"unpriced":[{"currency":"BNB","balance":-1.00},{"currency":"SOL","balance":3.00}],"stacks":[{"currency":"BNB","is_crypto":true,"accounts":1,"balance":-1.00,"balance_in_base":null},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":10.00,"balance_in_base":10.00},{"currency":"SOL","is_crypto":true,"accounts":1,"balance":3.00,"balance_in_base":null},{"currency":"TRX","is_crypto":true,"accounts":1,"balance":0.00,"balance_in_base":0.00}]}"#);
    assert_snapshot!(app.balance("EUR", "&partial=true&search.currency=EUR").await, @r#"200 {"total_balance":10.00,"currency":"EUR","fiat_balance":10.00,"crypto_balance":0.00,"accounts":1,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z"}"#);
    // The target has no rate: whatever is not it cannot be converted.
    assert_snapshot!(app.balance("SOL", "").await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of SOL for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["SOL"],"gaps":[{"reason":"unpriced","currency":"BNB","balance":-1.00},{"reason":"unpriced","currency":"EUR","balance":10.00}],"request_id":"…"}}"#);
}

#[tokio::test]
async fn a_currency_that_sums_to_nothing_needs_a_rate_only_for_its_rows() {
    let app =
        App::start(dataset(vec![account(1, "SOL", "3"), account(2, "SOL", "-3"), account(3, "EUR", "1")]))
            .await;
    assert_snapshot!(app.balance("EUR", "").await, @r#"200 {"total_balance":1.00,"currency":"EUR","fiat_balance":1.00,"crypto_balance":0.00,"accounts":3,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z"}"#);
    assert_snapshot!(app.balance("EUR", "&details=true").await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of SOL for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["SOL"],"gaps":[{"reason":"unpriced","currency":"SOL","balance":0.00}],"request_id":"…"}}"#);
    let partial = app.balance("EUR", "&details=true&partial=true").await.json();
    assert_eq!(partial["details"]["crypto_assets"][0]["balance_in_base"], Value::Null);
    assert_eq!(partial["unpriced"], json!([{"currency": "SOL", "balance": 0.0}]));
}

#[tokio::test]
async fn rates_have_a_limit_of_age_unless_the_dataset_lifts_it() {
    let old = sheet("2020-01-01T00:00:00Z", &[("EUR", "1.1")]);
    let accounts = vec![account(1, "EUR", "10")];
    let strict = App::start(json!({"accounts": accounts, "rate_sheets": [old]})).await;
    assert_snapshot!(strict.balance("USD", "").await, @r#"422 {"error":"unpriced_assets","message":"There is no rate sheet of that time or of the days before it, so nothing can be converted.","details":{"currencies":["EUR"],"gaps":[{"reason":"unpriced","currency":"EUR","balance":10.00}],"request_id":"…"}}"#);
    let lenient =
        App::start(json!({"accounts": accounts, "rate_sheets": [old], "rates_never_expire": true})).await;
    assert_snapshot!(lenient.balance("USD", "").await, @r#"200 {"total_balance":11.00,"currency":"USD","fiat_balance":11.00,"crypto_balance":0.00,"accounts":1,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z"}"#);
}

#[tokio::test]
async fn a_total_that_does_not_fit_is_refused() {
    let largest = "999999999999999999.99";
    let app = App::start(dataset(vec![account(1, "EUR", largest), account(2, "EUR", "0.01")])).await;
    assert_snapshot!(app.balance("EUR", "").await, @r#"400 {"error":"invalid_request","message":"The sum of EUR has more than 18 digits before the point; another `currency` does not help: narrow the search.","details":{"parameter":"currency","request_id":"…"}}"#);
    assert_snapshot!(app.balance("JPY", "&search.balance.gt=1").await, @r#"400 {"error":"invalid_request","message":"The sum of EUR, converted, has more than 18 digits before the point; ask for another `currency`, or narrow the search.","details":{"parameter":"currency","request_id":"…"}}"#);
    assert_snapshot!(app.balance("EUR", "&search.balance.gt=1").await, @r#"200 {"total_balance":999999999999999999.99,"currency":"EUR","fiat_balance":999999999999999999.99,"crypto_balance":0.00,"accounts":1,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z"}"#);
}

#[tokio::test]
async fn ten_thousand_accounts_are_exact_and_their_total_is_small() {
    let accounts = (0..10_000).map(|number| account(number, "EUR", &format!("{number}.01"))).collect();
    let app = App::start(dataset(accounts)).await;
    let answer = app.balance("EUR", "").await;
    // Σ 0…9999 = 49,995,000, and ten thousand cents.
    assert_snapshot!(answer, @r#"200 {"total_balance":49995100.00,"currency":"EUR","fiat_balance":49995100.00,"crypto_balance":0.00,"accounts":10000,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z"}"#);
    assert!(answer.body.len() < 1024);
    assert_snapshot!(app.balance("EUR", "&details=true&search.balance.lt=1").await.json()["details"]["fiat_accounts"][0]["balance"], @"0.01");
}

#[tokio::test]
async fn an_answer_beyond_four_mebibytes_says_what_to_narrow() {
    let accounts = (0..10_000)
        .map(|number| with(account(number, "USDC", "1"), json!({"address": "x".repeat(400)})))
        .collect();
    let app = App::start(dataset(accounts)).await;
    assert_snapshot!(app.balance("EUR", "&details=true").await, @r#"400 {"error":"invalid_request","message":"The answer is larger than 4 MiB; leave `details` out or narrow it with `search.currency`.","details":{"parameter":"details","request_id":"…"}}"#);
}

/// The parts of the answer that prove the rest, with numbers as they are written.
#[derive(Deserialize)]
struct Receipted<'a> {
    #[serde(borrow)]
    total_balance: &'a RawValue,
    #[serde(borrow)]
    stacks: Vec<Stack<'a>>,
    #[serde(borrow)]
    rates: Vec<Rate<'a>>,
}

#[derive(Deserialize)]
struct Stack<'a> {
    currency: String,
    #[serde(borrow)]
    balance: &'a RawValue,
    #[serde(borrow)]
    balance_in_base: &'a RawValue,
}

#[derive(Deserialize)]
struct Rate<'a> {
    currency: String,
    #[serde(borrow)]
    usd: &'a RawValue,
}

#[tokio::test]
async fn a_printed_total_is_recomputed_from_its_own_receipt() {
    let app = App::with(Dataset::demo(Timestamp::of_machine()).unwrap()).await;
    for (target, digits) in [("EUR", 2), ("JPY", 0), ("USDC", 6), ("BTC", 8)] {
        let answer = app.balance(target, "&stack=currency&details=true").await;
        let body: Receipted<'_> = serde_json::from_slice(&answer.body).unwrap();
        let usd = |currency: &str| {
            body.rates.iter().find(|rate| rate.currency == currency).map(|rate| rational(rate.usd))
        };
        let mut total = rational_zero();
        for stack in &body.stacks {
            let exact = if stack.currency == target {
                rational(stack.balance)
            } else {
                rational(stack.balance) * usd(&stack.currency).unwrap() / usd(target).unwrap()
            };
            let rounded = half_even(&exact, digits);
            assert_eq!(rounded, rational(stack.balance_in_base), "{} in {target}", stack.currency);
            total += rounded;
        }
        assert_eq!(total, rational(body.total_balance), "{target}");
    }
}

fn rational_zero() -> BigRational {
    BigRational::from(BigInt::ZERO)
}

fn rational(number: &RawValue) -> BigRational {
    let (integer, fraction) = number.get().split_once('.').unwrap_or((number.get(), ""));
    let digits: BigInt = format!("{integer}{fraction}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(u32::try_from(fraction.len()).unwrap()))
}

fn half_even(exact: &BigRational, digits: u32) -> BigRational {
    let scale = BigRational::from(BigInt::from(10).pow(digits));
    let scaled = exact * &scale;
    let floor = scaled.floor();
    let (rest, half) = (&scaled - &floor, BigRational::new(BigInt::from(1), BigInt::from(2)));
    let is_odd = floor.to_integer() % 2 != BigInt::ZERO;
    let rounded = if rest > half || (rest == half && is_odd) {
        floor + BigRational::from(BigInt::from(1))
    } else {
        floor
    };
    rounded / scale
}

#[tokio::test]
async fn somebody_elses_accounts_are_never_counted() {
    let bobs = with(account(2, "EUR", "99"), json!({"customer_id": BOB}));
    let app = App::start(dataset(vec![account(1, "EUR", "1"), bobs])).await;
    assert_eq!(app.balance("EUR", "").await.json()["total_balance"], json!(1.0));
    assert_snapshot!(app.get(&format!("/v2/accounts/balance?customer_id={BOB}&currency=EUR")).await, @r#"403 {"error":"insufficient_permissions","message":"You do not have permission to view these accounts.","details":{"request_id":"…"}}"#);
}
