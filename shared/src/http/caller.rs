//! Authentication and the rate limit, as the first thing a handler asks for.

use super::limit::{RateLimiter, Verdict};
use super::{ApiError, RequestTime};
use crate::auth::{Authenticator, Caller, Headers};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tracing::Span;

const API_KEY: &str = "x-api-key";
/// Characters of the caller's hash in a log line: enough to follow one caller, no use as a lookup.
const LOGGED_CHARACTERS: usize = 16;

/// The caller, proven and within their rate limit. As a handler's first argument it comes before every other check.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
    RateLimiter: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(RequestTime(now)) = RequestTime::from_request_parts(parts, state).await;
        let caller = Authenticator::from_ref(state).authenticate(headers(&parts.headers), now).await?;
        Span::current().record("caller", caller.id.get(..LOGGED_CHARACTERS));
        match RateLimiter::from_ref(state).check(&caller, now).await {
            Verdict::Admitted => {}
            Verdict::AdmittedUncounted => drop(Span::current().record("limiter", "unreachable")),
            Verdict::Refused { retry_after_seconds } => return Err(ApiError::RateLimitExceeded { retry_after_seconds }),
        }
        Ok(Self(caller))
    }
}

fn headers(headers: &HeaderMap) -> Headers<'_> {
    let mut is_ambiguous = false;
    let mut only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?;
        is_ambiguous |= values.next().is_some() || first.to_str().is_err();
        first.to_str().ok()
    };
    let (authorization, api_key) = (only(AUTHORIZATION.as_str()), only(API_KEY));
    Headers { authorization, api_key, is_ambiguous }
}
