//! Holdings in custody: read in real time, and synced on request.
//!
//! This crate knows what the routes ask and answer; how providers are asked and who may ask them when is
//! `shared::custody`'s business.

mod body;
mod query;

use axum::Router;
use axum::extract::{FromRef, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use body::{BalancesBody, SyncBody};
use query::BalancesQuery;
use schemars::SchemaGenerator;
use shared::auth::Caller;
use shared::clock::Clock;
use shared::config::{Config, CustodyConfig};
use shared::custody::{Providers, SyncRequest, Syncs};
use shared::domain::{AgeLimits, Asset, Catalogue, CustodyAccount, CustodyAccountId, Pricing};
use shared::http::{
    self, Answer, ApiError, Authenticated, Deadline, ErrorCode, Gate, Narrowing, Needed, Operation,
    RequestTime, Segments,
};
use shared::query::Parameters;
use shared::store::{RateReader, Store};

/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "custody";

const BALANCES_PATH: &str = "/custody/accounts/{accountId}/balances";
const SYNC_PATH: &str = "/custody/accounts/{accountId}/sync";

/// A thousand positions never are.
const TOO_LARGE: Narrowing = Narrowing { parameter: "accountId", advice: "it cannot be narrowed" };

/// Clients, caches and settings of the routes, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    rates: RateReader,
    gate: Gate,
    syncs: Syncs,
    age_limits: AgeLimits,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

impl App {
    /// Clients and caches by configuration; nothing is connected yet. The error says what of the
    /// configuration is unusable.
    pub fn new(
        config: &Config,
        custody: &CustodyConfig,
        age_limits: AgeLimits,
        clock: Clock,
    ) -> Result<Self, String> {
        let store = Store::new(&config.store, clock);
        let providers = Providers::new(custody, &config.store, &store)?;
        let syncs =
            Syncs::new(store.clone(), providers, custody.provider_reads_per_caller, custody.sync_interval());
        let gate = Gate::new(config, &store, ROUTE_GROUP);
        Ok(Self { rates: RateReader::new(store.clone(), age_limits), gate, store, syncs, age_limits })
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
    Router::new().route(BALANCES_PATH, get(balances)).route(SYNC_PATH, post(sync)).with_state(app)
}

/// The routes' parameters, answers and errors, for the reference.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation {
            id: "getCustodyBalances",
            method: "GET",
            path: BALANCES_PATH,
            view: "Custody view",
            about: "What a custody provider says is held, in real time",
            parameters: [&query::OF_ACCOUNT[..], &query::OF_BALANCES[..]].concat(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<BalancesBody>),
            errors: &[ErrorCode::AccountNotFound, ErrorCode::UnpricedAssets, ErrorCode::CustodyProviderError],
        },
        Operation {
            id: "syncCustodyAccount",
            method: "POST",
            path: SYNC_PATH,
            view: "Custody view",
            about: "Asks the custody provider now, at most once per account and 10 seconds",
            parameters: [&query::OF_ACCOUNT[..], &query::OF_SYNC[..]].concat(),
            answer: Answer::Json(SchemaGenerator::subschema_for::<SyncBody>),
            errors: &[ErrorCode::AccountNotFound, ErrorCode::CustodyProviderError],
        },
    ]
}

async fn balances(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Deadline(deadline): Deadline,
    Segments(account): Segments<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = BalancesQuery::parse(&account, http::pairs(raw)?)?;
    let account = visible(&app.store, &caller, query.id).await?;
    let request = SyncRequest { caller: &caller.id, now, deadline };
    let account = app.syncs.fresh(account, now.minus(query.max_age), request).await?;
    let rates = app.rates.newest(now).await?;
    let pricing = Pricing { target: Asset::USD, rates: &rates, at: now, limits: app.age_limits };
    let body = BalancesBody::new(&account, pricing, &query)?;
    http::json(&body, TOO_LARGE)
}

async fn sync(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Deadline(deadline): Deadline,
    Segments(account): Segments<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let id = query::ACCOUNT_ID.parse(&account)?;
    Parameters::read(http::pairs(raw)?, &query::OF_SYNC, &Catalogue::default())?.optional(&http::AMOUNTS)?;
    if !caller.grants.may_sync() {
        return Err(ApiError::InsufficientPermissions(Needed::Sync));
    }
    let account = visible(&app.store, &caller, id).await?;
    let request = SyncRequest { caller: &caller.id, now, deadline };
    let account = app.syncs.requested(account.id, request).await?;
    http::json(&SyncBody::new(&account, now), TOO_LARGE)
}

/// The account, if it exists and the caller sees its customer.
async fn visible(store: &Store, caller: &Caller, id: CustodyAccountId) -> Result<CustodyAccount, ApiError> {
    match store.custody_account(id).await? {
        None => Err(ApiError::no_account(&caller.grants)),
        Some(state) if caller.grants.may_see_customer(state.account.customer_id) => Ok(state.account),
        Some(_) => Err(ApiError::InsufficientPermissions(Needed::Accounts)),
    }
}
