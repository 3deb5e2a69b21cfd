//! A merchant's account balances, now or at any instant in the past.
//!
//! It reads the same accounts as the unified view, by the index `by_merchant`, and knows nothing of rates:
//! every balance is in its own currency.

mod body;
mod query;

use axum::Router;
use axum::extract::{FromRef, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use body::BalanceBody;
use query::{ListQuery, Merchant, SingleQuery};
use schemars::SchemaGenerator;
use serde::Serialize;
use shared::auth::Caller;
use shared::clock::Clock;
use shared::config::Config;
use shared::domain::{Moment, Timestamp};
use shared::http::{
    self, Answer, ApiError, Authenticated, ErrorCode, Gate, Narrowing, Operation, RequestTime, Segments,
};
use shared::store::Store;

/// The routes that share a caller's rate limit.
const ROUTE_GROUP: &str = "merchant";

const LIST_PATH: &str = "/api/v1/organizations/{organizationId}/merchants/{merchantId}/accounts/balances";
const SINGLE_PATH: &str =
    "/api/v1/organizations/{organizationId}/merchants/{merchantId}/accounts/{accountId}/balances";

const TOO_LARGE: Narrowing = Narrowing { parameter: "currency", advice: "narrow it with `currency`" };
const TOO_MANY: Narrowing = Narrowing { parameter: "accountId", advice: "ask for single accounts" };
const TOO_OLD: Narrowing =
    Narrowing { parameter: "date", advice: "narrow the request with `currency`, or ask for a later `date`" };

/// Clients, caches and settings of the routes, built once per instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    gate: Gate,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

impl App {
    /// Clients and caches by configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: &Config, clock: Clock) -> Self {
        let store = Store::new(&config.store, clock);
        Self { gate: Gate::new(config, &store, ROUTE_GROUP), store }
    }

    /// Opens the connection and reads what every request needs.
    pub async fn warm(&self) {
        http::warm(self.gate.warm(self.store.clock().now())).await;
    }
}

/// The routes, without fallbacks: those belong to whoever serves them.
pub fn routes(app: App) -> Router {
    Router::new().route(LIST_PATH, get(list)).route(SINGLE_PATH, get(single)).with_state(app)
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
    ]
}

async fn list(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Segments((organization, merchant)): Segments<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let merchant = Merchant::parse(&organization, &merchant)?;
    let ListQuery { asset, moment } = ListQuery::parse(http::pairs(raw)?, now)?;
    admit(&caller, merchant)?;
    let stored = app.store.merchant_accounts(merchant.organization_id, merchant.id).await;
    let mut stored = stored.map_err(|error| ApiError::list(error, TOO_MANY))?;
    stored.retain(|stored| asset.is_none_or(|asset| stored.account.asset == asset));
    let accounts = app.store.accounts_at(stored, moment.unwrap_or(Moment::as_of(now))).await;
    let mut accounts = accounts.map_err(|error| ApiError::past(error, TOO_OLD))?;
    accounts.retain(|account| merchant.owns(account));
    reply(moment, now, |balance_date| {
        accounts.iter().map(|account| BalanceBody::new(account, balance_date)).collect::<Vec<_>>()
    })
}

async fn single(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Segments((organization, merchant, account)): Segments<(String, String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let merchant = Merchant::parse(&organization, &merchant)?;
    let SingleQuery { id, moment } = SingleQuery::parse(&account, http::pairs(raw)?, now)?;
    admit(&caller, merchant)?;
    let stored = app.store.merchant_account(merchant.organization_id, merchant.id, id).await?;
    let stored = stored.ok_or_else(|| ApiError::no_account(&caller.grants))?;
    let account = app.store.account_at(stored, moment.unwrap_or(Moment::as_of(now))).await?;
    let account = account.filter(|account| merchant.owns(account)).ok_or(ApiError::AccountNotFound)?;
    reply(moment, now, |balance_date| BalanceBody::new(&account, balance_date))
}

fn admit(caller: &Caller, merchant: Merchant) -> Result<(), ApiError> {
    let may_see = caller.grants.may_see_merchant(merchant.organization_id, merchant.id);
    if may_see { Ok(()) } else { Err(ApiError::InsufficientPermissions) }
}

/// Without a date the answer names the time of the request, which must not make it another answer.
fn reply<B: Serialize>(
    moment: Option<Moment>,
    now: Timestamp,
    body: impl Fn(&str) -> B,
) -> Result<Response, ApiError> {
    let response = match moment {
        Some(moment) => http::json(&body(&moment.as_of.to_millis_text()), TOO_LARGE),
        None => http::json_of_now(&body(&now.to_millis_text()), &body(""), TOO_LARGE),
    };
    Ok(http::known_at(response?, now))
}
