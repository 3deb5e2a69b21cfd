//! A token issuer for the local stack, with a key made at its start.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value};
use shared::domain::Timestamp;
use thiserror::Error;
use uuid::Uuid;

/// The `iss` of local tokens.
pub const ISSUER: &str = "https://local.ballast.invalid/";
/// The `aud` of local tokens.
pub const AUDIENCE: &str = "ballast";
/// Tokens last for a day of trying things out.
const LIFETIME_SECONDS: i64 = 24 * 3600;

/// The key could not be made or used.
#[derive(Debug, Error)]
#[error("the local signing key failed: {0}")]
pub struct IssuerError(String);

impl From<serde_json::Error> for IssuerError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Signs tokens and publishes its key.
#[derive(Clone)]
pub struct Issuer {
    key: EncodingKey,
    kid: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer with a new P-256 key.
    pub fn new() -> Result<Self, IssuerError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|error| IssuerError(error.to_string()))?;
        Ok(Self { key: EncodingKey::from_ec_der(pkcs8.as_ref()), kid: Uuid::new_v4().to_string() })
    }

    /// The published key set.
    pub fn jwks(&self) -> Result<JwkSet, IssuerError> {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256)
            .map_err(|error| IssuerError(error.to_string()))?;
        jwk.common.key_id = Some(self.kid.clone());
        Ok(JwkSet { keys: vec![jwk] })
    }

    /// Signs `claims`, with `iss`, `aud`, `exp` and `nbf` filled in unless given, under a header into which
    /// `header` is merged.
    pub fn sign(
        &self,
        claims: Map<String, Value>,
        header: Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, IssuerError> {
        let now = now.unix_seconds();
        let standard = [
            ("iss", Value::from(ISSUER)),
            ("aud", AUDIENCE.into()),
            ("nbf", now.into()),
            ("exp", (now + LIFETIME_SECONDS).into()),
        ];
        let key = [("alg", Value::from("ES256")), ("typ", "JWT".into()), ("kid", self.kid.as_str().into())];
        let message = format!("{}.{}", part(key, header), part(standard, claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256)
            .map_err(|error| IssuerError(error.to_string()))?;
        Ok(format!("{message}.{signature}"))
    }
}

/// One part of the token: the fields that are filled in, and over them those that were given.
fn part<const N: usize>(filled_in: [(&str, Value); N], given: Map<String, Value>) -> String {
    let mut fields: Map<_, _> = filled_in.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    fields.extend(given);
    URL_SAFE_NO_PAD.encode(Value::Object(fields).to_string())
}
