//! `ballast accounts show`: everything that is stored of one account.

use crate::Ending;
use crate::error::CliError;
use crate::output::{Output, fields};
use crate::table::{Cell, Table};
use balance_ingest::field::entry_fields;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::{
    Account, AccountId, AccountState, Asset, CustodyAccountId, CustomerId, EntryKey, Timestamp,
};
use shared::store::{HistoryEnd, IdOwner, RecordedEntry, Store, StoreError};
use std::io::Write;

/// An account with its newest entries.
#[derive(Serialize)]
struct ShownAccount {
    /// Every field of an entry, by its name.
    #[serde(flatten)]
    fields: Map<String, Value>,
    recorded_at: String,
    created_at: String,
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
    let now = output.now();
    output.document(&shown, |shown| printed(shown, now))?;
    Ok(Ending::Done)
}

async fn of_account(
    store: &Store,
    customer_id: CustomerId,
    id: AccountId,
    history: u16,
) -> Result<Option<ShownAccount>, StoreError> {
    let Some(stored) = store.account(customer_id, id).await? else { return Ok(None) };
    let asset = stored.account.asset;
    let history = store.entries(id, HistoryEnd::Newest, history).await?;
    let entry = |entry: &RecordedEntry| shown_entry(asset, entry.key, entry.state, entry.recorded_at);
    let history = history.iter().map(entry).collect();
    Ok(Some(shown(&stored.account, stored.recorded_at, history)))
}

/// An account that shows a position of a custody account: its entries are that account's snapshots.
async fn of_position(
    store: &Store,
    custody: CustodyAccountId,
    id: AccountId,
    history: u16,
) -> Result<Option<ShownAccount>, StoreError> {
    let entries = store.position_entries(custody, id, history.max(1)).await?;
    let entry = |(account, recorded_at): &(Account, Timestamp)| {
        shown_entry(account.asset, account.entry, account.state, *recorded_at)
    };
    let shown_entries = entries.iter().take(history.into()).map(entry).collect();
    let newest = entries.into_iter().next();
    Ok(newest.map(|(account, recorded_at)| shown(&account, recorded_at, shown_entries)))
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

fn shown(account: &Account, recorded_at: Timestamp, history: Vec<ShownEntry>) -> ShownAccount {
    ShownAccount {
        fields: entry_fields().map(|field| (field.name.to_owned(), field.of(account))).collect(),
        recorded_at: recorded_at.to_stored_text(),
        created_at: account.created_at.to_stored_text(),
        custody_account_id: account.custody_account_id.map(|id| id.to_string()),
        history,
    }
}

fn printed(shown: &ShownAccount, now: Timestamp) -> String {
    let ShownAccount { fields: of_entry, recorded_at, created_at, custody_account_id, history } = shown;
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let of_entry = entry_fields().map(|field| (field.name, of_entry.get(field.name).and_then(text)));
    let beside = [
        ("recorded_at", Some(recorded_at.clone())),
        ("created_at", Some(created_at.clone())),
        ("custody_account_id", custody_account_id.clone()),
    ];
    let account = fields(&of_entry.chain(beside).collect::<Vec<_>>());
    let history = history.iter().map(|entry| {
        [
            Cell::from(&entry.balance_at),
            Cell::number(&entry.version),
            Cell::number(&entry.balance),
            Cell::number(&entry.available),
            entry.status.into(),
            Cell::from(&entry.recorded_at),
        ]
    });
    let header = ["at", "version", "balance", "available", "status", "recorded at"];
    format!("{account}\n{}", Table::new(header, history).shown(now))
}
