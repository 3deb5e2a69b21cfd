//! A customer's unified view: fiat and crypto, as one balance in one currency, and as a list of accounts.
//!
//! `GET /v2/accounts/balance` and its history, `GET /v2/accounts`, positions of the whole book, and the
//! assets' icons. This crate knows what the routes ask and answer; how accounts are kept, credentials are
//! checked and errors are worded is `shared`'s business.

mod balance;
mod customers;
mod history;
mod icon;
mod list;
mod moment;
mod positions;
mod stack;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use schemars::{Schema, SchemaGenerator};
use shared::clock::Clock;
use shared::config::Config;
use shared::domain::{AgeLimits, Status, UnknownAssets, Zone};
use shared::http::{self, Answer, ErrorCode, Gate, Operation, schema};
use shared::store::{RateReader, Store};

/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "unified";

/// Clients, caches and settings of the routes, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    rates: RateReader,
    gate: Gate,
    age_limits: AgeLimits,
    unknown_assets: UnknownAssets,
    book_zone: Zone,
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
            unknown_assets: config.unknown_assets,
            book_zone: config.book_zone.clone(),
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
        .route(BALANCE_PATH, get(balance::get))
        .route(HISTORY_PATH, get(history::get))
        .route(LIST_PATH, get(list::get))
        .route(POSITIONS_PATH, get(positions::get))
        .route(POSITION_HISTORY_PATH, get(positions::history::get))
        .route(ICON_PATH, get(icon::get))
        .with_state(app)
}

const BALANCE_PATH: &str = "/v2/accounts/balance";
const HISTORY_PATH: &str = "/v2/accounts/balance/history";
const LIST_PATH: &str = "/v2/accounts";
const POSITIONS_PATH: &str = "/v2/positions";
const POSITION_HISTORY_PATH: &str = "/v2/positions/history";
const ICON_PATH: &str = "/v2/assets/{code}/icon.svg";

/// The routes' parameters, answers and errors, for the reference.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation {
            id: "getBalance",
            method: "GET",
            path: BALANCE_PATH,
            view: "Unified view",
            about: "A customer's balance in one currency, now or at any instant",
            parameters: balance::query::DECLARED.clone(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<balance::body::Body>),
            errors: &[ErrorCode::UnpricedAssets, ErrorCode::IncompleteBalance],
        },
        Operation {
            id: "getBalanceHistory",
            method: "GET",
            path: HISTORY_PATH,
            view: "Unified view",
            about: "A customer's balance as a series: at the end of every hour, day, week or month",
            parameters: history::query::DECLARED.clone(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<history::body::HistoryBody>),
            errors: &[ErrorCode::UnpricedAssets, ErrorCode::IncompleteBalance],
        },
        Operation {
            id: "listAccounts",
            method: "GET",
            path: LIST_PATH,
            view: "Unified view",
            about: "The accounts behind the balance: searched, sorted, grouped, paged",
            parameters: list::query::DECLARED.clone(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<list::body::ListBody>),
            errors: &[],
        },
        Operation {
            id: "getAssetIcon",
            method: "GET",
            path: ICON_PATH,
            view: "Unified view",
            about: "An asset's icon, public and cacheable for a day",
            parameters: vec![&icon::CODE],
            answer: Answer::Svg,
            errors: &[],
        },
        Operation {
            id: "getPosition",
            method: "GET",
            path: POSITIONS_PATH,
            view: "The whole book",
            about: "What all accounts together held at the last day's end, or at another instant",
            parameters: positions::query::DECLARED.to_vec(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<positions::body::PositionBody>),
            errors: &[ErrorCode::PositionNotFound],
        },
        Operation {
            id: "getPositionHistory",
            method: "GET",
            path: POSITION_HISTORY_PATH,
            view: "The whole book",
            about: "The closes of the book as a series",
            parameters: positions::query::HISTORY_DECLARED.to_vec(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<positions::body::PositionHistoryBody>),
            errors: &[],
        },
    ]
}

fn statuses(_: &mut SchemaGenerator) -> Schema {
    schema::names(Status::ALL.map(Status::name).to_vec())
}
