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
    /// A failure is only logged: the first request will try again, and can answer for itself.
    pub async fn warm(&self) {
        if let Err(cause) = self.authenticator.warm().await {
            tracing::warn!(%cause, "the issuer's keys were not read at start");
        }
        if let Err(cause) = self.sheets.newest(Timestamp::now()).await {
            tracing::warn!(%cause, "the newest rate sheet was not read at start");
        }
    }
}

/// The routes, without fallbacks: those belong to whoever serves them.
pub fn routes(app: App) -> Router {
    Router::new().route("/v2/accounts/balance", get(balance::get)).with_state(app)
}
