//! `GET …/merchants/{merchantId}/accounts/balances` and `…/accounts/{accountId}/balances`.
//!
//! It knows nothing of rates: every balance is in its own currency.

use crate::App;
use crate::body::BalanceBody;
use crate::query::{ListQuery, Merchant, SingleQuery};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use shared::auth::Caller;
use shared::domain::{Moment, Timestamp};
use shared::http::{self, ApiError, Authenticated, Narrowing, Needed, RequestTime, Segments};
use shared::store::{Merchants, StoredHolding};
use std::collections::BTreeSet;

const TOO_LARGE: Narrowing = Narrowing { parameter: "currency", advice: "narrow it with `currency`" };
const TOO_MANY: Narrowing = Narrowing { parameter: "accountId", advice: "ask for single accounts" };
const TOO_OLD: Narrowing =
    Narrowing { parameter: "date", advice: "narrow the request with `currency`, or ask for a later `date`" };

pub(crate) async fn list(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Segments((organization, merchant)): Segments<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let merchant = Merchant::parse(&organization, &merchant)?;
    let catalogue = app.store.catalogue().await?;
    let ListQuery { asset, moment } = ListQuery::parse(http::pairs(raw)?, &catalogue, now)?;
    admit(&caller, &merchant)?;
    let these = Merchants::These(BTreeSet::from([merchant.id.clone()]));
    let stored = app.store.organization_accounts(&merchant.organization_id, &these).await;
    let mut stored = stored.map_err(|error| ApiError::reading(error, TOO_MANY))?;
    stored.retain(|stored| asset.is_none_or(|asset| stored.account.asset == asset));
    let stored = stored.into_iter().map(StoredHolding::from);
    let accounts = app.store.accounts_at(stored, moment.unwrap_or(Moment::as_of(now))).await;
    let mut accounts = accounts.map_err(|error| ApiError::reading(error, TOO_OLD))?;
    accounts.retain(|account| merchant.owns(account));
    reply(moment, now, |balance_date| {
        accounts.iter().map(|account| BalanceBody::new(account, balance_date)).collect::<Vec<_>>()
    })
}

pub(crate) async fn single(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    Segments((organization, merchant, account)): Segments<(String, String, String)>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let merchant = Merchant::parse(&organization, &merchant)?;
    let SingleQuery { id, moment } = SingleQuery::parse(&account, http::pairs(raw)?, now)?;
    admit(&caller, &merchant)?;
    let stored = app.store.merchant_account(&merchant.organization_id, &merchant.id, id).await?;
    let stored = stored.ok_or_else(|| ApiError::no_account(&caller.grants))?;
    let account = app.store.account_at(stored, moment.unwrap_or(Moment::as_of(now))).await?;
    let account = account.filter(|account| merchant.owns(account)).ok_or(ApiError::AccountNotFound)?;
    reply(moment, now, |balance_date| BalanceBody::new(&account, balance_date))
}

fn admit(caller: &Caller, merchant: &Merchant) -> Result<(), ApiError> {
    let may_see = caller.grants.may_see_merchant(&merchant.organization_id, &merchant.id);
    if may_see { Ok(()) } else { Err(ApiError::InsufficientPermissions(Needed::Accounts)) }
}

/// Without a date the answer names the time of the request. The entity tag leaves that time out, so that an
/// answer which is the same otherwise is a 304.
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
