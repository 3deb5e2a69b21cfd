//! The signature of one request: a JWT over its path, query and (empty) body.

use crate::custody::ProviderError;
use crate::domain::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// The vendor's documents say less than 30 s.
const LIFETIME_SECONDS: i64 = 29;
/// Hex SHA-256 of nothing: reads have no body.
const EMPTY_BODY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The secret's text: `{"api_key": "…", "private_key": "…"}`, the key in PEM, or only what stands between
/// PEM's lines.
#[derive(Deserialize)]
struct Document {
    api_key: String,
    private_key: SecretString,
}

/// An API user's name and key.
pub(super) struct Credentials {
    api_key: String,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    uri: &'a str,
    nonce: String,
    iat: i64,
    exp: i64,
    sub: &'a str,
    #[serde(rename = "bodyHash")]
    body_hash: &'a str,
}

impl Credentials {
    pub(super) fn parse(secret: &SecretString) -> Result<Self, ProviderError> {
        let unusable = |what: &str| ProviderError::Credentials(format!("the secret is not usable: {what}"));
        let Document { api_key, private_key } = serde_json::from_str(secret.expose_secret())
            .map_err(|_| unusable("no JSON of an api_key and a private_key"))?;
        let key = EncodingKey::from_rsa_pem(pem(private_key.expose_secret()).as_bytes())
            .map_err(|_| unusable("no RSA key in PEM"))?;
        Ok(Self { api_key, key })
    }

    pub(super) fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The token for a GET of `uri`, path and query as they are sent.
    pub(super) fn sign(&self, uri: &str, now: Timestamp) -> Result<String, ProviderError> {
        let iat = now.unix_seconds();
        let claims = Claims {
            uri,
            nonce: Uuid::new_v4().to_string(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            sub: &self.api_key,
            body_hash: EMPTY_BODY_HASH,
        };
        let failed = |_| ProviderError::Credentials("the request could not be signed".to_owned());
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key).map_err(failed)
    }
}

/// PEM's lines around a key that comes without them, as where a secret must be one line.
fn pem(key: &str) -> Cow<'_, str> {
    if key.starts_with("-----") {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"))
    }
}
