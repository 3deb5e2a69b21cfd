//! `GET /v2/accounts/balance`.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::Body;
use query::BalanceQuery;
use shared::domain::{Account, Pricing, RateSheet, Timestamp, summarize};
use shared::http::{self, ApiError, Authenticated, Narrowing, RequestTime};
use shared::store::{Sheets, StoreError};
use std::sync::Arc;

const TOO_LARGE: Narrowing =
    Narrowing { parameter: "details", advice: "leave `details` out or narrow it with `search.currency`" };

const TOO_OLD: Narrowing = Narrowing {
    parameter: "as_of",
    advice: "narrow the request with `search.currency` or `search.is_crypto`, or ask for a later `as_of`",
};

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = BalanceQuery::parse(http::pairs(raw)?, now)?;
    if !caller.grants.may_see_customer(query.customer_id) {
        return Err(ApiError::InsufficientPermissions);
    }
    let accounts = accounts(&app, &query).await?;
    let sheet = sheet(&app.sheets, &query, now).await?;
    let pricing = Pricing {
        target: query.target,
        sheet: sheet.as_deref(),
        at: query.as_of.unwrap_or(now),
        limits: app.age_limits,
    };
    let summary = summarize(&accounts, pricing, query.rows()).map_err(ApiError::too_large)?;
    if !query.is_partial && !summary.unpriced.is_empty() {
        let currencies = summary.unpriced.iter().map(|(asset, _)| *asset).collect();
        return Err(ApiError::unpriced(currencies, pricing));
    }
    let body = Body::new(&query, &summary, &accounts, pricing).map_err(ApiError::too_large)?;
    http::json(&body, TOO_LARGE)
}

/// The accounts that count, as they stood at the asked time, ordered by currency and then id.
async fn accounts(app: &App, query: &BalanceQuery) -> Result<Vec<Account>, ApiError> {
    let mut accounts = app.store.customer_accounts(query.customer_id).await?;
    if let Some(at) = query.as_of {
        accounts.retain(|account| query.filter.admits_at_some_balance(account));
        accounts =
            app.store.accounts_as_of(accounts, at).await.map_err(|error| ApiError::past(error, TOO_OLD))?;
    }
    accounts.retain(|account| query.filter.admits(account));
    accounts.sort_unstable_by_key(|account| (account.asset, account.id));
    Ok(accounts)
}

async fn sheet(
    sheets: &Sheets,
    query: &BalanceQuery,
    now: Timestamp,
) -> Result<Option<Arc<RateSheet>>, StoreError> {
    match query.as_of {
        None => sheets.newest(now).await,
        Some(at) => sheets.as_of(at).await,
    }
}
