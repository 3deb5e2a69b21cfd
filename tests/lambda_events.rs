//! What API Gateway, or somebody who can invoke the function, may send: each event has its documented answer
//! and none a panic.

use crate::harness::{ALICE, App, account, dataset, with};
use bolero::check;
use insta::assert_snapshot;
use local::Stack;
use reqwest::Client;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::BasePath;
use shared::domain::AgeLimits;
use shared::http::handler;
use std::fmt::Write;
use tokio::runtime::Runtime;

/// A well-formed event of an HTTP API, payload format 2.0.
fn event(path: &str, query: &str, token: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "ANY /v2/accounts/balance", "rawPath": path, "rawQueryString": query,
        "headers": {"authorization": format!("Bearer {token}"), "host": "abc.execute-api.eu-central-1.amazonaws.com", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": "abc.execute-api.eu-central-1.amazonaws.com", "domainPrefix": "abc",
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "requestId": "JKJaXmPLvHcESHA=", "stage": "$default", "time": "16/Apr/2025:15:30:25 +0000", "timeEpoch": 1_744_817_425_000_i64,
        },
        "isBase64Encoded": false,
    })
}

/// The function's answer to an event as Lambda would hand it in, `None` if the event is refused before any
/// handler.
async fn invoke(stack: &Stack, event: &Value) -> Option<Value> {
    invoke_behind(BasePath::default(), stack, event).await
}

/// The same of a function behind a base path.
async fn invoke_behind(base_path: BasePath, stack: &Stack, event: &Value) -> Option<Value> {
    use lambda_http::{LambdaEvent, Service};
    let payload = serde_json::from_str(&event.to_string()).ok()?;
    let context = lambda_http::Context::default();
    let app = unified_balance::App::new(stack.config(), AgeLimits::NONE, Clock::system());
    let Ok(answer) = handler(unified_balance::routes(app), Clock::system(), base_path)
        .call(LambdaEvent { payload, context })
        .await;
    Some(serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap())
}

/// Status and error code, or the total.
fn brief(answer: &Value) -> String {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or("null")).unwrap_or_default();
    let said = [&body["error"], &body["details"]["parameter"], &body["total_balance"]]
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    format!(
        "{} {}",
        answer["statusCode"],
        said.into_iter().filter(|said| said != "null").collect::<Vec<_>>().join(" ")
    )
}

#[tokio::test]
async fn behind_a_base_path_the_routes_are_the_same() {
    let app = app().await;
    let token = app.token_of(&[ALICE]);
    let base_path = || BasePath::parse("/prod/balances").unwrap();
    let query = format!("customer_id={ALICE}&currency=EUR&amounts=string");
    for (path, expected) in [
        ("/prod/balances/v2/accounts/balance", "200 10.00"),
        ("/v2/accounts/balance", "200 10.00"),
        ("/prod/balances", "404 not_found"),
        ("/prod/balances/", "404 not_found"),
        ("/prod/v2/accounts/balance", "404 not_found"),
        ("/prod/balances//v2/accounts/balance", "404 not_found"),
    ] {
        let answer = invoke_behind(base_path(), &app.stack, &event(path, &query, &token)).await.unwrap();
        assert_eq!(brief(&answer), expected, "{path}");
    }
}

async fn app() -> App {
    App::start(dataset(vec![account(1, "EUR", "10")])).await
}

#[tokio::test]
async fn an_event_is_answered_as_the_request_it_stands_for() {
    let app = app().await;
    let query = format!("customer_id={ALICE}&currency=EUR");
    let answer =
        invoke(&app.stack, &event("/v2/accounts/balance", &query, &app.token_of(&[ALICE]))).await.unwrap();
    assert_eq!((brief(&answer).as_str(), &answer["isBase64Encoded"]), ("200 10.0", &json!(false)));
    assert_eq!(answer["body"], json!(app.balance("EUR", "").await.text()));
    let mut head = event("/v2/accounts/balance", &query, &app.token_of(&[ALICE]));
    head["requestContext"]["http"]["method"] = json!("HEAD");
    let head = invoke(&app.stack, &head).await.unwrap();
    assert_eq!((&head["statusCode"], head["body"].as_str().unwrap_or_default()), (&json!(200), ""));
    assert_eq!(head["headers"]["etag"], answer["headers"]["etag"]);
}

#[tokio::test]
async fn a_compressed_answer_is_base64() {
    let app = App::start(dataset((0..20).map(|number| account(number, "EUR", "1")).collect())).await;
    let mut event = event(
        "/v2/accounts/balance",
        &format!("customer_id={ALICE}&currency=EUR&details=true"),
        &app.token_of(&[ALICE]),
    );
    event["headers"]["accept-encoding"] = json!("gzip");
    let answer = invoke(&app.stack, &event).await.unwrap();
    assert_eq!(
        (&answer["isBase64Encoded"], &answer["headers"]["content-encoding"]),
        (&json!(true), &json!("gzip"))
    );
}

#[tokio::test]
async fn hostile_events_have_their_documented_answers() {
    let app = app().await;
    let token = app.token_of(&[ALICE]);
    let query = format!("customer_id={ALICE}&currency=EUR");
    let good = || event("/v2/accounts/balance", &query, &token);
    let path = |path: &str| (format!("path {path}"), event(path, &query, &token));
    let asked = |more: &str| {
        (format!("query …{more:.24}"), event("/v2/accounts/balance", &format!("{query}{more}"), &token))
    };
    let header = |name: &str, value: Value| {
        let headers = with(good()["headers"].clone(), json!({ name: value }));
        (format!("{name}: {:.40}", value.to_string()), with(good(), json!({"headers": headers})))
    };
    let field = |change: Value| (format!("field {change}"), with(good(), change));
    let context = |change: Value| {
        (
            format!("context {change}"),
            with(good(), json!({"requestContext": with(good()["requestContext"].clone(), change)})),
        )
    };
    let rows = [
        path("/v2/accounts/../accounts/balance"),
        path("/v2/./accounts/balance"),
        path("/v2//accounts/balance"),
        path("/v2/accounts/balance/"),
        path("/v2/accounts/balance?x=y"),
        path("/v2/accounts/balance#x"),
        path("/v2\\accounts\\balance"),
        path("/v2/accounts/b%61lance"),
        path("/v2/accounts/balance\u{0}"),
        path("/v2/accounts/balance "),
        path("/v2/accounts/balänce"),
        path("v2/accounts/balance"),
        path(""),
        path("/"),
        path("//evil.example/"),
        path("/..."),
        asked("&colour=a b"),
        asked("&details=\"true\""),
        asked("&details=tr#ue"),
        asked("&details=tr\\ue"),
        asked("&details=<>{}|^`"),
        asked("&details=%"),
        asked("&details=é"),
        asked("&details=\n"),
        asked("&details=true"),
        asked(&format!("&x={}", "a".repeat(10_000))),
        asked(&format!("&x={}", "ä".repeat(9_000))),
        header("host", json!("")),
        header("host", json!("a b")),
        header("host", json!("evil.example:99999")),
        header("host", json!("1.2.3.999")),
        header("host", json!("[::1")),
        header("x-forwarded-proto", json!("ht tp")),
        header("x-padding", json!("a".repeat(10_240))),
        header("authorization", json!("Bearer é")),
        header("authorization", json!(7)),
        header("cookie", json!("a\nb")),
        header("x-number", json!(["a"])),
        field(json!({"rawPath": null})),
        field(json!({"rawPath": 7})),
        field(json!({"rawQueryString": null})),
        field(json!({"rawQueryString": 7})),
        field(json!({"headers": null})),
        field(json!({"headers": []})),
        field(json!({"body": "%%%", "isBase64Encoded": true})),
        field(json!({"body": "x".repeat(3)})),
        field(json!({"cookies": ["\n"]})),
        field(json!({"requestContext": null})),
        field(json!({"requestContext": {}})),
        field(json!({"isBase64Encoded": "no"})),
        field(json!({"version": "1.0"})),
        context(json!({"stage": "a b"})),
        context(json!({"stage": "../.."})),
        context(json!({"domainName": "a b"})),
        context(json!({"http": {"method": "POST"}})),
        context(json!({"http": {"method": "BREW"}})),
        context(json!({"http": {"method": "G T"}})),
        (
            "an EventBridge event".to_owned(),
            json!({"version": "0", "id": "1", "detail-type": "AccountBalanceChanged", "source": "core", "detail": {}}),
        ),
        ("an SQS event".to_owned(), json!({"Records": [{"messageId": "1", "body": "{}"}]})),
        ("an empty object".to_owned(), json!({})),
        ("a string".to_owned(), json!("junk")),
        ("a list".to_owned(), json!([1])),
        ("null".to_owned(), json!(null)),
    ];
    let mut answers = String::new();
    for (name, event) in rows {
        let answer = invoke(&app.stack, &event).await;
        writeln!(
            answers,
            "{}: {}",
            name.replace(char::is_control, "·"),
            answer.as_ref().map_or("refused by the runtime".to_owned(), brief)
        )
        .unwrap();
        // Whatever came, the next good event is answered.
        assert_eq!(brief(&invoke(&app.stack, &good()).await.unwrap()), "200 10.0", "{name}");
    }
    assert_snapshot!(answers, @r#"
    path /v2/accounts/../accounts/balance: 404 not_found
    path /v2/./accounts/balance: 404 not_found
    path /v2//accounts/balance: 404 not_found
    path /v2/accounts/balance/: 404 not_found
    path /v2/accounts/balance?x=y: 404 not_found
    path /v2/accounts/balance#x: 404 not_found
    path /v2\accounts\balance: 404 not_found
    path /v2/accounts/b%61lance: 404 not_found
    path /v2/accounts/balance·: 404 not_found
    path /v2/accounts/balance : 404 not_found
    path /v2/accounts/balänce: 404 not_found
    path v2/accounts/balance: 404 not_found
    path : 404 not_found
    path /: 404 not_found
    path //evil.example/: 404 not_found
    path /...: 404 not_found
    query …&colour=a b: 400 invalid_request colour
    query …&details="true": 400 invalid_request details
    query …&details=tr#ue: 400 invalid_request details
    query …&details=tr\ue: 400 invalid_request details
    query …&details=<>{}|^`: 400 invalid_request details
    query …&details=%: 400 invalid_request details
    query …&details=é: 400 invalid_request details
    query …&details=·: 400 invalid_request details
    query …&details=true: 200 10.0
    query …&x=aaaaaaaaaaaaaaaaaaaaa: 400 invalid_request query
    query …&x=äääääääääääääääääääää: 400 invalid_request query
    host: "": 200 10.0
    host: "a b": 200 10.0
    host: "evil.example:99999": 200 10.0
    host: "1.2.3.999": 200 10.0
    host: "[::1": 200 10.0
    x-forwarded-proto: "ht tp": 200 10.0
    x-padding: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 200 10.0
    authorization: "Bearer é": 401 authentication_failed
    authorization: 7: refused by the runtime
    cookie: "a\nb": refused by the runtime
    x-number: ["a"]: 200 10.0
    field {"rawPath":null}: 404 not_found
    field {"rawPath":7}: refused by the runtime
    field {"rawQueryString":null}: 400 invalid_request customer_id
    field {"rawQueryString":7}: refused by the runtime
    field {"headers":null}: 401 authentication_failed
    field {"headers":[]}: refused by the runtime
    field {"body":"%%%","isBase64Encoded":true}: 200 10.0
    field {"body":"xxx"}: 200 10.0
    field {"cookies":["\n"]}: 200 10.0
    field {"requestContext":null}: refused by the runtime
    field {"requestContext":{}}: refused by the runtime
    field {"isBase64Encoded":"no"}: refused by the runtime
    field {"version":"1.0"}: 200 10.0
    context {"stage":"a b"}: 200 10.0
    context {"stage":"../.."}: 200 10.0
    context {"domainName":"a b"}: 200 10.0
    context {"http":{"method":"POST"}}: 405 method_not_allowed
    context {"http":{"method":"BREW"}}: 405 method_not_allowed
    context {"http":{"method":"G T"}}: refused by the runtime
    an EventBridge event: refused by the runtime
    an SQS event: refused by the runtime
    an empty object: refused by the runtime
    a string: refused by the runtime
    a list: refused by the runtime
    null: refused by the runtime
    "#);
}

/// What a fuzzer varies of a well-formed event with a valid token; `None` leaves a field as it is.
type Changes = (Option<String>, String, Option<String>, Option<String>, Option<String>, Option<String>, bool);

/// Any path, query, host, protocol, stage and method, and a body that says it is base64: an answer of ours,
/// never a panic. A fuzzer runs it for as long as it is given (`cargo bolero test --package e2e --test e2e
/// lambda_events::fuzz_events`); without one it runs a bounded number of random cases.
#[test]
fn fuzz_events() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(async { App { stack: app().await.stack, client: Client::new() } });
    let token = app.token_of(&[ALICE]);
    check!().with_type::<Changes>().with_iterations(1_000).for_each(
        |(path, query, host, proto, stage, method, has_body)| {
            let path = path
                .as_ref()
                .map_or("/v2/accounts/balance".to_owned(), |path| format!("/v2/accounts/{path}"));
            let mut event = event(&path, &format!("customer_id={ALICE}&currency=EUR&{query}"), &token);
            let fields = [
                ("/headers/host", host),
                ("/headers/x-forwarded-proto", proto),
                ("/requestContext/stage", stage),
                ("/requestContext/http/method", method),
            ];
            for (place, value) in fields {
                if let Some(value) = value {
                    *event.pointer_mut(place).unwrap() = json!(value);
                }
            }
            event["isBase64Encoded"] = json!(has_body);
            event["body"] = json!(query);
            let answer = runtime.block_on(invoke(&app.stack, &event));
            let status = answer.map(|answer| answer["statusCode"].as_u64().unwrap());
            assert!(matches!(status, None | Some(200 | 400 | 404 | 405)), "{event}: {status:?}");
        },
    );
}
