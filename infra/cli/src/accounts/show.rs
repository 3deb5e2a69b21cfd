//! `ballast accounts show`: everything that is stored of one account.

use crate::Ending;
use crate::error::CliError;
use crate::output::{Output, fields, table};
use serde::Serialize;
use shared::domain::{Account, AccountId, AccountLabels, AccountScope, AccountState, Asset};
use shared::store::{HistoryEnd, RecordedEntry, Store, StoredAccount};
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
    let stored = store
        .account_by_id(id)
        .await?
        .ok_or_else(|| CliError::NotFound(format!("there is no account {id}")))?;
    let asset = stored.account.asset;
    let history = store.entries(id, HistoryEnd::Newest, history).await?;
    let history = history.iter().map(|entry| shown_entry(asset, entry)).collect();
    output.document(&shown(stored, history), printed)?;
    Ok(Ending::Done)
}

fn shown_entry(asset: Asset, entry: &RecordedEntry) -> ShownEntry {
    let AccountState { balance, available, active, status } = entry.state;
    ShownEntry {
        balance_at: entry.key.balance_at.to_stored_text(),
        version: entry.key.version.number(),
        balance: asset.print(balance),
        available: asset.print(available),
        active,
        status: status.name(),
        recorded_at: entry.recorded_at.to_stored_text(),
    }
}

fn shown(stored: StoredAccount, history: Vec<ShownEntry>) -> Shown {
    let recorded_at = stored.recorded_at.to_stored_text();
    let Account { id, customer_id, asset, entry, state, created_at, scope, labels, custody_account_id } =
        stored.account;
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
        recorded_at,
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
