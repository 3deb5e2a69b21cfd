//! `GET /v2/accounts`: the accounts behind the balance, searched, sorted, grouped and paged.
//!
//! Accounts of named customers, or by their ids, are read whole and then ordered. All customers together are
//! too many for that: they come in the table's own order, a bounded part of it per page.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::ListBody;
use query::{ListQuery, Reach};
use shared::domain::{Account, AccountId, CustodyAccountId, CustomerId, Moment};
use shared::http::{self, ApiError, Authenticated, Narrowing, Needed, RequestTime};
use shared::query::{Page, Turned};
use shared::store::{ItemDetail, Store, StoreError, StoredHolding, TablePage, TablePlace};
use std::collections::BTreeSet;

const TOO_MANY: Narrowing = Narrowing {
    parameter: "search.customer_id",
    advice: "ask for fewer customers, or for single accounts with `search.id.in`",
};
const PAGE_TOO_LARGE: Narrowing = Narrowing { parameter: "limit", advice: "ask for a smaller `limit`" };
const TOO_OLD: Narrowing =
    Narrowing { parameter: "as_of", advice: "ask for fewer customers, or for a later `as_of`" };
const GROUPS_TOO_LARGE: Narrowing =
    Narrowing { parameter: "stack", advice: "leave `stack` out or narrow it with `search.currency`" };

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let query = ListQuery::parse(http::pairs(raw)?, &catalogue, &caller.grants, now)?;
    if query.filter.named_customers().any(|customer| !caller.grants.may_see_customer(customer)) {
        return Err(ApiError::InsufficientPermissions(Needed::Accounts));
    }
    let moment = query.moment.unwrap_or(Moment::as_of(now));
    let accounts = match (&query.reach, query.filter.ids()) {
        (Reach::Everybody, None) => return across_customers(&app.store, &query, moment).await,
        (reach, Some(ids)) => by_id(&app.store, ids, reach, &query, moment).await,
        (Reach::Customers(customers), None) => of_customers(&app.store, customers, &query, moment).await,
    };
    let accounts = accounts
        .map_err(|error| ApiError::reading(error, if query.moment.is_some() { TOO_OLD } else { TOO_MANY }))?;
    let body = ListBody::new(&query, accounts)?;
    let response = http::json(&body, if query.has_stacks { GROUPS_TOO_LARGE } else { PAGE_TOO_LARGE })?;
    Ok(if query.reach.is_counted() { http::known_at(response, now) } else { response })
}

async fn across_customers(store: &Store, query: &ListQuery, moment: Moment) -> Result<Response, ApiError> {
    let page = table_page(store, query, moment).await?;
    http::json(&ListBody::of_accounts(query, page)?, PAGE_TOO_LARGE)
}

/// The accounts of these customers that match, as they stood at the moment.
async fn of_customers(
    store: &Store,
    customers: &BTreeSet<CustomerId>,
    query: &ListQuery,
    moment: Moment,
) -> Result<Vec<Account>, StoreError> {
    let mut matching = Vec::new();
    for customer in customers {
        let mut pages = store.customer_pages(*customer, ItemDetail::Whole);
        while let Some(page) = pages.next().await? {
            let page = page.into_iter().filter(|holding| holding.is_admitted(&query.filter));
            matching.extend(matching_at(store, page, query, moment).await?);
        }
    }
    Ok(matching)
}

async fn by_id(
    store: &Store,
    ids: BTreeSet<AccountId>,
    reach: &Reach,
    query: &ListQuery,
    moment: Moment,
) -> Result<Vec<Account>, StoreError> {
    let stored = store.accounts_by_id(ids).await?;
    let stored = stored.into_iter().filter(|holding| reach.covers(holding.customer_id()));
    matching_at(store, stored, query, moment).await
}

async fn matching_at(
    store: &Store,
    stored: impl Iterator<Item = StoredHolding>,
    query: &ListQuery,
    moment: Moment,
) -> Result<Vec<Account>, StoreError> {
    let mut accounts = store.accounts_at(stored, moment).await?;
    accounts.retain(|account| query.filter.admits(account));
    Ok(accounts)
}

async fn table_page(store: &Store, query: &ListQuery, moment: Moment) -> Result<Turned<Account>, ApiError> {
    let after = query.page.after.as_deref().map(|texts| parse_place(texts).ok_or_else(Page::misplaced));
    let page = store.table_page(after.transpose()?, &query.filter, moment, query.page.limit).await?;
    let TablePage { accounts, next } = page;
    let next_cursor = next.map(|place| query.page.cursor(place_texts(place)));
    Ok(Turned { items: accounts, total: None, next_cursor })
}

/// A place in a cursor: a customer and an account, and between them the custody account for a place inside
/// its snapshot.
fn place_texts(place: TablePlace) -> Vec<String> {
    match place {
        TablePlace::Account(customer_id, id) => vec![customer_id.to_string(), id.to_string()],
        TablePlace::Snapshot(customer_id, custody) => {
            vec![customer_id.to_string(), custody.to_string(), String::new()]
        }
        TablePlace::Position(customer_id, custody, id) => {
            vec![customer_id.to_string(), custody.to_string(), id.to_string()]
        }
    }
}

fn parse_place(texts: &[String]) -> Option<TablePlace> {
    let customer_id = |text: &String| CustomerId::parse(text).ok();
    match texts {
        [customer, id] => Some(TablePlace::Account(customer_id(customer)?, AccountId::parse(id).ok()?)),
        [customer, custody, id] => {
            let (customer_id, custody) = (customer_id(customer)?, CustodyAccountId::parse(custody).ok()?);
            if id.is_empty() {
                return Some(TablePlace::Snapshot(customer_id, custody));
            }
            Some(TablePlace::Position(customer_id, custody, AccountId::parse(id).ok()?))
        }
        _ => None,
    }
}
