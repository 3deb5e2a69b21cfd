//! A customer's unified view: fiat and crypto, as one balance in one currency, and as a list of accounts.
//!
//! `GET /v2/accounts/balance`, `GET /v2/accounts`, and the assets' icons. This crate knows what the routes ask and answer; how
//! accounts are kept, credentials are checked and errors are worded is `shared`'s business.

mod balance;
mod icon;
mod list;
mod stack;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use shared::config::Config;
use shared::domain::{AgeLimits, Timestamp};
use shared::http::{self, Gate};
use shared::query::RouteParameters;
use shared::store::{Sheets, Store};

/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "unified";

/// What the routes need, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    sheets: Sheets,
    gate: Gate,
    age_limits: AgeLimits,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

impl App {
    /// Clients and caches by configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: &Config, age_limits: AgeLimits) -> Self {
        let store = Store::new(&config.store);
        Self { sheets: Sheets::new(store.clone()), gate: Gate::new(config, &store, ROUTE_GROUP), store, age_limits }
    }

    /// Shares a cache of rate sheets with others of the same process.
    #[must_use]
    pub fn with_sheets(self, sheets: Sheets) -> Self {
        Self { sheets, ..self }
    }

    /// Opens the connection and reads what every request needs.
    pub async fn warm(&self) {
        http::warm(Box::pin(async { tokio::join!(self.gate.warm(), self.sheets.warm(Timestamp::now())) })).await;
    }
}

/// The routes, without fallbacks: those belong to whoever serves them.
pub fn routes(app: App) -> Router {
    Router::new()
        .route(BALANCE_PATH, get(balance::get))
        .route(LIST_PATH, get(list::get))
        .route(ICON_PATH, get(icon::get))
        .with_state(app)
}

const BALANCE_PATH: &str = "/v2/accounts/balance";
const LIST_PATH: &str = "/v2/accounts";
const ICON_PATH: &str = "/v2/assets/{code}/icon.svg";

/// What each route can be asked, for the reference.
#[must_use]
pub fn parameters() -> Vec<RouteParameters> {
    vec![
        RouteParameters { path: BALANCE_PATH, parameters: balance::query::DECLARED.clone() },
        RouteParameters { path: LIST_PATH, parameters: list::query::DECLARED.clone() },
        RouteParameters { path: ICON_PATH, parameters: vec![&icon::CODE] },
    ]
}
