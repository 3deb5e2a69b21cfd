//! A custody account's snapshot: everything its provider said is held, as one item of the customer's
//! partition.
//!
//! The newest snapshot stands in the accounts table under `#custody#<id>`, beside the customer's accounts, so
//! that one Query reads both; every snapshot stands in history under the custody account's id. The unified
//! view's accounts are made of a snapshot when it is read. Rejected: an account item per position beside the
//! snapshot, because two copies of one fact have to be kept in step by every sync that is cut short.
//!
//! A snapshot is one item, so a sync that changed something is one transaction of three writes, whatever the
//! number of positions: the snapshot, its entry in history and the control item. Before it, the id of each
//! position that is held for the first time is reserved by a put of its own.

use super::as_of::Whereabouts;
use super::custody::{self, CONFIRMATION, LeasedWrite, NEWEST_LEASE, SyncLease};
use super::history::{self, IdOwner, entry_from_text, entry_text};
use super::record::pauses;
use super::row::{Item, Row, instant, number, text};
use super::transaction::Transaction;
use super::{Store, StoreError, accounts};
use crate::domain::custody::{MAX_HOLDINGS, position_id};
use crate::domain::{
    Account, AccountId, Amount, ChainAsset, CustodyAccount, CustodyAccountId, CustomerId, EntryKey, Moment,
    Position, PositionOwner, ProviderName, Timestamp, Version,
};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use backon::BackoffBuilder;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use thiserror::Error;
use tokio::time::sleep;

/// Begins the sort key of a snapshot; `#` sorts before every account's id.
const SNAPSHOT: &str = "#custody#";
/// `DynamoDB` takes 400 KB in an item; what is added to a snapshot between two syncs fits in between.
const MAX_SNAPSHOT_BYTES: usize = 300 * 1_024;
/// Entries that one sync writes, its own and corrections of later ones: `DynamoDB` takes 100 writes in a
/// transaction.
const MAX_ENTRIES: usize = 90;
/// `DynamoDB` takes 4 MB in a transaction.
const MAX_TRANSACTION_BYTES: usize = 3_500 * 1_024;
const CONCURRENT_WRITES: usize = 8;

/// Positions of a snapshot: those of which something is or was held, or of which a transaction is known.
pub(super) type Positions = BTreeMap<ChainAsset, Position>;

/// Why a provider's answer could not become a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// More than one item can hold.
    #[error("more than {MAX_HOLDINGS} holdings, or more than {} KB of them", MAX_SNAPSHOT_BYTES / 1_024)]
    TooLarge,
    /// An account that is not this custody account's has the id of one of its positions.
    #[error("the account {0} has the id of a position; the snapshot of before stays")]
    IdTaken(AccountId),
    /// A clock that ran ahead has dated more entries later than one transaction corrects.
    #[error("more entries are dated after this sync than it can correct; the snapshot of before stays")]
    TooManyLater,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A custody account's item in the accounts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Whose positions they are.
    pub owner: PositionOwner,
    /// The newest entry and when it was recorded; `None` before the first sync.
    pub entry: Option<(EntryKey, Timestamp)>,
    /// Assets that the account covers, held or not.
    pub(super) coverage: BTreeSet<ChainAsset>,
    /// The newest entry's positions.
    pub(super) holdings: Positions,
    /// When the account was registered.
    pub(super) registered_at: Timestamp,
    /// When the first sync was, by which the account's past begins.
    pub(super) first_confirmed_at: Option<Timestamp>,
    /// Counts the writes of the item, so that a write made of an older reading is refused.
    pub(super) revision: u64,
}

/// An entry of a custody account's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSnapshot {
    /// Which entry.
    pub key: EntryKey,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its positions.
    pub(super) holdings: Positions,
}

impl StoredSnapshot {
    /// Whether the item repeats the newest entry of its history.
    #[must_use]
    pub fn repeats(&self, newest: Option<&RecordedSnapshot>) -> bool {
        let recorded = newest.map(|newest| ((newest.key, newest.recorded_at), &newest.holdings));
        recorded == self.entry.map(|entry| (entry, &self.holdings))
    }

    /// The snapshot of an account that is being registered.
    pub(super) fn new(account: &CustodyAccount, now: Timestamp) -> Self {
        let CustodyAccount { id, customer_id, provider, .. } = account;
        Self {
            owner: PositionOwner { id: *id, customer_id: *customer_id, provider: *provider },
            entry: None,
            coverage: account.positions.keys().cloned().collect(),
            holdings: Positions::new(),
            registered_at: now,
            first_confirmed_at: None,
            revision: 0,
        }
    }

    /// The position of every asset that is covered, zero included.
    pub(super) fn positions(&self) -> Positions {
        let position = |asset: &ChainAsset| self.holdings.get(asset).copied().unwrap_or_default();
        self.coverage.iter().map(|asset| (asset.clone(), position(asset))).collect()
    }

    /// The accounts of the unified view in one entry's state, ordered by id.
    pub(super) fn accounts(&self, entry: EntryKey, holdings: &Positions) -> Vec<Account> {
        let shown =
            holdings.iter().filter_map(|(asset, position)| self.owner.account(asset, position, entry));
        let mut accounts: Vec<_> = shown.collect();
        accounts.sort_unstable_by_key(|account| account.id);
        accounts
    }

    /// The accounts that show its positions now.
    pub fn position_ids(&self) -> impl Iterator<Item = AccountId> + use<'_> {
        let held = self.holdings.iter().filter(|(_, position)| position.held_since().is_some());
        held.map(|(asset, _)| position_id(self.owner.id, asset))
    }

    /// Where the entry that counts at a moment is to be found.
    pub(super) fn whereabouts(&self, moment: Moment) -> Whereabouts {
        match (self.entry, self.first_confirmed_at) {
            (Some((entry, recorded_at)), _)
                if entry.balance_at <= moment.as_of && moment.knows(recorded_at) =>
            {
                Whereabouts::Newest
            }
            (Some(_), Some(first)) if first <= moment.latest() => Whereabouts::History,
            _ => Whereabouts::Nowhere,
        }
    }
}

impl Store {
    /// The snapshot item of a custody account: one strongly consistent read.
    pub(super) async fn snapshot(
        &self,
        customer_id: CustomerId,
        id: CustodyAccountId,
    ) -> Result<Option<StoredSnapshot>, StoreError> {
        let request = self.client.get_item().table_name(&self.tables.accounts).consistent_read(true);
        let answer = request.set_key(Some(snapshot_key(customer_id, id))).send().await?;
        answer.item().map(from_item).transpose()
    }

    /// The accounts that a snapshot stands for at a moment, ordered by id.
    pub(super) async fn snapshot_accounts_at(
        &self,
        snapshot: &StoredSnapshot,
        moment: Moment,
    ) -> Result<Vec<Account>, StoreError> {
        match (snapshot.whereabouts(moment), snapshot.entry) {
            (Whereabouts::Newest, Some((entry, _))) => Ok(snapshot.accounts(entry, &snapshot.holdings)),
            (Whereabouts::History, _) => {
                let item = self.entry_item_at(history_id(snapshot.owner.id), moment).await?;
                let recorded = item.map(|item| recorded_from_item(&item)).transpose()?;
                Ok(recorded
                    .map_or_else(Vec::new, |recorded| snapshot.accounts(recorded.key, &recorded.holdings)))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// At most `limit` entries of a custody account, the newest first.
    pub async fn snapshot_entries(
        &self,
        id: CustodyAccountId,
        limit: u16,
    ) -> Result<Vec<RecordedSnapshot>, StoreError> {
        let items = self.entry_items(history_id(id), history::HistoryEnd::Newest, limit).await?;
        items.iter().map(recorded_from_item).collect()
    }

    /// The account that shows a position, as of each of at most `limit` snapshots, the newest first, with
    /// when each was recorded. A snapshot of before the position was first held is left out.
    pub async fn position_entries(
        &self,
        id: CustodyAccountId,
        account_id: AccountId,
        limit: u16,
    ) -> Result<Vec<(Account, Timestamp)>, StoreError> {
        let Some(state) = self.custody_account(id).await? else { return Ok(Vec::new()) };
        let entries = self.snapshot_entries(id, limit).await?;
        let account = |entry: &RecordedSnapshot| {
            let accounts = state.snapshot.accounts(entry.key, &entry.holdings);
            let account = accounts.into_iter().find(|account| account.id == account_id)?;
            Some((account, entry.recorded_at))
        };
        Ok(entries.iter().filter_map(account).collect())
    }

    /// Ends an attempt with new positions: snapshot, history and control item in one transaction.
    ///
    /// The entry is dated by the sync's own clock. Entries of the same or a later instant are there already
    /// if some clock was fast; each of them is corrected too, so that a fast clock hides nothing.
    pub async fn record_snapshot(
        &self,
        lease: &SyncLease,
        account: &CustodyAccount,
        now: Timestamp,
        next_sync_at: Timestamp,
        until: Instant,
    ) -> Result<LeasedWrite, SnapshotError> {
        let mut holdings = lease.state.snapshot.holdings.clone();
        holdings.extend(with_a_past(&account.positions));
        let count = holdings.values().filter(|position| position.balance() != Amount::ZERO).count();
        if count > MAX_HOLDINGS {
            return Err(SnapshotError::TooLarge);
        }
        let keys = self.keys_to_write(&lease.state.snapshot, &holdings, now).await?;
        if keys.is_empty() {
            return Ok(self.confirm_snapshot(lease, now, next_sync_at).await?);
        }
        self.reserve_ids(&lease.state.snapshot, &holdings).await?;
        let mut pauses = pauses().build();
        loop {
            let recorded_at = self.clock.now();
            let confirmation = self.confirmation(lease, now, next_sync_at)?;
            let mut writes = self.snapshot_writes(&lease.state.snapshot, &holdings, &keys, recorded_at)?;
            writes.push(confirmation);
            let cause = match self.transact(writes).await {
                Ok(Transaction::Committed) => {
                    self.count_if_late(recorded_at);
                    return Ok(LeasedWrite::Written);
                }
                Ok(Transaction::Refused(_)) => return self.was_written(lease).await,
                Ok(Transaction::Collided) => {
                    StoreError::Unavailable("concurrent writes to one account".to_owned())
                }
                Err(error @ StoreError::Unavailable(_)) => error,
                Err(error) => return Err(error.into()),
            };
            let pause = pauses.next().filter(|pause| Instant::now() + *pause < until);
            sleep(pause.ok_or(cause)?).await;
        }
    }

    /// A refused transaction is this attempt's own if an earlier one was committed and its answer lost.
    async fn was_written(&self, lease: &SyncLease) -> Result<LeasedWrite, SnapshotError> {
        let control = self.custody_control(lease.state.account.id).await?;
        let ended_by = control.and_then(|control| control.attempts.ended_by);
        let is_ours = ended_by.as_ref() == Some(&lease.claimant);
        Ok(if is_ours { LeasedWrite::Written } else { LeasedWrite::Lost })
    }

    fn snapshot_writes(
        &self,
        read: &StoredSnapshot,
        holdings: &Positions,
        keys: &[EntryKey],
        recorded_at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, SnapshotError> {
        let written = keys.iter().max().map(|key| (*key, recorded_at));
        let snapshot = StoredSnapshot {
            // The newest entry may have said the same already, so that it is none of those that are written.
            entry: written.max(read.entry),
            holdings: holdings.clone(),
            first_confirmed_at: keys.iter().map(|key| key.balance_at).chain(read.first_confirmed_at).min(),
            revision: read.revision + 1,
            ..read.clone()
        };
        let item = to_item(&snapshot);
        let bytes = size_of(&item);
        if bytes > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotError::TooLarge);
        }
        if keys.len() > MAX_ENTRIES || bytes * (keys.len() + 1) > MAX_TRANSACTION_BYTES {
            return Err(SnapshotError::TooManyLater);
        }
        let mut writes = vec![self.put_snapshot(item, Some(read))?];
        for key in keys {
            let put = Put::builder()
                .table_name(&self.tables.history)
                .set_item(Some(history_item(&snapshot, *key, recorded_at)))
                .condition_expression("attribute_not_exists(account_id)");
            writes.push(TransactWriteItem::builder().put(put.build().map_err(StoreError::from)?).build());
        }
        Ok(writes)
    }

    /// Puts a snapshot, on condition that the item is the one that was read.
    pub(super) fn put_snapshot(
        &self,
        item: Item,
        read: Option<&StoredSnapshot>,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.tables.accounts).set_item(Some(item));
        let put = match read {
            None => put.condition_expression("attribute_not_exists(account_id)"),
            Some(read) => put
                .condition_expression("revision = :read")
                .expression_attribute_values(":read", number(read.revision)),
        };
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn confirmation(
        &self,
        lease: &SyncLease,
        now: Timestamp,
        next_sync_at: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.custody)
            .set_key(Some(custody::key(lease.state.account.id)))
            .update_expression(CONFIRMATION)
            .condition_expression(NEWEST_LEASE)
            .expression_attribute_values(":me", text(&lease.claimant))
            .expression_attribute_values(":confirmed_at", instant(now))
            .expression_attribute_values(":next", instant(next_sync_at))
            .expression_attribute_values(":zero", number(0));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    /// The keys under which a sync at `now` records its holdings: its own, and a higher version of each entry
    /// of a later instant that says something else. None if everything is said already.
    async fn keys_to_write(
        &self,
        read: &StoredSnapshot,
        holdings: &Positions,
        now: Timestamp,
    ) -> Result<Vec<EntryKey>, SnapshotError> {
        let own = EntryKey { balance_at: now, version: Version::default() };
        if read.entry.is_none_or(|(newest, _)| newest < own) {
            return Ok(vec![own]);
        }
        let id = history_id(read.owner.id);
        let said_now = self.entry_item_at(id, Moment::as_of(now)).await?;
        let said_now = said_now.map(|item| recorded_from_item(&item)).transpose()?;
        let mut keys = Vec::new();
        for (balance_at, last) in self.last_said_from(id, holdings, now).await? {
            let differs = match (balance_at == now, &said_now) {
                (true, Some(said_now)) => said_now.holdings != *holdings,
                (true, None) => true,
                (false, _) => last.is_some_and(|last| last.differs),
            };
            if differs {
                let version = last.map_or(Some(0), |last| last.version.number().checked_add(1));
                let version = version.and_then(|number| Version::new(number).ok());
                keys.push(EntryKey { balance_at, version: version.ok_or(SnapshotError::TooManyLater)? });
            }
        }
        Ok(keys)
    }

    /// The entry of each instant from `now` on that counts, in their order; `now` is there in any case.
    async fn last_said_from(
        &self,
        id: AccountId,
        holdings: &Positions,
        now: Timestamp,
    ) -> Result<BTreeMap<Timestamp, Option<LastSaid>>, StoreError> {
        let mut last_said = BTreeMap::from([(now, None)]);
        // A page holds 1 MB, which can be few snapshots: pages are read to the end.
        let mut items = self.entries_from(id, now).into_paginator().items().send();
        while let Some(item) = items.next().await {
            let RecordedSnapshot { key, holdings: said, .. } = recorded_from_item(&item?)?;
            let last = LastSaid { version: key.version, differs: said != *holdings };
            last_said.insert(key.balance_at, Some(last));
        }
        Ok(last_said)
    }

    /// Reserves the ids of positions that have none yet, so that no event can take them.
    async fn reserve_ids(
        &self,
        snapshot: &StoredSnapshot,
        holdings: &Positions,
    ) -> Result<(), SnapshotError> {
        let was_held = |asset: &ChainAsset| {
            snapshot.holdings.get(asset).is_some_and(|position| position.held_since().is_some())
        };
        let new: Vec<AccountId> = holdings
            .iter()
            .filter(|(asset, position)| position.held_since().is_some() && !was_held(asset))
            .map(|(asset, _)| position_id(snapshot.owner.id, asset))
            .collect();
        let reserved = stream::iter(new).map(|id| self.reserve_id(snapshot.owner, id));
        reserved.buffer_unordered(CONCURRENT_WRITES).try_collect().await
    }

    async fn reserve_id(&self, owner: PositionOwner, id: AccountId) -> Result<(), SnapshotError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.history)
            .set_item(Some(history::owner_to_item(id, id_owner(owner))))
            .condition_expression("attribute_not_exists(account_id) OR custody_account_id = :custody")
            .expression_attribute_values(":custody", text(owner.id.to_string()));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Err(SnapshotError::IdTaken(id))
            }
            Err(error) => Err(StoreError::from(error).into()),
        }
    }
}

pub(super) const fn id_owner(owner: PositionOwner) -> IdOwner {
    IdOwner::Custody { customer_id: owner.customer_id, custody_account_id: owner.id }
}

/// The positions of which something is or was held, or of which a transaction is known.
fn with_a_past(positions: &Positions) -> Positions {
    let has_past =
        |position: &Position| position.held_since().is_some() || position.last_transaction_at().is_some();
    let kept = positions.iter().filter(|(_, position)| has_past(position));
    kept.map(|(asset, position)| (asset.clone(), *position)).collect()
}

/// The entry that counts at an instant.
#[derive(Clone, Copy)]
struct LastSaid {
    version: Version,
    /// Whether its holdings are others than a sync's.
    differs: bool,
}

/// A custody account's history stands under its own id, which no account can have.
pub(super) fn history_id(id: CustodyAccountId) -> AccountId {
    AccountId::from(id.uuid())
}

pub(super) fn snapshot_key(customer_id: CustomerId, id: CustodyAccountId) -> Item {
    Item::from([
        ("customer_id".to_owned(), text(customer_id.to_string())),
        ("account_id".to_owned(), text(format!("{SNAPSHOT}{id}"))),
    ])
}

/// Whether an item of the accounts table is a snapshot.
pub(super) fn is_snapshot(item: &Item) -> bool {
    let key = item.get("account_id").and_then(|key| key.as_s().ok());
    key.is_some_and(|key| key.starts_with(SNAPSHOT))
}

/// The custody account in a sort key of the accounts table, if it is a snapshot's.
pub(super) fn snapshot_id(sort_key: &str) -> Option<CustodyAccountId> {
    CustodyAccountId::parse(sort_key.strip_prefix(SNAPSHOT)?).ok()
}

pub(super) fn to_item(snapshot: &StoredSnapshot) -> Item {
    let StoredSnapshot { owner, entry, coverage, holdings, registered_at, first_confirmed_at, revision } =
        snapshot;
    let mut item = snapshot_key(owner.customer_id, owner.id);
    let optional = [
        ("entry", entry.map(|(entry, _)| text(entry_text(entry)))),
        ("recorded_at", entry.map(|(_, recorded_at)| instant(recorded_at))),
        ("first_confirmed_at", first_confirmed_at.map(instant)),
    ];
    let attributes = [
        ("provider", text(owner.provider.name())),
        ("coverage", coverage_to_list(coverage)),
        ("holdings", holdings_to_map(holdings)),
        ("registered_at", instant(*registered_at)),
        ("revision", number(revision)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    item.extend(attributes.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(super) fn from_item(item: &Item) -> Result<StoredSnapshot, StoreError> {
    let row = Row { table: accounts::TABLE, item };
    let id = row.parsed("account_id", |key| snapshot_id(key).ok_or(()))?;
    let entry = row.optional("entry", entry_from_text)?;
    let recorded_at = row.optional("recorded_at", Timestamp::parse)?;
    Ok(StoredSnapshot {
        owner: PositionOwner {
            id,
            customer_id: row.parsed("customer_id", CustomerId::parse)?,
            provider: row.parsed("provider", ProviderName::parse)?,
        },
        entry: entry.zip(recorded_at),
        coverage: row.list("coverage", parse_asset)?,
        holdings: holdings_of(row)?,
        registered_at: row.instant("registered_at")?,
        first_confirmed_at: row.optional("first_confirmed_at", Timestamp::parse)?,
        revision: row.number("revision", str::parse)?,
    })
}

fn history_item(snapshot: &StoredSnapshot, key: EntryKey, recorded_at: Timestamp) -> Item {
    let mut item = history::key(history_id(snapshot.owner.id), key);
    item.insert("recorded_at".to_owned(), instant(recorded_at));
    item.insert("coverage".to_owned(), coverage_to_list(&snapshot.coverage));
    item.insert("holdings".to_owned(), holdings_to_map(&snapshot.holdings));
    item
}

fn recorded_from_item(item: &Item) -> Result<RecordedSnapshot, StoreError> {
    let row = Row { table: history::TABLE, item };
    Ok(RecordedSnapshot {
        key: row.parsed("entry", entry_from_text)?,
        recorded_at: row.instant("recorded_at")?,
        holdings: holdings_of(row)?,
    })
}

fn asset_name(asset: &ChainAsset) -> String {
    format!("{}#{}", asset.blockchain.name(), asset.asset.code())
}

fn parse_asset(name: &str) -> Option<ChainAsset> {
    let (blockchain, token) = name.split_once('#')?;
    ChainAsset::parse(blockchain, token).ok()
}

fn coverage_to_list(coverage: &BTreeSet<ChainAsset>) -> AttributeValue {
    AttributeValue::L(coverage.iter().map(|asset| text(asset_name(asset))).collect())
}

fn holdings_to_map(holdings: &Positions) -> AttributeValue {
    let entry = |(asset, position): (&ChainAsset, &Position)| {
        let amounts = [("balance", number(position.balance())), ("available", number(position.available()))];
        let times =
            [("last_transaction_at", position.last_transaction_at()), ("held_since", position.held_since())];
        let times = times.into_iter().filter_map(|(name, at)| at.map(|at| (name, instant(at))));
        let attributes = amounts.into_iter().chain(times).map(|(name, value)| (name.to_owned(), value));
        (asset_name(asset), AttributeValue::M(attributes.collect()))
    };
    AttributeValue::M(holdings.iter().map(entry).collect())
}

fn holdings_of(row: Row<'_>) -> Result<Positions, StoreError> {
    let corrupt = || row.corrupt("holdings");
    let holdings = row.item.get("holdings").and_then(|value| value.as_m().ok()).ok_or_else(corrupt)?;
    let entry = |(name, value): (&String, &AttributeValue)| {
        let asset = parse_asset(name).ok_or_else(corrupt)?;
        let item = value.as_m().map_err(|_| corrupt())?;
        Ok((asset, position_of(Row { table: row.table, item })?))
    };
    holdings.iter().map(entry).collect()
}

fn position_of(row: Row<'_>) -> Result<Position, StoreError> {
    let position = Position::new(row.amount("balance")?, row.amount("available")?);
    let position = position.map_err(|_| row.corrupt("available"))?;
    let position = position.with_held_since(row.optional("held_since", Timestamp::parse)?);
    Ok(position.with_last_transaction(row.optional("last_transaction_at", Timestamp::parse)?))
}

/// The size of an item, nearly as `DynamoDB` counts it: names and values, and some bytes for each element.
fn size_of(item: &Item) -> usize {
    const PER_ELEMENT: usize = 4;
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::L(elements) => {
            elements.iter().map(|element| PER_ELEMENT + element.as_s().map_or(0, String::len)).sum()
        }
        AttributeValue::M(map) => size_of(map),
        _ => PER_ELEMENT,
    };
    item.iter().map(|(name, attribute)| PER_ELEMENT + name.len() + value(attribute)).sum()
}
