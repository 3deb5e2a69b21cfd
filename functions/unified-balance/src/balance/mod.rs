//! `GET /v2/accounts/balance`.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::{Body, Missing};
use query::BalanceQuery;
use shared::balance::{CountError, CountedAccounts, counted};
use shared::domain::{Asset, Gap, Pricing, Suspect};
use shared::http::{self, ApiError, Authenticated, Narrowing, Needed, RequestTime};
use shared::store::StoreError;
use std::collections::BTreeMap;

const TOO_LARGE: Narrowing =
    Narrowing { parameter: "details", advice: "leave `details` out or narrow it with `search.currency`" };

const TOO_MANY: Narrowing = Narrowing {
    parameter: "customer_id",
    advice: "these customers have more accounts than one request can add up",
};

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
    let catalogue = app.store.catalogue().await?;
    let query = BalanceQuery::parse(http::pairs(raw)?, &catalogue, now)?;
    if query.customers.iter().any(|customer| !caller.grants.may_see_customer(*customer)) {
        return Err(ApiError::InsufficientPermissions(Needed::Accounts));
    }
    let question = query.question(now);
    let (counted, rates) = tokio::try_join!(
        async { counted(&app.store, question).await.map_err(|error| query.not_counted(error)) },
        async { app.rates.asked(query.moment, now).await.map_err(|error| query.too_many_reads(error)) },
    )?;
    let at = question.at().as_of;
    let pricing = Pricing { target: query.target, rates: &rates, at, limits: app.age_limits };
    let CountedAccounts { sums, mut rows, mut gaps, oldest_balance_at } = counted;
    let summary = sums.summary(pricing, query.has_details).map_err(ApiError::too_large)?;
    gaps.extend(summary.whole.gaps());
    let gaps: Vec<Gap> = gaps.into_iter().collect();
    if !query.is_partial && !app.unknown_assets.admits(&gaps) {
        let suspects = suspects(&app, &query).await;
        return Err(ApiError::incomplete(&gaps, pricing, &suspects, query.amounts));
    }
    rows.sort_unstable_by_key(|account| (account.asset, account.id));
    let missing = Missing { gaps: &gaps, oldest_balance_at };
    let body = Body::new(&query, &summary, &rows, missing, pricing).map_err(ApiError::too_large)?;
    Ok(http::known_at(http::json(&body, TOO_LARGE)?, now))
}

/// The quotes that wait for a second word, for the error that names a currency without a rate. Of the past
/// none are kept, and if they cannot be read the error does without.
async fn suspects(app: &App, query: &BalanceQuery) -> BTreeMap<Asset, Suspect> {
    match query.moment {
        None => app.store.quote_book().await.ok().and_then(|stored| stored.book).unwrap_or_default().suspects,
        Some(_) => BTreeMap::new(),
    }
}

impl BalanceQuery {
    fn not_counted(&self, error: CountError) -> ApiError {
        match error {
            CountError::Store(error) => self.too_many_reads(error),
            CountError::TooLarge(error) => ApiError::too_large(error.into()),
            CountError::TooManyRows => ApiError::body_too_large(TOO_LARGE),
        }
    }

    /// Now, a customer's accounts cost the same whatever is asked of them; as of an instant, each that has
    /// changed since costs a read of its history.
    fn too_many_reads(&self, error: StoreError) -> ApiError {
        ApiError::reading(error, if self.moment.is_some() { TOO_OLD } else { TOO_MANY })
    }
}
