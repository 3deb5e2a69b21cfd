//! Many accounts in few transactions: what an import does, with the same checks as one at a time.

use super::record::{Outcome, RecordError, Transaction};
use super::{Store, StoreError};
use crate::domain::Account;
use futures::stream::{self, StreamExt, TryStreamExt};

/// A new account takes three writes, and DynamoDB takes a hundred to a transaction.
const ACCOUNTS_PER_TRANSACTION: usize = 33;
/// Transactions, or single updates, under way at once.
const CONCURRENCY: usize = 8;

impl Store {
    /// Records updates of different accounts; the answer has an entry for each, in their order.
    ///
    /// Accounts that are all new, or all older than their updates, share transactions. A batch in which one is neither is
    /// recorded one by one, so the outcomes are those of [`Store::record`] in every case.
    pub async fn record_many(&self, updates: &[Account]) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let batches = stream::iter(updates.chunks(ACCOUNTS_PER_TRANSACTION));
        let outcomes: Vec<_> = batches.map(|batch| self.record_batch(batch)).buffered(CONCURRENCY).try_collect().await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn record_batch(&self, updates: &[Account]) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let creations = updates.iter().map(|update| self.creation(update)).collect::<Result<Vec<_>, _>>()?;
        let advances = updates.iter().map(|update| self.advance(update)).collect::<Result<Vec<_>, _>>()?;
        for writes in [creations.into_iter().flatten().collect::<Vec<_>>(), advances.into_iter().flatten().collect()] {
            if let Transaction::Committed = self.transact(writes).await? {
                return Ok(updates.iter().map(|_| Ok(Outcome::Recorded)).collect());
            }
        }
        Ok(stream::iter(updates).map(|update| self.record(update)).buffered(CONCURRENCY).collect().await)
    }
}
