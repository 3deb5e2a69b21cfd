//! Signing keys over time: rotation, refresh that junk cannot drive, an issuer that is down; and API keys
//! that are revoked.

use crate::harness::{ALICE, App};
use crate::store_proxy::{Passage, StoreProxy};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use futures::future::join_all;
use jiff::SignedDuration;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use shared::auth::{AuthError, Authenticator, Headers, sha256_hex};
use shared::config::{AuthConfig, Config, SecretSource, SigningKeys};
use shared::domain::{Grants, Timestamp};
use shared::store::{ApiKey, Store, StoredJwks};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub const ISSUER: &str = "https://issuer.example/";

pub struct Signer {
    pub key: EncodingKey,
    pub algorithm: Algorithm,
    pub kid: &'static str,
}

impl Signer {
    pub fn ec(kid: &'static str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { key: EncodingKey::from_ec_der(pkcs8.as_ref()), algorithm: Algorithm::ES256, kid }
    }

    pub fn ed(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        Self { key: EncodingKey::from_ed_der(pkcs8.as_ref()), algorithm: Algorithm::EdDSA, kid }
    }

    pub fn rsa(kid: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        Self {
            key: EncodingKey::from_rsa_der(&rsa_private_key(pkcs8.as_ref())),
            algorithm: Algorithm::RS256,
            kid,
        }
    }

    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::from_str(&serde_json::to_string(&jwk).unwrap()).unwrap()
    }

    fn token(&self) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        encode(&header, &claims(), &self.key).unwrap()
    }
}

/// The PKCS#1 key inside a PKCS#8 document: the content of its only octet string.
fn rsa_private_key(pkcs8: &[u8]) -> Vec<u8> {
    let start = (0..pkcs8.len())
        .find(|&at| pkcs8[at] == 0x04 && pkcs8[at + 1] == 0x82 && pkcs8[at + 4] == 0x30)
        .unwrap();
    pkcs8[start + 4..].to_vec()
}

fn claims() -> Value {
    json!({"sub": "s", "iss": ISSUER, "aud": "ballast", "exp": 4_102_444_800_u64, "customer_ids": [ALICE]})
}

/// An issuer that publishes these keys, and how often it may be asked.
pub async fn publish(issuer: &MockServer, signers: &[&Signer], requests: u64) {
    issuer.reset().await;
    let document = json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()});
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(document))
        .expect(requests)
        .mount(issuer)
        .await;
}

pub fn authenticator(app: &App, issuer: &MockServer) -> Authenticator {
    let keys = SigningKeys::JwksUrl(format!("{}/jwks.json", issuer.uri()));
    Authenticator::new(&config(app, keys), app.stack.store())
}

/// The stack's configuration, with other keys.
pub fn config(app: &App, keys: SigningKeys) -> Config {
    let auth = AuthConfig::new(ISSUER.to_owned(), "ballast".to_owned(), keys);
    Config { auth, ..app.stack.config().clone() }
}

async fn accepts(authenticator: &Authenticator, token: &str, now: Timestamp) -> bool {
    authenticate(authenticator, token, now).await.is_ok()
}

pub async fn authenticate(
    authenticator: &Authenticator,
    token: &str,
    now: Timestamp,
) -> Result<(), AuthError> {
    let authorization = format!("Bearer {token}");
    authenticator
        .authenticate(Headers { authorization: Some(&authorization), ..Headers::default() }, now)
        .await
        .map(|_| ())
}

/// So far from the stack's own start that its refresh of a moment ago is over.
pub fn later(minutes: u32) -> Timestamp {
    Timestamp::parse(&format!("2027-01-01T{:02}:{:02}:00Z", minutes / 60, minutes % 60)).unwrap()
}

#[tokio::test]
async fn the_three_algorithms_are_accepted_by_the_key_they_are_for() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signers = [Signer::ec("ec"), Signer::ed("ed"), Signer::rsa("rsa")];
    publish(&issuer, &signers.iter().collect::<Vec<_>>(), 1).await;
    let authenticator = authenticator(&app, &issuer);
    for signer in &signers {
        assert_eq!(authenticate(&authenticator, &signer.token(), later(0)).await, Ok(()), "{}", signer.kid);
    }
    // The right kid over another key's signature.
    let forged = Signer { kid: "ed", ..Signer::ed("other") };
    assert!(!accepts(&authenticator, &forged.token(), later(0)).await);
    let confused = Signer { kid: "rsa", ..Signer::ec("other") };
    assert!(!accepts(&authenticator, &confused.token(), later(0)).await);
}

#[tokio::test]
async fn fifty_requests_with_an_unknown_key_ask_the_issuer_once() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signer = Signer::ec("first");
    publish(&issuer, &[&signer], 1).await;
    let authenticator = authenticator(&app, &issuer);
    let token = signer.token();
    let accepted = join_all((0..50).map(|_| accepts(&authenticator, &token, later(0)))).await;
    assert!(accepted.into_iter().all(|accepted| accepted));
}

#[tokio::test]
async fn junk_tokens_on_many_instances_ask_the_issuer_once_a_minute() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let (signer, junk) = (Signer::ec("first"), Signer::ec("junk"));
    publish(&issuer, &[&signer], 1).await;
    let warm = authenticator(&app, &issuer);
    assert!(accepts(&warm, &signer.token(), later(0)).await);
    publish(&issuer, &[&signer], 0).await;
    for _ in 0..5 {
        let instance = authenticator(&app, &issuer);
        instance.warm(later(0)).await.unwrap();
        assert!(!accepts(&instance, &junk.token(), later(0)).await);
        assert!(accepts(&instance, &signer.token(), later(0)).await);
    }
    issuer.verify().await;
    publish(&issuer, &[&signer], 1).await;
    for _ in 0..5 {
        assert!(!accepts(&authenticator(&app, &issuer), &junk.token(), later(2)).await);
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_withdrawn_one_ends() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    publish(&issuer, &[&old], 1).await;
    let authenticator = authenticator(&app, &issuer);
    assert!(accepts(&authenticator, &old.token(), later(0)).await);
    publish(&issuer, &[&old, &new], 1).await;
    assert!(accepts(&authenticator, &new.token(), later(2)).await);
    publish(&issuer, &[&new], 1).await;
    assert!(accepts(&authenticator, &old.token(), later(4)).await, "the set is still fresh");
    assert!(!accepts(&authenticator, &old.token(), later(20)).await);
    assert!(accepts(&authenticator, &new.token(), later(20)).await);
}

#[tokio::test]
async fn keys_fetched_by_a_clock_that_ran_a_day_ahead_are_fetched_again() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let authenticator = authenticator(&app, &issuer);
    publish(&issuer, &[&old], 1).await;
    assert!(accepts(&authenticator, &old.token(), later(24 * 60 - 1)).await);
    publish(&issuer, &[&new], 1).await;
    assert!(accepts(&authenticator, &new.token(), later(0)).await);
    assert!(!accepts(&authenticator, &old.token(), later(0)).await);
}

#[tokio::test]
async fn a_claim_to_refresh_whose_answer_is_lost_is_still_the_claimants() {
    let app = App::start(json!({})).await;
    let lost = std::sync::atomic::AtomicU32::new(0);
    let (_, config) = StoreProxy::start(&app, move |_| {
        let is_first = lost.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if is_first { Passage::AnswerLost } else { Passage::Answered }
    })
    .await;
    let store = Store::new(&config, app.stack.clock().clone());
    assert_eq!(store.claim_jwks_refresh(later(0)).await, Ok(true));
    assert_eq!(store.claim_jwks_refresh(later(0)).await, Ok(false), "another claim is too soon");
}

#[tokio::test]
async fn an_issuer_that_is_down_stops_nobody_for_a_day() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signer = Signer::ec("first");
    publish(&issuer, &[&signer], 1).await;
    let authenticator = authenticator(&app, &issuer);
    assert!(accepts(&authenticator, &signer.token(), later(0)).await);
    for answer in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(200).set_body_string("x".repeat(300_000)),
    ] {
        issuer.reset().await;
        Mock::given(method("GET")).respond_with(answer).mount(&issuer).await;
        assert!(accepts(&authenticator, &signer.token(), later(30)).await);
    }
    let next_day = Timestamp::parse("2027-01-02T00:00:01Z").unwrap();
    assert!(matches!(
        authenticate(&authenticator, &signer.token(), next_day).await,
        Err(AuthError::KeysUnavailable(_))
    ));
}

/// An empty access table: the stack puts its own keys there at its start.
async fn forget_stored_keys(app: &App) {
    let key = aws_sdk_dynamodb::types::AttributeValue::S("jwks".to_owned());
    app.stack.store().client().delete_item().table_name("AccessTable").key("key", key).send().await.unwrap();
}

#[tokio::test]
async fn without_any_key_nobody_is_told_that_their_token_is_bad() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    forget_stored_keys(&app).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(500)).expect(1).mount(&issuer).await;
    let authenticator = authenticator(&app, &issuer);
    let token = Signer::ec("first").token();
    // Those who wait for the one request to the issuer, and those who come just after it, learn the same.
    for answer in join_all((0..8).map(|_| authenticate(&authenticator, &token, later(0)))).await {
        assert!(matches!(answer, Err(AuthError::KeysUnavailable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn while_the_issuer_is_down_an_unknown_key_may_be_a_new_one() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let signer = Signer::ec("first");
    publish(&issuer, &[&signer], 1).await;
    let authenticator = authenticator(&app, &issuer);
    assert!(accepts(&authenticator, &signer.token(), later(0)).await);
    issuer.reset().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(500)).mount(&issuer).await;
    let answer = authenticate(&authenticator, &Signer::ec("rotated").token(), later(2)).await;
    assert!(matches!(answer, Err(AuthError::KeysUnavailable(_))), "{answer:?}");
    assert!(accepts(&authenticator, &signer.token(), later(2)).await, "the last good set stands");
}

#[tokio::test]
async fn a_stored_set_that_is_corrupt_or_older_than_ours_is_passed_over() {
    let (app, issuer) = (App::start(json!({})).await, MockServer::start().await);
    let store = app.stack.store();
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    store.put_jwks(&StoredJwks { document: "not JSON".to_owned(), fetched_at: later(0) }).await.unwrap();
    publish(&issuer, &[&new], 1).await;
    let authenticator = authenticator(&app, &issuer);
    assert!(accepts(&authenticator, &new.token(), later(2)).await);
    let stale = json!({"keys": [old.jwk()]}).to_string();
    store.put_jwks(&StoredJwks { document: stale, fetched_at: later(1) }).await.unwrap();
    authenticator.warm(later(2)).await.unwrap();
    assert!(accepts(&authenticator, &new.token(), later(2)).await);
}

fn sign(algorithm: Algorithm, secret: &str) -> String {
    encode(&Header::new(algorithm), &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// An authenticator whose shared secret is in Secrets Manager.
fn by_arn(app: &App, secrets: &MockServer) -> Authenticator {
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tokens";
    let mut config = config(app, SigningKeys::Hs256Secret(SecretSource::Arn(arn.to_owned())));
    config.store.secrets_endpoint_url = Some(secrets.uri());
    Authenticator::new(&config, app.stack.store())
}

/// What Secrets Manager says from now on, and how often it is asked.
async fn keep(secrets: &MockServer, secret: Option<&str>, requests: u64) {
    secrets.verify().await;
    secrets.reset().await;
    let answer = match secret {
        Some(secret) => {
            ResponseTemplate::new(200).set_body_json(json!({"Name": "tokens", "SecretString": secret}))
        }
        None => ResponseTemplate::new(400).set_body_json(json!({"__type": "AccessDeniedException"})),
    };
    let asked = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    asked.respond_with(answer).expect(requests).mount(secrets).await;
}

#[tokio::test]
async fn a_shared_secret_is_read_where_it_is_kept_and_rotates() {
    let (app, secrets) = (App::start(json!({})).await, MockServer::start().await);
    let (old, new) = ("an old secret of thirty-two bytes.", "a new secret of thirty-two bytes..");
    let authenticator = by_arn(&app, &secrets);
    keep(&secrets, Some(old), 1).await;
    authenticator.warm(later(0)).await.unwrap();
    assert!(accepts(&authenticator, &sign(Algorithm::HS256, old), later(0)).await);
    assert!(accepts(&authenticator, &sign(Algorithm::HS256, old), later(14)).await);
    keep(&secrets, Some(new), 1).await;
    assert!(accepts(&authenticator, &sign(Algorithm::HS256, new), later(15)).await);
    assert!(!accepts(&authenticator, &sign(Algorithm::HS256, old), later(15)).await);
    // Out of reach, it serves on for a day and is asked for once a minute.
    keep(&secrets, None, 2).await;
    for minute in [30, 30, 31] {
        assert!(accepts(&authenticator, &sign(Algorithm::HS256, new), later(minute)).await, "{minute}");
    }
    keep(&secrets, None, 1).await;
    let refused = authenticate(
        &authenticator,
        &sign(Algorithm::HS256, new),
        later(15).plus(SignedDuration::from_hours(24)),
    )
    .await;
    assert_eq!(
        refused,
        Err(AuthError::KeysUnavailable("the secret cannot be read: AccessDeniedException".to_owned()))
    );
}

#[tokio::test]
async fn a_shared_secret_that_is_too_short_signs_nothing() {
    let (app, secrets) = (App::start(json!({})).await, MockServer::start().await);
    let weak = "a secret of thirty-one bytes...";
    keep(&secrets, Some(weak), 1).await;
    let refused = authenticate(&by_arn(&app, &secrets), &sign(Algorithm::HS256, weak), later(0)).await;
    let cause = "the shared secret is shorter than 32 bytes";
    assert_eq!(refused, Err(AuthError::KeysUnavailable(cause.to_owned())));
}

#[tokio::test]
async fn a_shared_secret_signs_for_a_deployment_that_has_one() {
    let app = App::start(json!({})).await;
    let secret = "0123456789abcdef0123456789abcdef";
    let keys = SigningKeys::Hs256Secret(SecretSource::Text(secret.into()));
    let authenticator = Authenticator::new(&config(&app, keys), app.stack.store());
    assert!(accepts(&authenticator, &sign(Algorithm::HS256, secret), later(0)).await);
    assert!(!accepts(&authenticator, &sign(Algorithm::HS512, secret), later(0)).await);
    assert!(
        !accepts(&authenticator, &sign(Algorithm::HS256, "another secret of thirty-two bytes"), later(0))
            .await
    );
    assert!(!accepts(&authenticator, &Signer::ec("ec").token(), later(0)).await);
}

#[tokio::test]
async fn a_revoked_api_key_stops_within_a_minute_and_a_new_one_works_soon() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let authenticator = Authenticator::new(app.stack.config(), store.clone());
    let key = format!("bk_{}", "k".repeat(43));
    let at = |seconds: u32| {
        Timestamp::parse(&format!("2027-01-01T00:{:02}:{:02}Z", seconds / 60, seconds % 60)).unwrap()
    };
    let ask = async |now| {
        authenticator.authenticate(Headers { api_key: Some(&key), ..Headers::default() }, now).await
    };
    assert_eq!(ask(at(0)).await.unwrap_err(), AuthError::Refused("the API key is unknown"));
    let stored = ApiKey {
        sha256: sha256_hex(&key),
        subject: "robot".to_owned(),
        grants: Grants::default(),
        expires_at: None,
        revoked_at: None,
    };
    store.put_api_key(&stored).await.unwrap();
    assert_eq!(
        ask(at(1)).await.unwrap_err(),
        AuthError::Refused("the API key is unknown"),
        "remembered briefly"
    );
    assert!(ask(at(6)).await.is_ok());
    store.put_api_key(&ApiKey { revoked_at: Some(at(7)), ..stored }).await.unwrap();
    assert!(ask(at(8)).await.is_ok(), "remembered");
    assert_eq!(ask(at(60)).await.unwrap_err(), AuthError::Refused("the API key is revoked"));
}
