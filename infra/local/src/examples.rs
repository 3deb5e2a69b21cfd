//! Ready-to-paste curl commands for whatever dataset the stack was started with.

use crate::dataset::{Dataset, LoadError};
use crate::issuer::IssuerError;
use crate::stack::Stack;
use serde_json::Value;
use shared::domain::{Account, Asset, CustomerId, Timestamp};
use uuid::Uuid;

/// Customers that are asked about.
const MAX_CUSTOMERS: usize = 3;

const PARTIAL: &str = "&partial=true";

/// One request worth making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub title: String,
    /// Whose balance it asks for.
    pub customer_id: CustomerId,
    /// The path and query.
    pub path: String,
}

impl Example {
    /// The command, on one line and complete in itself.
    pub fn curl(&self, stack: &Stack) -> Result<String, IssuerError> {
        let customers = Value::from(vec![self.customer_id.to_string()]);
        let token = stack
            .token([("sub".to_owned(), Value::from("local")), ("customer_ids".to_owned(), customers)].into_iter().collect())?;
        Ok(format!("curl --silent --show-error '{}{}' --header 'Authorization: Bearer {token}'", stack.url(), self.path))
    }
}

/// A few requests that this dataset answers with 200.
pub fn examples(dataset: &Dataset, now: Timestamp) -> Result<Vec<Example>, LoadError> {
    let (accounts, sheets) = (dataset.accounts()?, dataset.sheets()?);
    let sheet = sheets.iter().filter(|sheet| sheet.observed_at <= now).max_by_key(|sheet| sheet.observed_at);
    let limits = dataset.age_limits();
    let has_rate = |asset: Asset| sheet.is_some_and(|sheet| sheet.usable(asset, now, limits).is_some());
    let mut customers: Vec<CustomerId> = accounts.iter().flatten().map(|state| state.customer_id).collect();
    customers.sort_unstable();
    customers.dedup();
    // Without accounts there is still a customer to ask about, who holds nothing.
    if customers.is_empty() {
        customers.push(Uuid::nil().into());
    }
    let mut examples = Vec::new();
    for customer_id in customers.into_iter().take(MAX_CUSTOMERS) {
        let own: Vec<&Account> = accounts.iter().flatten().filter(|state| state.customer_id == customer_id).collect();
        let base = balance(customer_id, &own, has_rate);
        let example = |title: &str, more: String| Example {
            title: format!("{title}: customer {customer_id}"),
            customer_id,
            path: base.clone() + &more,
        };
        examples.push(example("What is held, by currency", "&stack=currency".to_owned()));
        if examples.len() == 1 {
            examples.push(example("Every account, and the rates it was converted by", "&details=true".to_owned()));
            // The rates of that time are another sheet's: what it lacks is left out.
            let partial = if base.ends_with(PARTIAL) { "" } else { PARTIAL };
            let as_of = |at: Timestamp| example("As it stood then", format!("&as_of={}{partial}", at.to_millis_text()));
            examples.extend(penultimate_change(&own, now).map(as_of));
        }
    }
    Ok(examples)
}

/// An instant at which something was different: the last but one at which a balance changed.
fn penultimate_change(own: &[&Account], now: Timestamp) -> Option<Timestamp> {
    let latest = own.iter().map(|state| state.balance_at).max()?;
    own.iter().map(|state| state.balance_at).filter(|at| *at < latest && *at <= now).max()
}

/// Converted into euro where that can be done, and partial where a rate may be missing, so that the answer is a 200.
fn balance(customer_id: CustomerId, own: &[&Account], has_rate: impl Fn(Asset) -> bool) -> String {
    let target = Asset::parse("EUR").ok().filter(|euro| has_rate(*euro)).unwrap_or(Asset::USD);
    let is_priced = own.iter().all(|state| has_rate(state.asset));
    let partial = if is_priced { "" } else { PARTIAL };
    format!("/v2/accounts/balance?customer_id={customer_id}&currency={}{partial}", target.code())
}
