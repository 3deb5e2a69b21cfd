//! The merchant's balances: shape, filter, every instant to its last digit, and the order of faults.

use crate::harness::{ALICE, Answer, App, BOB, account, admin, dataset, id, send, with};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write;

const ORGANIZATION: &str = "org_a0000000-0000-4000-8000-00000000000a";
const MERCHANT: &str = "mrc_b0000000-0000-4000-8000-00000000000b";
const OTHER: &str = "mrc_b0000000-0000-4000-8000-00000000000c";

fn theirs(number: u32, currency: &str, balance: &str) -> Value {
    with(
        account(number, currency, balance),
        json!({"organization_id": ORGANIZATION, "merchant_id": MERCHANT}),
    )
}

fn path(rest: &str) -> String {
    format!("/api/v1/organizations/{ORGANIZATION}/merchants/{MERCHANT}/accounts{rest}")
}

fn merchant() -> Value {
    json!({"sub": "shop", "merchant_ids": [MERCHANT]})
}

async fn get(app: &App, rest: &str) -> Answer {
    app.get_as(merchant(), &path(rest)).await
}

async fn app() -> App {
    let history = |rows: &[(&str, &str)]| {
        let entry =
            |(balance, balance_at): &(&str, &str)| json!({"balance": balance, "balance_at": balance_at});
        json!({"history": rows.iter().map(entry).collect::<Vec<_>>()})
    };
    App::start(dataset(vec![
        with(
            with(theirs(1, "USD", "1000.50"), json!({"account_number": "012342134123", "iban": "DE89370400440532013000"})),
            history(&[("400", "2026-01-01T00:00:00.123456789Z"), ("750.25", "2026-03-01T00:00:00Z")]),
        ),
        with(
            theirs(2, "USDC", "0.1"),
            json!({"address": "0x123", "network": "ethereum", "contact_id": "con_31352afb-ce3a-4b7f-963d-b2512c646400", "customer_id": BOB}),
        ),
        with(with(theirs(3, "CLP", "18450200"), json!({"iban": "CL1"})), history(&[("-5", "2026-05-31T23:59:59.999999999Z")])),
        with(theirs(4, "USD", "9"), json!({"merchant_id": OTHER})),
        account(5, "USD", "9"),
    ]))
    .await
}

/// The answer with the time of its request left out.
fn timeless(answer: &Answer) -> String {
    let text = answer.to_string();
    let now =
        text.split("\"balanceDate\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    text.replace(now, "now")
}

#[tokio::test]
async fn balances_have_the_published_shape() {
    let app = app().await;
    assert_snapshot!(timeless(&get(&app, "/balances").await), @r#"200 [{"id":"acc_00000000-0000-4000-8000-000000000001","accountNumber":"012342134123","currency":"USD","balance":"1000.50","balanceDate":"now","address":null,"network":null,"merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":null},{"id":"acc_00000000-0000-4000-8000-000000000002","accountNumber":"","currency":"USDC","balance":"0.10","balanceDate":"now","address":"0x123","network":"ethereum","merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":"con_31352afb-ce3a-4b7f-963d-b2512c646400"},{"id":"acc_00000000-0000-4000-8000-000000000003","accountNumber":"CL1","currency":"CLP","balance":"18450200","balanceDate":"now","address":null,"network":null,"merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":null}]"#);
    assert_snapshot!(timeless(&get(&app, &format!("/acc_{}/balances", id(2))).await), @r#"200 {"id":"acc_00000000-0000-4000-8000-000000000002","accountNumber":"","currency":"USDC","balance":"0.10","balanceDate":"now","address":"0x123","network":"ethereum","merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":"con_31352afb-ce3a-4b7f-963d-b2512c646400"}"#);
    assert_snapshot!(timeless(&get(&app, "/balances?currency=usd").await), @r#"200 [{"id":"acc_00000000-0000-4000-8000-000000000001","accountNumber":"012342134123","currency":"USD","balance":"1000.50","balanceDate":"now","address":null,"network":null,"merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":null}]"#);
    assert_snapshot!(get(&app, "/balances?currency=ARS").await, @"200 []");
    let nobody = path("/balances").replace(MERCHANT, "mrc_00000000-0000-4000-8000-000000000000");
    assert_snapshot!(app.get_as(admin(), &nobody).await, @"200 []");
    // An organization that is not the account's own: the merchant sees nothing there.
    let elsewhere = path("/balances").replace(ORGANIZATION, "org_00000000-0000-4000-8000-000000000000");
    assert_snapshot!(app.get_as(merchant(), &elsewhere).await, @"200 []");
}

#[tokio::test]
async fn every_instant_has_its_own_balances_to_the_last_digit() {
    let app = app().await;
    let brief = |answer: Answer| {
        let row = |row: &Value| {
            format!("{} {}", row["currency"].as_str().unwrap(), row["balance"].as_str().unwrap())
        };
        answer.json().as_array().unwrap().iter().map(row).collect::<Vec<_>>().join(", ")
    };
    let rows = [
        ("2026-01-01T00:00:00.123999999Z", ""),
        ("2026-01-01T00:00:00.124Z", "USD 400.00"),
        ("2026-01-01T01:00:00.124%2B01:00", "USD 400.00"),
        ("2026-02-28T23:59:59.999999999Z", "USD 400.00"),
        ("2026-03-01T00:00:00Z", "USD 750.25"),
        // An asked instant is cut to milliseconds; the CLP entry is of this second's last nanosecond.
        ("2026-05-31T23:59:59.999999999Z", "USD 750.25"),
        ("2026-06-01T00:00:00Z", "USD 1000.50, USDC 0.10, CLP 18450200"),
        ("2026-06-01T00:00:01Z", "USD 1000.50, USDC 0.10, CLP 18450200"),
    ];
    for (date, expected) in rows {
        assert_eq!(brief(get(&app, &format!("/balances?date={date}")).await), expected, "{date}");
        let single = get(&app, &format!("/acc_{}/balances?date={date}", id(1))).await;
        let usd = expected.split(", ").next().unwrap();
        let found = if usd.is_empty() {
            single.status.to_string()
        } else {
            format!("USD {}", single.json()["balance"].as_str().unwrap())
        };
        assert_eq!(found, if usd.is_empty() { "404 Not Found" } else { usd }, "{date}");
    }
    assert_snapshot!(get(&app, &format!("/acc_{}/balances?date=2026-03-01T01:00:00.5%2B01:00", id(1))).await, @r#"200 {"id":"acc_00000000-0000-4000-8000-000000000001","accountNumber":"012342134123","currency":"USD","balance":"750.25","balanceDate":"2026-03-01T00:00:00.500Z","address":null,"network":null,"merchantId":"mrc_b0000000-0000-4000-8000-00000000000b","contactId":null}"#);
    assert_snapshot!(get(&app, &format!("/acc_{}/balances?date=2026-01-01T00:00:00Z", id(2))).await, @r#"404 {"error":"account_not_found","message":"There is no such account, or there was none at that time.","details":{"request_id":"…"}}"#);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_known_only_to_those_who_see_all() {
    let app = app().await;
    let rows = [
        (path(&format!("/acc_{}/balances", id(99))), "nobody's"),
        (path(&format!("/acc_{}/balances", id(4))), "another merchant's"),
        (path(&format!("/acc_{}/balances", id(5))), "a customer's"),
    ];
    for (path, whose) in rows {
        assert_eq!(app.get_as(admin(), &path).await.json()["error"], json!("account_not_found"), "{whose}");
        assert_eq!(app.get_as(merchant(), &path).await.status, 403, "{whose}");
    }
    assert_snapshot!(app.get_as(admin(), &path(&format!("/acc_{}/balances", id(99)))).await, @r#"404 {"error":"account_not_found","message":"There is no such account, or there was none at that time.","details":{"request_id":"…"}}"#);
}

#[tokio::test]
async fn every_faulty_parameter_is_named_before_permission_is_asked() {
    let app = app().await;
    let account = format!("/acc_{}/balances", id(1));
    let rows = [
        path("/balances?currency=EURO"),
        path("/balances?currency="),
        path("/balances?date=2026-01-01"),
        path("/balances?date=9999-01-01T00:00:00Z"),
        path("/balances?date=2026-01-01T00:00:00Z&date=2026-01-01T00:00:00Z"),
        path("/balances?limit=1"),
        path(&format!("{account}?currency=USD")),
        path(&format!("{account}?date=yesterday")),
        path(&format!("/{}/balances", id(1))),
        path("/acc_1/balances"),
        path("/acc_zz+:~/balances"),
        path("/balances").replace("org_", ""),
        path("/balances").replace("mrc_", "con_"),
        path(&account).replace("org_", "ORG_"),
    ];
    let mut answers = String::new();
    for path in rows {
        let answer = app.get_as(json!({"sub": "nobody"}), &path).await;
        writeln!(answers, "{}\n  {answer}", path.replace("/api/v1/organizations/", "…/")).unwrap();
    }
    assert_snapshot!(answers, @r#"
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?currency=EURO
      400 {"error":"invalid_request","message":"`currency` must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?currency=
      400 {"error":"invalid_request","message":"`currency` is empty; it must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?date=2026-01-01
      400 {"error":"invalid_request","message":"`date` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"date","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?date=9999-01-01T00:00:00Z
      400 {"error":"invalid_request","message":"`date` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"date","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?date=2026-01-01T00:00:00Z&date=2026-01-01T00:00:00Z
      400 {"error":"invalid_request","message":"`date` is given more than once.","details":{"parameter":"date","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances?limit=1
      400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows currency, date, known_at.","details":{"parameter":"limit","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/acc_00000000-0000-4000-8000-000000000001/balances?currency=USD
      400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows date, known_at.","details":{"parameter":"currency","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/acc_00000000-0000-4000-8000-000000000001/balances?date=yesterday
      400 {"error":"invalid_request","message":"`date` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"date","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/00000000-0000-4000-8000-000000000001/balances
      400 {"error":"invalid_request","message":"`accountId` must be `acc_` and a UUID.","details":{"parameter":"accountId","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/acc_1/balances
      400 {"error":"invalid_request","message":"`accountId` must be `acc_` and a UUID.","details":{"parameter":"accountId","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/acc_zz+:~/balances
      400 {"error":"invalid_request","message":"`accountId` must be `acc_` and a UUID.","details":{"parameter":"accountId","request_id":"…"}}
    …/a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/balances
      400 {"error":"invalid_request","message":"`organizationId` must be `org_` and 1 to 64 of A–Z, a–z, 0–9 and -.","details":{"parameter":"organizationId","request_id":"…"}}
    …/org_a0000000-0000-4000-8000-00000000000a/merchants/con_b0000000-0000-4000-8000-00000000000b/accounts/balances
      400 {"error":"invalid_request","message":"`merchantId` must be `mrc_` and 1 to 64 of A–Z, a–z, 0–9 and -.","details":{"parameter":"merchantId","request_id":"…"}}
    …/ORG_a0000000-0000-4000-8000-00000000000a/merchants/mrc_b0000000-0000-4000-8000-00000000000b/accounts/acc_00000000-0000-4000-8000-000000000001/balances
      400 {"error":"invalid_request","message":"`organizationId` must be `org_` and 1 to 64 of A–Z, a–z, 0–9 and -.","details":{"parameter":"organizationId","request_id":"…"}}
    "#);
    for (method, credential, path, status) in [
        (Method::GET, None, path("/balances?colour=red"), 401),
        (Method::GET, Some(json!({"sub": "nobody"})), path("/balances"), 403),
        (Method::GET, Some(json!({"sub": "customer", "customer_ids": [ALICE, BOB]})), path("/balances"), 403),
        (
            Method::GET,
            Some(json!({"sub": "org", "organization_ids": [ORGANIZATION]})),
            path("/balances"),
            200,
        ),
        (Method::GET, Some(admin()), path("/balances"), 200),
        (Method::POST, None, path("/balances"), 405),
        (Method::GET, Some(admin()), path("/balances/"), 404),
        (Method::GET, Some(admin()), path(""), 404),
        (Method::GET, Some(admin()), path("//balances"), 404),
        (Method::GET, Some(admin()), path("/balances").replace("org_", "org%5F"), 404),
    ] {
        let request = app.request(method, &path);
        let request = credential
            .map(|claims| app.token(claims))
            .into_iter()
            .fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(send(request).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_time_of_asking_does_not_make_another_answer() {
    let app = app().await;
    let ask = async |rest: &str, tag: &str| {
        send(
            app.request(Method::GET, &path(rest))
                .bearer_auth(app.token(merchant()))
                .header("if-none-match", tag),
        )
        .await
    };
    for rest in ["/balances".to_owned(), format!("/acc_{}/balances", id(1))] {
        let first = ask(&rest, "\"other\"").await;
        let tag = first.header("etag").to_owned();
        assert!(first.status == 200 && tag.starts_with("W/\""), "{tag}");
        assert_eq!(ask(&rest, &tag).await.status, 304, "{rest}");
        let then = ask(&format!("{rest}?date=2026-06-01T00:00:00Z"), "\"other\"").await;
        assert!(then.header("etag").starts_with('"'), "a date makes it exact");
        assert_ne!(then.header("etag"), tag.trim_start_matches("W/"));
    }
}
