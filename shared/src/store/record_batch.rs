//! Many accounts in few transactions: what an import does, with the same checks as one at a time.

use super::record::{Outcome, RecordError, Transaction};
use super::row::Item;
use super::{Store, StoreError, accounts, history};
use crate::domain::{Account, AccountId};
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{HashMap, HashSet};

/// A new account takes three writes, and DynamoDB takes a hundred to a transaction and to a read.
const ACCOUNTS_PER_TRANSACTION: usize = 33;
/// Transactions, or single updates, under way at once.
const CONCURRENCY: usize = 8;
/// Updates that keep every transaction full and every place of [`CONCURRENCY`] taken, twice over.
pub const UPDATES_AT_ONCE: usize = 2 * CONCURRENCY * ACCOUNTS_PER_TRANSACTION;

/// What is to be done with one update of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There is no such account.
    Create,
    /// The account is older.
    Advance,
    /// The account is as the update says.
    Keep,
    /// The account is newer, and history has the update.
    Past,
    /// Anything else takes a closer look.
    Single,
}

impl Store {
    /// Records updates of different accounts; the answer has an entry for each, in their order.
    ///
    /// What is stored is read first: accounts that are new share a transaction, so do those that are older
    /// than their updates, and what is there already costs no write. The outcomes are those of
    /// [`Store::record`] in every case.
    pub async fn record_many(
        &self,
        updates: &[Account],
    ) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let batches = stream::iter(updates.chunks(ACCOUNTS_PER_TRANSACTION));
        let outcomes: Vec<_> =
            batches.map(|batch| self.record_batch(batch)).buffered(CONCURRENCY).try_collect().await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn record_batch(
        &self,
        updates: &[Account],
    ) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let stored = self.stored(updates).await?;
        let mut steps: Vec<Step> =
            updates.iter().map(|update| step(update, stored.get(&update.id))).collect();
        self.find_past(updates, &stored, &mut steps).await?;
        for shared in [Step::Create, Step::Advance] {
            let writes = self.writes(updates, &steps, shared)?;
            let is_refused =
                !writes.is_empty() && !matches!(self.transact(writes).await?, Transaction::Committed);
            if is_refused {
                steps.iter_mut().filter(|step| **step == shared).for_each(|step| *step = Step::Single);
            }
        }
        let outcomes = updates.iter().zip(steps).map(async |(update, step)| match step {
            Step::Create | Step::Advance => Ok(Outcome::Recorded),
            Step::Keep => Ok(Outcome::Duplicate),
            Step::Past => Ok(Outcome::Superseded),
            Step::Single => self.record(update).await,
        });
        Ok(stream::iter(outcomes).buffered(CONCURRENCY).collect().await)
    }

    fn writes(
        &self,
        updates: &[Account],
        steps: &[Step],
        shared: Step,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut writes = Vec::new();
        for (update, _) in updates.iter().zip(steps).filter(|(_, step)| **step == shared) {
            match shared {
                Step::Create => writes.extend(self.creation(update)?),
                Step::Advance => writes.extend(self.advance(update)?),
                Step::Keep | Step::Past | Step::Single => {}
            }
        }
        Ok(writes)
    }

    /// The accounts that are there and readable, as far as one read tells: what it leaves out is written with
    /// care all the same.
    async fn stored(&self, updates: &[Account]) -> Result<HashMap<AccountId, Account>, StoreError> {
        let keys = updates.iter().map(|update| accounts::key(update.customer_id, update.id)).collect();
        let items = self.batch(&self.tables.accounts, keys).await?;
        let accounts = items.iter().filter_map(|item| accounts::from_item(item).ok());
        Ok(accounts.map(|account| (account.id, account)).collect())
    }

    /// Of what is older than its account, finds what history has already.
    async fn find_past(
        &self,
        updates: &[Account],
        stored: &HashMap<AccountId, Account>,
        steps: &mut [Step],
    ) -> Result<(), StoreError> {
        let is_older = |update: &Account| {
            let same = |account: &Account| {
                (account.asset, account.custody_account_id) == (update.asset, update.custody_account_id)
            };
            let is_within = |account: &Account| {
                account.created_at <= update.balance_at && update.balance_at < account.balance_at
            };
            stored.get(&update.id).is_some_and(|account| is_within(account) && same(account))
        };
        let keys: Vec<_> = updates.iter().filter(|update| is_older(update)).map(history::key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let items = self.batch(&self.tables.history, keys).await?;
        let known: HashSet<_> = items.iter().filter_map(|item| history::entry_from_item(item).ok()).collect();
        for (update, step) in updates.iter().zip(steps).filter(|(update, _)| is_older(update)) {
            if known.contains(&(update.id, update.balance, update.balance_at)) {
                *step = Step::Past;
            }
        }
        Ok(())
    }

    async fn batch(&self, table: &str, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
        let answer = self.client.batch_get_item().request_items(table, keys).send().await?;
        Ok(answer.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default())
    }
}

fn step(update: &Account, stored: Option<&Account>) -> Step {
    match stored {
        None => Step::Create,
        Some(stored) if stored.balance_at < update.balance_at => Step::Advance,
        Some(stored) if (Account { created_at: stored.created_at, ..update.clone() }) == *stored => {
            Step::Keep
        }
        Some(_) => Step::Single,
    }
}
