//! The custody sandbox: it believes what the vendor would believe, and refuses with the vendor's codes.

use crate::harness::{App, custody, send, wallet};
use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use local::sandbox::{API_KEY, MOUNT, PRIVATE_KEY};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use uuid::Uuid;

fn claims(uri: &str) -> Value {
    let now = Timestamp::of_machine().unix_seconds();
    let hash: String = digest(&SHA256, b"").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"uri": uri, "nonce": Uuid::new_v4().to_string(), "iat": now, "exp": now + 29, "sub": API_KEY, "bodyHash": hash})
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(PRIVATE_KEY.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

async fn ask(app: &App, path: &str, token: &str, api_key: &str) -> (u16, Value) {
    let request =
        app.request(Method::GET, &format!("{MOUNT}{path}")).bearer_auth(token).header("x-api-key", api_key);
    let answer = send(request).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn a_request_is_believed_only_as_it_was_signed() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    let path = "/v1/vault/accounts/12";
    let now = Timestamp::of_machine().unix_seconds();
    let changed = |change: Value| crate::harness::with(claims(path), change);
    let rows = [
        ("as the vendor asks", claims(path), 200, None),
        ("signed with the mount", claims(&format!("{MOUNT}{path}")), 200, None),
        ("as the SDKs do", changed(json!({"exp": now + 55})), 200, None),
        ("another path", claims("/v1/vault/accounts/13"), 401, Some(-4)),
        ("another query", claims("/v1/vault/accounts/12?x=1"), 401, Some(-4)),
        ("another user", changed(json!({"sub": "somebody"})), 401, Some(-6)),
        ("another body", changed(json!({"bodyHash": "00"})), 401, Some(-7)),
        ("expired", changed(json!({"iat": now - 60, "exp": now - 31})), 401, Some(-10)),
        ("of the future", changed(json!({"iat": now + 60, "exp": now + 80})), 401, Some(-12)),
        ("too long a life", changed(json!({"exp": now + 57})), 401, Some(-7)),
        ("no nonce", changed(json!({"nonce": null})), 401, Some(-1)),
    ];
    for (name, claims, status, code) in rows {
        let (answered, body) = ask(&app, path, &signed(&claims), API_KEY).await;
        assert_eq!((answered, body["code"].as_i64()), (status, code), "{name}: {body}");
    }
    let token = signed(&claims(path));
    assert_eq!(ask(&app, path, &token, API_KEY).await.0, 200);
    assert_eq!(ask(&app, path, &token, API_KEY).await.1["code"], json!(-7), "a nonce is used once");
    assert_eq!(ask(&app, path, "junk", API_KEY).await.1["code"], json!(-1));
    assert_eq!(ask(&app, path, &signed(&claims(path)), "somebody").await.1["code"], json!(-6));
    assert_eq!(
        ask(&app, "/v1/vault/accounts/99", &signed(&claims("/v1/vault/accounts/99")), API_KEY).await.1["code"],
        json!(1004)
    );
}

#[tokio::test]
async fn vaults_come_in_pages() {
    let vaults: serde_json::Map<_, _> = (0..5).map(|id| (id.to_string(), json!({"assets": []}))).collect();
    let app = App::start(custody(json!([]), json!({"vaults": vaults}))).await;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/vault/accounts_paged?limit=2{after}");
        let (status, body) = ask(&app, &path, &signed(&claims(&path)), API_KEY).await;
        assert_eq!(status, 200);
        found.extend(
            body["accounts"].as_array().unwrap().iter().map(|vault| vault["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = body["paging"]["after"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    let path = "/v1/vault/accounts_paged?limit=501";
    assert_eq!(ask(&app, path, &signed(&claims(path)), API_KEY).await.0, 400);
}

#[tokio::test]
async fn control_endpoints_refuse_what_they_do_not_understand() {
    let app = App::start(json!({})).await;
    for (path, body) in [
        ("/_local/custody/1", json!({})),
        ("/_local/custody/1", json!({"assets": [{"id": "BTC"}]})),
        ("/_local/custody/1", json!({"assets": [{"id": "BTC", "total": "1", "colour": "red"}]})),
        (
            "/_local/custody/1",
            json!({"assets": [{"id": "BTC", "total": "1", "last_transaction_at": "yesterday"}]}),
        ),
        ("/_local/custody-faults", json!({"status": 99})),
        ("/_local/custody-faults", json!({"delay_ms": 5})),
        ("/_local/custody-faults", json!([])),
    ] {
        let answer = send(app.request(Method::PUT, path).body(body.to_string())).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (400, &json!("invalid_request")),
            "{path} {body}: {answer}"
        );
    }
}
