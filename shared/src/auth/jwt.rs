//! JSON Web Tokens: the signature by a key we chose, the standard claims, and Ballast's own.
//!
//! The header is never trusted to say where a key is to be found, and its algorithm must be the one the key
//! is for.

use super::claims::GrantClaims;
use super::jwks::Jwks;
use super::key::VerificationKey;
use super::{AuthError, Caller, sha256_hex};
use crate::config::{AuthConfig, Config, MIN_SECRET_BYTES, SigningKeys};
use crate::domain::Timestamp;
use crate::secret::Secret;
use crate::store::Store;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Number;

/// How far the issuer's clock may be off; the contract allows up to 30 s.
const LEEWAY_SECONDS: i64 = 10;
/// Header fields that bring their own key or demand an extension: always refused.
const REFUSED_HEADERS: [&str; 6] = ["crit", "jwk", "jku", "x5u", "x5c", "b64"];

#[derive(Debug)]
enum Keys {
    Shared(Secret),
    Published(Jwks),
}

#[derive(Debug)]
pub(super) struct Verifier {
    keys: Keys,
    validation: Validation,
}

impl Verifier {
    pub(super) fn new(config: &Config, store: Store) -> Self {
        let AuthConfig { issuer, audience, keys } = &config.auth;
        let keys = match keys {
            SigningKeys::JwksUrl(url) => Keys::Published(Jwks::new(url.clone(), store)),
            SigningKeys::Hs256Secret(secret) => Keys::Shared(Secret::new(secret.clone(), &config.store)),
        };
        // The library would read the machine's clock: `exp` and `nbf` are checked here, by the request's.
        let mut validation = Validation { validate_exp: false, ..Validation::default() };
        validation.set_required_spec_claims(&["sub", "iss", "aud", "exp"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        Self { keys, validation }
    }

    pub(super) async fn warm(&self, now: Timestamp) -> Result<(), AuthError> {
        match &self.keys {
            Keys::Shared(secret) => shared_key(secret, now).await.map(drop),
            Keys::Published(jwks) => jwks.warm(now).await,
        }
    }

    pub(super) async fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, AuthError> {
        let header = Header::read(token)?;
        let verification_key = match &self.keys {
            Keys::Shared(secret) => shared_key(secret, now).await?,
            Keys::Published(jwks) => {
                let kid = header.kid.ok_or(AuthError::Refused("the token names no key"))?;
                jwks.key(&kid, now)
                    .await?
                    .ok_or(AuthError::Refused("the token is signed by an unknown key"))?
            }
        };
        let validation =
            Validation { algorithms: vec![verification_key.algorithm], ..self.validation.clone() };
        let token = jsonwebtoken::decode::<Claims>(token, &verification_key.key, &validation)
            .map_err(|error| refusal(&error))?;
        token.claims.check_times(now)?;
        token.claims.into_caller()
    }
}

async fn shared_key(secret: &Secret, now: Timestamp) -> Result<VerificationKey, AuthError> {
    let text = secret.text(now).await.map_err(|error| AuthError::KeysUnavailable(error.to_string()))?;
    match text.expose_secret() {
        text if text.len() >= MIN_SECRET_BYTES => Ok(VerificationKey::from_secret(text)),
        _ => Err(AuthError::KeysUnavailable(format!(
            "the shared secret is shorter than {MIN_SECRET_BYTES} bytes"
        ))),
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    AuthError::Refused(match error.kind() {
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidSignature => "the token's signature does not match",
        ErrorKind::InvalidAlgorithm => "the token's algorithm is not the key's",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks a required claim",
        ErrorKind::Json(_) => "a claim of the token has the wrong type",
        _ => "the token is malformed",
    })
}

/// The JOSE header, read apart from the library, which ignores what it does not know.
struct Header {
    kid: Option<String>,
}

impl Header {
    fn read(token: &str) -> Result<Self, AuthError> {
        const MALFORMED: AuthError = AuthError::Refused("the token's header is malformed");
        let encoded = token.split('.').next().unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| MALFORMED)?;
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|_| MALFORMED)?;
        if REFUSED_HEADERS.iter().any(|name| fields.contains_key(*name)) {
            return Err(AuthError::Refused("the token's header has a field that is never accepted"));
        }
        match fields.get("kid") {
            None => Ok(Self { kid: None }),
            Some(kid) => kid.as_str().map(|kid| Self { kid: Some(kid.to_owned()) }).ok_or(MALFORMED),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    exp: Number,
    nbf: Option<Number>,
    #[serde(flatten)]
    grants: GrantClaims,
}

impl Claims {
    fn check_times(&self, now: Timestamp) -> Result<(), AuthError> {
        const MALFORMED: AuthError = AuthError::Refused("a claim of the token has the wrong type");
        let now = now.unix_seconds();
        let (exp, nbf) = (seconds(&self.exp), self.nbf.as_ref().map(seconds));
        if exp.ok_or(MALFORMED)? < now - LEEWAY_SECONDS {
            return Err(AuthError::Refused("the token has expired"));
        }
        match nbf {
            Some(None) => Err(MALFORMED),
            Some(Some(nbf)) if nbf > now + LEEWAY_SECONDS => {
                Err(AuthError::Refused("the token is not valid yet"))
            }
            _ => Ok(()),
        }
    }

    fn into_caller(self) -> Result<Caller, AuthError> {
        let Self { sub, iss, grants, exp: _, nbf: _ } = self;
        if sub.is_empty() {
            return Err(AuthError::Refused("the token's subject is empty"));
        }
        let grants = grants
            .grants()
            .map_err(|_| AuthError::Refused("the token's claims are no lists of ids, or too long"))?;
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        Ok(Caller { id: sha256_hex(&format!("{}:{iss}{sub}", iss.len())), grants })
    }
}

/// Whole seconds of a `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn seconds(date: &Number) -> Option<i64> {
    let text = date.to_string();
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    whole.parse().ok()
}
