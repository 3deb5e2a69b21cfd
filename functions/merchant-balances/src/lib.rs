//! Balances of merchants, now or at any instant in the past: account by account, and all of an organization
//! together.
//!
//! It reads the same accounts as the unified view, by the index `by_organization`.

mod accounts;
mod body;
mod organization;
mod query;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use body::BalanceBody;
use schemars::SchemaGenerator;
use shared::clock::Clock;
use shared::config::Config;
use shared::domain::AgeLimits;
use shared::http::{self, Answer, ErrorCode, Gate, Operation};
use shared::store::{RateReader, Store};

/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "merchant";

const LIST_PATH: &str = "/api/v1/organizations/{organizationId}/merchants/{merchantId}/accounts/balances";
const ORGANIZATION_PATH: &str = "/api/v1/organizations/{organizationId}/balances";
const SINGLE_PATH: &str =
    "/api/v1/organizations/{organizationId}/merchants/{merchantId}/accounts/{accountId}/balances";

/// Clients, caches and settings of the routes, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    rates: RateReader,
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
    pub fn new(config: &Config, age_limits: AgeLimits, clock: Clock) -> Self {
        let store = Store::new(&config.store, clock);
        Self {
            rates: RateReader::new(store.clone(), age_limits),
            gate: Gate::new(config, &store, ROUTE_GROUP),
            store,
            age_limits,
        }
    }

    /// Opens the connection and reads what every request needs.
    pub async fn warm(&self) {
        let now = self.store.clock().now();
        http::warm(Box::pin(async {
            tokio::join!(self.gate.warm(now), self.rates.warm(now), self.store.warm_catalogue())
        }))
        .await;
    }
}

/// The routes, without fallbacks: those belong to whoever serves them.
pub fn routes(app: App) -> Router {
    Router::new()
        .route(LIST_PATH, get(accounts::list))
        .route(SINGLE_PATH, get(accounts::single))
        .route(ORGANIZATION_PATH, get(organization::get))
        .with_state(app)
}

/// The routes' parameters, answers and errors, for the reference.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation {
            id: "listMerchantBalances",
            method: "GET",
            path: LIST_PATH,
            view: "Merchant view",
            about: "A merchant's account balances, now or at any instant",
            parameters: [&query::OF_MERCHANT[..], &query::OF_LIST[..]].concat(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<Vec<BalanceBody>>),
            errors: &[],
        },
        Operation {
            id: "getMerchantBalance",
            method: "GET",
            path: SINGLE_PATH,
            view: "Merchant view",
            about: "The balance of one account of a merchant, now or at any instant",
            parameters: [&query::OF_MERCHANT[..], &query::OF_ACCOUNT[..], &query::OF_SINGLE[..]].concat(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<BalanceBody>),
            errors: &[ErrorCode::AccountNotFound],
        },
        Operation {
            id: "getOrganizationBalance",
            method: "GET",
            path: ORGANIZATION_PATH,
            view: "Merchant view",
            about: "All merchants of an organization together in one currency, now or at any instant",
            parameters: organization::query::declared(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<organization::body::OrganizationBody>),
            errors: &[ErrorCode::UnpricedAssets],
        },
    ]
}
