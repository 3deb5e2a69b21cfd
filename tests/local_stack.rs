//! The local stack itself: who may talk to it, what it promises to print, what survives a restart.

use crate::harness::{ALICE, App, account, brief, dataset, parsed, send, sheet, with};
use insta::assert_snapshot;
use local::{Dataset, Options, Stack, StartError, examples, template};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::domain::Catalogue;
use shared::domain::Timestamp;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// The status of a request as it is written, past any client's cleaning of paths and headers.
async fn raw(url: &str, head: &str) -> u16 {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_this_machine_is_answered_on_every_port() {
    let app = App::start(json!({})).await;
    let rows = [
        ("Host: 127.0.0.1:9000", false),
        ("Host: localhost", false),
        ("Host: [::1]:1", false),
        ("Host: LOCALHOST", false),
        ("Host: localhost\r\nOrigin: http://localhost:3000", false),
        ("Host: evil.example", true),
        ("Host: 127.0.0.1.evil.example", true),
        ("Host: localhost\r\nHost: evil.example", true),
        ("Host: localhost\r\nOrigin: http://evil.example", true),
        ("Host: localhost\r\nOrigin: null", true),
    ];
    for (headers, is_refused) in rows {
        for (url, request) in [
            (app.stack.url(), "GET /_local/health"),
            (app.stack.dynamodb_url(), "POST /"),
            (app.stack.url(), "OPTIONS /_local/tokens"),
        ] {
            let status = raw(&url, &format!("{request} HTTP/1.1\r\n{headers}")).await;
            assert_eq!(status == 403, is_refused, "{request} {headers}: {status}");
        }
    }
}

#[tokio::test]
async fn segments_that_clients_would_clean_are_no_routes() {
    let app = App::start(json!({})).await;
    for path in [
        "/v2/./accounts/balance",
        "/v2/x/../accounts/balance",
        "/v2/%2e/accounts/balance",
        "/v2/accounts/balance%2f",
        "//v2/accounts/balance",
        "/v2/accounts\\balance",
    ] {
        assert_eq!(
            raw(&app.stack.url(), &format!("GET {path} HTTP/1.1\r\nHost: localhost")).await,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn it_is_ready_when_it_says_so() {
    let app = App::start(json!({})).await;
    assert_snapshot!(send(app.request(Method::GET, "/_local/health")).await, @r#"200 {"status":"ready","rates_never_expire":false}"#);
}

#[tokio::test]
async fn every_printed_request_is_answered_for_the_demo_and_for_sparse_data() {
    // A par entry that may not be used, a sheet of the future, a balance of the future, old rates.
    let par = json!({"observed_at": "2026-01-01T00:00:00Z", "entries": [{"currency": "USDC", "usd": "1", "source": "s", "method": "par"}]});
    let future = with(
        account(1, "EUR", "1"),
        json!({"balance_at": "2100-01-01T00:00:00Z", "history": [{"balance": "2", "balance_at": "2099-01-01T00:00:00Z"}]}),
    );
    let odd = [
        json!({"rates_never_expire": true, "accounts": [account(1, "USDC", "1")], "rate_sheets": [par]}),
        json!({"accounts": [account(1, "EUR", "1")], "rate_sheets": [sheet("2100-01-01T00:00:00Z", &[("EUR", "1.1")])]}),
        dataset(vec![future]),
        dataset(vec![with(
            account(1, "EUR", "1"),
            json!({"currency": "USDC", "history": [{"balance": "2", "balance_at": "2020-01-01T00:00:00Z"}]}),
        )]),
    ];
    let sparse =
        [json!({}), json!({"accounts": [account(1, "SOL", "1")]}), dataset(vec![account(1, "EUR", "1")])];
    let datasets =
        sparse.iter().chain(&odd).map(parsed).chain([Dataset::demo(Timestamp::of_machine()).unwrap()]);
    for dataset in datasets {
        let examples = examples::examples(&dataset, Timestamp::of_machine()).unwrap();
        assert!(!examples.is_empty());
        let app = App::with(dataset).await;
        for example in examples {
            let token = app.token(Value::Object(example.claims.clone()));
            let answer = send(app.request(Method::GET, &example.path).bearer_auth(token)).await;
            assert_eq!(answer.status, 200, "{}: {answer}", example.path);
            let curl = example.curl(&app.stack).unwrap();
            assert!(
                !curl.contains('\n') && curl.starts_with("curl ") && curl.contains(&example.path),
                "{curl}"
            );
        }
    }
}

#[tokio::test]
async fn the_demo_shows_what_the_readme_promises() {
    let dataset = Dataset::demo(Timestamp::of_machine()).unwrap();
    let accounts: Vec<_> = dataset.accounts(&Catalogue::default()).unwrap();
    let latest: Vec<_> = accounts.iter().map(|states| states.last().unwrap()).collect();
    let customers: BTreeSet<_> = latest.iter().map(|account| account.customer_id).collect();
    let (crypto, fiat): (BTreeSet<_>, BTreeSet<_>) =
        latest.iter().map(|account| account.asset).partition(|asset| asset.is_crypto());
    assert!(
        customers.len() == 3 && fiat.len() >= 4 && crypto.len() >= 12,
        "{customers:?} {fiat:?} {crypto:?}"
    );
    assert!(dataset.sheets(&Catalogue::default()).unwrap().len() >= 3);
}

#[tokio::test]
async fn a_kept_state_is_there_after_a_restart_and_takes_the_same_data_again() {
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    let options = |accounts: Vec<Value>| Options {
        state: Some(state.clone()),
        dataset: parsed(&dataset(accounts)),
        ..Options::default()
    };
    for accounts in [vec![account(1, "EUR", "5")], vec![account(1, "EUR", "5")], vec![]] {
        let stack = Stack::start(options(accounts)).await.unwrap();
        let app = App { stack, client: Client::new() };
        assert_eq!(app.balance("EUR", "").await.json()["total_balance"], json!(5.0));
        app.stack.stop().await;
    }
    let refused = Stack::start(options(vec![account(1, "EUR", "6")])).await.unwrap_err();
    assert_snapshot!(refused, @"account 00000000-0000-4000-8000-000000000001: balance_at: this balance_at and version were recorded with other values; give a higher version");
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let app = App::start(json!({})).await;
    let port = app.stack.url().rsplit(':').next().unwrap().parse().unwrap();
    let refused = Stack::start(Options { port, ..Options::default() }).await.unwrap_err();
    assert!(matches!(refused, StartError::Listen { port: named, .. } if named == port));
}

#[test]
fn a_faulty_dataset_is_refused_by_place() {
    let broken = |change: Value| {
        let mut account = account(1, "EUR", "1");
        account.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"accounts": [account]})
    };
    let of_entry =
        |entry: Value| json!({"rate_sheets": [{"observed_at": "2026-01-01T00:00:00Z", "entries": [entry]}]});
    let rows = [
        json!({"acounts": []}),
        broken(json!({"description": "x".repeat(1_025)})),
        broken(json!({"colour": "red"})),
        broken(json!({"balance": 1})),
        broken(json!({"balance": "1e3"})),
        broken(json!({"currency": "NOPE"})),
        broken(json!({"customer_id": "alice"})),
        broken(json!({"status": "frozen"})),
        broken(json!({"merchant_id": "org_1"})),
        broken(json!({"history": [{"balance": "1", "balance_at": "yesterday"}]})),
        broken(json!({"history": [{"balance": "1", "balance_at": "now-800000d"}]})),
        broken(json!({"history": [{"balance": "1", "currency": "EUR"}]})),
        broken(json!({"history": [null]})),
        json!({"accounts": [account(1, "EUR", "1"), account(1, "EUR", "2")]}),
        broken(json!({"history": [{"balance": "1", "balance_at": "2026-06-01T00:00:01Z"}]})),
        json!({"rate_sheets": [sheet("2026-01-01T00:00:00Z", &[]), sheet("2026-01-01T01:00:00+01:00", &[])]}),
        of_entry(json!({"currency": "EUR", "usd": "0", "source": "s", "method": "market"})),
        of_entry(json!({"currency": "EUR", "usd": "1", "source": "s", "method": "guess"})),
    ];
    let refused = |dataset: Value| {
        let dataset = Dataset::parse(&dataset.to_string(), "test", Timestamp::of_machine())
            .map_err(|error| error.to_string())?;
        dataset.accounts(&Catalogue::default()).map_err(|error| error.to_string())?;
        dataset.sheets(&Catalogue::default()).map(|_| ()).map_err(|error| error.to_string())
    };
    let errors: Vec<_> = rows.into_iter().map(|row| refused(row).unwrap_err()).collect();
    assert_snapshot!(brief(&errors.join("\n")), @"
    test: unknown field `acounts`, expected one of `rates_never_expire`, `unknown_assets`, `house_customer_ids`, `book_time_zone`, `assets`, `rate_sheets`, `accounts`, `custody_accounts`, `vaults`, `bitgo_wallets`, `api_keys` at line 1 column 10
    accounts[0].description: longer than 1024 characters
    accounts[0].colour: unknown field; known are EVERY FIELD, history, recorded_at
    accounts[0].balance: expected a string
    accounts[0].balance: not a decimal number
    accounts[0].currency: not a known asset
    accounts[0].customer_id: not a valid identifier
    accounts[0].status: not a known status
    accounts[0].merchant_id: not a valid identifier
    accounts[0].history[0].balance_at: not an RFC 3339 date-time
    accounts[0].history[0].balance_at: not an RFC 3339 date-time
    accounts[0].history[0].currency: unknown field; known are balance, available, active, status, balance_at, version, recorded_at
    accounts[0].history[0]: expected an object
    accounts[1].id: listed twice
    accounts[0].history[0].balance_at: later than the account's own balance_at and version
    rate_sheets[1].observed_at: listed twice
    rate_sheets[0].entries[0].usd: not positive
    rate_sheets[0].entries[0].method: not a known method
    ");
}

#[tokio::test]
async fn a_key_of_the_dataset_that_is_revoked_stays_so_after_a_restart() {
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    let key = format!("bk_{}", "a".repeat(64));
    let data = json!({"api_keys": [{"key": key, "claims": {"sub": "a", "customer_ids": [ALICE]}}]});
    let start = async || {
        let options = Options { state: Some(state.clone()), dataset: parsed(&data), ..Options::default() };
        App { stack: Stack::start(options).await.unwrap(), client: Client::new() }
    };
    let asked = async |app: &App| {
        let path = format!("{}/v2/accounts/balance?customer_id={ALICE}&currency=EUR", app.stack.url());
        send(app.client.get(path).header("x-api-key", &key)).await.status.as_u16()
    };
    let app = start().await;
    assert_eq!(asked(&app).await, 200);
    let (store, now) = (app.stack.store(), app.stack.clock().now());
    assert_eq!(store.revoke_api_key(&shared::auth::sha256_hex(&key), now).await, Ok(true));
    app.stack.stop().await;
    let app = start().await;
    assert_eq!(asked(&app).await, 401);
    app.stack.stop().await;
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn every_route_of_the_template_is_served_and_no_other() {
    let app = App::start(json!({})).await;
    for route in template::routes().unwrap() {
        let Some(path) = route.path else { continue };
        // Any text is a segment: the method is refused before it is looked at.
        let path = path
            .split('/')
            .map(|segment| if segment.starts_with('{') { "x" } else { segment })
            .collect::<Vec<_>>()
            .join("/");
        let answer = send(app.request(Method::DELETE, &path)).await;
        assert_eq!(answer.status, 405, "{path}");
    }
    // The embedded database's guarded port speaks DynamoDB to tools.
    let tables = app
        .client
        .post(app.stack.dynamodb_url())
        .header("x-amz-target", "DynamoDB_20120810.ListTables")
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=a",
        )
        .header("content-type", "application/x-amz-json-1.0")
        .body("{}");
    assert_snapshot!(send(tables).await, @r#"200 {"TableNames":["AccessTable","AccountsTable","CustodyTable","HistoryTable","LimitsTable","PositionsTable","RatesTable"]}"#);
}

#[tokio::test]
async fn control_endpoints_refuse_in_the_apis_form() {
    let app = App::start(json!({})).await;
    let rows = [
        (Method::GET, "/_local/tokens", vec![], 405, "method_not_allowed"),
        (Method::POST, "/_local/tokens", vec![0xff], 400, "invalid_request"),
        (Method::POST, "/_local/tokens", vec![b' '; 3_000_000], 400, "invalid_request"),
        (Method::GET, "/_local/unknown", vec![], 404, "not_found"),
        (Method::GET, "/_local", vec![], 404, "not_found"),
    ];
    for (method, path, body, status, error) in rows {
        let answer = send(app.request(method, path).body(body)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (status, &json!(error)), "{path}");
        assert_eq!(answer.json()["details"]["request_id"], json!(answer.header("x-request-id")), "{path}");
    }
}

#[tokio::test]
async fn two_stacks_do_not_share_a_state() {
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    let options = || Options { state: Some(state.clone()), ..Options::default() };
    let first = Stack::start(options()).await.unwrap();
    let refused = Stack::start(options()).await.unwrap_err();
    assert!(refused.to_string().contains("another local stack uses this directory"), "{refused}");
    first.stop().await;
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn the_environment_for_function_binaries_is_the_one_that_is_shipped() {
    let app = App::start(json!({})).await;
    let shipped =
        include_str!("../infra/local/watch.env").replace("http://127.0.0.1:8000", &app.stack.dynamodb_url());
    let shipped = shipped.replace("http://127.0.0.1:9000", &app.stack.url());
    // A value with quotes of its own stands in quotes of the other kind.
    let quoted = |value: String| if value.contains('"') { format!("'{value}'") } else { value };
    let line = |(name, value): (String, String)| format!("{name}={}\n", quoted(value));
    let expected = app.stack.environment().into_iter().map(line);
    assert_eq!(shipped, expected.collect::<String>());
}
