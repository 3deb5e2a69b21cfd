//! `ballast verify`: whether what is stored agrees with itself.
//!
//! Every account against its history and its owner, every custody balance against the account that shows it. All of these are
//! written together, so a difference means a write past Ballast, or a sync that was cut short and not repeated yet. What is
//! written while it is read is read again.

use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{Output, table};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use shared::domain::{Account, AccountId, Amount, ChainAsset, CustodyAccount, Position};
use shared::query::Filter;
use shared::store::{CustodyState, End, Store, StoreError};
use std::collections::HashSet;
use std::io::Write;

/// Accounts of one page of the table.
const PAGE: usize = 1_000;
const CONCURRENT_CHECKS: usize = 16;
/// Times that something is read again because it changed while it was read.
const MAX_LOOKS: usize = 5;

#[derive(Debug, Default, Serialize)]
struct Findings {
    accounts: usize,
    custody_accounts: usize,
    differences: Vec<Difference>,
}

/// Two places that should agree and do not.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    /// The account, or the custody account.
    id: String,
    /// What is compared with what.
    what: String,
    stored: String,
    expected: String,
}

pub(crate) async fn run(connection: &Connection, output: &mut Output<'_, impl Write>) -> Result<Ending, CliError> {
    let store = &connection.store;
    let mut findings = Findings::default();
    let shown = custody(store, &mut findings).await?;
    accounts(store, &shown, &mut findings).await?;
    output.document(&findings, printed)?;
    Ok(if findings.differences.is_empty() { Ending::Done } else { Ending::InPart })
}

fn printed(findings: &Findings) -> String {
    let Findings { accounts, custody_accounts, differences } = findings;
    let summary = format!("{accounts} accounts, {custody_accounts} custody accounts, {} differences", differences.len());
    if differences.is_empty() {
        return summary;
    }
    let rows = differences
        .iter()
        .map(|Difference { id, what, stored, expected }| [id.clone(), what.clone(), stored.clone(), expected.clone()]);
    format!("{}\n{summary}", table(["id", "what", "stored", "expected"], rows))
}

/// Compares custody accounts with the accounts that show them; the ids that may show one.
async fn custody(store: &Store, findings: &mut Findings) -> Result<HashSet<AccountId>, StoreError> {
    let (mut shown, mut after) = (HashSet::new(), None);
    loop {
        let (page, next) = store.custody_page(after).await?;
        findings.custody_accounts += page.len();
        for state in &page {
            shown.extend(state.account.positions.keys().map(|held| state.account.projection_id(held)));
        }
        let checks = stream::iter(page).map(|state| of_custody(store, state)).buffered(CONCURRENT_CHECKS);
        findings.differences.extend(checks.try_collect::<Vec<_>>().await?.into_iter().flatten());
        after = next;
        if after.is_none() {
            return Ok(shown);
        }
    }
}

async fn of_custody(store: &Store, mut state: CustodyState) -> Result<Vec<Difference>, StoreError> {
    for _ in 0..MAX_LOOKS {
        let differences = projections(store, &state.account).await?;
        let Some(now) = store.custody_account(state.account.id).await? else { return Ok(Vec::new()) };
        if differences.is_empty() || now == state {
            return Ok(differences);
        }
        state = now;
    }
    projections(store, &state.account).await
}

async fn projections(store: &Store, account: &CustodyAccount) -> Result<Vec<Difference>, StoreError> {
    let mut differences = Vec::new();
    for (held, position) in &account.positions {
        let projected = store.account(account.customer_id, account.projection_id(held)).await?;
        differences.extend(of_projection(account, held, position, projected.as_ref()));
    }
    Ok(differences)
}

fn of_projection(
    account: &CustodyAccount,
    held: &ChainAsset,
    position: &Position,
    projected: Option<&Account>,
) -> Option<Difference> {
    let (balance, available) = projected.map_or((Amount::ZERO, Amount::ZERO), |shown| (shown.balance, shown.available));
    let text = |balance: Amount, available: Amount| format!("{balance}, {available} available");
    ((balance, available) != (position.balance(), position.available())).then(|| Difference {
        id: account.id.to_string(),
        what: format!(
            "the account that shows {} on {}, with the provider's last answer",
            held.asset.code(),
            held.blockchain.name()
        ),
        stored: text(balance, available),
        expected: text(position.balance(), position.available()),
    })
}

async fn accounts(store: &Store, shown: &HashSet<AccountId>, findings: &mut Findings) -> Result<(), StoreError> {
    let (everything, mut after) = (Filter::default(), None);
    loop {
        let page = store.table_page(after, &everything, PAGE).await?;
        findings.accounts += page.accounts.len();
        let checks = stream::iter(page.accounts).map(|account| of_account(store, account, shown)).buffered(CONCURRENT_CHECKS);
        findings.differences.extend(checks.try_collect::<Vec<_>>().await?.into_iter().flatten());
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn of_account(store: &Store, mut account: Account, shown: &HashSet<AccountId>) -> Result<Vec<Difference>, StoreError> {
    for _ in 0..MAX_LOOKS {
        let differences = history(store, &account, shown).await?;
        let Some(now) = store.account(account.customer_id, account.id).await? else { return Ok(Vec::new()) };
        if differences.is_empty() || now == account {
            return Ok(differences);
        }
        account = now;
    }
    history(store, &account, shown).await
}

async fn history(store: &Store, account: &Account, shown: &HashSet<AccountId>) -> Result<Vec<Difference>, StoreError> {
    let Account { id, customer_id, asset, balance, balance_at, created_at, custody_account_id, .. } = account;
    let newest = store.balances(*id, End::Newest, 1).await?.into_iter().next();
    let oldest = store.balances(*id, End::Oldest, 1).await?.into_iter().next();
    let owner = store.owner(*id).await?;
    let nothing = || "nothing".to_owned();
    let state = |(balance, at): (Amount, shared::domain::Timestamp)| format!("{balance} at {}", at.to_stored_text());
    let said = |(customer, asset): (shared::domain::CustomerId, shared::domain::Asset)| format!("{} of {customer}", asset.code());
    let is_projection = custody_account_id.is_none() || shown.contains(id);
    let rows = [
        ("the balance, with the newest of its history", state((*balance, *balance_at)), newest.map_or_else(nothing, state)),
        (
            "created_at, with the oldest of its history",
            created_at.to_stored_text(),
            oldest.map_or_else(nothing, |(_, at)| at.to_stored_text()),
        ),
        ("the owner, with the one its history names", said((*customer_id, *asset)), owner.map_or_else(nothing, said)),
        (
            "the custody account that it shows a position of",
            custody_account_id.map_or_else(nothing, |id| id.to_string()),
            if is_projection { custody_account_id.map_or_else(nothing, |id| id.to_string()) } else { nothing() },
        ),
    ];
    let differs = |(what, stored, expected): (&str, String, String)| {
        (stored != expected).then(|| Difference { id: id.to_string(), what: what.to_owned(), stored, expected })
    };
    Ok(rows.into_iter().filter_map(differs).collect())
}
