//! The custody table: one small control item per custody account, which says who is asking its provider and
//! when it is due. The holdings are not here: they are the account's snapshot in the accounts table.
//!
//! A lease lets one process at a time ask the provider. It carries the name of its claimant, a random id. A
//! claim that the SDK sends twice, because the first answer was lost, so recognises itself; and a holder
//! whose lease has expired and was claimed by another can write nothing any more. The outcome of an attempt
//! stays in the item under the claimant's name, so that others who wait for the attempt share it.

use super::conditional::{ConditionalUpdate, conditional};
use super::custody_snapshot::StoredSnapshot;
use super::row::{Item, Row, instant, number, text};
use super::usage::check_budget;
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{CustodyAccount, CustodyAccountId, CustomerId, ProviderAccount, ProviderName, Timestamp};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::SignedDuration;
use std::collections::HashMap;
use uuid::Uuid;

/// Parts of the due index, whatever the number of instances that share them.
pub const LOGICAL_SHARDS: u32 = 16;

/// `DynamoDB` takes 100 keys in a batch.
const KEYS_PER_READ: usize = 100;
/// A lease that ends later than this was claimed by a clock that ran ahead, and binds nobody.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_mins(1);
/// A request that lies further ahead than this was made by such a clock too.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(5);

/// How an account's last attempts stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    /// The claimant of the newest lease; `None` before the first. A claim or a change of coverage sets this
    /// name, and who waits compares it.
    pub claimant: Option<String>,
    /// When that lease ends by itself; `None` once the attempt has ended or was given back.
    pub lease_until: Option<Timestamp>,
    /// The claimant of the newest attempt that has ended.
    pub ended_by: Option<String>,
    /// Whether that attempt failed.
    pub has_failed: bool,
}

/// A custody account as it is stored: its control item and its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyState {
    /// The account with its positions.
    pub account: CustodyAccount,
    /// The newest attempts to ask the provider.
    pub attempts: Attempts,
    /// The schedule's attempts that have failed since one succeeded.
    pub failures: u32,
    /// Why the newest attempt failed, if it did.
    pub last_error: Option<String>,
    /// The snapshot as it was read, which the next one is made of.
    pub(super) snapshot: StoredSnapshot,
}

/// The control item alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyControl {
    /// The account.
    pub id: CustodyAccountId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The provider that keeps it.
    pub provider: ProviderName,
    /// The provider's name of it.
    pub provider_account: ProviderAccount,
    /// When the provider last confirmed the snapshot; `None` before the first sync, and after an asset was
    /// added.
    pub confirmed_at: Option<Timestamp>,
    /// The newest attempts to ask the provider.
    pub attempts: Attempts,
    /// The schedule's attempts that have failed since one succeeded.
    pub failures: u32,
    /// Why the newest attempt failed, if it did.
    pub last_error: Option<String>,
}

/// The right to ask the provider and to store its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncLease {
    /// The account as it was when the lease was granted.
    pub state: CustodyState,
    /// The claimant's name, by which every write under the lease is recognised.
    pub(super) claimant: String,
}

/// The outcome of a claim of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseClaim {
    /// The lease is ours.
    Granted(Box<SyncLease>),
    /// Another attempt is under way.
    Taken(Attempts),
    /// There is no such account.
    Missing,
}

/// Whether a write under a lease took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeasedWrite {
    /// It did.
    Written,
    /// Another has claimed the lease since, or the account was registered anew; nothing was written.
    Lost,
}

/// The outcome of a claim of the one sync that may be requested in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestClaim {
    /// It may be made.
    Granted,
    /// Another was requested too short a time ago.
    TooSoon {
        /// When.
        last: Timestamp,
    },
}

impl CustodyState {
    /// The snapshot item.
    #[must_use]
    pub const fn snapshot(&self) -> &StoredSnapshot {
        &self.snapshot
    }

    /// Whether a provider's answer at an instant says what the newest entry says of that instant.
    #[must_use]
    pub fn stands(&self, answer: &CustodyAccount, at: Timestamp) -> bool {
        let is_past = self.snapshot.entry.is_some_and(|(entry, _)| entry.balance_at <= at);
        let stored = &self.account;
        is_past && stored.positions == answer.positions && stored.unlisted == answer.unlisted
    }
}

impl Store {
    /// The custody account with its snapshot: two strongly consistent reads.
    pub async fn custody_account(&self, id: CustodyAccountId) -> Result<Option<CustodyState>, StoreError> {
        match self.custody_control(id).await? {
            Some(control) => self.with_snapshot(control).await.map(Some),
            None => Ok(None),
        }
    }

    /// The control item alone: one strongly consistent read.
    pub async fn custody_control(&self, id: CustodyAccountId) -> Result<Option<CustodyControl>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Custody)).consistent_read(true);
        let answer = request.set_key(Some(key(id))).send().await?;
        answer.item().map(from_item).transpose()
    }

    /// When each of these custody accounts was last confirmed by its provider, as far as it was: a strongly
    /// consistent read of each control item.
    pub async fn confirmations(
        &self,
        ids: impl IntoIterator<Item = CustodyAccountId>,
    ) -> Result<HashMap<CustodyAccountId, Timestamp>, StoreError> {
        let keys: Vec<Item> = ids.into_iter().map(key).collect();
        check_budget(keys.len())?;
        let mut confirmations = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_PER_READ) {
            for item in self.batch_get(self.table(Table::Custody), keys.to_vec()).await? {
                let control = from_item(&item)?;
                confirmations.extend(control.confirmed_at.map(|at| (control.id, at)));
            }
        }
        Ok(confirmations)
    }

    /// The account of a control item.
    pub async fn with_snapshot(&self, control: CustodyControl) -> Result<CustodyState, StoreError> {
        let CustodyControl {
            id,
            customer_id,
            provider,
            provider_account,
            confirmed_at,
            attempts,
            failures,
            last_error,
        } = control;
        let snapshot = self.snapshot(customer_id, id).await?;
        let snapshot =
            snapshot.ok_or(StoreError::Corrupt { table: Table::Custody, attribute: "customer_id" })?;
        let positions = snapshot.positions();
        let account = CustodyAccount {
            id,
            customer_id,
            provider,
            provider_account,
            coverage: snapshot.coverage.clone(),
            positions,
            unlisted: snapshot.state.unlisted.clone(),
            synced_at: confirmed_at,
        };
        Ok(CustodyState { account, attempts, failures, last_error, snapshot })
    }

    /// Claims the right to ask the provider until `until`, unless another has it at `now`.
    pub async fn claim_lease(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseClaim, StoreError> {
        let claimant = Uuid::new_v4().to_string();
        let is_free = "attribute_exists(account_id) AND (attribute_not_exists(lease_until) \
                       OR lease_until <= :now OR lease_until > :latest OR lease_by = :me)";
        let request = self
            .update_custody(id)
            .update_expression("SET lease_until = :until, lease_by = :me")
            .condition_expression(is_free)
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":latest", instant(now.plus(LONGEST_LEASE)))
            .expression_attribute_values(":me", text(&claimant))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(request).await? {
            ConditionalUpdate::Made(item) => {
                let control = from_item(&item)?;
                match self.with_snapshot(control).await {
                    Ok(state) => Ok(LeaseClaim::Granted(Box::new(SyncLease { state, claimant }))),
                    Err(error) => {
                        // Nobody is to wait for a lease that nobody uses. If even that fails, it ends by
                        // itself.
                        drop(self.give_back(id, &claimant).await);
                        Err(error)
                    }
                }
            }
            ConditionalUpdate::Refused(Some(item)) => Ok(LeaseClaim::Taken(from_item(&item)?.attempts)),
            ConditionalUpdate::Refused(None) => Ok(LeaseClaim::Missing),
        }
    }

    /// Ends an attempt whose answer holds nothing new: the snapshot stands and was confirmed at `now`.
    pub async fn confirm_snapshot(
        &self,
        lease: &SyncLease,
        now: Timestamp,
        next_sync_at: Timestamp,
    ) -> Result<LeasedWrite, StoreError> {
        let request = self
            .update_leased(lease, CONFIRMATION)
            .expression_attribute_values(":confirmed_at", instant(now))
            .expression_attribute_values(":next", instant(next_sync_at))
            .expression_attribute_values(":zero", number(0));
        leased(request).await
    }

    /// Ends an attempt that failed, of which the cause is kept for operators. With `next_sync_at` it counts
    /// as a failure of the schedule's.
    pub async fn fail_attempt(
        &self,
        lease: &SyncLease,
        cause: &str,
        next_sync_at: Option<Timestamp>,
    ) -> Result<LeasedWrite, StoreError> {
        let scheduled =
            if next_sync_at.is_some() { ", next_sync_at = :next, failures = :failures" } else { "" };
        let expression = format!(
            "SET has_failed = :yes, last_error = :cause, attempt_ended_by = :me{scheduled} REMOVE lease_until"
        );
        let mut request = self
            .update_leased(lease, &expression)
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":cause", text(cause));
        if let Some(at) = next_sync_at {
            // The number itself rather than an addition: the SDK may send the same update twice.
            let failures = lease.state.failures.saturating_add(1);
            request = request.expression_attribute_values(":next", instant(at));
            request = request.expression_attribute_values(":failures", number(failures));
        }
        leased(request).await
    }

    /// Gives a lease back unused: whoever waits for its outcome may claim one of their own.
    pub async fn abandon_attempt(&self, lease: &SyncLease) -> Result<LeasedWrite, StoreError> {
        self.give_back(lease.state.account.id, &lease.claimant).await
    }

    async fn give_back(&self, id: CustodyAccountId, claimant: &str) -> Result<LeasedWrite, StoreError> {
        leased(self.update_by(id, claimant, "REMOVE lease_until")).await
    }

    /// Moves an account that cannot be read out of the schedule's way until `at`.
    pub async fn postpone_sync(&self, id: CustodyAccountId, at: Timestamp) -> Result<(), StoreError> {
        let request = self.update_custody(id).update_expression("SET next_sync_at = :at");
        let request = request.condition_expression("attribute_exists(account_id)");
        conditional(request.expression_attribute_values(":at", instant(at))).await.map(drop)
    }

    /// Claims the one sync that may be requested in a while: the last one must have been before `earliest`.
    pub async fn claim_requested_sync(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
        earliest: Timestamp,
    ) -> Result<RequestClaim, StoreError> {
        let is_due = "attribute_exists(account_id) AND (attribute_not_exists(requested_at) \
                      OR requested_at <= :earliest OR requested_at > :latest OR requested_by = :me)";
        let request = self
            .update_custody(id)
            .update_expression("SET requested_at = :now, requested_by = :me")
            .condition_expression(is_due)
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":me", text(Uuid::new_v4().to_string()))
            .expression_attribute_values(":earliest", instant(earliest))
            .expression_attribute_values(":latest", instant(now.plus(CLOCKS_DIFFER)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(request).await? {
            ConditionalUpdate::Made(_) => Ok(RequestClaim::Granted),
            ConditionalUpdate::Refused(item) => {
                let item = item.unwrap_or_default();
                let last =
                    Row { table: Table::Custody, item: &item }.optional("requested_at", Timestamp::parse)?;
                Ok(RequestClaim::TooSoon { last: last.unwrap_or(now) })
            }
        }
    }

    /// At most `limit` accounts of a logical shard that are due at `now`, the longest due first, each with
    /// when it was.
    pub async fn due_custody_accounts(
        &self,
        shard: u32,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, CustodyAccountId)>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(self.table(Table::Custody))
            .index_name("by_due")
            .key_condition_expression("#shard = :shard AND next_sync_at <= :now")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_values(":shard", text(shard_name(shard)))
            .expression_attribute_values(":now", instant(now))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let mut items = request.into_paginator().items().send();
        let mut due = Vec::new();
        while let Some(item) = items.next().await {
            let item = item?;
            let row = Row { table: Table::Custody, item: &item };
            let found = row
                .instant("next_sync_at")
                .and_then(|at| Ok((at, row.parsed("account_id", CustodyAccountId::parse)?)));
            match found {
                Ok(found) => due.push(found),
                // It cannot even be named; the others are due all the same.
                Err(cause) => tracing::error!(%cause, "a due account cannot be read"),
            }
            if due.len() == limit {
                break;
            }
        }
        Ok(due)
    }

    fn update_custody(&self, id: CustodyAccountId) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(self.table(Table::Custody)).set_key(Some(key(id)))
    }

    /// An update that only the holder of the newest lease may make.
    fn update_leased(&self, lease: &SyncLease, expression: &str) -> UpdateItemFluentBuilder {
        self.update_by(lease.state.account.id, &lease.claimant, expression)
    }

    fn update_by(&self, id: CustodyAccountId, claimant: &str, expression: &str) -> UpdateItemFluentBuilder {
        let request = self.update_custody(id).update_expression(expression);
        request.condition_expression(NEWEST_LEASE).expression_attribute_values(":me", text(claimant))
    }
}

/// Holds for the holder of the newest lease.
pub(super) const NEWEST_LEASE: &str = "lease_by = :me";
/// Ends an attempt that succeeded.
pub(super) const CONFIRMATION: &str = "SET confirmed_at = :confirmed_at, next_sync_at = :next, \
                                       attempt_ended_by = :me, failures = :zero REMOVE lease_until, has_failed, \
                                       last_error";

async fn leased(request: UpdateItemFluentBuilder) -> Result<LeasedWrite, StoreError> {
    Ok(match conditional(request).await? {
        ConditionalUpdate::Made(_) => LeasedWrite::Written,
        ConditionalUpdate::Refused(_) => LeasedWrite::Lost,
    })
}

pub(super) fn key(id: CustodyAccountId) -> Item {
    Item::from([("account_id".to_owned(), text(id.to_string()))])
}

fn shard_name(shard: u32) -> String {
    format!("{shard:02}")
}

/// The logical shard of an account; ids are random, so the shards are of the same size.
fn shard_of(id: CustodyAccountId) -> u32 {
    let (_, low) = id.uuid().as_u64_pair();
    u32::try_from(low % u64::from(LOGICAL_SHARDS)).unwrap_or_default()
}

/// The control item of an account that has never been synced and is due at once.
pub(super) fn new_item(account: &CustodyAccount, now: Timestamp) -> Item {
    let CustodyAccount { id, customer_id, provider, provider_account, .. } = account;
    let attributes = [
        ("account_id", text(id.to_string())),
        ("customer_id", text(customer_id.to_string())),
        ("provider", text(provider.name())),
        ("provider_account", text(provider_account.name())),
        ("shard", text(shard_name(shard_of(*id)))),
        ("next_sync_at", instant(now)),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn from_item(item: &Item) -> Result<CustodyControl, StoreError> {
    let row = Row { table: Table::Custody, item };
    let provider = row.parsed("provider", ProviderName::parse)?;
    Ok(CustodyControl {
        id: row.parsed("account_id", CustodyAccountId::parse)?,
        customer_id: row.parsed("customer_id", CustomerId::parse)?,
        provider,
        provider_account: row.parsed("provider_account", |text| ProviderAccount::parse(provider, text))?,
        confirmed_at: row.optional("confirmed_at", Timestamp::parse)?,
        attempts: Attempts {
            claimant: row.text("lease_by")?,
            lease_until: row.optional("lease_until", Timestamp::parse)?,
            ended_by: row.text("attempt_ended_by")?,
            has_failed: item.contains_key("has_failed"),
        },
        failures: u32::try_from(row.number_or_zero("failures")?).unwrap_or(u32::MAX),
        last_error: row.text("last_error")?,
    })
}

/// Begins the key of an item that reserves a provider's account for one custody account. Its second attribute
/// names the custody account.
const RESERVATION: &str = "provider#";
pub(super) const RESERVED_FOR: &str = "reserved_for";

pub(super) fn reservation_key(provider: ProviderName, account: &ProviderAccount) -> Item {
    // A provider may read names in any case.
    let key = format!("{RESERVATION}{}#{}", provider.name(), account.name().to_ascii_lowercase());
    Item::from([("account_id".to_owned(), text(key))])
}

/// Whether an item of the table is a reservation.
pub(super) fn is_reservation(item: &Item) -> bool {
    let key = item.get("account_id").and_then(|key| key.as_s().ok());
    key.is_some_and(|key| key.starts_with(RESERVATION))
}
