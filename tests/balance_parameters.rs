//! Parameters of the balance: one fault per row, and the order in which faults are found.

use crate::harness::{ALICE, Answer, App, BOB, dataset, send};
use insta::assert_snapshot;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use std::fmt::Write;

#[tokio::test]
async fn every_faulty_parameter_is_named() {
    let app = App::start(dataset(vec![])).await;
    let whole = format!("customer_id={ALICE}&currency=EUR");
    let rows = [
        String::new(),
        format!("customer_id={ALICE}"),
        "currency=EUR".to_owned(),
        "customer_id=alice&currency=EUR".to_owned(),
        format!("customer_id={}&currency=EUR", ALICE.replace('-', "")),
        format!("customer_id={ALICE}&currency=EURO"),
        format!("customer_id={ALICE}&currency=XAU"),
        format!("customer_id={ALICE}&currency="),
        format!("{whole}&currency=EUR"),
        format!("{whole}&colour=red"),
        format!("{whole}&Details=true"),
        format!("{whole}&details=TRUE"),
        format!("{whole}&details=1"),
        format!("{whole}&details"),
        format!("{whole}&stack=status"),
        format!("{whole}&partial=yes"),
        format!("{whole}&search.is_crypto=crypto"),
        format!("{whole}&search.currency=NOPE"),
        format!("{whole}&search.active=on"),
        format!("{whole}&search.status=Active"),
        format!("{whole}&search.status=frozen"),
        format!("{whole}&search.balance.gt=1e3"),
        format!("{whole}&search.balance.gte=%2B1"),
        format!("{whole}&search.balance.lt=1."),
        format!("{whole}&search.balance.lte=1234567890123456789"),
        format!("{whole}&search.balance.lte=0.1234567890123456789"),
        format!("{whole}&search.balance=1"),
        format!("{whole}&as_of=2026-01-01"),
        format!("{whole}&as_of=2026-01-01T00:00:00+01:00"),
        format!("{whole}&as_of=9999-01-01T00:00:00Z"),
        format!("{whole}&"),
        format!("{whole}&details=%zz"),
        format!("{whole}&details=%ff"),
    ];
    let mut answers = String::new();
    for query in rows {
        let answer = app.get(&format!("/v2/accounts/balance?{query}")).await;
        writeln!(answers, "{}\n  {answer}", query.replace(&whole, "…").replace(ALICE, "…")).unwrap();
    }
    assert_snapshot!(answers, @r#"

      400 {"error":"invalid_request","message":"`customer_id` is required: a UUID; or `search.customer_id.in`.","details":{"parameter":"customer_id","request_id":"…"}}
    customer_id=…
      400 {"error":"invalid_request","message":"`currency` is required: the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    currency=EUR
      400 {"error":"invalid_request","message":"`customer_id` is required: a UUID; or `search.customer_id.in`.","details":{"parameter":"customer_id","request_id":"…"}}
    customer_id=alice&currency=EUR
      400 {"error":"invalid_request","message":"`customer_id` must be a UUID.","details":{"parameter":"customer_id","request_id":"…"}}
    customer_id=0a11ce00000040008000000000000001&currency=EUR
      400 {"error":"invalid_request","message":"`customer_id` must be a UUID.","details":{"parameter":"customer_id","request_id":"…"}}
    …O
      400 {"error":"invalid_request","message":"`currency` must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    customer_id=…&currency=XAU
      400 {"error":"invalid_request","message":"`currency` must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    customer_id=…&currency=
      400 {"error":"invalid_request","message":"`currency` is empty; it must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"currency","request_id":"…"}}
    …&currency=EUR
      400 {"error":"invalid_request","message":"`currency` is given more than once.","details":{"parameter":"currency","request_id":"…"}}
    …&colour=red
      400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows customer_id, search.customer_id.in, currency, search.currency, search.balance.gt, search.balance.gte, search.balance.lt, search.balance.lte, search.is_crypto, search.active, search.status, stack, details, as_of, known_at, partial, confirmed_within, measure, amounts.","details":{"parameter":"colour","request_id":"…"}}
    …&Details=true
      400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows customer_id, search.customer_id.in, currency, search.currency, search.balance.gt, search.balance.gte, search.balance.lt, search.balance.lte, search.is_crypto, search.active, search.status, stack, details, as_of, known_at, partial, confirmed_within, measure, amounts.","details":{"parameter":"Details","request_id":"…"}}
    …&details=TRUE
      400 {"error":"invalid_request","message":"`details` must be `true` or `false`.","details":{"parameter":"details","request_id":"…"}}
    …&details=1
      400 {"error":"invalid_request","message":"`details` must be `true` or `false`.","details":{"parameter":"details","request_id":"…"}}
    …&details
      400 {"error":"invalid_request","message":"`details` is empty; it must be `true` or `false`.","details":{"parameter":"details","request_id":"…"}}
    …&stack=status
      400 {"error":"invalid_request","message":"`stack` must be `currency`, `customer_id`, `issuer` or `network`.","details":{"parameter":"stack","request_id":"…"}}
    …&partial=yes
      400 {"error":"invalid_request","message":"`partial` must be `true` or `false`.","details":{"parameter":"partial","request_id":"…"}}
    …&search.is_crypto=crypto
      400 {"error":"invalid_request","message":"`search.is_crypto` must be `true` or `false`.","details":{"parameter":"search.is_crypto","request_id":"…"}}
    …&search.currency=NOPE
      400 {"error":"invalid_request","message":"`search.currency` must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"search.currency","request_id":"…"}}
    …&search.active=on
      400 {"error":"invalid_request","message":"`search.active` must be `true` or `false`.","details":{"parameter":"search.active","request_id":"…"}}
    …&search.status=Active
      400 {"error":"invalid_request","message":"`search.status` must be `active`, `inactive`, `suspended` or `closed`.","details":{"parameter":"search.status","request_id":"…"}}
    …&search.status=frozen
      400 {"error":"invalid_request","message":"`search.status` must be `active`, `inactive`, `suspended` or `closed`.","details":{"parameter":"search.status","request_id":"…"}}
    …&search.balance.gt=1e3
      400 {"error":"invalid_request","message":"`search.balance.gt` must be a decimal of at most 18 digits before and 18 after the point, without exponent.","details":{"parameter":"search.balance.gt","request_id":"…"}}
    …&search.balance.gte=%2B1
      400 {"error":"invalid_request","message":"`search.balance.gte` must be a decimal of at most 18 digits before and 18 after the point, without exponent.","details":{"parameter":"search.balance.gte","request_id":"…"}}
    …&search.balance.lt=1.
      400 {"error":"invalid_request","message":"`search.balance.lt` must be a decimal of at most 18 digits before and 18 after the point, without exponent.","details":{"parameter":"search.balance.lt","request_id":"…"}}
    …&search.balance.lte=1234567890123456789
      400 {"error":"invalid_request","message":"`search.balance.lte` must be a decimal of at most 18 digits before and 18 after the point, without exponent.","details":{"parameter":"search.balance.lte","request_id":"…"}}
    …&search.balance.lte=0.1234567890123456789
      400 {"error":"invalid_request","message":"`search.balance.lte` must be a decimal of at most 18 digits before and 18 after the point, without exponent.","details":{"parameter":"search.balance.lte","request_id":"…"}}
    …&search.balance=1
      400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows customer_id, search.customer_id.in, currency, search.currency, search.balance.gt, search.balance.gte, search.balance.lt, search.balance.lte, search.is_crypto, search.active, search.status, stack, details, as_of, known_at, partial, confirmed_within, measure, amounts.","details":{"parameter":"search.balance","request_id":"…"}}
    …&as_of=2026-01-01
      400 {"error":"invalid_request","message":"`as_of` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"as_of","request_id":"…"}}
    …&as_of=2026-01-01T00:00:00+01:00
      400 {"error":"invalid_request","message":"`as_of` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"as_of","request_id":"…"}}
    …&as_of=9999-01-01T00:00:00Z
      400 {"error":"invalid_request","message":"`as_of` must be an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B).","details":{"parameter":"as_of","request_id":"…"}}
    …&
      400 {"error":"invalid_request","message":"The query has a part without a name.","details":{"parameter":"query","request_id":"…"}}
    …&details=%zz
      400 {"error":"invalid_request","message":"`details` is not valid percent-encoded UTF-8.","details":{"parameter":"details","request_id":"…"}}
    …&details=%ff
      400 {"error":"invalid_request","message":"`details` is not valid percent-encoded UTF-8.","details":{"parameter":"details","request_id":"…"}}
    "#);
}

#[tokio::test]
async fn what_is_allowed_is_understood() {
    let app = App::start(dataset(vec![])).await;
    let rows = [
        format!("customer_id={}&currency=eur", ALICE.to_uppercase()),
        format!("customer_id={ALICE}&currency=EUR%C3%98P"),
        format!("customer_id={ALICE}&currency=europ&search.currency=eure"),
        format!("%63ustomer_id={ALICE}&currency=EUR&search.balance.gt=-0.000000000000000001"),
        format!("customer_id={ALICE}&currency=EUR&as_of=2026-01-01t00:00:00.123456789%2B01:00"),
        format!("customer_id={ALICE}&currency=EUR&details=false&partial=false&stack=currency"),
    ];
    for query in rows {
        let answer = app.get(&format!("/v2/accounts/balance?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer}");
    }
}

/// One request with its faults from the left: whatever is found first must hide the rest.
struct Case {
    method: Method,
    path: &'static str,
    authorization: Option<String>,
    query: String,
}

#[tokio::test]
async fn faults_are_found_in_the_order_route_credential_parameters_permission() {
    let app = App::start(dataset(vec![])).await;
    let (good, junk) = (Some(format!("Bearer {}", app.token_of(&[ALICE]))), Some("Bearer junk".to_owned()));
    let theirs = format!("customer_id={BOB}&currency=EUR");
    let balance = "/v2/accounts/balance";
    let case = |method, path, authorization: &Option<String>, query: &str| Case {
        method,
        path,
        authorization: authorization.clone(),
        query: query.to_owned(),
    };
    let cases = [
        (case(Method::GET, "/v2/accounts/nothing", &junk, "colour=red"), 404),
        (case(Method::POST, balance, &junk, "colour=red"), 405),
        (case(Method::GET, balance, &None, "colour=red"), 401),
        (case(Method::GET, balance, &junk, "colour=red"), 401),
        (case(Method::GET, balance, &good, &format!("{theirs}&colour=red")), 400),
        (case(Method::GET, balance, &good, &theirs), 403),
        (case(Method::GET, balance, &good, &theirs.replace(BOB, ALICE)), 200),
    ];
    for (case, expected) in cases {
        let Case { method, path, authorization, query } = case;
        let mut request = app.request(method.clone(), &format!("{path}?{query}"));
        if let Some(value) = &authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, expected, "{method} {path}?{query}: {answer}");
    }
}

#[tokio::test]
async fn what_is_not_literally_a_route_is_not_found_in_our_words() {
    let app = App::start(dataset(vec![])).await;
    let paths = [
        "/",
        "/v2",
        "/v2/accounts/balance/",
        "/v2//accounts/balance",
        "/v2/accounts/balance/x",
        "/V2/accounts/balance",
        "/v2/accounts/b%61lance",
        "/_local/nothing",
        "/_local/event",
    ];
    for path in paths {
        assert_eq!(
            app.get(path).await.to_string(),
            r#"404 {"error":"not_found","message":"There is no such route.","details":{"request_id":"…"}}"#,
            "{path}"
        );
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer: Answer = send(app.request(method.clone(), "/v2/accounts/balance")).await;
        assert_eq!(answer.header("allow"), "GET,HEAD", "{method}");
        assert_eq!(answer.json()["error"], json!("method_not_allowed"), "{method}");
        assert!(!answer.header("x-request-id").is_empty(), "{method}");
    }
}

#[tokio::test]
async fn an_admin_sees_every_customer_and_none_is_no_error() {
    let app = App::start(dataset(vec![])).await;
    let admin = app.token(json!({"sub": "admin", "permissions": ["PermReadAll", "PermFromTheFuture"]}));
    let request = app.request(Method::GET, &format!("/v2/accounts/balance?customer_id={BOB}&currency=EUR"));
    let answer = send(request.header(AUTHORIZATION, format!("bearer {admin}"))).await;
    assert_snapshot!(answer, @r#"200 {"total_balance":0.00,"currency":"EUR","fiat_balance":0.00,"crypto_balance":0.00,"accounts":0,"complete":true,"oldest_balance_at":null}"#);
}
