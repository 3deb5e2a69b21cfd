//! `GET /api/v1/organizations/{organizationId}/balances`: all of an organization's merchants together.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::OrganizationBody;
use query::OrganizationQuery;
use shared::domain::total::SumTooLarge;
use shared::domain::{
    Account, Gap, Grants, GroupedSummary, GroupedSums, MerchantId, Moment, Pricing, Timestamp,
};
use shared::http::{self, AmountForm, ApiError, Authenticated, Narrowing, Needed, RequestTime, Segments};
use shared::store::{Merchants, StoredHolding};
use std::collections::BTreeMap;

const TOO_LARGE: Narrowing = Narrowing { parameter: "merchantIds", advice: "narrow it with `merchantIds`" };
const TOO_MANY: Narrowing =
    Narrowing { parameter: "merchantIds", advice: "narrow the request with `merchantIds`" };
const TOO_OLD: Narrowing = Narrowing {
    parameter: "date",
    advice: "narrow the request with `merchantIds`, or ask for a later `date`",
};

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Segments(organization): Segments<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let query = OrganizationQuery::parse(&organization, http::pairs(raw)?, &catalogue, now)?;
    let merchants = admitted(&caller.grants, &query)?;
    let moment = query.moment.unwrap_or(Moment::as_of(now));
    let (accounts, rates) = tokio::try_join!(accounts(&app, &query, &merchants, moment), async {
        Ok(app.rates.asked(query.moment, now).await?)
    })?;
    let pricing = Pricing { target: query.target, rates: &rates, at: moment.as_of, limits: app.age_limits };
    let totals = totals(&accounts, pricing).map_err(ApiError::too_large)?;
    let gaps: Vec<Gap> = totals.whole.gaps().collect();
    if !query.is_partial && !gaps.is_empty() {
        return Err(ApiError::incomplete(&gaps, pricing, &BTreeMap::new(), AmountForm::Text));
    }
    reply(&query, &totals, now)
}

/// The merchants whose accounts the caller may see here, of those that are asked for.
fn admitted(grants: &Grants, query: &OrganizationQuery) -> Result<Merchants, ApiError> {
    let sees_organization = grants.may_see_organization(&query.id);
    match &query.merchants {
        Some(merchants) if sees_organization || merchants.is_subset(&grants.merchants) => {
            Ok(Merchants::These(merchants.clone()))
        }
        None if sees_organization => Ok(Merchants::All),
        None if !grants.merchants.is_empty() => Ok(Merchants::These(grants.merchants.clone())),
        _ => Err(ApiError::InsufficientPermissions(Needed::Accounts)),
    }
}

/// The accounts that count, as they stood at the moment, ordered by id.
async fn accounts(
    app: &App,
    query: &OrganizationQuery,
    merchants: &Merchants,
    moment: Moment,
) -> Result<Vec<Account>, ApiError> {
    let stored = app.store.organization_accounts(&query.id, merchants).await;
    let stored = stored.map_err(|error| ApiError::reading(error, TOO_MANY))?;
    let stored = stored.into_iter().map(StoredHolding::from);
    let accounts = app.store.accounts_at(stored, moment).await;
    let mut accounts = accounts.map_err(|error| ApiError::reading(error, TOO_OLD))?;
    // An account may have come to its organization or merchant later than the moment.
    accounts.retain(|account| {
        let scope = &account.scope;
        scope.organization_id.as_ref() == Some(&query.id)
            && match merchants {
                Merchants::All => true,
                Merchants::These(these) => scope.merchant_id.as_ref().is_some_and(|id| these.contains(id)),
            }
    });
    Ok(accounts)
}

/// The organization's total, and that of each merchant.
fn totals(accounts: &[Account], pricing: Pricing<'_>) -> Result<GroupedSummary<MerchantId>, SumTooLarge> {
    let mut sums = GroupedSums::default();
    for account in accounts {
        sums.add(account, Some(account.scope.merchant_id.clone()))?;
    }
    sums.summary(pricing, false)
}

/// Without a date the answer names the time of the request. The entity tag leaves that time out, so that an
/// answer which is the same otherwise is a 304.
fn reply(
    query: &OrganizationQuery,
    totals: &GroupedSummary<MerchantId>,
    now: Timestamp,
) -> Result<Response, ApiError> {
    let body = |balance_date: &str| OrganizationBody::new(query, totals, balance_date);
    let response = match query.moment {
        Some(moment) => http::json(&body(&moment.as_of.to_millis_text()), TOO_LARGE),
        None => http::json_of_now(&body(&now.to_millis_text()), &body(""), TOO_LARGE),
    };
    Ok(http::known_at(response?, now))
}
