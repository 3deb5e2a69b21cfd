//! From a credential to a caller: a Bearer token or an API key, never both.
//!
//! It knows neither routes nor status codes. Why a credential was refused is for the log; the caller is told
//! only that it was.

mod api_key;
mod claims;
mod jwks;
mod jwt;
mod key;
mod verified;

use crate::config::Config;
use crate::domain::{Grants, Timestamp};
use crate::store::{Store, StoreError};
use api_key::ApiKeys;
use jwt::Verifier;
use std::sync::Arc;
use thiserror::Error;

pub use api_key::{PREFIX as API_KEY_PREFIX, is_api_key, new_api_key, sha256_hex};
pub use claims::{ClaimsError, GrantClaims};

/// Longest credential that is looked at; a token with 100 customers is about 6 KB.
const MAX_CREDENTIAL_BYTES: usize = 10_240;

/// Told to the caller too: it says nothing of either credential.
pub const TWO_CREDENTIALS: &str = "two different credentials, in Authorization and in X-Api-Key";

/// Why nobody was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthError {
    /// The credential is missing or no good.
    #[error("{0}")]
    Refused(&'static str),
    /// It could not be checked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer's keys could not be fetched and there are none from the last day.
    #[error("the issuer's keys are unavailable: {0}")]
    KeysUnavailable(String),
}

/// The owner of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Tells callers apart without naming them: a hash of issuer and subject, or of the key.
    pub id: String,
    /// The caller's rights.
    pub grants: Grants,
}

/// The credential headers of one request, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `X-Api-Key`.
    pub api_key: Option<&'a str>,
    /// A credential header came more than once or is not text.
    pub is_ambiguous: bool,
}

/// Checks credentials; cheap to clone, with caches that all clones share.
#[derive(Debug, Clone)]
pub struct Authenticator {
    verifier: Arc<Verifier>,
    api_keys: Arc<ApiKeys>,
}

impl Authenticator {
    /// An authenticator with empty caches.
    #[must_use]
    pub fn new(config: &Config, store: Store) -> Self {
        Self {
            verifier: Arc::new(Verifier::new(config, store.clone())),
            api_keys: Arc::new(ApiKeys::new(store)),
        }
    }

    /// Brings the keys that are stored into memory, so that the first request need not.
    pub async fn warm(&self, now: Timestamp) -> Result<(), AuthError> {
        self.verifier.warm(now).await
    }

    /// Finds out who is calling.
    pub async fn authenticate(&self, headers: Headers<'_>, now: Timestamp) -> Result<Caller, AuthError> {
        match credential(headers)? {
            Credential::Token(token) => self.verifier.verify(token, now).await,
            Credential::ApiKey(key) => self.api_keys.verify(key, now).await,
        }
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, credential) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential)
}

fn of_bearer(credential: &str) -> Credential<'_> {
    if credential.starts_with(API_KEY_PREFIX) {
        Credential::ApiKey(credential)
    } else {
        Credential::Token(credential)
    }
}

enum Credential<'a> {
    Token(&'a str),
    ApiKey(&'a str),
}

fn credential(headers: Headers<'_>) -> Result<Credential<'_>, AuthError> {
    let refused = AuthError::Refused;
    let credential = match headers {
        Headers { is_ambiguous: true, .. } => {
            return Err(refused("a credential header is repeated or not text"));
        }
        // A client may send its one credential in both headers.
        Headers { authorization: Some(value), api_key: Some(key), .. } => match bearer(value) {
            Some(own) if own == key => of_bearer(own),
            _ => return Err(refused(TWO_CREDENTIALS)),
        },
        Headers { authorization: None, api_key: None, .. } => return Err(refused("no credential")),
        Headers { api_key: Some(key), .. } => Credential::ApiKey(key),
        Headers { authorization: Some(value), .. } => match bearer(value) {
            Some(own) => of_bearer(own),
            None => return Err(refused("the Authorization header is not `Bearer` and a credential")),
        },
    };
    let (Credential::Token(text) | Credential::ApiKey(text)) = credential;
    if text.len() > MAX_CREDENTIAL_BYTES {
        Err(refused("the credential is too long"))
    } else {
        Ok(credential)
    }
}
