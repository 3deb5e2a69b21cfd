//! An account as its source writes it: the whole of it, every value a string that is checked.

use serde::Deserialize;
use shared::domain::{
    Account, AccountId, Amount, Asset, ContactId, CustomerId, MerchantId, OrganizationId, Status, Timestamp,
    TooLarge,
};
use std::fmt::Display;
use thiserror::Error;

/// Longest descriptive field: a batch of accounts must fit a transaction of 4 MB.
const MAX_TEXT_CHARACTERS: usize = 1_024;

/// A value that is not what its field holds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct EntryError {
    /// Which field, such as `balance` or `history[2].balance_at`.
    pub field: String,
    /// What is wrong with it; it never repeats the value.
    pub problem: String,
}

/// One account. An absent field is empty: an entry says everything there is to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    id: String,
    customer_id: String,
    currency: String,
    balance: String,
    available: Option<String>,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default = "active")]
    status: String,
    balance_at: String,
    iban: Option<String>,
    account_number: Option<String>,
    address: Option<String>,
    address_tag: Option<String>,
    network: Option<String>,
    description: Option<String>,
    organization_id: Option<String>,
    merchant_id: Option<String>,
    contact_id: Option<String>,
    /// Earlier balances, which a dataset may bring and an event may not.
    pub history: Option<Vec<HistoryEntry>>,
}

/// One earlier balance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryEntry {
    balance: String,
    balance_at: String,
}

const fn yes() -> bool {
    true
}

fn active() -> String {
    Status::Active.name().to_owned()
}

impl AccountEntry {
    /// The account as it is at its `balance_at`, without its history.
    pub fn parse(&self) -> Result<Account, EntryError> {
        let balance = field("balance", Amount::parse(&self.balance))?;
        let balance_at = field("balance_at", Timestamp::parse(&self.balance_at))?;
        let account = Account {
            id: field("id", AccountId::parse(&self.id))?,
            customer_id: field("customer_id", CustomerId::parse(&self.customer_id))?,
            asset: field("currency", Asset::parse(&self.currency))?,
            balance,
            available: optional("available", self.available.as_ref(), Amount::parse)?.unwrap_or(balance),
            active: self.active,
            status: field("status", Status::parse(&self.status))?,
            balance_at,
            created_at: balance_at,
            iban: text("iban", self.iban.as_ref())?,
            account_number: text("account_number", self.account_number.as_ref())?,
            address: text("address", self.address.as_ref())?,
            address_tag: text("address_tag", self.address_tag.as_ref())?,
            network: text("network", self.network.as_ref())?,
            description: text("description", self.description.as_ref())?,
            organization_id: optional(
                "organization_id",
                self.organization_id.as_ref(),
                OrganizationId::parse,
            )?,
            merchant_id: optional("merchant_id", self.merchant_id.as_ref(), MerchantId::parse)?,
            contact_id: optional("contact_id", self.contact_id.as_ref(), ContactId::parse)?,
            custody_account_id: None,
        };
        let locked = account
            .locked()
            .map_err(|TooLarge| "balance less available has more than 18 digits before the point");
        field("available", locked).map(|_| account)
    }
}

impl AccountEntry {
    /// The account's states by its own word, oldest first: its history, and last itself.
    pub fn states(&self) -> Result<Vec<Account>, EntryError> {
        let latest = self.parse()?;
        let mut states = vec![latest.clone()];
        for (index, past) in self.history.iter().flatten().enumerate() {
            let within = |EntryError { field, problem }| EntryError {
                field: format!("history[{index}].{field}"),
                problem,
            };
            let past = past.parse(&latest).map_err(within)?;
            // An entry that repeats a balance is that balance, whatever else the account says.
            match states.iter().find(|state| state.balance_at == past.balance_at) {
                Some(state) if state.balance == past.balance => {}
                Some(_) => {
                    return Err(within(EntryError {
                        field: "balance_at".to_owned(),
                        problem: "has another balance too".to_owned(),
                    }));
                }
                None => states.push(past),
            }
        }
        states.sort_by_key(|state| state.balance_at);
        Ok(states)
    }
}

impl HistoryEntry {
    /// The account as it was then: another balance, all of it available, and everything else as it is now.
    fn parse(&self, latest: &Account) -> Result<Account, EntryError> {
        let balance = field("balance", Amount::parse(&self.balance))?;
        let balance_at = field("balance_at", Timestamp::parse(&self.balance_at))?;
        if balance_at > latest.balance_at {
            return field("balance_at", Err("later than the account's own balance_at"));
        }
        Ok(Account { balance, available: balance, balance_at, created_at: balance_at, ..latest.clone() })
    }
}

fn field<T, E: Display>(field: &'static str, parsed: Result<T, E>) -> Result<T, EntryError> {
    parsed.map_err(|error| EntryError { field: field.to_owned(), problem: error.to_string() })
}

fn optional<T, E: Display>(
    name: &'static str,
    text: Option<&String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, EntryError> {
    field(name, text.map(|text| parse(text)).transpose())
}

/// An empty text is no text.
fn text(name: &'static str, entry: Option<&String>) -> Result<Option<String>, EntryError> {
    let is_short = |text: &&String| text.chars().count() <= MAX_TEXT_CHARACTERS;
    match entry.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) if is_short(&text) => Ok(Some(text.clone())),
        Some(_) => field(name, Err(format!("longer than {MAX_TEXT_CHARACTERS} characters"))),
    }
}
