//! `ballast accounts show`: everything that is stored of one account.

use crate::Ending;
use crate::error::CliError;
use crate::output::{Output, fields, table};
use serde::Serialize;
use shared::domain::{Account, AccountId, Asset, Timestamp};
use shared::store::{End, Store};
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
    /// The newest balances, the newest first.
    history: Vec<Past>,
}

#[derive(Serialize)]
struct Past {
    balance: String,
    balance_at: String,
}

pub(super) async fn run(
    id: &str,
    history: usize,
    store: &Store,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let id = AccountId::parse(id).map_err(|error| CliError::argument("ID", error))?;
    let account = store
        .account_by_id(id)
        .await?
        .ok_or_else(|| CliError::NotFound(format!("there is no account {id}")))?;
    let asset = account.asset;
    let past = store.balances(id, End::Newest, history).await?.into_iter();
    let past =
        past.map(|(balance, at)| Past { balance: asset.print(balance), balance_at: at.to_stored_text() });
    output.document(&shown(account, asset, past.collect()), printed)?;
    Ok(Ending::Done)
}

fn shown(account: Account, asset: Asset, history: Vec<Past>) -> Shown {
    let Account {
        id,
        customer_id,
        asset: _,
        balance,
        available,
        active,
        status,
        balance_at,
        created_at,
        iban,
        account_number,
        address,
        address_tag,
        network,
        description,
        organization_id,
        merchant_id,
        contact_id,
        custody_account_id,
    } = account;
    Shown {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        currency: asset.code(),
        balance: asset.print(balance),
        available: asset.print(available),
        active,
        status: status.name(),
        balance_at: Timestamp::to_stored_text(balance_at),
        created_at: Timestamp::to_stored_text(created_at),
        iban,
        account_number,
        address,
        address_tag,
        network,
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
    let history =
        shown.history.iter().map(|Past { balance, balance_at }| [balance_at.clone(), balance.clone()]);
    format!("{account}\n{}", table(["at", "balance"], history))
}
