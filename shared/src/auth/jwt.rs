//! JSON Web Tokens: the signature by a key we chose, the standard claims, and Ballast's own.
//!
//! The header is never trusted to say where a key is to be found, and its algorithm must be the one the key
//! is for. The library verifies signatures. The header and the claims are read here, because issuers differ
//! in them: Cognito's access tokens have no audience, claims have names of the deployment's own, and `EdDSA`
//! has a second name (RFC 9864) that the library does not know.

use super::claims::{GrantClaims, given};
use super::jwks::Jwks;
use super::key::VerificationKey;
use super::verified::VerifiedTokens;
use super::{AuthError, Caller, sha256_hex};
use crate::config::{AuthConfig, Config, MIN_SECRET_BYTES, SigningKeys};
use crate::domain::Timestamp;
use crate::secret::Secret;
use crate::store::Store;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

/// How far the issuer's clock may be off; the contract allows up to 30 s.
const LEEWAY_SECONDS: i64 = 10;
/// Header fields that bring their own key or demand an extension: always refused.
const REFUSED_HEADERS: [&str; 6] = ["crit", "jwk", "jku", "x5u", "x5c", "b64"];
/// Keys that are tried of those that share an id.
const MAX_TRIED_KEYS: usize = 4;

const MALFORMED: AuthError = AuthError::Refused("the token is malformed");
const WRONG_TYPE: AuthError = AuthError::Refused("a claim of the token has the wrong type");

#[derive(Debug)]
enum Keys {
    Shared(Secret),
    Published(Jwks),
}

#[derive(Debug)]
pub(super) struct Verifier {
    keys: Keys,
    config: AuthConfig,
    verified: VerifiedTokens,
}

impl Verifier {
    pub(super) fn new(config: &Config, store: Store) -> Self {
        let keys = match &config.auth.keys {
            SigningKeys::JwksUrl(url) => Keys::Published(Jwks::new(url.clone(), store)),
            SigningKeys::Hs256Secret(secret) => Keys::Shared(Secret::new(secret.clone(), &config.store)),
        };
        Self { keys, config: config.auth.clone(), verified: VerifiedTokens::default() }
    }

    pub(super) async fn warm(&self, now: Timestamp) -> Result<(), AuthError> {
        match &self.keys {
            Keys::Shared(secret) => shared_key(secret, now).await.map(drop),
            Keys::Published(jwks) => jwks.warm(now).await,
        }
    }

    pub(super) async fn verify(&self, text: &str, now: Timestamp) -> Result<Caller, AuthError> {
        if let Some(caller) = self.verified.find(text, now) {
            return Ok(caller);
        }
        let token = Token::read(text)?;
        let keys = match &self.keys {
            Keys::Shared(secret) => vec![shared_key(secret, now).await?],
            Keys::Published(jwks) => {
                let kid = token.kid.as_ref().ok_or(AuthError::Refused("the token names no key"))?;
                jwks.keys(kid, now).await?
            }
        };
        token.check_signature(&keys)?;
        let claims = Claims { fields: token.claims()?, config: &self.config };
        claims.check_issuer_and_audience()?;
        let expires_at = claims.check_times(now)?;
        let caller = claims.caller()?;
        self.verified.keep(text, &caller, now, expires_at);
        Ok(caller)
    }
}

async fn shared_key(secret: &Secret, now: Timestamp) -> Result<VerificationKey, AuthError> {
    let text = secret.text(now).await.map_err(|error| AuthError::KeysUnavailable(error.to_string()))?;
    let text = text.expose_secret();
    // Editors end a file with a newline, which is no part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.len() >= MIN_SECRET_BYTES {
        Ok(VerificationKey::from_secret(text))
    } else {
        Err(AuthError::KeysUnavailable(format!("the shared secret is shorter than {MIN_SECRET_BYTES} bytes")))
    }
}

/// A token in its three parts, its header read.
struct Token<'a> {
    /// Header and claims as they were signed.
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> Token<'a> {
    fn read(token: &'a str) -> Result<Self, AuthError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) =
            signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(MALFORMED)?;
        let header = object(header).ok_or(AuthError::Refused("the token's header is malformed"))?;
        if REFUSED_HEADERS.iter().any(|name| header.contains_key(*name)) {
            return Err(AuthError::Refused("the token's header has a field that is never accepted"));
        }
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA" | "Ed25519") => Algorithm::EdDSA,
            Some("HS256") => Algorithm::HS256,
            _ => return Err(AuthError::Refused("the token's algorithm is not the key's")),
        };
        let kid = header.get("kid").map(|kid| kid.as_str().map(str::to_owned));
        let kid =
            kid.map(|kid| kid.ok_or(AuthError::Refused("the token's header is malformed"))).transpose()?;
        Ok(Self { signed, claims, signature, algorithm, kid })
    }

    /// Whether one of the keys that are for the token's algorithm has signed it.
    fn check_signature(&self, keys: &[VerificationKey]) -> Result<(), AuthError> {
        if keys.is_empty() {
            return Err(AuthError::Refused("the token is signed by an unknown key"));
        }
        let mut fitting =
            keys.iter().filter(|key| key.algorithm == self.algorithm).take(MAX_TRIED_KEYS).peekable();
        if fitting.peek().is_none() {
            return Err(AuthError::Refused("the token's algorithm is not the key's"));
        }
        let is_signed_by = |key: &VerificationKey| {
            crypto::verify(self.signature, self.signed.as_bytes(), &key.key, key.algorithm)
                .unwrap_or_default()
        };
        if fitting.any(is_signed_by) {
            Ok(())
        } else {
            Err(AuthError::Refused("the token's signature does not match"))
        }
    }

    fn claims(&self) -> Result<Map<String, Value>, AuthError> {
        object(self.claims).ok_or(MALFORMED)
    }
}

fn object(encoded: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

struct Claims<'a> {
    fields: Map<String, Value>,
    config: &'a AuthConfig,
}

impl Claims<'_> {
    fn required(&self, name: &str) -> Result<&Value, AuthError> {
        self.fields.get(name).ok_or(AuthError::Refused("the token lacks a required claim"))
    }

    fn text(&self, name: &str) -> Result<&str, AuthError> {
        self.required(name)?.as_str().ok_or(WRONG_TYPE)
    }

    fn check_issuer_and_audience(&self) -> Result<(), AuthError> {
        if self.text("iss")? != self.config.issuer {
            return Err(AuthError::Refused("the token is from another issuer"));
        }
        let audience = self.config.audience.as_str();
        let is_for_us = match (self.fields.get("aud"), &self.config.client_id_audience) {
            (Some(Value::String(own)), _) => own == audience,
            (Some(Value::Array(several)), _) => several.iter().any(|own| own == audience),
            (Some(_), _) => return Err(WRONG_TYPE),
            // An access token of Cognito names its client in the place of an audience.
            (None, Some(client_id)) => {
                self.text("client_id")? == client_id && self.text("token_use")? == "access"
            }
            (None, None) => return Err(AuthError::Refused("the token lacks a required claim")),
        };
        if is_for_us { Ok(()) } else { Err(AuthError::Refused("the token is for another audience")) }
    }

    /// When it expires.
    fn check_times(&self, now: Timestamp) -> Result<Timestamp, AuthError> {
        let now = now.unix_seconds();
        let exp = seconds(self.required("exp")?).ok_or(WRONG_TYPE)?;
        if exp < now - LEEWAY_SECONDS {
            return Err(AuthError::Refused("the token has expired"));
        }
        match self.fields.get("nbf").map(seconds) {
            Some(None) => Err(WRONG_TYPE),
            Some(Some(nbf)) if nbf > now + LEEWAY_SECONDS => {
                Err(AuthError::Refused("the token is not valid yet"))
            }
            // A date that no calendar has is as late as any.
            _ => {
                Ok(Timestamp::from_unix_milliseconds(exp.saturating_mul(1_000)).unwrap_or(Timestamp::LATEST))
            }
        }
    }

    fn caller(&self) -> Result<Caller, AuthError> {
        let (sub, iss) = (self.text("sub")?, self.text("iss")?);
        if sub.is_empty() {
            return Err(AuthError::Refused("the token's subject is empty"));
        }
        let claim = |own| given(&self.fields, self.config.claim_names.get(own).map(String::as_str), own);
        let [customers, organizations, merchants, permissions] = GrantClaims::NAMES.map(claim);
        let lists = (customers, organizations, merchants, permissions);
        let (Some(customers), Some(organizations), Some(merchants), Some(permissions)) = lists else {
            return Err(WRONG_TYPE);
        };
        let grants = GrantClaims::new(customers, organizations, merchants, permissions).grants();
        let grants =
            grants.map_err(|_| AuthError::Refused("the token's claims are no lists of ids, or too long"))?;
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        Ok(Caller { id: sha256_hex(&format!("{}:{iss}{sub}", iss.len())), grants })
    }
}

/// Whole seconds of a `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn seconds(date: &Value) -> Option<i64> {
    let text = date.as_number()?.to_string();
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    whole.parse().ok()
}
