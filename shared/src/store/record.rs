//! The one way an entry is written: read what is there, decide, and write history and account in one
//! transaction.
//!
//! Entries may come in any order and more than once; the account ends as its greatest entry says, and history
//! holds them all. A transaction is refused if the account was written since it was read (its `revision` is
//! another), or if the entry was put meanwhile. Then everything is read and decided again.
//!
//! Each attempt takes the time as its `recorded_at`, unless a dataset gives one, and is sent once: the SDK
//! would send the same transaction again seconds later, and the time in it would be wrong by then. Where an
//! attempt was not answered, an equal entry with the attempt's `recorded_at` passes for its work. Rejected:
//! writing first and reading only where that was refused. It saves a read unit per event and needs an update
//! expression for each case that [`decide`] tells apart on values.

use super::history::{self, IdOwner};
use super::merge::{Decision, Rejection, UpdateContext, decide};
use super::row::text;
use super::transaction::{Transaction, put_absent, replace};
use super::{Store, StoreError, StoredAccount, accounts};
use crate::config::Table;
use crate::domain::moment::SETTLED_AFTER;
use crate::domain::{AccountId, AccountUpdate, Timestamp};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;

/// A new account takes three writes, and `DynamoDB` takes a hundred to a transaction.
const ACCOUNTS_PER_TRANSACTION: usize = 33;
/// Transactions, or single updates, under way at once.
const CONCURRENCY: usize = 8;
/// Updates that keep every transaction full and every place of [`CONCURRENCY`] taken, twice over.
pub const UPDATES_AT_ONCE: usize = 2 * CONCURRENCY * ACCOUNTS_PER_TRANSACTION;
/// Attempts at one update that others overtake, or whose transactions are not answered.
const MAX_ATTEMPTS: usize = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The outcome of an accepted update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is the account's newest entry now.
    Recorded,
    /// History has it, below a greater entry.
    Superseded,
    /// It was there already.
    Duplicate,
}

/// A failed update.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The update is wrong; repeating it will not help.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed; the update may be repeated.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type RecordResult = Result<Outcome, RecordError>;

/// How one attempt at some updates ended.
enum Attempt {
    /// Each update has its outcome.
    Decided(Vec<RecordResult>),
    /// Something was written by others meanwhile, or the transaction was not answered: read and decide again.
    Undecided(StoreError),
}

/// The earlier attempts at an update.
#[derive(Debug, Clone, Default)]
struct EarlierAttempts {
    /// Whether there was one.
    is_retry: bool,
    /// The `recorded_at` of those whose answers were lost: any of them may have been committed.
    unanswered: Vec<Timestamp>,
}

impl Store {
    /// Records one entry.
    pub async fn record(&self, update: &AccountUpdate) -> RecordResult {
        self.record_one(update, EarlierAttempts::default()).await
    }

    /// Records entries of different accounts; the answer has an outcome for each, in their order.
    ///
    /// The outcomes are those of [`Store::record`], in fewer calls: 33 accounts share a transaction.
    pub async fn record_many(&self, updates: &[AccountUpdate]) -> Result<Vec<RecordResult>, StoreError> {
        let batches = stream::iter(updates.chunks(ACCOUNTS_PER_TRANSACTION));
        let outcomes: Vec<Vec<_>> =
            batches.map(|batch| self.record_batch(batch)).buffered(CONCURRENCY).try_collect().await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn record_batch(&self, updates: &[AccountUpdate]) -> Result<Vec<RecordResult>, StoreError> {
        let mut attempts = EarlierAttempts::default();
        match self.attempt(updates, &mut attempts).await {
            Ok(Attempt::Decided(outcomes)) => return Ok(outcomes),
            // One account that is written by others, or that cannot be read, must not hold up the rest.
            Ok(Attempt::Undecided(_)) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let singly = updates.iter().map(|update| self.record_one(update, attempts.clone()));
        Ok(stream::iter(singly).buffered(CONCURRENCY).collect().await)
    }

    async fn record_one(&self, update: &AccountUpdate, mut attempts: EarlierAttempts) -> RecordResult {
        let mut pauses = pauses().build();
        loop {
            let cause = match self.attempt(std::slice::from_ref(update), &mut attempts).await? {
                Attempt::Decided(mut outcomes) => match outcomes.pop() {
                    Some(outcome) => return outcome,
                    None => StoreError::Unavailable("an attempt had no outcome".to_owned()),
                },
                Attempt::Undecided(cause) => cause,
            };
            sleep(pauses.next().ok_or(cause)?).await;
        }
    }

    /// One attempt at all updates together.
    async fn attempt(
        &self,
        updates: &[AccountUpdate],
        attempts: &mut EarlierAttempts,
    ) -> Result<Attempt, StoreError> {
        let contexts = self.contexts(updates, attempts.is_retry).await?;
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(updates.len());
        let mut writes = Vec::new();
        for update in updates {
            let context = contexts.get(&update.id).cloned().unwrap_or_default();
            match decide(update, &context, update.recorded_at.unwrap_or(now)) {
                Ok(decision) => {
                    if let Decision::Repeated(at) = decision
                        && attempts.unanswered.contains(&at)
                    {
                        self.count_if_late(at);
                    }
                    writes.extend(self.writes(update, &context, &decision)?);
                    outcomes.push(Ok(outcome(update, &context, &decision, &attempts.unanswered)));
                }
                Err(rejection) => outcomes.push(Err(rejection.into())),
            }
        }
        if writes.is_empty() {
            return Ok(Attempt::Decided(outcomes));
        }
        attempts.is_retry = true;
        match self.transact(writes).await {
            Ok(Transaction::Committed) => {
                self.count_if_late(now);
                Ok(Attempt::Decided(outcomes))
            }
            Ok(Transaction::Collided | Transaction::Refused(_)) => {
                Ok(Attempt::Undecided(StoreError::Unavailable("concurrent writes to one account".to_owned())))
            }
            Err(error @ StoreError::Unavailable(_)) => {
                attempts.unanswered.push(now);
                Ok(Attempt::Undecided(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the items by which some updates are decided: their accounts, then the keys of their histories
    /// that matter.
    async fn contexts(
        &self,
        updates: &[AccountUpdate],
        is_retry: bool,
    ) -> Result<HashMap<AccountId, UpdateContext>, StoreError> {
        let keys = updates.iter().map(|update| accounts::key(update.customer_id, update.id)).collect();
        let mut contexts = HashMap::<AccountId, UpdateContext>::with_capacity(updates.len());
        let items = self.batch_get(self.table(Table::Accounts), keys).await?;
        let stored = self.mapped(|catalogue| {
            items.iter().map(|item| accounts::from_item(item, catalogue)).collect::<Result<Vec<_>, _>>()
        });
        for stored in stored.await? {
            let id = stored.account.id;
            contexts.entry(id).or_default().account = Some(stored);
        }
        let mut keys = Vec::new();
        for update in updates {
            match contexts.get(&update.id).and_then(|context| context.account.as_ref()) {
                None => keys.extend([history::owner_key(update.id), history::key(update.id, update.entry)]),
                // An entry above the account's newest is in history only if the accounts table was restored
                // to an earlier time. A first attempt does not look for it: the put of the entry is refused
                // then, and the next attempt looks. An entry that was committed without an answer is not
                // above the newest, because the same transaction wrote the account.
                Some(stored) if stored.account.entry < update.entry && !is_retry => {}
                Some(_) => keys.push(history::key(update.id, update.entry)),
            }
        }
        for item in self.batch_get(self.table(Table::History), keys).await? {
            let id = history::id_of(&item)?;
            let context = contexts.entry(id).or_default();
            if history::is_owner(&item) {
                let owner = self.mapped(|catalogue| history::owner_from_item(&item, catalogue)).await?;
                context.owner = Some(owner);
            } else {
                context.entry = Some(history::from_item(&item)?);
            }
        }
        Ok(contexts)
    }

    /// The writes of a decision.
    fn writes(
        &self,
        update: &AccountUpdate,
        context: &UpdateContext,
        decision: &Decision,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let (entry, account) = match decision {
            Decision::Repeated(_) => (None, None),
            Decision::Record { entry, account } => (Some(entry), account.as_ref()),
            Decision::Restore(account) => (None, Some(account)),
        };
        let mut writes = Vec::new();
        if let Some(account) = account {
            if context.account.is_none() {
                writes.push(self.put_owner(update)?);
            }
            writes.push(self.put_account(account, context.account.as_ref())?);
        }
        if let Some(entry) = entry {
            writes.push(put_absent(self.table(Table::History), history::to_item(update.id, entry))?);
        }
        Ok(writes)
    }

    fn put_account(
        &self,
        account: &StoredAccount,
        read: Option<&StoredAccount>,
    ) -> Result<TransactWriteItem, StoreError> {
        let revision = read.map_or(0, |read| read.revision) + 1;
        let item = accounts::to_item(&StoredAccount { revision, ..account.clone() });
        match read {
            None => put_absent(self.table(Table::Accounts), item),
            Some(read) => replace(self.table(Table::Accounts), item, read.revision),
        }
    }

    fn put_owner(&self, update: &AccountUpdate) -> Result<TransactWriteItem, StoreError> {
        let owner = IdOwner::Account { customer_id: update.customer_id, asset: update.asset };
        let is_free_or_ours =
            "attribute_not_exists(account_id) OR (customer_id = :customer AND currency = :currency)";
        let put = Put::builder()
            .table_name(self.table(Table::History))
            .set_item(Some(history::owner_to_item(update.id, owner)))
            .condition_expression(is_free_or_ours)
            .expression_attribute_values(":customer", text(update.customer_id.to_string()))
            .expression_attribute_values(":currency", text(update.asset.code()));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// A commit that is seen a minute after its `recorded_at` may have changed an answer that was settled.
    /// The line is a metric, and an alarm watches it.
    pub(super) fn count_if_late(&self, recorded_at: Timestamp) {
        let age = recorded_at.age_at(self.clock.now());
        if age > SETTLED_AFTER {
            tracing::error!(late_commits = 1, age_seconds = age.as_secs(), "an entry was committed late");
        }
    }
}

fn outcome(
    update: &AccountUpdate,
    context: &UpdateContext,
    decision: &Decision,
    unanswered: &[Timestamp],
) -> Outcome {
    let newest = context.account.as_ref().map(|stored| stored.account.entry);
    match decision {
        // The answer to the attempt that recorded the entry was lost.
        Decision::Repeated(at) if unanswered.contains(at) && newest == Some(update.entry) => {
            Outcome::Recorded
        }
        Decision::Repeated(at) if unanswered.contains(at) => Outcome::Superseded,
        Decision::Repeated(_) | Decision::Restore(_) => Outcome::Duplicate,
        Decision::Record { .. } if newest.is_some_and(|newest| newest > update.entry) => Outcome::Superseded,
        Decision::Record { .. } => Outcome::Recorded,
    }
}

/// How long updates that collide keep out of each other's way.
pub(super) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(MAX_ATTEMPTS - 1)
        .with_jitter()
}
