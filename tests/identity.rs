//! Tokens as issuers really write them: a row for each section of `docs/identity.md`.

use crate::harness::{ALICE, App, with};
use crate::keys::{ISSUER, Signer, authenticate, config, later, publish};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use shared::auth::{AuthError, Authenticator, Headers};
use shared::config::{AuthConfig, Config, SecretSource, SigningKeys};
use shared::domain::{Grants, Permission};
use std::collections::BTreeMap;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A token of any header and claims, signed as its header says by the signer's key.
fn token(signer: &Signer, header: &Value, claims: &Value) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = crypto::sign(signed.as_bytes(), &signer.key, signer.algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// The settings of a deployment beside issuer and keys.
struct Settings<'a> {
    audience: &'a str,
    client_id_audience: Option<&'a str>,
    claims: &'a str,
}

fn authenticator(app: &App, issuer: &MockServer, settings: &Settings<'_>) -> Authenticator {
    let keys = SigningKeys::JwksUrl(format!("{}/jwks.json", issuer.uri()));
    let names = settings.claims.split(',').filter_map(|pair| pair.split_once('='));
    let names: BTreeMap<String, String> =
        names.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())).collect();
    let auth = AuthConfig {
        client_id_audience: settings.client_id_audience.map(str::to_owned),
        claim_names: names,
        ..AuthConfig::new(ISSUER.to_owned(), settings.audience.to_owned(), keys)
    };
    Authenticator::new(&Config { auth, ..app.stack.config().clone() }, app.stack.store())
}

async fn grants(authenticator: &Authenticator, token: &str) -> Result<Grants, AuthError> {
    let authorization = format!("Bearer {token}");
    let headers = Headers { authorization: Some(&authorization), ..Headers::default() };
    authenticator.authenticate(headers, later(0)).await.map(|caller| caller.grants)
}

#[tokio::test]
async fn each_issuers_token_gives_the_rights_that_its_settings_say() {
    struct Row {
        issuer: &'static str,
        settings: Settings<'static>,
        claims: Value,
    }
    let times = json!({"iss": ISSUER, "exp": 4_102_444_800_u64, "iat": 1_700_000_000});
    let rows = [
        Row {
            issuer: "Amazon Cognito, an access token",
            settings: Settings {
                audience: "unused",
                client_id_audience: Some("1example23456789"),
                claims: "customer_ids=custom:customer_ids,permissions=scope",
            },
            claims: json!({
                "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "access", "client_id": "1example23456789",
                "scope": "openid ballast.example/PermReadAll", "username": "alice", "jti": "x", "auth_time": 1_700_000_000,
                "cognito:groups": ["treasury"], "custom:customer_ids": ALICE, "version": 2,
            }),
        },
        Row {
            issuer: "Auth0",
            settings: Settings {
                audience: "https://ballast.example",
                client_id_audience: None,
                claims: "customer_ids=https://ballast.example/customer_ids",
            },
            claims: json!({
                "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": ["https://ballast.example", "https://tenant.auth0.com/userinfo"],
                "azp": "client", "scope": "openid profile", "permissions": ["PermReadAll", "read:other"],
                "https://ballast.example/customer_ids": [ALICE],
            }),
        },
        Row {
            issuer: "Keycloak",
            settings: Settings { audience: "ballast", client_id_audience: None, claims: "permissions=scope" },
            claims: json!({
                "sub": "f:1:alice", "aud": "ballast", "typ": "Bearer", "azp": "treasury", "sid": "x", "acr": "1",
                "realm_access": {"roles": ["offline_access"]}, "scope": "profile PermReadAll email", "customer_ids": [ALICE],
            }),
        },
        Row {
            issuer: "Microsoft Entra ID",
            settings: Settings {
                audience: "api://ballast",
                client_id_audience: None,
                claims: "customer_ids=extension_customer_ids,permissions=roles",
            },
            claims: json!({
                "sub": "AAAA", "aud": "api://ballast", "ver": "2.0", "oid": "x", "tid": "y", "scp": "access",
                "roles": ["PermReadAll"], "extension_customer_ids": ALICE.to_uppercase(), "nbf": 1_700_000_000,
            }),
        },
        Row {
            issuer: "Okta",
            settings: Settings {
                audience: "api://ballast",
                client_id_audience: None,
                claims: "permissions=scp",
            },
            claims: json!({
                "sub": "alice@example.com", "aud": "api://ballast", "ver": 1, "jti": "AT.x", "cid": "0oa1", "uid": "00u1",
                "scp": ["openid", "PermReadAll"], "customer_ids": [ALICE],
            }),
        },
    ];
    for Row { issuer: name, settings, claims } in rows {
        let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
        let signer = Signer::rsa("key");
        publish(&issuer, &[&signer], 1).await;
        let authenticator = authenticator(&app, &issuer, &settings);
        let token = token(
            &signer,
            &json!({"alg": "RS256", "kid": "key", "typ": "at+jwt"}),
            &with(claims, times.clone()),
        );
        let grants = grants(&authenticator, &token).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let customers: Vec<String> = grants.customers.iter().map(ToString::to_string).collect();
        assert_eq!(customers, [ALICE], "{name}");
        assert_eq!(grants.permissions.into_iter().collect::<Vec<_>>(), [Permission::ReadAll], "{name}");
    }
}

#[tokio::test]
async fn a_client_is_an_audience_in_access_tokens_alone() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signer = Signer::ec("key");
    publish(&issuer, &[&signer], 1).await;
    let cognito = Settings { audience: "ballast", client_id_audience: Some("client"), claims: "" };
    let authenticator = authenticator(&app, &issuer, &cognito);
    let base = json!({"sub": "s", "iss": ISSUER, "exp": 4_102_444_800_u64});
    for (more, is_accepted) in [
        (json!({"client_id": "client", "token_use": "access"}), true),
        (json!({"aud": "ballast"}), true),
        (json!({"client_id": "client", "token_use": "id"}), false),
        (json!({"client_id": "client"}), false),
        (json!({"client_id": "other", "token_use": "access"}), false),
        (json!({"client_id": "client", "token_use": "access", "aud": "other"}), false),
        (json!({"client_id": ["client"], "token_use": "access"}), false),
        (json!({"client_id": "client", "token_use": "access", "customer_ids": ALICE}), false),
    ] {
        let token = token(&signer, &json!({"alg": "ES256", "kid": "key"}), &with(base.clone(), more.clone()));
        assert_eq!(grants(&authenticator, &token).await.is_ok(), is_accepted, "{more}");
    }
}

#[tokio::test]
async fn keys_that_share_an_id_are_each_tried_by_their_algorithm() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signers =
        [Signer::rsa("one"), Signer::ec("one"), Signer::rsa("one"), Signer::ed("one"), Signer::ec("one")];
    publish(&issuer, &signers.iter().collect::<Vec<_>>(), 1).await;
    let keys = SigningKeys::JwksUrl(format!("{}/jwks.json", issuer.uri()));
    let authenticator = Authenticator::new(&config(&app, keys), app.stack.store());
    let claims = json!({"sub": "s", "iss": ISSUER, "aud": "ballast", "exp": 4_102_444_800_u64});
    for signer in &signers {
        let algorithm = format!("{:?}", signer.algorithm);
        let token = token(signer, &json!({"alg": algorithm, "kid": "one"}), &claims);
        assert_eq!(authenticate(&authenticator, &token, later(0)).await, Ok(()), "{algorithm}");
    }
    // RFC 9864's name of the same algorithm.
    let ed = token(&signers[3], &json!({"alg": "Ed25519", "kid": "one"}), &claims);
    assert_eq!(authenticate(&authenticator, &ed, later(0)).await, Ok(()));
    let confused = token(&signers[3], &json!({"alg": "ES256", "kid": "one"}), &claims);
    assert!(authenticate(&authenticator, &confused, later(0)).await.is_err());
}

#[tokio::test]
async fn an_empty_key_set_does_not_take_the_place_of_a_good_one() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signer = Signer::ec("key");
    publish(&issuer, &[&signer], 1).await;
    let settings = Settings { audience: "ballast", client_id_audience: None, claims: "" };
    let authenticator = authenticator(&app, &issuer, &settings);
    let claims = json!({"sub": "s", "iss": ISSUER, "aud": "ballast", "exp": 4_102_444_800_u64});
    let token = token(&signer, &json!({"alg": "ES256", "kid": "key"}), &claims);
    assert_eq!(authenticate(&authenticator, &token, later(0)).await, Ok(()));
    for document in [json!({"keys": []}), json!({"keys": [{"kty": "oct", "kid": "key", "k": "AAAA"}]})] {
        issuer.reset().await;
        let answer = ResponseTemplate::new(200).set_body_json(document);
        Mock::given(method("GET")).respond_with(answer).mount(&issuer).await;
        // Within a day the last good set stands; after it nobody can be recognised.
        assert_eq!(authenticate(&authenticator, &token, later(60)).await, Ok(()));
        let next_day =
            authenticate(&authenticator, &token, later(60).plus(jiff::SignedDuration::from_hours(24))).await;
        assert!(matches!(next_day, Err(AuthError::KeysUnavailable(_))), "{next_day:?}");
    }
}

#[tokio::test]
async fn a_shared_secret_may_end_with_a_newline() {
    let app = App::start(json!({})).await;
    let secret = "0123456789abcdef0123456789abcdef";
    let signer =
        Signer { key: EncodingKey::from_secret(secret.as_bytes()), algorithm: Algorithm::HS256, kid: "" };
    let claims = json!({"sub": "s", "iss": ISSUER, "aud": "ballast", "exp": 4_102_444_800_u64});
    let token = token(&signer, &json!({"alg": "HS256"}), &claims);
    for (stored, is_accepted) in [
        (secret.to_owned(), true),
        (format!("{secret}\n"), true),
        (format!("{secret}\n\n"), false),
        (format!("{} \n", &secret[..30]), false),
    ] {
        let keys = SigningKeys::Hs256Secret(SecretSource::Text(stored.clone().into()));
        let authenticator = Authenticator::new(&config(&app, keys), app.stack.store());
        assert_eq!(authenticate(&authenticator, &token, later(0)).await.is_ok(), is_accepted, "{stored:?}");
    }
}
