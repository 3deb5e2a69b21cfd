//! What goes wrong at a provider: one fault per row, and what was stored before stays.

use crate::custody_kills::sync_request;
use crate::harness::{App, CUSTODY, custody, listed, syncer, wallet};
use insta::assert_snapshot;
use serde_json::{Value, json};
use shared::config::{CustodyConfig, StoreConfig};
use shared::custody::{Providers, SyncError, Syncs};
use shared::domain::{CustodyAccount, CustodyAccountId, ProviderAccount, ProviderName, Timestamp};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn vault() -> Value {
    json!([wallet("USDT_ERC20", "10", "9")])
}

#[tokio::test]
async fn each_fault_is_a_provider_error_and_nothing_stored_is_lost() {
    let app = App::start(custody(vault(), json!({}))).await;
    assert_eq!(app.custody("").await.status, 200);
    let stored = app.custody("?max_age=86400").await.text().to_owned();
    let vault = |asset: Value| json!({"id": "12", "name": "", "assets": [asset]}).to_string();
    let asset = |total: Value, available: Value| {
        vault(json!({"id": "USDT_ERC20", "total": total, "available": available}))
    };
    // What each call is answered, and how often that is tried.
    let rows = [
        ("our key is refused", json!({"status": 401}), 1),
        ("our role is refused", json!({"status": 403}), 1),
        ("no such vault", json!({"status": 404}), 1),
        ("no such vault, as another status", json!({"status": 400, "body": r#"{"code": 11001}"#}), 1),
        ("a bad request", json!({"status": 400}), 1),
        ("throttled", json!({"status": 429}), 3),
        ("an error of theirs", json!({"status": 500}), 3),
        ("a gateway's page", json!({"status": 502, "body": "<html>Bad gateway</html>"}), 3),
        ("a page that claims to be fine", json!({"status": 200, "body": "<html>Maintenance</html>"}), 3),
        ("a cut body", json!({"status": 200, "body": r#"{"id": "12", "assets": [{"id": "USDT_E"#}), 3),
        ("nothing", json!({"status": 200, "body": ""}), 3),
        ("a redirect", json!({"status": 302}), 1),
        ("another shape", json!({"status": 200, "body": "[]"}), 1),
        ("no assets", json!({"status": 200, "body": r#"{"id": "12"}"#}), 1),
        ("another vault", json!({"status": 200, "body": r#"{"id": "13", "assets": []}"#}), 1),
        ("a number", json!({"status": 200, "body": asset(json!(10), json!("10"))}), 1),
        ("an exponent", json!({"status": 200, "body": asset(json!("1e3"), json!("1"))}), 1),
        ("not a number", json!({"status": 200, "body": asset(json!("NaN"), json!("1"))}), 1),
        ("infinity", json!({"status": 200, "body": asset(json!("Infinity"), json!("1"))}), 1),
        ("nothing for a number", json!({"status": 200, "body": asset(json!(""), json!("1"))}), 1),
        ("null for a number", json!({"status": 200, "body": asset(json!(null), json!("1"))}), 1),
        ("a negative total", json!({"status": 200, "body": asset(json!("-1"), json!("-1"))}), 1),
        ("a negative available", json!({"status": 200, "body": asset(json!("1"), json!("-1"))}), 1),
        (
            "more available than there is",
            json!({"status": 200, "body": asset(json!("1"), json!("1.000000000000000001"))}),
            1,
        ),
        (
            "too many digits before the point",
            json!({"status": 200, "body": asset(json!("1234567890123456789"), json!("1"))}),
            1,
        ),
        (
            "too many digits after it",
            json!({"status": 200, "body": asset(json!("0.1234567890123456789"), json!("0"))}),
            1,
        ),
        (
            "an asset twice",
            json!({"status": 200, "body": json!({"id": "12", "assets": [wallet("BTC", "1", "1"), wallet("BTC", "1", "1")]}).to_string()}),
            1,
        ),
    ];
    for (name, fault, calls) in rows {
        app.fault(fault).await;
        drop(app.stack.sandbox().take_calls());
        let answer = app.custody("?max_age=0").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (500, &json!("custody_provider_error")),
            "{name}: {answer}"
        );
        assert_eq!(app.vault_reads(), calls, "{name}");
        assert_eq!(app.custody("?max_age=86400").await.text(), stored, "{name}");
        app.fault(json!({})).await;
    }
    assert_snapshot!(
        { app.fault(json!({"status": 500})).await; app.custody("?max_age=0").await },
        @r#"500 {"error":"custody_provider_error","message":"An error occurred when fetching balances from the custody provider. What was stored before is unchanged.","details":{"request_id":"…"}}"#
    );
    // A sync says the same.
    assert_eq!(app.sync(syncer()).await.json()["error"], json!("custody_provider_error"));
    app.fault(json!({})).await;
    assert_eq!(app.custody("?max_age=0").await.status, 200);
}

#[tokio::test]
async fn what_an_account_does_not_list_may_be_anything() {
    let app = App::start(custody(vault(), json!({}))).await;
    let odd = json!([wallet("USDT_ERC20", "7", "7"), {"id": "NEAR", "total": "0.000000000000000000000001"}, wallet("SHIB", "-1", "5"), {"id": "X", "total": 1}, {"id": "X", "total": null}]);
    app.vault(odd).await;
    assert!(app.custody("").await.text().contains(r#""token":"USDT","balance":7.00,"#));
}

#[tokio::test]
async fn the_vendors_codes_count_whatever_status_they_come_with() {
    let app = App::start(custody(vault(), json!({}))).await;
    let syncs = crate::custody_kills::syncs(&app);
    let rows = [
        (400, -7, "the provider refused our credentials: status 400, code -7, m"),
        (403, 0, "the provider refused our credentials: status 403, code 0, m"),
        (422, -12, "the provider refused our credentials: status 422, code -12, m"),
        (400, 1004, "the provider does not know the account: status 400, code 1004, m"),
        (404, 11_001, "the provider does not know the account: status 404, code 11001, m"),
        (400, 1000, "the provider answered nonsense: status 400, code 1000, m"),
        (404, 1006, "the provider answered nonsense: status 404, code 1006, m"),
    ];
    for (status, code, expected) in rows {
        app.fault(json!({"status": status, "body": json!({"message": "m", "code": code}).to_string()})).await;
        let id = CustodyAccountId::parse(CUSTODY).unwrap();
        assert_eq!(read(&syncs, &app, id).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn passing_faults_pass_and_an_error_body_never_means_zero() {
    let app = App::start(custody(vault(), json!({}))).await;
    for fault in [
        json!({"status": 500, "times": 2}),
        json!({"status": 429, "times": 1}),
        json!({"status": 503, "body": "<html>", "times": 1}),
        json!({"status": 200, "body": "{\"id\"", "times": 2}),
        json!({"status": 200, "delay_ms": 50}),
    ] {
        app.fault(fault.clone()).await;
        assert_eq!(app.custody("?max_age=0").await.status, 200, "{fault}");
    }
    app.fault(json!({"status": 404, "body": r#"{"message": "no wallet", "code": 1006}"#})).await;
    assert_eq!(app.custody("?max_age=0").await.json()["error"], json!("custody_provider_error"));
    app.fault(json!({})).await;
    let body = app.custody("?max_age=86400").await.json();
    assert!(body["total_usd_value"].as_f64().is_some_and(|total| total > 0.0), "{body}");
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_within_ten_seconds() {
    let app = App::start(custody(vault(), json!({}))).await;
    app.fault(json!({"status": 200, "delay_ms": 60_000})).await;
    let started = Instant::now();
    assert_eq!(app.custody("").await.json()["error"], json!("custody_provider_error"));
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
}

/// An account at a provider under `url`, registered, and syncs of it.
async fn at_provider(app: &App, url: &str, account: &str, limits: [u64; 2]) -> (CustodyAccountId, Syncs) {
    at_provider_with(app, url, account, limits, ("BITGO_SECRET", "token")).await
}

/// The same with a secret of either kind; Secrets Manager is at the same URL.
async fn at_provider_with(
    app: &App,
    url: &str,
    account: &str,
    limits: [u64; 2],
    secret: (&str, &str),
) -> (CustodyAccountId, Syncs) {
    let (bitgo, [calls, reads]) = (url.to_owned(), limits.map(|limit| limit.to_string()));
    let lookup = |name: &str| match name {
        "BITGO_BASE_URL" => Some(bitgo.clone()),
        name if name == secret.0 => Some(secret.1.to_owned()),
        "PROVIDER_CALLS_PER_MINUTE" => Some(calls.clone()),
        "PROVIDER_READS_PER_CALLER" => Some(reads.clone()),
        _ => None,
    };
    let config = CustodyConfig::from_lookup(lookup).unwrap();
    let aws = StoreConfig { secrets_endpoint_url: Some(url.to_owned()), ..app.stack.config().store.clone() };
    let store = app.stack.store();
    let providers = Providers::new(&config, &aws, &store).unwrap();
    let registered = CustodyAccount {
        id: CustodyAccountId::from(uuid::Uuid::new_v4()),
        customer_id: uuid::Uuid::parse_str(crate::harness::BOB).unwrap().into(),
        provider: ProviderName::BitGo,
        provider_account: ProviderAccount::parse(ProviderName::BitGo, account).unwrap(),
        coverage: listed(&[("ETH", "ETH"), ("ETH", "USDT"), ("ETH", "USDC")]),
        positions: BTreeMap::new(),
        unlisted: BTreeMap::new(),
        synced_at: None,
    };
    store.register_custody_account(&registered, Timestamp::of_machine()).await.unwrap();
    (registered.id, Syncs::new(store, providers, config.provider_reads_per_caller, config.sync_interval()))
}

async fn read(syncs: &Syncs, app: &App, id: CustodyAccountId) -> Result<CustodyAccount, SyncError> {
    let account = app.stack.store().custody_account(id).await.unwrap().unwrap().account;
    let now = Timestamp::of_machine();
    syncs.fresh(account, now, sync_request("caller", now)).await
}

#[tokio::test]
async fn bitgo_balances_are_whole_base_units_of_each_chain() {
    let (app, server) = (App::start(json!({})).await, MockServer::start().await);
    let wallet = json!({
        "id": "w1", "coin": "eth", "label": "x", "balanceString": "49963520733", "confirmedBalanceString": "1", "spendableBalanceString": "40000000000",
        "tokens": {"usdt": {"balanceString": "1500000", "spendableBalanceString": "1000000", "transferCount": 3}, "usdc": {"balanceString": "7"}, "shib": {"balanceString": "1"}},
    });
    Mock::given(method("GET"))
        .and(path("/api/v2/eth/wallet/w1"))
        .and(query_param("allTokens", "true"))
        .and(header("authorization", "Bearer token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(wallet))
        .mount(&server)
        .await;
    let (id, syncs) = at_provider(&app, &server.uri(), "eth/w1", [0, 0]).await;
    let account = read(&syncs, &app, id).await.unwrap();
    let rows: Vec<_> = account
        .positions
        .iter()
        .map(|(held, position)| format!("{} {} {}", held.asset.code(), position.balance(), position.locked()))
        .collect();
    assert_eq!(rows, ["ETH 0.000000049963520733 0.000000009963520733", "USDC 0.000007 0", "USDT 1.5 0.5"]);
}

#[tokio::test]
async fn a_secret_is_read_once_and_again_when_the_provider_refuses_it() {
    let (app, server) = (App::start(json!({})).await, MockServer::start().await);
    let secret = |token: &str| {
        ResponseTemplate::new(200).set_body_json(json!({"Name": "bitgo", "SecretString": token}))
    };
    let reads = || Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    reads().respond_with(secret("old")).up_to_n_times(1).expect(1).mount(&server).await;
    reads().respond_with(secret("new")).expect(1).mount(&server).await;
    let wallet = |token: &str| {
        Mock::given(method("GET")).and(header("authorization", format!("Bearer {token}").as_str()))
    };
    let holdings = json!({"id": "w1", "coin": "eth", "balanceString": "1"});
    wallet("old")
        .respond_with(ResponseTemplate::new(200).set_body_json(&holdings))
        .up_to_n_times(2)
        .expect(2)
        .mount(&server)
        .await;
    wallet("old").respond_with(ResponseTemplate::new(401)).expect(1).mount(&server).await;
    wallet("new")
        .respond_with(ResponseTemplate::new(200).set_body_json(&holdings))
        .expect(1)
        .mount(&server)
        .await;
    let arn = ("BITGO_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitgo");
    let (id, syncs) = at_provider_with(&app, &server.uri(), "eth/w1", [0, 0], arn).await;
    // Two reads by the cached secret, one that finds it rotated, and one by the new.
    for is_read in [true, true, false, true] {
        assert_eq!(read(&syncs, &app, id).await.is_ok(), is_read);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_fault_of_ours() {
    let (app, server) = (App::start(json!({})).await, MockServer::start().await);
    let refused = json!({"__type": "ResourceNotFoundException", "Message": "no such secret"});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .mount(&server)
        .await;
    let arn = ("BITGO_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitgo");
    let (id, syncs) = at_provider_with(&app, &server.uri(), "eth/w1", [0, 0], arn).await;
    assert_snapshot!(read(&syncs, &app, id).await.unwrap_err(), @"the provider was not asked: the secret cannot be read: ResourceNotFoundException");
}

#[tokio::test]
async fn bitgos_faults_are_provider_errors_too() {
    let wallet = |balance: &str, spendable: Option<&str>| {
        let mut wallet = json!({"id": "w1", "coin": "eth", "balanceString": balance, "tokens": {}});
        wallet["spendableBalanceString"] = json!(spendable);
        ResponseTemplate::new(200).set_body_json(wallet)
    };
    let rows = [
        (
            ResponseTemplate::new(401).set_body_json(json!({"error": "unauthorized"})),
            "the provider refused our credentials: status 401, unauthorized",
        ),
        (ResponseTemplate::new(404), "the provider does not know the account: status 404"),
        (ResponseTemplate::new(503), "the provider is unavailable: status 503"),
        (wallet("-1", None), "the provider answered nonsense: an amount of eth in base units: not a decimal number"),
        (wallet("1.5", None), "the provider answered nonsense: an amount of eth in base units: not a decimal number"),
        (wallet("", None), "the provider answered nonsense: an amount of eth in base units: not a decimal number"),
        (wallet("1e18", None), "the provider answered nonsense: an amount of eth in base units: not a decimal number"),
        (wallet("1", Some("2")), "the provider answered nonsense: the available amount is not between zero and the total"),
        (
            wallet(&"9".repeat(40), None),
            "the provider answered nonsense: an amount of eth in base units: more than 18 digits before the point",
        ),
        (
            ResponseTemplate::new(200).set_body_string(r#"{"id": "w1", "coin": "eth", "balanceString": "1", "tokens": {"usdt": {"balanceString": "1"}, "usdt": {"balanceString": "2"}}}"#),
            "the provider answered nonsense: an asset is told twice",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({"id": "w2", "coin": "eth", "balanceString": "1"})),
            "the provider answered nonsense: another wallet than was asked for",
        ),
    ];
    for (answer, expected) in rows {
        let app = App::start(json!({})).await;
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        let (id, syncs) = at_provider(&app, &server.uri(), "eth/w1", [0, 0]).await;
        assert_eq!(read(&syncs, &app, id).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn an_empty_budget_is_a_429_and_no_fault_of_the_account() {
    let server = MockServer::start().await;
    let answer = json!({"id": "w1", "coin": "eth", "balanceString": "1"});
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    for limits in [[3, 0], [0, 3]] {
        let app = App::start(json!({})).await;
        let (id, syncs) = at_provider(&app, &server.uri(), "eth/w1", limits).await;
        let mut refused = 0;
        for _ in 0..8 {
            match read(&syncs, &app, id).await {
                Ok(_) => {}
                Err(error) => {
                    let error = shared::http::ApiError::from(error);
                    assert!(
                        matches!(
                            error,
                            shared::http::ApiError::RateLimitExceeded { retry_after_seconds: 1..=60 }
                        ),
                        "{error:?}"
                    );
                    refused += 1;
                }
            }
        }
        // A new minute may have begun in between.
        assert!((2..=5).contains(&refused), "{limits:?}: {refused}");
        let state = app.stack.store().custody_account(id).await.unwrap().unwrap();
        assert_eq!((state.failures, state.attempts.lease_until), (0, None));
    }
    assert_eq!(
        server.received_requests().await.unwrap().len() % 16,
        server.received_requests().await.unwrap().len()
    );
}

#[tokio::test]
async fn a_provider_that_is_not_configured_is_an_error_of_ours() {
    let account = json!({
        "id": CUSTODY, "customer_id": crate::harness::ALICE, "provider": "bitgo", "provider_account": "eth/w1",
        "assets": [{"blockchain": "ETH", "token": "ETH"}],
    });
    let app = App::start(custody(vault(), json!({"custody_accounts": [account]}))).await;
    assert_eq!(app.custody("").await.json()["error"], json!("custody_provider_error"));
}
