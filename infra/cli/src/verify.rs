//! `ballast verify`: whether what is stored agrees with itself.
//!
//! Every account against its history and its owner, every owner against its account, every custody balance
//! against the account that shows it. All of these are written together, so a difference means a write past
//! Ballast, or a sync that was cut short and not repeated yet. What is written while it is read is read
//! again, and a row that cannot be read is a difference.

use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{Output, table};
use futures::future::try_join3;
use futures::stream::{self, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::domain::{
    Account, AccountId, AccountState, AccountUpdate, Amount, CustodyAccount, EntryKey, Timestamp,
};
use shared::store::{
    AccountOwner, CorruptRow, CustodyState, HistoryEnd, RecordedEntry, Store, StoreError, StoredAccount,
};
use std::collections::HashSet;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;
use tokio::time::sleep;

const CONCURRENT_CHECKS: usize = 16;
/// Times that something is read again because it changed while it was read, or a sync of it is under way.
const MAX_LOOKS: usize = 20;
/// A sync takes a second or less.
const PAUSE: Duration = Duration::from_millis(500);
const NOTHING: &str = "nothing";

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
    /// The two things that are compared.
    what: String,
    stored: String,
    expected: String,
}

impl Difference {
    fn new(id: impl Display, what: impl Into<String>, stored: String, expected: String) -> Self {
        Self { id: format!("{id}"), what: what.into(), stored, expected }
    }

    fn unreadable(CorruptRow { key, error }: CorruptRow, what: &str) -> Self {
        Self::new(key, what, error.to_string(), "one that can be read".to_owned())
    }
}

pub(crate) async fn run(
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let style = ProgressStyle::with_template("{spinner} {pos} accounts  {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut walk = Walk {
        store: &connection.store,
        seen: HashSet::new(),
        findings: Findings::default(),
        bar: ProgressBar::no_length().with_style(style),
    };
    walk.custody().await?;
    walk.accounts().await?;
    walk.owners().await?;
    walk.bar.finish_and_clear();
    let findings = walk.findings;
    output.document(&findings, printed)?;
    Ok(if findings.differences.is_empty() { Ending::Done } else { Ending::InPart })
}

fn printed(findings: &Findings) -> String {
    let Findings { accounts, custody_accounts, differences } = findings;
    let summary = format!(
        "{accounts} accounts, {custody_accounts} custody accounts, {} differences",
        differences.len()
    );
    if differences.is_empty() {
        return summary;
    }
    let rows = differences.iter().map(|Difference { id, what, stored, expected }| {
        [id.clone(), what.clone(), stored.clone(), expected.clone()]
    });
    format!("{}\n{summary}", table(["id", "what", "stored", "expected"], rows))
}

/// A walk through all tables, one after the other.
struct Walk<'a> {
    store: &'a Store,
    /// Accounts that are there.
    seen: HashSet<AccountId>,
    findings: Findings,
    bar: ProgressBar,
}

impl Walk<'_> {
    async fn custody(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let (page, next) = self.store.custody_page(after).await?;
            self.findings.custody_accounts += page.len();
            let checks =
                stream::iter(page).map(|row| of_custody_row(self.store, row)).buffered(CONCURRENT_CHECKS);
            let found: Vec<Vec<_>> = checks.try_collect().await?;
            self.findings.differences.extend(found.into_iter().flatten());
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn accounts(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let (page, next) = self.store.account_rows(after).await?;
            self.findings.accounts += page.len();
            self.seen.extend(page.iter().flatten().map(|stored| stored.account.id));
            let checks = stream::iter(page).map(|row| of_row(self.store, row)).buffered(CONCURRENT_CHECKS);
            let found: Vec<Vec<_>> = checks.try_collect().await?;
            self.findings.differences.extend(found.into_iter().flatten());
            self.bar.set_position(u64::try_from(self.findings.accounts).unwrap_or(u64::MAX));
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// An account that history knows and that is gone is lost.
    async fn owners(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let (page, next) = self.store.owner_rows(after).await?;
            for row in page {
                let (customer_id, id) = match row {
                    Ok((_, id)) if self.seen.contains(&id) => continue,
                    Ok(owner) => owner,
                    Err(row) => {
                        self.findings
                            .differences
                            .push(Difference::unreadable(row, "the owner that its history names"));
                        continue;
                    }
                };
                match self.store.account(customer_id, id).await {
                    Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => {}
                    Ok(None) => {
                        let expected = format!("an account of {customer_id}");
                        let lost = Difference::new(
                            id,
                            "the account that its history names",
                            NOTHING.to_owned(),
                            expected,
                        );
                        self.findings.differences.push(lost);
                    }
                    Err(error) => return Err(error),
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

async fn of_custody_row(
    store: &Store,
    row: Result<CustodyState, CorruptRow>,
) -> Result<Vec<Difference>, StoreError> {
    match row {
        Ok(state) => of_custody(store, state).await,
        Err(row) => Ok(vec![Difference::unreadable(row, "the custody account's item")]),
    }
}

async fn of_custody(store: &Store, mut state: CustodyState) -> Result<Vec<Difference>, StoreError> {
    for _ in 0..MAX_LOOKS {
        let differences = projections(store, &state.account).await?;
        let Some(now) = store.custody_account(state.account.id).await? else { return Ok(Vec::new()) };
        // A sync writes projections before its snapshot: while one is under way they may differ.
        let is_held = now.attempts.held_until.is_some_and(|until| until > store.clock().now());
        if differences.is_empty() || (now == state && !is_held) {
            return Ok(differences);
        }
        state = now;
        sleep(PAUSE).await;
    }
    projections(store, &state.account).await
}

/// Every position against the account that shows it, whole; one that was never held needs none.
async fn projections(store: &Store, account: &CustodyAccount) -> Result<Vec<Difference>, StoreError> {
    let mut differences = Vec::new();
    for (held, position) in &account.positions {
        let stored = match store.account(account.customer_id, account.projection_id(held)).await {
            // Its own walk tells.
            Err(StoreError::Corrupt { .. }) => continue,
            stored => stored?,
        };
        let what = format!(
            "the account that shows {} on {}, with the provider's last answer",
            held.asset.code(),
            held.blockchain.name()
        );
        let amounts = |balance: Amount, available: Amount| format!("{balance}, {available} available");
        let told = amounts(position.balance(), position.available());
        match stored {
            None if position.balance() == Amount::ZERO => {}
            None => differences.push(Difference::new(account.id, what, NOTHING.to_owned(), told)),
            Some(stored) => {
                let expected = account.projection(held, position, stored.account.entry.balance_at);
                let AccountState { balance, available, .. } = stored.account.state;
                let shown = amounts(balance, available);
                if shown != told {
                    differences.push(Difference::new(account.id, what, shown, told));
                } else if !is_as_updated(&stored.account, &expected) {
                    let other = "other fields than a sync writes".to_owned();
                    differences.push(Difference::new(account.id, what, other, told));
                }
            }
        }
    }
    Ok(differences)
}

/// Whether an account is as an update would have made it.
fn is_as_updated(account: &Account, update: &AccountUpdate) -> bool {
    let AccountUpdate {
        id,
        customer_id,
        asset,
        entry,
        state,
        scope,
        labels,
        custody_account_id,
        recorded_at: _,
    } = update;
    (account.id, account.customer_id, account.asset) == (*id, *customer_id, *asset)
        && (account.entry, account.state) == (*entry, *state)
        && (&account.scope, Some(&account.labels)) == (scope, labels.as_ref())
        && account.custody_account_id == *custody_account_id
}

async fn of_row(
    store: &Store,
    row: Result<StoredAccount, CorruptRow>,
) -> Result<Vec<Difference>, StoreError> {
    match row {
        Ok(account) => of_account(store, account).await,
        Err(row) => Ok(vec![Difference::unreadable(row, "the account's item")]),
    }
}

async fn of_account(store: &Store, mut account: StoredAccount) -> Result<Vec<Difference>, StoreError> {
    for _ in 0..MAX_LOOKS {
        let differences = history(store, &account).await?;
        if differences.is_empty() {
            return Ok(differences);
        }
        let Some(now) = store.account(account.account.customer_id, account.account.id).await? else {
            return Ok(Vec::new());
        };
        if now == account {
            return Ok(differences);
        }
        account = now;
    }
    history(store, &account).await
}

async fn history(store: &Store, stored: &StoredAccount) -> Result<Vec<Difference>, StoreError> {
    let Account { id, customer_id, asset, entry, state, created_at, custody_account_id, .. } =
        &stored.account;
    let read = try_join3(
        store.entries(*id, HistoryEnd::Newest, 1),
        store.entries(*id, HistoryEnd::Oldest, 1),
        store.owner(*id),
    );
    let (newest, oldest, owner) = match Box::pin(read).await {
        Err(StoreError::Corrupt { attribute, .. }) => {
            let expected = "entries and an owner".to_owned();
            return Ok(vec![Difference::new(
                id,
                "its history",
                format!("an unreadable {attribute}"),
                expected,
            )]);
        }
        read => read?,
    };
    let (newest, oldest) = (newest.first(), oldest.first());
    let mut differences = Vec::new();
    let own = described(*entry, *state, stored.recorded_at);
    let in_history = newest.map_or_else(
        || NOTHING.to_owned(),
        |RecordedEntry { key, state, recorded_at, .. }| described(*key, *state, *recorded_at),
    );
    if own != in_history {
        let what = "the newest entry, with the newest of its history";
        differences.push(Difference::new(id, what, own, in_history));
    }
    let oldest = oldest.map_or_else(|| NOTHING.to_owned(), |entry| entry.key.balance_at.to_stored_text());
    if oldest != created_at.to_stored_text() {
        let what = "created_at, with the oldest of its history";
        differences.push(Difference::new(id, what, created_at.to_stored_text(), oldest));
    }
    let own = AccountOwner { customer_id: *customer_id, asset: *asset };
    if owner != Some(own) {
        let what = "the owner, with the one its history names";
        differences.push(Difference::new(id, what, owned(Some(own)), owned(owner)));
    }
    if let Some(custody_id) = custody_account_id {
        let custody = match store.custody_account(*custody_id).await {
            // Its own walk tells.
            Err(StoreError::Corrupt { .. }) => return Ok(differences),
            custody => custody?,
        };
        let shows = |state: CustodyState| {
            state.account.positions.keys().any(|held| state.account.projection_id(held) == *id)
        };
        // An asset may be removed once nothing of it is held; the account that showed it stays, at zero.
        let is_removed = custody.is_some() && state.balance == Amount::ZERO;
        if !is_removed && !custody.is_some_and(shows) {
            let what = "the custody account that it shows a position of";
            differences.push(Difference::new(id, what, custody_id.to_string(), NOTHING.to_owned()));
        }
    }
    Ok(differences)
}

/// An entry in a line.
fn described(key: EntryKey, state: AccountState, recorded_at: Timestamp) -> String {
    let AccountState { balance, available, active, status } = state;
    let activity = if active { "active" } else { "not active" };
    format!(
        "{balance} ({available} available, {}, {activity}) at {} version {}, recorded {}",
        status.name(),
        key.balance_at.to_stored_text(),
        key.version.number(),
        recorded_at.to_stored_text()
    )
}

fn owned(owner: Option<AccountOwner>) -> String {
    owner.map_or_else(
        || NOTHING.to_owned(),
        |AccountOwner { customer_id, asset }| format!("{} of {customer_id}", asset.code()),
    )
}
