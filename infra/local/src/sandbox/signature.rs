//! Whether a request is signed as the vendor asks:
//! <https://developers.fireblocks.com/reference/signing-a-request-jwt-structure>.

use super::answers::failure;
use super::{API_KEY, MOUNT};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use shared::domain::Timestamp;
use std::collections::HashMap;

const PUBLIC_KEY: &[u8] = include_bytes!("public-key.pem");
/// The documents say less than 30 s, the vendor's SDKs send 55.
const MAX_LIFETIME_SECONDS: i64 = 55;
/// Hex SHA-256 of nothing: the sandbox serves reads alone.
const EMPTY_BODY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Nonces are forgotten when their tokens have expired.
const MAX_NONCES: usize = 100_000;

/// Remembers nonces.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    expiries: HashMap<String, i64>,
}

/// The vendor's code of what is wrong with a request.
pub(super) struct Refusal(i64, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        failure(StatusCode::UNAUTHORIZED, self.0, self.1)
    }
}

#[derive(Deserialize)]
struct Claims {
    uri: String,
    nonce: String,
    iat: i64,
    exp: i64,
    sub: String,
    #[serde(rename = "bodyHash")]
    body_hash: String,
}

impl Verifier {
    /// Checks a request for `target`, the path and query as they were sent.
    pub(super) fn check(&mut self, headers: &HeaderMap, target: &str, now: Timestamp) -> Result<(), Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let api_key = header("x-api-key").ok_or(Refusal(-3, "Unauthorized: missing X-API-Key header"))?;
        let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let token = bearer.ok_or(Refusal(-2, "Unauthorized: missing Authorization header"))?;
        let now = now.unix_seconds();
        let Claims { uri, nonce, iat, exp, sub, body_hash } = claims(token)?;
        if api_key != API_KEY || sub != API_KEY {
            return Err(Refusal(-6, "Unauthorized: unknown user"));
        }
        // Signed as it is served here, or as it would be by the vendor.
        if uri != target && Some(uri.as_str()) != target.strip_prefix(MOUNT) {
            return Err(Refusal(-4, "Unauthorized: the URI is not the signed one"));
        }
        if body_hash != EMPTY_BODY_HASH {
            return Err(Refusal(-7, "Unauthorized: the body is not the signed one"));
        }
        if exp <= now {
            return Err(Refusal(-10, "Unauthorized: the JWT has expired"));
        }
        if iat > now + 1 {
            return Err(Refusal(-12, "Unauthorized: the JWT is of the future"));
        }
        if exp - iat > MAX_LIFETIME_SECONDS {
            return Err(Refusal(-7, "Unauthorized: the JWT lives too long"));
        }
        self.use_nonce(nonce, exp, now)
    }

    fn use_nonce(&mut self, nonce: String, exp: i64, now: i64) -> Result<(), Refusal> {
        if self.expiries.len() >= MAX_NONCES {
            self.expiries.retain(|_, exp| *exp > now);
        }
        match self.expiries.insert(nonce, exp) {
            None => Ok(()),
            Some(_) => Err(Refusal(-7, "Unauthorized: the nonce was used before")),
        }
    }
}

fn claims(token: &str) -> Result<Claims, Refusal> {
    let invalid = |_| Refusal(-1, "Unauthorized: the signature is not valid");
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY).map_err(invalid)?;
    let mut validation = Validation::new(Algorithm::RS256);
    // Times are checked here, each with the vendor's own code.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Claims>(token, &key, &validation).map(|token| token.claims).map_err(invalid)
}
