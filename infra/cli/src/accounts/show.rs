//! `ballast accounts show`: everything that is stored of one account.

use crate::Ending;
use crate::error::CliError;
use crate::output::{Output, fields, table};
use serde::Serialize;
use shared::domain::{
    Account, AccountId, AccountLabels, AccountScope, AccountState, Asset, CustodyAccountId, CustomerId,
    EntryKey, Timestamp,
};
use shared::store::{HistoryEnd, IdOwner, RecordedEntry, Store, StoreError};
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    id: String,
    customer_id: String,
    currency: &'static str,
    balance: String,
    available: String,
    active: bool,
    status: &'static str,
    balance_at: String,
    version: u64,
    recorded_at: String,
    created_at: String,
    iban: Option<String>,
    account_number: Option<String>,
    address: Option<String>,
    address_tag: Option<String>,
    network: Option<String>,
    description: Option<String>,
    organization_id: Option<String>,
    merchant_id: Option<String>,
    contact_id: Option<String>,
    /// Set on an account that shows a position of a custody account.
    custody_account_id: Option<String>,
    /// The newest entries, the newest first.
    history: Vec<ShownEntry>,
}

#[derive(Serialize)]
struct ShownEntry {
    balance_at: String,
    version: u64,
    balance: String,
    available: String,
    active: bool,
    status: &'static str,
    recorded_at: String,
}

pub(super) async fn run(
    id: &str,
    history: u16,
    store: &Store,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let id = AccountId::parse(id).map_err(|error| CliError::argument("ID", error))?;
    let found = match store.owner(id).await? {
        Some(IdOwner::Account { customer_id, .. }) => of_account(store, customer_id, id, history).await?,
        Some(IdOwner::Custody { custody_account_id, .. }) => {
            of_position(store, custody_account_id, id, history).await?
        }
        None => None,
    };
    let shown = found.ok_or_else(|| CliError::NotFound(format!("there is no account {id}")))?;
    output.document(&shown, printed)?;
    Ok(Ending::Done)
}

async fn of_account(
    store: &Store,
    customer_id: CustomerId,
    id: AccountId,
    history: u16,
) -> Result<Option<Shown>, StoreError> {
    let Some(stored) = store.account(customer_id, id).await? else { return Ok(None) };
    let asset = stored.account.asset;
    let history = store.entries(id, HistoryEnd::Newest, history).await?;
    let entry = |entry: &RecordedEntry| shown_entry(asset, entry.key, entry.state, entry.recorded_at);
    let history = history.iter().map(entry).collect();
    Ok(Some(shown(stored.account, stored.recorded_at, history)))
}

/// An account that shows a position of a custody account: its entries are that account's snapshots.
async fn of_position(
    store: &Store,
    custody: CustodyAccountId,
    id: AccountId,
    history: u16,
) -> Result<Option<Shown>, StoreError> {
    let entries = store.position_entries(custody, id, history.max(1)).await?;
    let entry = |(account, recorded_at): &(Account, Timestamp)| {
        shown_entry(account.asset, account.entry, account.state, *recorded_at)
    };
    let shown_entries = entries.iter().take(history.into()).map(entry).collect();
    let newest = entries.into_iter().next();
    Ok(newest.map(|(account, recorded_at)| shown(account, recorded_at, shown_entries)))
}

fn shown_entry(asset: Asset, key: EntryKey, state: AccountState, recorded_at: Timestamp) -> ShownEntry {
    let AccountState { balance, available, active, status } = state;
    ShownEntry {
        balance_at: key.balance_at.to_stored_text(),
        version: key.version.number(),
        balance: asset.print(balance),
        available: asset.print(available),
        active,
        status: status.name(),
        recorded_at: recorded_at.to_stored_text(),
    }
}

fn shown(account: Account, recorded_at: Timestamp, history: Vec<ShownEntry>) -> Shown {
    let Account { id, customer_id, asset, entry, state, created_at, scope, labels, custody_account_id } =
        account;
    let AccountState { balance, available, active, status } = state;
    let AccountScope { organization_id, merchant_id, network } = scope;
    let AccountLabels { iban, account_number, address, address_tag, description, contact_id } = labels;
    Shown {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        currency: asset.code(),
        balance: asset.print(balance),
        available: asset.print(available),
        active,
        status: status.name(),
        balance_at: entry.balance_at.to_stored_text(),
        version: entry.version.number(),
        recorded_at: recorded_at.to_stored_text(),
        created_at: created_at.to_stored_text(),
        iban,
        account_number,
        address,
        address_tag,
        network: network.map(|network| network.name().to_owned()),
        description,
        organization_id: organization_id.map(|id| id.to_string()),
        merchant_id: merchant_id.map(|id| id.to_string()),
        contact_id: contact_id.map(|id| id.to_string()),
        custody_account_id: custody_account_id.map(|id| id.to_string()),
        history,
    }
}

fn printed(shown: &Shown) -> String {
    let account = fields(&[
        ("id", Some(shown.id.clone())),
        ("customer", Some(shown.customer_id.clone())),
        ("balance", Some(format!("{} {}", shown.balance, shown.currency))),
        ("available", Some(shown.available.clone())),
        ("status", Some(format!("{}, {}", shown.status, if shown.active { "active" } else { "not active" }))),
        ("balance at", Some(shown.balance_at.clone())),
        ("version", Some(shown.version.to_string())),
        ("recorded at", Some(shown.recorded_at.clone())),
        ("created at", Some(shown.created_at.clone())),
        ("iban", shown.iban.clone()),
        ("account number", shown.account_number.clone()),
        ("address", shown.address.clone()),
        ("address tag", shown.address_tag.clone()),
        ("network", shown.network.clone()),
        ("description", shown.description.clone()),
        ("organization", shown.organization_id.clone()),
        ("merchant", shown.merchant_id.clone()),
        ("contact", shown.contact_id.clone()),
        ("custody account", shown.custody_account_id.clone()),
    ]);
    let history = shown.history.iter().map(|entry| {
        [
            entry.balance_at.clone(),
            entry.version.to_string(),
            entry.balance.clone(),
            entry.available.clone(),
            entry.status.to_owned(),
            entry.recorded_at.clone(),
        ]
    });
    let header = ["at", "version", "balance", "available", "status", "recorded at"];
    format!("{account}\n{}", table(header, history))
}
