//! `GET /v2/accounts/balance`.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::Body;
use query::BalanceQuery;
use shared::domain::{Account, Moment, Pricing, summarize};
use shared::http::{self, ApiError, Authenticated, Narrowing, RequestTime};

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
    let moment = query.moment.unwrap_or(Moment::as_of(now));
    let (accounts, sheet) = tokio::try_join!(accounts(&app, &query, moment), async {
        Ok(app.sheets.asked(query.moment, now).await?)
    })?;
    let pricing =
        Pricing { target: query.target, sheet: sheet.as_deref(), at: moment.as_of, limits: app.age_limits };
    let summary = summarize(&accounts, pricing, query.rows()).map_err(ApiError::too_large)?;
    if !query.is_partial && !summary.unpriced.is_empty() {
        let currencies = summary.unpriced.iter().map(|(asset, _)| *asset).collect();
        return Err(ApiError::unpriced(currencies, pricing));
    }
    let body = Body::new(&query, &summary, &accounts, pricing).map_err(ApiError::too_large)?;
    Ok(http::known_at(http::json(&body, TOO_LARGE)?, now))
}

/// The accounts that count, as they stood at the moment, ordered by currency and then id.
async fn accounts(app: &App, query: &BalanceQuery, moment: Moment) -> Result<Vec<Account>, ApiError> {
    let mut stored = app.store.customer_accounts(query.customer_id).await?;
    // Conditions on the state can only be checked once the state of the moment is known.
    stored.retain(|holding| holding.is_admitted(&query.filter));
    let accounts = app.store.accounts_at(stored, moment).await;
    let mut accounts = accounts.map_err(|error| ApiError::past(error, TOO_OLD))?;
    for account in &mut accounts {
        account.state = account.state.measured(query.measure);
    }
    accounts.retain(|account| query.filter.admits(account));
    accounts.sort_unstable_by_key(|account| (account.asset, account.id));
    Ok(accounts)
}
