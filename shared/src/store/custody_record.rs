//! How a snapshot is recorded: the ids of new positions, then snapshot, history and control item in one
//! transaction.
//!
//! A sync that changed something is three writes, whatever the number of positions. Before them, the id of
//! each position that is held for the first time is reserved by a put of its own.

use super::custody::{self, CONFIRMATION, LeasedWrite, NEWEST_LEASE, SyncLease};
use super::custody_snapshot::{
    Positions, RecordedSnapshot, SnapshotState, StoredSnapshot, history_id, history_item, id_owner,
    recorded_from_item, to_item,
};
use super::record::pauses;
use super::row::{Item, instant, number, text};
use super::transaction::{Transaction, put_absent, replace};
use super::{Store, StoreError, history};
use crate::config::Table;
use crate::domain::custody::{MAX_HOLDINGS, position_id};
use crate::domain::{
    AccountId, Amount, ChainAsset, CustodyAccount, EntryKey, Moment, Position, PositionOwner, Timestamp,
    Version,
};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use backon::BackoffBuilder;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::time::Instant;
use thiserror::Error;
use tokio::time::sleep;

/// `DynamoDB` takes 400 KB in an item; what is added to a snapshot between two syncs fits in between.
const MAX_SNAPSHOT_BYTES: usize = 300 * 1_024;
/// Entries that one sync writes, its own and corrections of later ones: `DynamoDB` takes 100 writes in a
/// transaction.
const MAX_ENTRIES: usize = 90;
/// `DynamoDB` takes 4 MB in a transaction.
const MAX_TRANSACTION_BYTES: usize = 3_500 * 1_024;
const CONCURRENT_WRITES: usize = 8;

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

impl Store {
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
        // Positions of assets that are no longer covered stay, at zero, so that their accounts stay.
        let mut holdings = lease.state.snapshot.state.holdings.clone();
        holdings.extend(with_a_past(&account.positions));
        let state = SnapshotState { holdings, unlisted: account.unlisted.clone() };
        let count = state.holdings.values().filter(|position| position.balance() != Amount::ZERO).count();
        if count + state.unlisted.len() > MAX_HOLDINGS {
            return Err(SnapshotError::TooLarge);
        }
        let keys = self.keys_to_write(&lease.state.snapshot, &state, now).await?;
        if keys.is_empty() {
            return Ok(self.confirm_snapshot(lease, now, next_sync_at).await?);
        }
        self.reserve_ids(&lease.state.snapshot, &state.holdings).await?;
        let mut pauses = pauses().build();
        loop {
            let recorded_at = self.clock.now();
            let confirmation = self.confirmation(lease, now, next_sync_at)?;
            let mut writes = self.snapshot_writes(&lease.state.snapshot, &state, &keys, recorded_at)?;
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

    /// Whether an earlier transaction of this sync was committed without an answer, which makes `DynamoDB`
    /// refuse the same transaction now.
    async fn was_written(&self, lease: &SyncLease) -> Result<LeasedWrite, SnapshotError> {
        let control = self.custody_control(lease.state.account.id).await?;
        let ended_by = control.and_then(|control| control.attempts.ended_by);
        let is_ours = ended_by.as_ref() == Some(&lease.claimant);
        Ok(if is_ours { LeasedWrite::Written } else { LeasedWrite::Lost })
    }

    fn snapshot_writes(
        &self,
        read: &StoredSnapshot,
        state: &SnapshotState,
        keys: &[EntryKey],
        recorded_at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, SnapshotError> {
        let written = keys.iter().max().map(|key| (*key, recorded_at));
        let snapshot = StoredSnapshot {
            // A later entry may have these holdings already. That entry then stays the newest.
            entry: written.max(read.entry),
            state: state.clone(),
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
        let mut writes = vec![replace(self.table(Table::Accounts), item, read.revision)?];
        for key in keys {
            writes.push(put_absent(self.table(Table::History), history_item(&snapshot, *key, recorded_at))?);
        }
        Ok(writes)
    }

    fn confirmation(
        &self,
        lease: &SyncLease,
        now: Timestamp,
        next_sync_at: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(self.table(Table::Custody))
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
        state: &SnapshotState,
        now: Timestamp,
    ) -> Result<Vec<EntryKey>, SnapshotError> {
        let own = EntryKey { balance_at: now, version: Version::default() };
        if read.entry.is_none_or(|(newest, _)| newest < own) {
            return Ok(vec![own]);
        }
        let id = history_id(read.owner.id);
        let said_now = self.recorded_snapshot(read.owner.id, Moment::as_of(now)).await?;
        let mut keys = Vec::new();
        for (balance_at, last) in self.last_said_from(id, state, now).await? {
            let differs = match (balance_at == now, &said_now) {
                (true, Some(said_now)) => said_now.state != *state,
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
        state: &SnapshotState,
        now: Timestamp,
    ) -> Result<BTreeMap<Timestamp, Option<LastSaid>>, StoreError> {
        let mut last_said = BTreeMap::from([(now, None)]);
        // A page holds 1 MB, which can be few snapshots: pages are read to the end.
        let mut items = self.entries_from(id, now).into_paginator().items().send();
        while let Some(item) = items.next().await {
            let item = item?;
            let recorded = self.mapped(|catalogue| recorded_from_item(&item, catalogue)).await?;
            let RecordedSnapshot { key, state: said, .. } = recorded;
            let last = LastSaid { version: key.version, differs: said != *state };
            // Entries come in their order, so the highest version of an instant is the last.
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
            snapshot.state.holdings.get(asset).is_some_and(|position| position.held_since().is_some())
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
            .table_name(self.table(Table::History))
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
    /// Whether its state is another than a sync's.
    differs: bool,
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
