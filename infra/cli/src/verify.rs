//! `ballast verify`: whether what is stored agrees with itself.
//!
//! Every account against its history and its owner, every custody account's snapshot against its history and
//! its control item, every owner against the account. All of these are written together, so a difference
//! means a write past Ballast. What is written while it is read is read again, and a row that cannot be read
//! is a difference. An asset that the catalogue no longer names makes its rows unreadable.
//!
//! Two accounts of one currency with one IBAN, or with one address on one network, may be one account that is
//! counted twice. They are listed and are no difference: a business may have its reasons.

use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use crate::table::Table;
use futures::future::try_join3;
use futures::stream::{self, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::domain::{Account, AccountId, AccountState, CustodyAccountId, EntryKey, Label, Timestamp};
use shared::store::{
    CorruptRow, CustodyControl, HistoryEnd, IdOwner, RecordedEntry, Store, StoreError, StoredAccount,
    StoredHolding, StoredSnapshot,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;
use tokio::time::sleep;

const CONCURRENT_CHECKS: usize = 16;
/// Times that something is read again because it changed while it was read.
const MAX_LOOKS: usize = 20;
/// A sync takes a second or less.
const PAUSE: Duration = Duration::from_millis(500);
const NOTHING: &str = "nothing";

#[derive(Debug, Default, Serialize)]
struct Findings {
    accounts: usize,
    custody_accounts: usize,
    differences: Vec<Difference>,
    /// Accounts that may be one and the same.
    twice: Vec<CountedTwice>,
}

/// Two accounts of one currency that stand for the same thing outside.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct CountedTwice {
    /// `IBAN`, or `address and network`.
    same: &'static str,
    accounts: [String; 2],
}

/// The thing outside that an account stands for: which kind, of which currency, and its text.
type Outside = (&'static str, &'static str, String);

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
        accounts: HashSet::new(),
        snapshots: HashSet::new(),
        outside: HashMap::new(),
        findings: Findings::default(),
        bar: ProgressBar::no_length().with_style(style),
    };
    walk.custody().await?;
    walk.accounts().await?;
    walk.owners().await?;
    walk.bar.finish_and_clear();
    let findings = walk.findings;
    let now = output.now();
    output.document(&findings, |findings| printed(findings, now))?;
    Ok(if findings.differences.is_empty() { Ending::Done } else { Ending::InPart })
}

fn printed(findings: &Findings, now: Timestamp) -> String {
    let Findings { accounts, custody_accounts, differences, twice } = findings;
    let pairs = twice
        .iter()
        .map(|CountedTwice { same, accounts: [one, other] }| [one.into(), other.into(), (*same).into()]);
    let pairs = if twice.is_empty() {
        String::new()
    } else {
        format!(
            "Perhaps counted twice:\n{}\n",
            Table::new(["account", "and", "have the same"], pairs).shown(now)
        )
    };
    let summary = format!(
        "{accounts} accounts, {custody_accounts} custody accounts, {} differences",
        differences.len()
    );
    if differences.is_empty() {
        return format!("{pairs}{summary}");
    }
    let rows = differences.iter().map(|Difference { id, what, stored, expected }| {
        [id.into(), what.into(), stored.into(), expected.into()]
    });
    let table = Table::new(["id", "what", "stored", "expected"], rows).shown(now);
    format!("{pairs}{table}\n{summary}")
}

/// A walk through all tables, one after the other.
struct Walk<'a> {
    store: &'a Store,
    /// Accounts that are there.
    accounts: HashSet<AccountId>,
    /// Custody accounts that have a snapshot.
    snapshots: HashSet<CustodyAccountId>,
    /// The first account of each thing outside.
    outside: HashMap<Outside, AccountId>,
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
                stream::iter(page).map(|row| of_control_row(self.store, row)).buffered(CONCURRENT_CHECKS);
            let found: Vec<Option<_>> = checks.try_collect().await?;
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
            for holding in page.iter().flatten() {
                match holding {
                    StoredHolding::Account(stored) => {
                        self.accounts.insert(stored.account.id);
                        self.findings.twice.extend(counted_twice(&mut self.outside, &stored.account));
                    }
                    StoredHolding::Snapshot(snapshot) => drop(self.snapshots.insert(snapshot.owner.id)),
                }
            }
            self.findings.accounts +=
                page.iter().map(|row| row.as_ref().map_or(1, StoredHolding::accounts)).sum::<usize>();
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
                let lost = match row {
                    Ok((owner, id)) if !self.is_there(owner, id).await? => {
                        let what = "the account that its history names";
                        Some(Difference::new(id, what, NOTHING.to_owned(), owned(Some(owner))))
                    }
                    Ok(_) => None,
                    Err(row) => Some(Difference::unreadable(row, "the owner that its history names")),
                };
                self.findings.differences.extend(lost);
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn is_there(&self, owner: IdOwner, id: AccountId) -> Result<bool, StoreError> {
        let found = match owner {
            IdOwner::Account { .. } if self.accounts.contains(&id) => return Ok(true),
            IdOwner::Custody { custody_account_id, .. } if self.snapshots.contains(&custody_account_id) => {
                return Ok(true);
            }
            IdOwner::Account { customer_id, .. } => {
                self.store.account(customer_id, id).await.map(|found| found.is_some())
            }
            IdOwner::Custody { custody_account_id, .. } => {
                self.store.custody_account(custody_account_id).await.map(|found| found.is_some())
            }
        };
        match found {
            // Its own walk tells.
            Err(StoreError::Corrupt { .. }) => Ok(true),
            found => found,
        }
    }
}

/// The pairs that an account makes with accounts seen before.
fn counted_twice(seen: &mut HashMap<Outside, AccountId>, account: &Account) -> Vec<CountedTwice> {
    let code = account.asset.code();
    let iban = account.labels.get(Label::Iban).map(|iban| ("IBAN", code, iban.to_owned()));
    let address = account.scope.network.as_ref().zip(account.labels.get(Label::Address));
    let address = address
        .map(|(network, address)| ("address and network", code, format!("{} {address}", network.name())));
    let mut pairs = Vec::new();
    for outside in iban.into_iter().chain(address) {
        let same = outside.0;
        if let Some(other) = seen.insert(outside, account.id).filter(|other| *other != account.id) {
            pairs.push(CountedTwice { same, accounts: [other.to_string(), account.id.to_string()] });
        }
    }
    pairs
}

/// Whether a control item has its snapshot, and the reservation of its provider's account.
async fn of_control_row(
    store: &Store,
    row: Result<CustodyControl, CorruptRow>,
) -> Result<Option<Difference>, StoreError> {
    let control = match row {
        Ok(control) => control,
        Err(row) => return Ok(Some(Difference::unreadable(row, "the custody account's item"))),
    };
    let id = control.id;
    let reserved_for = store.reserved_for(control.provider, &control.provider_account).await?;
    if reserved_for != Some(id) {
        let stored = reserved_for.map_or_else(|| NOTHING.to_owned(), |other| other.to_string());
        let what = "the custody account that its provider's account is reserved for";
        return Ok(Some(Difference::new(id, what, stored, id.to_string())));
    }
    match store.with_snapshot(control).await {
        Ok(_) => Ok(None),
        Err(error @ StoreError::Corrupt { .. }) => {
            let expected = "one that can be read".to_owned();
            Ok(Some(Difference::new(id, "the custody account's snapshot", error.to_string(), expected)))
        }
        Err(error) => Err(error),
    }
}

/// A snapshot against its history and its control item.
async fn of_snapshot(store: &Store, snapshot: &StoredSnapshot) -> Result<Vec<Difference>, StoreError> {
    let id = snapshot.owner.id;
    let Some(state) = store.custody_account(id).await? else {
        let (what, expected) = ("the custody account of a snapshot", id.to_string());
        return Ok(vec![Difference::new(id, what, NOTHING.to_owned(), expected)]);
    };
    let expected = IdOwner::Custody { customer_id: snapshot.owner.customer_id, custody_account_id: id };
    for position in snapshot.position_ids() {
        let owner = store.owner(position).await?;
        if owner != Some(expected) {
            let what = "the owner of a position's id";
            return Ok(vec![Difference::new(position, what, owned(owner), owned(Some(expected)))]);
        }
    }
    for look in 0..MAX_LOOKS {
        let newest = store.snapshot_entries(id, 1).await?;
        // Read after its history, so that a sync in between makes the item the newer of the two.
        let now = store.custody_account(id).await?.unwrap_or_else(|| state.clone());
        if now.snapshot().repeats(newest.first()) {
            return Ok(Vec::new());
        }
        if look + 1 < MAX_LOOKS && now != state {
            sleep(PAUSE).await;
            continue;
        }
        let stored = entry_text(now.snapshot().entry);
        let expected = entry_text(newest.first().map(|entry| (entry.key, entry.recorded_at)));
        let what = "the newest snapshot, with the newest of its history";
        return Ok(vec![Difference::new(id, what, stored, expected)]);
    }
    Ok(Vec::new())
}

fn entry_text(entry: Option<(EntryKey, Timestamp)>) -> String {
    entry.map_or_else(
        || NOTHING.to_owned(),
        |(key, recorded_at)| {
            let at = key.balance_at.to_stored_text();
            format!("{at} version {}, recorded {}", key.version.number(), recorded_at.to_stored_text())
        },
    )
}

async fn of_row(
    store: &Store,
    row: Result<StoredHolding, CorruptRow>,
) -> Result<Vec<Difference>, StoreError> {
    match row {
        Ok(StoredHolding::Account(stored)) => of_account(store, *stored).await,
        Ok(StoredHolding::Snapshot(snapshot)) => of_snapshot(store, &snapshot).await,
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
    let Account { id, customer_id, asset, entry, state, created_at, .. } = &stored.account;
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
    let own = IdOwner::Account { customer_id: *customer_id, asset: *asset };
    if owner != Some(own) {
        let what = "the owner, with the one its history names";
        differences.push(Difference::new(id, what, owned(Some(own)), owned(owner)));
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

fn owned(owner: Option<IdOwner>) -> String {
    match owner {
        None => NOTHING.to_owned(),
        Some(IdOwner::Account { customer_id, asset }) => format!("{} of {customer_id}", asset.code()),
        Some(IdOwner::Custody { customer_id, custody_account_id }) => {
            format!("custody account {custody_account_id} of {customer_id}")
        }
    }
}
