//! Ready-to-paste curl commands for whatever dataset the stack was started with.

use crate::dataset::{Dataset, LoadError};
use crate::issuer::IssuerError;
use crate::stack::Stack;
use serde_json::{Map, Value};
use shared::domain::{
    AccountUpdate, Asset, Coverage, CustodyAccount, CustomerId, MerchantId, OrganizationId, RatesInForce,
    Timestamp,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Customers that are asked about.
const MAX_CUSTOMERS: usize = 3;
/// Merchants that are asked about.
const MAX_MERCHANTS: usize = 2;

const PARTIAL: &str = "&partial=true";

/// One request worth making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its title.
    pub title: String,
    /// The claims that a token needs for it.
    pub claims: Map<String, Value>,
    /// The path and query.
    pub path: String,
}

impl Example {
    /// A request of somebody who sees one `id` of the kind that `claim` lists.
    fn new(title: String, claim: &str, id: &str, path: String) -> Self {
        let ids = Value::from(vec![id.to_owned()]);
        let claims =
            [("sub".to_owned(), Value::from("local")), (claim.to_owned(), ids)].into_iter().collect();
        Self { title, claims, path }
    }

    /// The command, on one line and complete in itself.
    pub fn curl(&self, stack: &Stack) -> Result<String, IssuerError> {
        let token = stack.token(self.claims.clone())?;
        Ok(format!(
            "curl --silent --show-error '{}{}' --header 'Authorization: Bearer {token}'",
            stack.url(),
            self.path
        ))
    }
}

/// A few requests that this dataset answers with 200.
pub fn examples(dataset: &Dataset, now: Timestamp) -> Result<Vec<Example>, LoadError> {
    let catalogue = dataset.catalogue()?;
    let (accounts, sheets) = (dataset.accounts(&catalogue)?, dataset.sheets(&catalogue)?);
    let states: Vec<&AccountUpdate> = accounts.iter().flatten().collect();
    let newest =
        sheets.into_iter().filter(|sheet| sheet.observed_at <= now).max_by_key(|sheet| sheet.observed_at);
    let (rates, limits) = (RatesInForce::of(newest.into_iter().collect()), dataset.age_limits());
    let has_rate = |asset: Asset| rates.usable(asset, now, limits).is_some();
    let custody = dataset.custody_accounts(&catalogue)?;
    // The demo's custody accounts are synced before it is ready; others lack until the schedule has synced
    // them.
    let unsynced = if dataset.is_demo { &[] } else { custody.as_slice() };
    let unsynced = unsynced.iter().map(|account| account.customer_id).collect();
    let customers = of_customers(&states, &unsynced, has_rate, now);
    let custody = custody.first().map(|account| of_custody(account, has_rate));
    let merchants = of_merchants(&states, now).chain(of_organization(&states, has_rate));
    Ok(customers.chain(merchants).chain(custody).collect())
}

fn of_custody(account: &CustodyAccount, has_rate: impl Fn(Asset) -> bool) -> Example {
    let is_priced = match &account.coverage {
        Coverage::All => false,
        Coverage::Listed(listed) => listed.iter().all(|chain_asset| has_rate(chain_asset.asset)),
    };
    let query = if is_priced { "" } else { "?partial=true" };
    let path = format!("/custody/accounts/{}/balances{query}", account.id);
    let title = format!("What the custody provider says now: custody account {}", account.id);
    Example::new(title, "customer_ids", &account.customer_id.to_string(), path)
}

fn of_customers(
    states: &[&AccountUpdate],
    unsynced: &BTreeSet<CustomerId>,
    has_rate: impl Fn(Asset) -> bool + Copy,
    now: Timestamp,
) -> impl Iterator<Item = Example> {
    let mut customers: BTreeSet<CustomerId> = states.iter().map(|state| state.customer_id).collect();
    // Without accounts there is still a customer to ask about, who holds nothing.
    if customers.is_empty() {
        customers.insert(Uuid::nil().into());
    }
    let mut examples = Vec::new();
    for customer_id in customers.into_iter().take(MAX_CUSTOMERS) {
        let own: Vec<&AccountUpdate> =
            states.iter().filter(|state| state.customer_id == customer_id).copied().collect();
        let mut base = balance(customer_id, &own, has_rate);
        if unsynced.contains(&customer_id) && !base.ends_with(PARTIAL) {
            base.push_str(PARTIAL);
        }
        let example = |title: &str, path: String| {
            Example::new(
                format!("{title}: customer {customer_id}"),
                "customer_ids",
                &customer_id.to_string(),
                path,
            )
        };
        let is_first = examples.is_empty();
        examples.push(example("What is held, by currency", format!("{base}&stack=currency")));
        if is_first {
            examples.push(example(
                "Every account, and the rates it was converted by",
                format!("{base}&details=true"),
            ));
            // The rates of that time are another sheet's: what it lacks is left out.
            let partial = if base.ends_with(PARTIAL) { "" } else { PARTIAL };
            let at = penultimate_change(&own, now);
            examples.extend(at.map(|at| {
                example("As it stood then", format!("{base}&as_of={}{partial}", at.to_millis_text()))
            }));
            let list = format!("/v2/accounts?search.customer_id={customer_id}&sort=-balance&limit=5");
            examples.push(example("The accounts, largest number first", list));
        }
    }
    examples.into_iter()
}

fn of_merchants(states: &[&AccountUpdate], now: Timestamp) -> impl Iterator<Item = Example> {
    let merchants: BTreeSet<(&OrganizationId, &MerchantId)> =
        states.iter().filter_map(|state| merchant(state)).collect();
    let mut examples = Vec::new();
    for (organization_id, merchant_id) in merchants.into_iter().take(MAX_MERCHANTS) {
        let own: Vec<&AccountUpdate> = states
            .iter()
            .filter(|state| merchant(state) == Some((organization_id, merchant_id)))
            .copied()
            .collect();
        let path =
            format!("/api/v1/organizations/{organization_id}/merchants/{merchant_id}/accounts/balances");
        let example = |title: &str, query: String| {
            let title = format!("{title}: merchant {merchant_id}");
            Example::new(title, "merchant_ids", &merchant_id.to_string(), format!("{path}{query}"))
        };
        examples.push(example("A merchant's balances", String::new()));
        let at = penultimate_change(&own, now);
        examples.extend(at.map(|at| example("As they stood then", format!("?date={}", at.to_millis_text()))));
    }
    examples.into_iter()
}

fn merchant(state: &AccountUpdate) -> Option<(&OrganizationId, &MerchantId)> {
    state.scope.organization_id.as_ref().zip(state.scope.merchant_id.as_ref())
}

/// The first organization, all of its merchants together.
fn of_organization(
    states: &[&AccountUpdate],
    has_rate: impl Fn(Asset) -> bool,
) -> impl Iterator<Item = Example> {
    let id = states.iter().filter_map(|state| state.scope.organization_id.as_ref()).min();
    id.into_iter().map(move |id| {
        let own: Vec<&AccountUpdate> =
            states.iter().filter(|state| state.scope.organization_id.as_ref() == Some(id)).copied().collect();
        let path = format!("/api/v1/organizations/{id}/balances?{}", conversion(&own, &has_rate));
        let title = format!("All merchants together: organization {id}");
        Example::new(title, "organization_ids", &id.to_string(), path)
    })
}

/// An instant at which something was different: the last but one at which a balance changed.
fn penultimate_change(own: &[&AccountUpdate], now: Timestamp) -> Option<Timestamp> {
    let latest = own.iter().map(|state| state.entry.balance_at).max()?;
    own.iter().map(|state| state.entry.balance_at).filter(|at| *at < latest && *at <= now).max()
}

fn balance(customer_id: CustomerId, own: &[&AccountUpdate], has_rate: impl Fn(Asset) -> bool) -> String {
    format!("/v2/accounts/balance?customer_id={customer_id}&{}", conversion(own, has_rate))
}

/// Parameters that convert into euro where that can be done, and ask for a partial answer where a rate may be
/// missing, so that the answer is a 200.
fn conversion(own: &[&AccountUpdate], has_rate: impl Fn(Asset) -> bool) -> String {
    let target = if has_rate(Asset::EUR) { Asset::EUR } else { Asset::USD };
    let is_priced = own.iter().all(|state| has_rate(state.asset));
    let partial = if is_priced { "" } else { PARTIAL };
    format!("currency={}{partial}", target.code())
}
