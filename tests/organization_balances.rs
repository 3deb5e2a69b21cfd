//! An organization's balance: totals against an oracle of whole numbers, who sees which merchants, gaps,
//! every instant, and ids as vendors write them.

use crate::harness::{ALICE, Answer, App, BOB, account, admin, dataset, with};
use insta::assert_snapshot;
use serde_json::{Value, json};

const ORGANIZATION: &str = "org3_Acme-7";
const ELSEWHERE: &str = "org_a0000000-0000-4000-8000-00000000000a";
/// Before [`SECOND`] in the order of bytes.
const FIRST: &str = "mrc_Zeta";
const SECOND: &str = "mrc_alpha";

fn of(merchant: Option<&str>, number: u32, currency: &str, balance: &str) -> Value {
    let merchant = merchant.map_or(json!({}), |merchant| json!({"merchant_id": merchant}));
    with(with(account(number, currency, balance), json!({"organization_id": ORGANIZATION})), merchant)
}

fn path(rest: &str) -> String {
    format!("/api/v1/organizations/{ORGANIZATION}/balances{rest}")
}

fn organization() -> Value {
    json!({"sub": "house", "organization_ids": [ORGANIZATION]})
}

fn merchants(ids: &[&str]) -> Value {
    json!({"sub": "shops", "merchant_ids": ids})
}

async fn app() -> App {
    App::start(dataset(vec![
        of(Some(FIRST), 1, "USDC", "0.005"),
        with(of(Some(FIRST), 2, "EUR", "100"), json!({"customer_id": BOB})),
        with(
            of(Some(SECOND), 3, "USDC", "0.005"),
            json!({"history": [{"balance": "5", "balance_at": "2026-03-01T00:00:00Z"}]}),
        ),
        of(Some(SECOND), 4, "EUR", "-30"),
        of(None, 5, "USDC", "0.005"),
        with(
            of(Some(SECOND), 6, "EUR", "999"),
            json!({"organization_id": ELSEWHERE, "merchant_id": "mrc_x"}),
        ),
        account(7, "EUR", "999"),
    ]))
    .await
}

async fn get(app: &App, claims: Value, rest: &str) -> Answer {
    app.get_as(claims, &path(rest)).await
}

/// Merchants with their totals, and the organization's total.
fn brief(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer}");
    let body = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    let rows = body["merchants"].as_array().unwrap().iter();
    let rows = rows.map(|row| format!("{} {}", text(&row["merchantId"]), text(&row["totalBalance"])));
    format!("{} of {}", text(&body["totalBalance"]), rows.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn a_total_is_converted_once_and_the_merchants_rounding_is_named() {
    let app = app().await;
    // Three holdings of 0.005 USDC are 0.015 × 0.99991 ÷ 1.1353 = 0.0132 EUR together, and 0.0044 each.
    let answer = get(&app, organization(), "?currency=EUR&date=2026-06-02T00:00:00Z").await;
    assert_snapshot!(answer, @r#"200 {"organizationId":"org3_Acme-7","currency":"EUR","balanceDate":"2026-06-02T00:00:00.000Z","totalBalance":"70.01","rounding":"0.01","complete":true,"merchants":[{"merchantId":"mrc_Zeta","accounts":2,"totalBalance":"100.00","stacks":[{"currency":"EUR","accounts":1,"balance":"100.00","balanceInBase":"100.00"},{"currency":"USDC","accounts":1,"balance":"0.005","balanceInBase":"0.00"}]},{"merchantId":"mrc_alpha","accounts":2,"totalBalance":"-30.00","stacks":[{"currency":"EUR","accounts":1,"balance":"-30.00","balanceInBase":"-30.00"},{"currency":"USDC","accounts":1,"balance":"0.005","balanceInBase":"0.00"}]},{"merchantId":null,"accounts":1,"totalBalance":"0.00","stacks":[{"currency":"USDC","accounts":1,"balance":"0.005","balanceInBase":"0.00"}]}],"rates":[{"currency":"EUR","usd":1.1353,"rate":1,"source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDC","usd":0.99991,"rate":0.8807451774861270148859332335,"source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":-0.00009}]}"#);
    assert_eq!(answer.header("x-known-at").len(), "2026-06-02T00:00:00.000Z".len());
}

#[tokio::test]
async fn a_caller_sees_the_organization_or_their_merchants_in_it() {
    struct Row {
        name: &'static str,
        claims: Value,
        rest: &'static str,
        expected: &'static str,
    }
    let everything = "70.01 of mrc_Zeta 100.00, mrc_alpha -30.00, null 0.00";
    let rows = [
        Row { name: "the organization", claims: organization(), rest: "", expected: everything },
        Row { name: "who sees all", claims: admin(), rest: "", expected: everything },
        Row {
            name: "one of its merchants by name",
            claims: organization(),
            rest: "&merchantIds=mrc_alpha",
            expected: "-30.00 of mrc_alpha -30.00",
        },
        Row {
            name: "a merchant of another organization, and one that is unknown",
            claims: organization(),
            rest: "&merchantIds=mrc_x,mrc_y",
            expected: "0.00 of ",
        },
        Row {
            name: "a merchant without a claim on the organization",
            claims: merchants(&[SECOND]),
            rest: "",
            expected: "-30.00 of mrc_alpha -30.00",
        },
        Row {
            name: "merchants, none of them here",
            claims: merchants(&["mrc_x", "mrc_y"]),
            rest: "",
            expected: "0.00 of ",
        },
        Row {
            name: "a merchant by name",
            claims: merchants(&[FIRST, SECOND]),
            rest: "&merchantIds=mrc_Zeta",
            expected: "100.00 of mrc_Zeta 100.00",
        },
    ];
    let app = app().await;
    for Row { name, claims, rest, expected } in rows {
        let answer = get(&app, claims, &format!("?currency=EUR{rest}")).await;
        assert_eq!(brief(&answer), expected, "{name}");
    }
    let refused = [
        ("a foreign merchant", merchants(&[FIRST]), "&merchantIds=mrc_Zeta,mrc_alpha"),
        ("another organization", json!({"sub": "x", "organization_ids": [ELSEWHERE]}), ""),
        ("a customer", json!({"sub": "x", "customer_ids": [ALICE, BOB]}), ""),
    ];
    for (name, claims, rest) in refused {
        let answer = get(&app, claims, &format!("?currency=EUR{rest}")).await;
        assert_eq!(answer.json()["error"], "insufficient_permissions", "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_holding_without_a_rate_is_an_error_or_a_gap() {
    let rows = vec![
        of(Some(FIRST), 1, "EUR", "1"),
        // Together they are nothing, but each merchant's total lacks a rate.
        of(Some(FIRST), 2, "SOL", "2"),
        of(Some(SECOND), 3, "SOL", "-2"),
        of(Some(SECOND), 4, "TRX", "0"),
    ];
    let app = App::start(dataset(rows)).await;
    let date = "&date=2026-06-02T00:00:00Z";
    assert_snapshot!(get(&app, organization(), &format!("?currency=EUR{date}")).await, @r#"422 {"error":"unpriced_assets","message":"No usable rate: no source had a rate of SOL for the sheet of 2026-06-01T00:00:00.000Z; with `partial=true` what has no rate is left out of the totals and named.","details":{"currencies":["SOL"],"gaps":[{"reason":"unpriced","currency":"SOL","balance":"0.00"}],"request_id":"…"}}"#);
    assert_snapshot!(get(&app, organization(), &format!("?currency=EUR&partial=true{date}")).await, @r#"200 {"organizationId":"org3_Acme-7","currency":"EUR","balanceDate":"2026-06-02T00:00:00.000Z","totalBalance":"1.00","rounding":"0.00","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"0.00"}],"merchants":[{"merchantId":"mrc_Zeta","accounts":2,"totalBalance":"1.00","stacks":[{"currency":"EUR","accounts":1,"balance":"1.00","balanceInBase":"1.00"},{"currency":"SOL","accounts":1,"balance":"2.00","balanceInBase":null}]},{"merchantId":"mrc_alpha","accounts":2,"totalBalance":"0.00","stacks":[{"currency":"SOL","accounts":1,"balance":"-2.00","balanceInBase":null},{"currency":"TRX","accounts":1,"balance":"0.00","balanceInBase":"0.00"}]}],"rates":[]}"#);
}

#[tokio::test]
async fn every_instant_has_its_own_total() {
    let app = app().await;
    let rows = [
        ("2026-02-01T00:00:00Z", "0.00 of "),
        ("2026-03-01T00:00:00Z", "5.00 of mrc_alpha 5.00"),
        ("2026-06-01T00:00:00Z", "70.01 of mrc_Zeta 100.00, mrc_alpha -30.00, null 0.00"),
    ];
    for (date, expected) in rows {
        // USDC needs no rate of a time that has no sheet.
        let currency = if date.starts_with("2026-06") { "EUR" } else { "USDC" };
        let answer = get(&app, organization(), &format!("?currency={currency}&date={date}")).await;
        assert_eq!(brief(&answer), expected, "{date}");
    }
    // Nothing was recorded by then.
    let answer = get(&app, organization(), "?currency=EUR&known_at=2026-02-01T00:00:00Z").await;
    assert_eq!(brief(&answer), "0.00 of ");
    assert_eq!(answer.json()["balanceDate"], "2026-02-01T00:00:00.000Z");
}

#[tokio::test]
async fn a_question_that_is_malformed_is_refused_by_name() {
    let app = app().await;
    let longest = (0..101).map(|n| format!("mrc_{n}")).collect::<Vec<_>>().join(",");
    let rows = [
        ("", "currency"),
        ("?currency=XXY", "currency"),
        ("?currency=EUR&merchantIds=", "merchantIds"),
        ("?currency=EUR&merchantIds=mrc_a,", "merchantIds"),
        ("?currency=EUR&merchantIds=org_a", "merchantIds"),
        (&format!("?currency=EUR&merchantIds={longest}"), "merchantIds"),
        ("?currency=EUR&date=2999-01-01T00:00:00Z", "date"),
        ("?currency=EUR&partial=yes", "partial"),
        ("?currency=EUR&customer_id=x", "customer_id"),
    ];
    for (rest, parameter) in rows {
        let answer = get(&app, organization(), rest).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["details"]["parameter"]),
            (400, &json!(parameter)),
            "{rest}"
        );
    }
    let answer = app.get_as(admin(), "/api/v1/organizations/acme/balances?currency=EUR").await;
    assert_eq!(answer.json()["details"]["parameter"], "organizationId");
}

#[tokio::test]
async fn the_time_of_a_request_does_not_make_another_answer() {
    let app = app().await;
    let token = app.token(organization());
    let first = app.request(reqwest::Method::GET, &path("?currency=EUR")).bearer_auth(&token);
    let first = crate::harness::send(first).await;
    let tag = first.header("etag");
    assert!(tag.starts_with("W/"), "{tag}");
    let again = app.request(reqwest::Method::GET, &path("?currency=EUR")).bearer_auth(&token);
    assert_eq!(crate::harness::send(again.header("if-none-match", tag)).await.status, 304);
}
