//! Credentials: every fault of a token with the right key and everything else in order, and API keys.

use crate::harness::{ALICE, Answer, App, BOB, dataset, send, with};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use shared::domain::Timestamp;

const REFUSED: &str = r#"401 {"error":"authentication_failed","message":"Authentication failed. Check your API key or JWT token.","details":{"request_id":"…"}}"#;

/// A token from the token endpoint: claims in the body, a header merged over the issuer's.
async fn minted(app: &App, claims: &Value, header: &Value) -> String {
    let header = url_encoded(&header.to_string());
    let answer =
        send(app.request(Method::POST, &format!("/_local/tokens?header={header}")).body(claims.to_string()))
            .await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

async fn ask(app: &App, headers: &[(&str, &str)]) -> Answer {
    let request = app.request(Method::GET, &format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR"));
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn with_token(app: &App, token: &str) -> Answer {
    ask(app, &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn every_fault_of_a_token_is_refused_in_the_same_words() {
    let app = App::start(dataset(vec![])).await;
    let now = Timestamp::of_machine().unix_seconds();
    let good = json!({"sub": "test", "customer_ids": [ALICE]});
    assert_eq!(with_token(&app, &minted(&app, &good, &json!({})).await).await.status, 200);

    let claims = [
        json!({"exp": now - 60}),
        json!({"exp": "tomorrow"}),
        json!({"exp": null}),
        json!({"exp": -1}),
        json!({"exp": 1e300}),
        json!({"nbf": now + 60}),
        json!({"nbf": "now"}),
        json!({"iss": "https://elsewhere.example/"}),
        json!({"iss": null}),
        json!({"iss": ["https://local.ballast.invalid/"]}),
        json!({"aud": "other"}),
        json!({"aud": ["other"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"aud": 1}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": null}),
        json!({"customer_ids": ALICE}),
        json!({"customer_ids": null}),
        json!({"customer_ids": [1]}),
        json!({"customer_ids": ["alice"]}),
        json!({"customer_ids": vec![ALICE; 101]}),
        json!({"organization_ids": [ALICE]}),
        json!({"organization_ids": {}}),
        json!({"merchant_ids": ["org_1"]}),
        json!({"merchant_ids": "mrc"}),
        json!({"permissions": "PermReadAll"}),
        json!({"permissions": [true]}),
    ];
    for fault in claims {
        let answer =
            with_token(&app, &minted(&app, &with(good.clone(), fault.clone()), &json!({})).await).await;
        assert_eq!(answer.to_string(), REFUSED, "claims {fault}");
    }
    let headers = [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "RS256"}),
        json!({"alg": "ES384"}),
        json!({"alg": "es256"}),
        json!({"alg": null}),
        json!({"crit": ["exp"]}),
        json!({"crit": null}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"jku": "https://evil.example/keys"}),
        json!({"x5u": "https://evil.example/cert"}),
        json!({"x5c": []}),
        json!({"b64": false}),
        json!({"kid": "another"}),
        json!({"kid": null}),
        json!({"kid": 1}),
    ];
    for fault in headers {
        let answer = with_token(&app, &minted(&app, &good, &fault).await).await;
        assert_eq!(answer.to_string(), REFUSED, "header {fault}");
    }
}

#[tokio::test]
async fn a_token_without_a_required_claim_is_refused() {
    let app = App::start(dataset(vec![])).await;
    let token = minted(&app, &json!({"customer_ids": [ALICE]}), &json!({})).await;
    assert_eq!(with_token(&app, &token).await.to_string(), REFUSED);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_refused() {
    let app = App::start(dataset(vec![])).await;
    let token = app.token_of(&[BOB]);
    let (header, payload, signature) = parts(&token);
    let forged = URL_SAFE_NO_PAD
        .encode(String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap().replace(BOB, ALICE));
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let long = "a".repeat(20_000);
    let rows = [
        format!("{header}.{forged}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{unsigned}.{payload}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.AAAA"),
        "..".to_owned(),
        "a".to_owned(),
        long,
    ];
    for token in rows {
        assert_eq!(with_token(&app, &token).await.to_string(), REFUSED, "{token:.80}");
    }
}

fn parts(token: &str) -> (&str, &str, &str) {
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    (header, payload, signature)
}

#[tokio::test]
async fn harmless_differences_are_accepted() {
    let app = App::start(dataset(vec![])).await;
    let now = Timestamp::of_machine().unix_seconds();
    let good = json!({"sub": "test", "customer_ids": [ALICE]});
    let claims = [
        json!({"aud": ["other", "ballast"]}),
        json!({"exp": 4_102_444_800.5}),
        json!({"nbf": now - 1}),
        json!({"permissions": ["PermUnknown"]}),
        json!({"customer_ids": vec![ALICE; 100]}),
        json!({"customer_ids": [ALICE.to_uppercase()]}),
        json!({"scope": "anything"}),
    ];
    for more in claims {
        let answer = with_token(
            &app,
            &minted(&app, &with(good.clone(), more.clone()), &json!({"typ": "at+jwt"})).await,
        )
        .await;
        assert_eq!(answer.status, 200, "{more}: {answer}");
    }
}

fn key(letter: &str) -> String {
    format!("bk_{}", letter.repeat(43))
}

#[tokio::test]
async fn a_credential_is_one_of_two_in_one_of_two_headers() {
    let claims = json!({"sub": "robot", "customer_ids": [ALICE]});
    let keys = json!([
        {"key": key("a"), "claims": claims, "expires_at": null},
        {"key": key("b"), "claims": claims, "expires_at": "2026-01-01T00:00:00Z"},
        {"key": key("c"), "claims": {"sub": "robot", "customer_ids": [BOB]}},
    ]);
    let app = App::start(with(dataset(vec![]), json!({"api_keys": keys}))).await;
    let token = format!("Bearer {}", app.token_of(&[ALICE]));
    let (good, expired, other, unknown) = (key("a"), key("b"), key("c"), key("z"));
    let bearer = format!("Bearer {good}");
    let rows: [(&[(&str, &str)], u16); 17] = [
        (&[("x-api-key", &good)], 200),
        (&[("authorization", &bearer)], 200),
        (&[("authorization", &token)], 200),
        (&[("x-api-key", &other)], 403),
        (&[], 401),
        (&[("x-api-key", &expired)], 401),
        (&[("x-api-key", &unknown)], 401),
        (&[("x-api-key", "bk_short")], 401),
        (&[("x-api-key", "")], 401),
        // One credential in both headers is one.
        (&[("x-api-key", &good), ("authorization", &bearer)], 200),
        (&[("x-api-key", token.trim_start_matches("Bearer ")), ("authorization", &token)], 200),
        (&[("x-api-key", &good), ("x-api-key", &good)], 401),
        (&[("authorization", &token), ("authorization", &token)], 401),
        (&[("authorization", "Basic dXNlcjpwYXNz")], 401),
        (&[("authorization", "Bearer")], 401),
        (&[("authorization", "Bearer ")], 401),
        (&[("authorization", &good)], 401),
    ];
    for (headers, expected) in rows {
        let answer = ask(&app, headers).await;
        assert_eq!(answer.status, expected, "{headers:?}: {answer}");
        if expected == 401 {
            assert_eq!(
                (answer.to_string().as_str(), answer.header("www-authenticate")),
                (REFUSED, "Bearer"),
                "{headers:?}"
            );
        }
    }
}

#[tokio::test]
async fn two_different_credentials_are_refused_in_words_that_say_so() {
    let claims = json!({"sub": "robot", "customer_ids": [ALICE]});
    let app =
        App::start(with(dataset(vec![]), json!({"api_keys": [{"key": key("a"), "claims": claims}]}))).await;
    let token = format!("Bearer {}", app.token_of(&[ALICE]));
    let answer = ask(&app, &[("x-api-key", &key("a")), ("authorization", &token)]).await;
    assert_snapshot!(answer, @r#"401 {"error":"authentication_failed","message":"Two different credentials came, in Authorization and in X-Api-Key. Send one of them.","details":{"request_id":"…"}}"#);
}

#[tokio::test]
async fn each_permission_that_is_lacking_is_named() {
    let app = App::start(dataset(vec![])).await;
    let rows = [
        (Method::GET, format!("/v2/accounts/balance?customer_id={BOB}&currency=EUR"), "these accounts"),
        (Method::GET, "/v2/positions?currency=EUR".to_owned(), "PermReadBook"),
        (Method::POST, format!("/custody/accounts/{BOB}/sync"), "PermCustodySync"),
    ];
    for (method, path, named) in rows {
        let answer = send(app.request(method, &path).bearer_auth(app.token_of(&[ALICE]))).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.json()["message"].as_str().unwrap().contains(named), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_token_endpoint_refuses_what_it_cannot_sign() {
    let app = App::start(json!({})).await;
    let rows = [
        ("/_local/tokens", "[]"),
        ("/_local/tokens", "{"),
        ("/_local/tokens?header=1", "{}"),
        ("/_local/tokens?colour=red", "{}"),
    ];
    for (path, body) in rows {
        let answer = send(app.request(Method::POST, path).body(body)).await;
        assert_eq!(answer.status, 400, "{path} {body}");
    }
    assert_snapshot!(send(app.request(Method::POST, "/_local/tokens").header(AUTHORIZATION, "x").body("nonsense")).await, @r#"400 {"error":"invalid_request","message":"The body must be a JSON object of claims.","details":{"parameter":"body","request_id":"…"}}"#);
}
