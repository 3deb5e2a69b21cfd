//! Ready-to-paste curl commands for whatever dataset the stack was started with.

use crate::dataset::{Dataset, LoadError};
use crate::issuer::IssuerError;
use crate::stack::Stack;
use serde_json::Value;
use shared::domain::{Account, Asset, CustomerId, RateSheet, Timestamp};
use uuid::Uuid;

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
pub fn examples(dataset: &Dataset) -> Result<Vec<Example>, LoadError> {
    let (accounts, sheets) = (dataset.accounts()?, dataset.sheets()?);
    let newest = sheets.iter().max_by_key(|sheet| sheet.observed_at);
    let latest: Vec<&Account> = accounts.iter().filter_map(|states| states.last()).collect();
    let mut customers: Vec<CustomerId> = latest.iter().map(|account| account.customer_id).collect();
    customers.sort_unstable();
    customers.dedup();
    // Without accounts there is still a customer to ask about, who holds nothing.
    if customers.is_empty() {
        customers.push(Uuid::nil().into());
    }
    let mut examples = Vec::new();
    for customer_id in customers.into_iter().take(3) {
        let held: Vec<Asset> =
            latest.iter().filter(|account| account.customer_id == customer_id).map(|account| account.asset).collect();
        let base = balance(customer_id, &held, newest, dataset.rates_never_expire);
        examples.push(Example {
            title: format!("What customer {customer_id} holds, by currency"),
            customer_id,
            path: format!("{base}&stack=currency"),
        });
    }
    examples.extend(more(examples.first(), &accounts));
    Ok(examples)
}

/// What else the first customer's balance can show.
fn more(first: Option<&Example>, accounts: &[Vec<Account>]) -> Vec<Example> {
    let Some(Example { customer_id, path, .. }) = first else { return Vec::new() };
    let base = path.trim_end_matches("&stack=currency");
    let example = |title: &str, path: String| Example { title: title.to_owned(), customer_id: *customer_id, path };
    let mut examples =
        vec![example("The same with every account and the rates it was converted by", format!("{base}&details=true"))];
    let own = accounts.iter().flatten().filter(|state| state.customer_id == *customer_id);
    let instants: Vec<Timestamp> = own.map(|state| state.balance_at).collect();
    if let Some((earliest, latest)) =
        instants.iter().min().zip(instants.iter().max()).filter(|(earliest, latest)| earliest < latest)
    {
        let middle = instants.iter().filter(|at| *at < latest).max().unwrap_or(earliest);
        examples.push(example(
            "The same as it stood then, partial if a rate of that time is missing",
            format!("{}&as_of={}&partial=true", base.trim_end_matches("&partial=true"), middle.to_millis_text()),
        ));
    }
    examples
}

/// Converted into euro where the newest sheet has it; partial where a rate may be missing, so that the answer is a 200.
fn balance(customer_id: CustomerId, held: &[Asset], newest: Option<&RateSheet>, never_expire: bool) -> String {
    let euro = Asset::parse("EUR").ok();
    let has_rate = |asset: &Asset| *asset == Asset::USD || newest.is_some_and(|sheet| sheet.entries.contains_key(asset));
    let target = euro.filter(has_rate).unwrap_or(Asset::USD);
    let is_priced = never_expire && held.iter().all(has_rate);
    let partial = if is_priced { "" } else { "&partial=true" };
    format!("/v2/accounts/balance?customer_id={customer_id}&currency={}{partial}", target.code())
}
