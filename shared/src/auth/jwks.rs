//! The issuer's published keys, cached in memory and in the store, and refreshed in a way that junk tokens cannot drive.
//!
//! A request that names an unknown key leads to at most one read of the stored set per instance and cooldown, and, once there
//! is a set, to at most one request to the issuer per minute over all instances. Requests that wait for a refresh, and those
//! within its cooldown, share its outcome.

use super::AuthError;
use super::jwt::VerificationKey;
use crate::config::is_loopback;
use crate::domain::Timestamp;
use crate::store::{Store, StoredJwks};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// A set this old is fetched again, so that a key the issuer withdrew stops working.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A set this old is not believed, even if the issuer cannot be reached.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// After a look at the store and the issuer, this instance does not look again for an unknown key.
const COOLDOWN: SignedDuration = SignedDuration::from_secs(5);
/// The issuer answers within this or counts as unavailable.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest set that is read.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// RSA keys below this are not accepted.
const MIN_RSA_BITS: usize = 2048;

#[derive(Debug)]
pub(super) struct Jwks {
    url: String,
    store: Store,
    current: RwLock<Option<Arc<KeySet>>>,
    /// Held by the one request that refreshes; says when that last was and how it ended.
    refresh: tokio::sync::Mutex<Option<(Timestamp, Result<(), AuthError>)>>,
}

#[derive(Debug)]
struct KeySet {
    keys: HashMap<String, VerificationKey>,
    fetched_at: Timestamp,
}

impl Jwks {
    pub(super) fn new(url: String, store: Store) -> Self {
        Self { url, store, current: RwLock::default(), refresh: tokio::sync::Mutex::default() }
    }

    /// Reads the stored set.
    pub(super) async fn warm(&self) -> Result<(), AuthError> {
        if let Some(stored) = self.store.jwks().await? {
            self.install(&stored)?;
        }
        Ok(())
    }

    /// The key of that id, after a refresh if it is not known or the set is old.
    pub(super) async fn key(&self, kid: &str, now: Timestamp) -> Result<Option<VerificationKey>, AuthError> {
        if let Some(key) = self.find(kid, now, REFRESH_AFTER) {
            return Ok(Some(key));
        }
        let mut last = self.refresh.lock().await;
        // Another request may have refreshed while this one waited for its turn.
        if let Some(key) = self.find(kid, now, REFRESH_AFTER) {
            return Ok(Some(key));
        }
        let outcome = match last.take().filter(|(at, _)| at.age_at(now) < COOLDOWN) {
            Some(recent) => last.insert(recent),
            None => last.insert((now, self.refresh(kid, now).await)),
        };
        // An old set serves on for a day while the issuer is down; without one nobody can be recognised.
        match &outcome.1 {
            Err(error) if !self.has_set(now, MAX_AGE) => Err(error.clone()),
            _ => Ok(self.find(kid, now, MAX_AGE)),
        }
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_set(&self, now: Timestamp, max_age: SignedDuration) -> bool {
        self.current().is_some_and(|current| current.fetched_at.age_at(now) < max_age)
    }

    fn find(&self, kid: &str, now: Timestamp, max_age: SignedDuration) -> Option<VerificationKey> {
        let current = self.current().filter(|current| current.fetched_at.age_at(now) < max_age)?;
        current.keys.get(kid).cloned()
    }

    async fn refresh(&self, kid: &str, now: Timestamp) -> Result<(), AuthError> {
        if let Err(cause) = self.warm().await {
            tracing::warn!(%cause, "the stored key set could not be used; asking the issuer");
        }
        // Before the first fetch ever there is nothing to fall back on, and waiting for another instance's would refuse callers.
        let is_first = !self.has_set(now, MAX_AGE);
        if self.find(kid, now, REFRESH_AFTER).is_some() || !(self.store.claim_jwks_refresh(now).await? || is_first) {
            return Ok(());
        }
        let document = fetch(&self.url).await.map_err(|cause| {
            tracing::warn!(cause, "the issuer's keys could not be fetched");
            AuthError::KeysUnavailable(cause)
        })?;
        let fetched = StoredJwks { document, fetched_at: now };
        self.install(&fetched)?;
        Ok(self.store.put_jwks(&fetched).await?)
    }

    /// Takes the set unless a newer one is here already, which may not have reached the store.
    fn install(&self, stored: &StoredJwks) -> Result<(), AuthError> {
        let keys = parse(&stored.document).map_err(|error| AuthError::KeysUnavailable(error.to_string()))?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|current| current.fetched_at <= stored.fetched_at) {
            *current = Some(Arc::new(KeySet { keys, fetched_at: stored.fetched_at }));
        }
        Ok(())
    }
}

async fn fetch(url: &str) -> Result<String, String> {
    let without_url = |error: reqwest::Error| error.without_url().to_string();
    // Built here, because it is rarely needed and costs milliseconds of a cold start.
    let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    // This machine is never reached through a proxy.
    let client = if is_loopback(url) { client.no_proxy() } else { client };
    let request = client.build().map_err(without_url)?.get(url);
    let mut response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(without_url)?;
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(without_url)? {
        document.extend_from_slice(&chunk);
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(format!("the key set is larger than {MAX_DOCUMENT_BYTES} bytes"));
        }
    }
    let document = String::from_utf8(document).map_err(|error| error.to_string())?;
    parse(&document).map(|_| document).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The usable keys of a set by their ids. Keys of other kinds are passed over: issuers publish them side by side.
fn parse(document: &str) -> Result<HashMap<String, VerificationKey>, serde_json::Error> {
    let Document { keys } = serde_json::from_str(document)?;
    let usable = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(usable.filter_map(|key| Some((key.common.key_id.clone()?, verification_key(&key)?))).collect())
}

fn verification_key(jwk: &Jwk) -> Option<VerificationKey> {
    let (algorithm, declared) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa_bits(&rsa.n) >= MIN_RSA_BITS => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => (Algorithm::ES256, KeyAlgorithm::ES256),
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => (Algorithm::EdDSA, KeyAlgorithm::EdDSA),
        _ => return None,
    };
    let common = &jwk.common;
    let is_for_this = common.key_algorithm.is_none_or(|algorithm| algorithm == declared)
        && common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let key = is_for_this.then(|| DecodingKey::from_jwk(jwk).ok())??;
    Some(VerificationKey { key, algorithm })
}

fn rsa_bits(modulus: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    let leading_zeros = significant.clone().next().map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or_default());
    significant.count() * 8 - leading_zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strong_signing_keys_of_a_known_kind_are_used() {
        let rsa = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff_u8; bytes]);
        let point = URL_SAFE_NO_PAD.encode([7_u8; 32]);
        let (strong, weak) = (rsa(256), rsa(255));
        let rows = [
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB"}}"#), Some(Algorithm::RS256)),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","alg":"RS256","use":"sig"}}"#), Some(Algorithm::RS256)),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{weak}","e":"AQAB"}}"#), None),
            (format!(r#"{{"kty":"RSA","n":"{strong}","e":"AQAB"}}"#), None),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","alg":"RS512"}}"#), None),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","use":"enc"}}"#), None),
            (format!(r#"{{"kty":"EC","kid":"k","crv":"P-256","x":"{point}","y":"{point}"}}"#), Some(Algorithm::ES256)),
            (format!(r#"{{"kty":"EC","kid":"k","crv":"P-384","x":"{point}","y":"{point}"}}"#), None),
            (format!(r#"{{"kty":"OKP","kid":"k","crv":"Ed25519","x":"{point}"}}"#), Some(Algorithm::EdDSA)),
            (format!(r#"{{"kty":"oct","kid":"k","k":"{point}"}}"#), None),
            (r#"{"kty":"from-the-future","kid":"k"}"#.to_owned(), None),
        ];
        for (key, expected) in rows {
            let found = parse(&format!(r#"{{"keys":[{key}]}}"#)).unwrap().remove("k").map(|key| key.algorithm);
            assert_eq!(found, expected, "{key}");
        }
        assert!(parse("{}").is_err());
    }
}
