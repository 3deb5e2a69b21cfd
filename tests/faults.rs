//! Faults of the store, by answers that DynamoDB gives and the embedded one never does: each has its
//! documented body, exactly one log line with its cause, and the process lives on.

use crate::harness::{ALICE, Answer, send};
use crate::lines::Lines;
use axum::Router;
use axum::routing::get;
use insta::assert_snapshot;
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::Client;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::{AuthConfig, Config, SecretSource, SigningKeys, StoreConfig, Tables};
use shared::domain::AgeLimits;
use shared::http;
use shared::store::{Outcome, RecordError, Store, StoreError};
use unified_balance::{App, routes};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(endpoint: &str) -> Config {
    let store = StoreConfig {
        region: "eu-central-1".to_owned(),
        endpoint_url: Some(endpoint.to_owned()),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
        secrets_endpoint_url: None,
        tables: Tables::by_logical_id(),
    };
    let keys = SigningKeys::Hs256Secret(SecretSource::Text(SECRET.into()));
    Config {
        store,
        auth: AuthConfig::new("issuer".to_owned(), "ballast".to_owned(), keys),
        rate_limit_per_minute: 0,
        unknown_assets: shared::domain::UnknownAssets::Refuse,
        book_zone: shared::domain::Zone::UTC,
        base_path: shared::config::BasePath::default(),
    }
}

/// The function's own service over this endpoint, on a port of its own.
async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, http::service(routes, Clock::system())).into_future());
    url
}

async fn ask(endpoint: &str) -> Answer {
    ask_with(&config(endpoint)).await
}

async fn ask_with(config: &Config) -> Answer {
    let url = serve(routes(App::new(config, AgeLimits::STANDARD, Clock::system()))).await;
    let claims = json!({"sub": "s", "iss": "issuer", "aud": "ballast", "exp": 4_102_444_800_u64, "customer_ids": [ALICE]});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    send(client.get(format!("{url}/v2/accounts/balance?customer_id={ALICE}&currency=EUR")).bearer_auth(token))
        .await
}

fn canned(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
}

fn refusal(status: u16, code: &str) -> ResponseTemplate {
    canned(
        status,
        &json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "secret detail"}),
    )
}

async fn dynamodb(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn a_store_that_cannot_answer_now_is_a_503_with_one_line() {
    let (lines, _guard) = Lines::capture();
    let answers = [
        refusal(400, "ProvisionedThroughputExceededException"),
        refusal(400, "ThrottlingException"),
        refusal(400, "RequestLimitExceeded"),
        refusal(500, "InternalServerError"),
        ResponseTemplate::new(503).set_body_string("<html>gateway</html>"),
        ResponseTemplate::new(200).set_body_string("{\"Items\": [{"),
    ];
    for answer in answers {
        let server = dynamodb(answer).await;
        let answer = ask(&server.uri()).await;
        assert_eq!(
            answer.to_string(),
            r#"503 {"error":"service_unavailable","message":"The service is temporarily unavailable. Try again shortly.","details":{"request_id":"…"}}"#
        );
        assert_eq!(answer.header("retry-after"), "1");
        assert_one_line(&lines, &answer, "service_unavailable", "unavailable");
    }
    let answer = ask("http://127.0.0.1:9").await;
    assert_eq!(answer.status, 503);
    assert_one_line(&lines, &answer, "service_unavailable", "unavailable");
}

fn assert_one_line(lines: &Lines, answer: &Answer, error: &str, cause: &str) {
    let lines = lines.of(answer.header("x-request-id"));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["error"], error);
    assert!(line["cause"].as_str().unwrap().contains(cause), "{line}");
    assert!(!line.to_string().contains("secret detail"), "{line}");
}

#[tokio::test]
async fn what_is_wrong_with_us_is_a_500_with_one_line() {
    let (lines, _guard) = Lines::capture();
    let item = |change: &[(&str, Value)]| {
        let mut item = json!({
            "account_id": {"S": "00000000-0000-4000-8000-000000000001"}, "customer_id": {"S": ALICE}, "currency": {"S": "EUR"}, "balance": {"N": "1"},
            "available": {"N": "1"}, "active": {"BOOL": true}, "status": {"S": "active"},
            "entry": {"S": "2026-01-01T00:00:00.000000000Z#000000000000000000"}, "revision": {"N": "1"},
            "created_at": {"S": "2026-01-01T00:00:00Z"}, "recorded_at": {"S": "2026-01-01T00:00:00Z"},
        });
        for (name, value) in change {
            item[*name] = value.clone();
        }
        canned(200, &json!({"Items": [item], "Count": 1}))
    };
    let rows = [
        (refusal(400, "ResourceNotFoundException"), "ResourceNotFoundException"),
        (refusal(400, "AccessDeniedException"), "AccessDeniedException"),
        (refusal(400, "ValidationException"), "ValidationException"),
        (item(&[("balance", json!({"N": "1E+40"}))]), "attribute balance"),
        (item(&[("balance", json!({"S": "1"}))]), "attribute balance"),
        (item(&[("currency", json!({"S": "GONE"}))]), "attribute currency"),
        (item(&[("active", json!({"NULL": true}))]), "attribute active"),
        (item(&[("entry", json!({"S": "yesterday"}))]), "attribute entry"),
        (item(&[("recorded_at", json!({"S": "yesterday"}))]), "attribute recorded_at"),
        (item(&[("iban", json!({"N": "1"}))]), "attribute iban"),
        (item(&[("merchant_id", json!({"S": "org_1"}))]), "attribute merchant_id"),
    ];
    for (answer, cause) in rows {
        let server = dynamodb(answer).await;
        let answer = ask(&server.uri()).await;
        assert_eq!(
            answer.to_string(),
            r#"500 {"error":"internal_error","message":"An internal error occurred.","details":{"request_id":"…"}}"#,
            "{cause}"
        );
        assert_one_line(&lines, &answer, "internal_error", cause);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_request_is_answered() {
    let (lines, _guard) = Lines::capture();
    let boom = get(async || -> &'static str { panic!("a secret of the handler") });
    let url = serve(Router::new().route("/boom", boom).route("/fine", get(async || "fine"))).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = send(client.get(format!("{url}/boom"))).await;
    assert_snapshot!(answer, @r#"500 {"error":"internal_error","message":"An internal error occurred.","details":{"request_id":"…"}}"#);
    assert_one_line(&lines, &answer, "internal_error", "panic");
    assert_eq!(send(client.get(format!("{url}/fine"))).await.text(), "fine");
}

#[tokio::test]
async fn every_request_has_one_line_that_names_no_secret() {
    let (lines, _guard) = Lines::capture();
    let nothing = canned(200, &json!({"Items": [], "Count": 0}));
    let server = dynamodb(nothing).await;
    let answer = ask(&server.uri()).await;
    assert_eq!(answer.status, 200, "{answer}");
    let lines = lines.of(answer.header("x-request-id"));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(
        (&line["status"], &line["span"]["route"], &line["span"]["method"]),
        (&json!(200), &json!("/v2/accounts/balance"), &json!("GET"))
    );
    assert_eq!(line["span"]["caller"].as_str().unwrap().len(), 16);
    assert!(!line.to_string().contains(ALICE), "{line}");
}

#[tokio::test]
async fn colliding_transactions_are_tried_again_and_then_reported() {
    let conflict = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "cancelled",
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    });
    let account = crate::record::update(uuid::Uuid::nil(), uuid::Uuid::nil(), "1", 1);
    // Two collisions, then it goes through.
    let server = MockServer::start().await;
    let operation = |name: &str| {
        Mock::given(method("POST")).and(header("x-amz-target", format!("DynamoDB_20120810.{name}").as_str()))
    };
    let transact = || operation("TransactWriteItems");
    // Nothing is stored yet.
    let reads = async |server: &MockServer| {
        operation("BatchGetItem").respond_with(canned(200, &json!({"Responses": {}}))).mount(server).await;
        operation("GetItem").respond_with(canned(200, &json!({}))).mount(server).await;
    };
    reads(&server).await;
    transact().respond_with(canned(400, &conflict)).up_to_n_times(2).expect(2).mount(&server).await;
    transact().respond_with(canned(200, &json!({}))).expect(1).mount(&server).await;
    let store = Store::new(&config(&server.uri()).store, Clock::system());
    assert_eq!(store.record(&account).await, Ok(Outcome::Recorded));
    // Nothing but collisions.
    let server = MockServer::start().await;
    reads(&server).await;
    transact().respond_with(canned(400, &conflict)).expect(10).mount(&server).await;
    let store = Store::new(&config(&server.uri()).store, Clock::system());
    assert!(matches!(store.record(&account).await, Err(RecordError::Store(StoreError::Unavailable(_)))));
    // Throttled inside a transaction.
    let throttled = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "cancelled",
        "CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}],
    });
    let server = MockServer::start().await;
    reads(&server).await;
    transact().respond_with(canned(400, &throttled)).mount(&server).await;
    let store = Store::new(&config(&server.uri()).store, Clock::system());
    assert_eq!(
        store.record(&account).await,
        Err(RecordError::Store(StoreError::Unavailable("ThrottlingError".to_owned())))
    );
}

#[tokio::test]
async fn requests_to_the_store_are_signed_and_strongly_consistent() {
    let nothing = canned(200, &json!({"Items": [], "Count": 0}));
    let server = dynamodb(nothing).await;
    ask(&server.uri()).await;
    let requests: Vec<Request> = server.received_requests().await.unwrap();
    for request in &requests {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["ConsistentRead"], json!(true), "{body}");
        assert!(request.headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256"));
    }
    assert_eq!(requests.len(), 3, "accounts, rates, and the catalogue once a minute");
}

#[tokio::test]
async fn a_call_that_could_not_be_counted_says_so_in_its_line() {
    let (lines, _guard) = Lines::capture();
    let server = MockServer::start().await;
    let operation = |name: &str| {
        Mock::given(method("POST")).and(header("x-amz-target", format!("DynamoDB_20120810.{name}").as_str()))
    };
    operation("Query").respond_with(canned(200, &json!({"Items": [], "Count": 0}))).mount(&server).await;
    operation("GetItem").respond_with(canned(200, &json!({}))).mount(&server).await;
    operation("UpdateItem").respond_with(refusal(500, "InternalServerError")).expect(1).mount(&server).await;
    let answer = ask_with(&Config { rate_limit_per_minute: 1, ..config(&server.uri()) }).await;
    assert_eq!(answer.status, 200, "{answer}");
    let lines = lines.of(answer.header("x-request-id"));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    // The template's metric filter reads this field.
    assert_eq!(line["span"]["limiter"], json!("unreachable"));
}

#[tokio::test]
async fn a_start_does_not_wait_for_a_store_that_hangs() {
    // It accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = App::new(
        &config(&format!("http://{}", listener.local_addr().unwrap())),
        AgeLimits::STANDARD,
        Clock::system(),
    );
    let started = std::time::Instant::now();
    app.warm().await;
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_requests_line_says_what_it_cost() {
    let (lines, _guard) = Lines::capture();
    let store = MockServer::start().await;
    let consumed = json!({"TableName": "t", "CapacityUnits": 2.5});
    let page = json!({"Items": [], "Count": 0, "ConsumedCapacity": consumed});
    for (operation, answer) in [("Query", page), ("GetItem", json!({"ConsumedCapacity": consumed}))] {
        let operation = header("x-amz-target", format!("DynamoDB_20120810.{operation}").as_str());
        Mock::given(operation).respond_with(canned(200, &answer)).mount(&store).await;
    }
    let answer = ask(&store.uri()).await;
    assert_eq!(answer.status, 200, "{answer}");
    let [line] = lines.of(answer.header("x-request-id")).try_into().unwrap();
    // The catalogue, accounts and the pointer to the newest sheet: 2.5 each.
    let cost = ["store_calls", "read_units", "write_units", "server_errors"].map(|name| line[name].clone());
    assert_eq!(cost, [json!(3), json!(8), json!(0), json!(0)], "{line}");
    assert!(line["cold_start"].is_boolean() && line["latency_ms"].is_u64());
    let asked = store.received_requests().await.unwrap();
    assert!(asked.iter().all(|request| {
        String::from_utf8_lossy(&request.body).contains(r#""ReturnConsumedCapacity":"TOTAL""#)
    }));
}
