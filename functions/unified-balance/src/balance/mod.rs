//! `GET /v2/accounts/balance`.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::Body;
use query::BalanceQuery;
use shared::domain::{Account, Moment, NativeSums, Pricing};
use shared::http::{self, ApiError, Authenticated, MAX_BODY_BYTES, Narrowing, RequestTime};
use shared::store::StoreError;

const TOO_LARGE: Narrowing =
    Narrowing { parameter: "details", advice: "leave `details` out or narrow it with `search.currency`" };

const TOO_MANY: Narrowing = Narrowing {
    parameter: "customer_id",
    advice: "this customer has more accounts than one request can add up",
};

const TOO_OLD: Narrowing = Narrowing {
    parameter: "as_of",
    advice: "narrow the request with `search.currency` or `search.is_crypto`, or ask for a later `as_of`",
};

/// Rows that an answer can have: each takes more than 128 bytes, so that more of them are too large an
/// answer.
const MAX_ROWS: usize = MAX_BODY_BYTES / 128;

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let query = BalanceQuery::parse(http::pairs(raw)?, &catalogue, now)?;
    if !caller.grants.may_see_customer(query.customer_id) {
        return Err(ApiError::InsufficientPermissions);
    }
    let moment = query.moment.unwrap_or(Moment::as_of(now));
    let (counted, sheet) = tokio::try_join!(counted(&app, &query, moment), async {
        app.sheets.asked(query.moment, now).await.map_err(|error| query.too_many_reads(error))
    })?;
    let pricing =
        Pricing { target: query.target, sheet: sheet.as_deref(), at: moment.as_of, limits: app.age_limits };
    let CountedAccounts { sums, mut rows } = counted;
    let summary = sums.summary(pricing, query.has_details).map_err(ApiError::too_large)?;
    if !query.is_partial && !summary.unpriced.is_empty() {
        let currencies = summary.unpriced.iter().map(|(asset, _)| *asset).collect();
        return Err(ApiError::unpriced(currencies, pricing));
    }
    rows.sort_unstable_by_key(|account| (account.asset, account.id));
    let body = Body::new(&query, &summary, &rows, pricing).map_err(ApiError::too_large)?;
    Ok(http::known_at(http::json(&body, TOO_LARGE)?, now))
}

/// The accounts that count, added up; with `details` also one by one.
#[derive(Default)]
struct CountedAccounts {
    sums: NativeSums,
    rows: Vec<Account>,
}

/// Adds up the customer's accounts as they stood at the moment, page by page: without `details` no account is
/// kept.
async fn counted(app: &App, query: &BalanceQuery, moment: Moment) -> Result<CountedAccounts, ApiError> {
    let mut counted = CountedAccounts::default();
    let mut pages = app.store.customer_pages(query.customer_id, query.item_detail());
    while let Some(mut page) = pages.next().await.map_err(|error| query.too_many_reads(error))? {
        // Conditions on the state can only be checked once the state of the moment is known.
        page.retain(|holding| holding.is_admitted(&query.filter));
        let accounts = app.store.accounts_at(page, moment).await;
        for mut account in accounts.map_err(|error| query.too_many_reads(error))? {
            account.state = account.state.measured(query.measure);
            if !query.filter.admits(&account) {
                continue;
            }
            counted.sums.add(&account).map_err(ApiError::too_large)?;
            if query.has_details {
                counted.rows.push(account);
            }
            if counted.rows.len() > MAX_ROWS {
                return Err(ApiError::body_too_large(TOO_LARGE));
            }
        }
    }
    Ok(counted)
}

impl BalanceQuery {
    /// Now, a customer's accounts cost the same whatever is asked of them; as of an instant, each that has
    /// changed since costs a read of its history.
    fn too_many_reads(&self, error: StoreError) -> ApiError {
        ApiError::reading(error, if self.moment.is_some() { TOO_OLD } else { TOO_MANY })
    }
}
