//! A customer's unified balance: fiat and crypto, converted into one currency.
//!
//! `GET /v2/accounts/balance`. This crate knows what the route asks and answers; how accounts are kept, credentials are
//! checked and errors are worded is `shared`'s business.

mod balance;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use shared::auth::Authenticator;
use shared::config::Config;
use shared::domain::{AgeLimits, Timestamp};
use shared::http::RateLimiter;
use shared::store::{Sheets, Store};
use std::time::Duration;

/// How long a start waits for the store; Lambda gives a start 10 s in all.
const WARM_TIMEOUT: Duration = Duration::from_secs(2);
/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "unified";

/// What the routes need, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    sheets: Sheets,
    authenticator: Authenticator,
    limiter: RateLimiter,
    age_limits: AgeLimits,
}

impl FromRef<App> for RateLimiter {
    fn from_ref(app: &App) -> Self {
        app.limiter.clone()
    }
}

impl FromRef<App> for Authenticator {
    fn from_ref(app: &App) -> Self {
        app.authenticator.clone()
    }
}

impl App {
    /// Clients and caches by configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: &Config, age_limits: AgeLimits) -> Self {
        let store = Store::new(&config.store);
        let authenticator = Authenticator::new(&config.auth, store.clone());
        let limiter = RateLimiter::new(store.clone(), ROUTE_GROUP, config.rate_limit_per_minute);
        Self { sheets: Sheets::new(store.clone()), store, authenticator, limiter, age_limits }
    }

    /// Opens the connection and reads what every request needs, while Lambda still gives a start its full CPU.
    ///
    /// A failure is only logged, and a store that hangs is not waited for: the first request will try again, and can answer for
    /// itself.
    pub async fn warm(&self) {
        let reads = async { tokio::join!(self.authenticator.warm(), self.sheets.newest(Timestamp::now())) };
        match tokio::time::timeout(WARM_TIMEOUT, reads).await {
            Err(_) => tracing::warn!("the store did not answer at start"),
            Ok((keys, sheet)) => {
                keys.unwrap_or_else(|cause| tracing::warn!(%cause, "the issuer's keys were not read at start"));
                sheet.map_or_else(|cause| tracing::warn!(%cause, "the newest rate sheet was not read at start"), drop);
            }
        }
    }
}

/// The routes, without fallbacks: those belong to whoever serves them.
pub fn routes(app: App) -> Router {
    Router::new().route("/v2/accounts/balance", get(balance::get)).with_state(app)
}
