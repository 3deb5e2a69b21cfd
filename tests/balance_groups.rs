//! Totals over groups: several customers in one question, and rows by customer, issuer and network.

use crate::harness::{ALICE, App, BOB, account, dataset, id, with};
use crate::oracle_wire::CAROL;
use crate::store_proxy::{Passage, StoreProxy};
use insta::assert_snapshot;
use serde_json::{Value, json};
use shared::balance::{BalanceQuestion, counted};
use shared::domain::{CustomerId, Measure};
use shared::query::Filter;
use shared::store::Store;
use std::collections::BTreeSet;

/// An account of a customer's.
fn of(customer: &str, number: u32, currency: &str, balance: &str, over: Value) -> Value {
    with(with(account(number, currency, balance), json!({"customer_id": customer})), over)
}

async fn app() -> App {
    App::start(dataset(vec![
        of(ALICE, 1, "EUR", "10.01", json!({})),
        of(ALICE, 2, "USDC", "100.005", json!({"network": "ethereum"})),
        of(BOB, 3, "USDC", "0.005", json!({"network": "solana"})),
        of(BOB, 4, "BTC", "0.5", json!({"network": "bitcoin"})),
        of(CAROL, 5, "GBP", "7", json!({})),
    ]))
    .await
}

fn claims(customers: &[&str]) -> Value {
    json!({"sub": "test", "customer_ids": customers})
}

async fn balance(app: &App, customers: &[&str], more: &str) -> crate::harness::Answer {
    let path =
        format!("/v2/accounts/balance?search.customer_id.in={}&currency=EUR{more}", customers.join(","));
    app.get_as(claims(customers), &path).await
}

#[tokio::test]
async fn several_customers_are_one_balance() {
    let app = app().await;
    assert_snapshot!(balance(&app, &[BOB, ALICE], "&stack=currency").await, @r#"200 {"total_balance":42818.30,"currency":"EUR","fiat_balance":10.01,"crypto_balance":42808.29,"accounts":4,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":0.50,"balance_in_base":42720.21},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":10.01,"balance_in_base":10.01},{"currency":"USDC","is_crypto":true,"accounts":2,"balance":100.01,"balance_in_base":88.08}]}"#);
    assert_snapshot!(balance(&app, &[ALICE, BOB], "&stack=customer_id").await, @r#"200 {"total_balance":42818.30,"currency":"EUR","fiat_balance":10.01,"crypto_balance":42808.29,"accounts":4,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"customer_id":"0a11ce00-0000-4000-8000-000000000001","accounts":2,"balance_in_base":98.09,"stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":10.01,"balance_in_base":10.01},{"currency":"USDC","is_crypto":true,"accounts":1,"balance":100.005,"balance_in_base":88.08}]},{"customer_id":"0b0b0000-0000-4000-8000-000000000002","accounts":2,"balance_in_base":42720.21,"stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":0.50,"balance_in_base":42720.21},{"currency":"USDC","is_crypto":true,"accounts":1,"balance":0.005,"balance_in_base":0.00}]}],"rounding":0.00}"#);
    assert_snapshot!(balance(&app, &[ALICE, BOB, CAROL], "&stack=issuer").await, @r#"200 {"total_balance":42826.51,"currency":"EUR","fiat_balance":18.22,"crypto_balance":42808.29,"accounts":5,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"issuer":"Circle","accounts":2,"balance_in_base":88.08,"stacks":[{"currency":"USDC","is_crypto":true,"accounts":2,"balance":100.01,"balance_in_base":88.08}]},{"issuer":null,"accounts":3,"balance_in_base":42738.43,"stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":0.50,"balance_in_base":42720.21},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":10.01,"balance_in_base":10.01},{"currency":"GBP","is_crypto":false,"accounts":1,"balance":7.00,"balance_in_base":8.21}]}],"rounding":0.00}"#);
    assert_snapshot!(balance(&app, &[ALICE, BOB, CAROL], "&stack=network&amounts=string").await, @r#"200 {"total_balance":"42826.51","currency":"EUR","fiat_balance":"18.22","crypto_balance":"42808.29","accounts":5,"complete":true,"oldest_balance_at":"2026-06-01T00:00:00.000Z","stacks":[{"network":"bitcoin","accounts":1,"balance_in_base":"42720.21","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"0.50","balance_in_base":"42720.21"}]},{"network":"ethereum","accounts":1,"balance_in_base":"88.08","stacks":[{"currency":"USDC","is_crypto":true,"accounts":1,"balance":"100.005","balance_in_base":"88.08"}]},{"network":"solana","accounts":1,"balance_in_base":"0.00","stacks":[{"currency":"USDC","is_crypto":true,"accounts":1,"balance":"0.005","balance_in_base":"0.00"}]},{"network":null,"accounts":2,"balance_in_base":"18.22","stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"10.01","balance_in_base":"10.01"},{"currency":"GBP","is_crypto":false,"accounts":1,"balance":"7.00","balance_in_base":"8.21"}]}],"rounding":"0.00"}"#);
    // A list may be written as several parameters.
    let both = claims(&[ALICE, BOB]);
    let repeated = format!("search.customer_id.in={ALICE}&search.customer_id.in={BOB}");
    let answers = [repeated, format!("search.customer_id.in={BOB},{ALICE}")]
        .map(|customers| format!("/v2/accounts/balance?currency=EUR&{customers}"));
    let [repeated, joined] = [&answers[0], &answers[1]].map(|path| app.get_as(both.clone(), path));
    assert_eq!(repeated.await.text(), joined.await.text());
    let details = balance(&app, &[ALICE, CAROL], "&details=true&search.is_crypto=false").await.json();
    let rows = details["details"]["fiat_accounts"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["customer_id"]).collect::<Vec<_>>(), [ALICE, CAROL]);
}

#[tokio::test]
async fn a_currency_that_one_group_holds_needs_a_rate_although_all_together_hold_none() {
    let app = App::start(dataset(vec![
        of(ALICE, 1, "SOL", "5", json!({})),
        of(BOB, 2, "SOL", "-5", json!({})),
        of(BOB, 3, "EUR", "1", json!({})),
    ]))
    .await;
    assert_eq!(balance(&app, &[ALICE, BOB], "&stack=currency").await.status, 200);
    let answer = balance(&app, &[ALICE, BOB], "&stack=customer_id").await.json();
    assert_eq!(
        (&answer["error"], &answer["details"]["currencies"]),
        (&json!("unpriced_assets"), &json!(["SOL"]))
    );
    let answer = balance(&app, &[ALICE, BOB], "&stack=customer_id&partial=true").await.json();
    assert_eq!((&answer["complete"], &answer["rounding"]), (&json!(false), &json!(0.0)), "{answer}");
    assert_eq!(answer["stacks"][0]["stacks"][0]["balance_in_base"], Value::Null, "{answer}");
}

#[tokio::test]
async fn customers_are_named_in_one_way_or_the_other() {
    struct Row {
        name: &'static str,
        parameters: String,
        refused: &'static str,
    }
    let app = app().await;
    let many: Vec<String> = (1..=101).map(id).collect();
    let rows = [
        Row { name: "neither", parameters: String::new(), refused: "customer_id" },
        Row {
            name: "both",
            parameters: format!("&customer_id={ALICE}&search.customer_id.in={ALICE}"),
            refused: "search.customer_id.in",
        },
        Row {
            name: "101 customers",
            parameters: format!("&search.customer_id.in={}", many.join(",")),
            refused: "search.customer_id.in",
        },
        Row {
            name: "an empty element",
            parameters: format!("&search.customer_id.in={ALICE},"),
            refused: "search.customer_id.in",
        },
        Row {
            name: "another grouping",
            parameters: format!("&customer_id={ALICE}&stack=peg"),
            refused: "stack",
        },
    ];
    for Row { name, parameters, refused } in rows {
        let answer = app.get(&format!("/v2/accounts/balance?currency=EUR{parameters}")).await;
        let parameter = &answer.json()["details"]["parameter"];
        assert_eq!((answer.status.as_u16(), parameter.as_str()), (400, Some(refused)), "{name}: {answer}");
    }
}

/// The function's store is reached through a proxy that counts calls.
#[tokio::test]
async fn a_foreign_customer_is_refused_before_anything_is_read() {
    let app = app().await;
    let (proxy, store) = StoreProxy::start(&app, |_| Passage::Answered).await;
    let config = shared::config::Config { store, ..app.stack.config().clone() };
    let function =
        unified_balance::App::new(&config, shared::domain::AgeLimits::NONE, app.stack.clock().clone());
    let routes = shared::http::service(unified_balance::routes(function), app.stack.clock().clone());
    let token = app.token_of(&[ALICE]);
    let ask = async |path: &str| {
        let request = axum::http::Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(routes.clone(), request).await.unwrap().status().as_u16()
    };
    let reads = || proxy.calls().iter().filter(|call| *call == "Query").count();
    for path in
        ["balance?currency=EUR", "balance/history?currency=EUR&interval=day&from=2026-06-01T00:00:00Z"]
    {
        for customers in [format!("{ALICE},{BOB}"), BOB.to_owned()] {
            let path = format!("/v2/accounts/{path}&search.customer_id.in={customers}");
            assert_eq!((ask(&path).await, reads()), (403, 0), "{path}");
        }
    }
    let own = format!("/v2/accounts/balance?currency=EUR&search.customer_id.in={ALICE}");
    assert_eq!(ask(&own).await, 200);
    assert!(reads() > 0);
}

#[tokio::test]
async fn a_hundred_customers_are_read_once_each() {
    let customers: Vec<String> =
        (1..=100).map(|number| format!("0c000000-0000-4000-8000-{number:012}")).collect();
    let accounts =
        customers.iter().zip(1..).map(|(customer, number)| of(customer, number, "EUR", "1.5", json!({})));
    let app = App::start(dataset(accounts.collect())).await;
    let (proxy, config) = StoreProxy::start(&app, |_| Passage::Answered).await;
    let customers: BTreeSet<CustomerId> = customers.iter().map(|id| CustomerId::parse(id).unwrap()).collect();
    let question = BalanceQuestion {
        customers: &customers,
        filter: &Filter::default(),
        moment: None,
        now: app.stack.clock().now(),
        measure: Measure::Balance,
        confirmed_within: None,
        group_by: None,
        rows: None,
    };
    let store = Store::new(&config, app.stack.clock().clone());
    let counted = counted(&store, question).await.unwrap();
    assert_eq!(counted.sums.whole().accounts(), 100);
    assert_eq!(proxy.calls().iter().filter(|call| *call == "Query").count(), 100);
}
