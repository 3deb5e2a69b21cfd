//! The gate every route stands behind: authentication and the rate limit, as the first thing a handler asks
//! for.

use super::weight::Weight;
use super::{ApiError, RequestTime};
use crate::auth::{Authenticator, Caller, Headers};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::store::{RateLimiter, RateVerdict, Store};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tracing::Span;

/// The header of an API key.
pub const API_KEY: &str = "X-Api-Key";
/// Characters of the caller's hash in a log line: enough to follow one caller, no use as a lookup.
const LOGGED_CHARACTERS: usize = 16;

/// Authentication and the rate limit; cheap to clone, with caches and counts that all clones share.
#[derive(Debug, Clone)]
pub struct Gate {
    authenticator: Authenticator,
    limiter: RateLimiter,
}

impl Gate {
    /// A gate for routes that share a caller's rate limit under the name `group`.
    #[must_use]
    pub fn new(config: &Config, store: &Store, group: &'static str) -> Self {
        Self {
            authenticator: Authenticator::new(config, store.clone()),
            limiter: RateLimiter::new(store.clone(), group, config.rate_limit_per_minute),
        }
    }

    /// Brings the issuer's keys into memory. A failure is only logged: the first request will try again.
    pub async fn warm(&self, now: Timestamp) {
        let keys = self.authenticator.warm(now).await;
        keys.unwrap_or_else(|cause| tracing::warn!(%cause, "the issuer's keys were not read at start"));
    }
}

/// The caller, proven and within their rate limit. As a handler's first argument it comes before every other
/// check.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let RequestTime(now) = RequestTime::from_request_parts(parts, state).await?;
        let Gate { authenticator, limiter } = Gate::from_ref(state);
        let caller = authenticator.authenticate(headers(&parts.headers), now).await?;
        Span::current().record("caller", caller.id.get(..LOGGED_CHARACTERS));
        match limiter.check(&caller.id, now).await {
            RateVerdict::Admitted => {}
            RateVerdict::AdmittedUncounted => drop(Span::current().record("limiter", "unreachable")),
            RateVerdict::Refused { retry_after_seconds } => {
                return Err(ApiError::RateLimitExceeded { retry_after_seconds });
            }
        }
        if let Some(weight) = parts.extensions.get::<Weight>() {
            weight.of(limiter, &caller.id);
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
