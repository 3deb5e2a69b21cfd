//! Many new accounts in few transactions: what an import does, with the same checks as one at a time.

use super::record::{Outcome, RecordError, Transaction};
use super::{Store, StoreError};
use crate::domain::Account;
use futures::stream::{self, StreamExt, TryStreamExt};

/// Each account takes three writes, and DynamoDB takes a hundred to a transaction.
const ACCOUNTS_PER_TRANSACTION: usize = 33;
/// Transactions, or single updates, under way at once.
const CONCURRENCY: usize = 8;

impl Store {
    /// Records updates of different accounts, most of them new; the answer has an entry for each, in their order.
    ///
    /// New accounts share transactions. Where one of a transaction is not new, its whole batch is recorded one by one, so the
    /// outcomes are those of [`Store::record`] in every case.
    pub async fn record_many(&self, updates: &[Account]) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let batches = stream::iter(updates.chunks(ACCOUNTS_PER_TRANSACTION));
        let outcomes: Vec<_> = batches.map(|batch| self.record_batch(batch)).buffered(CONCURRENCY).try_collect().await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn record_batch(&self, updates: &[Account]) -> Result<Vec<Result<Outcome, RecordError>>, StoreError> {
        let writes = updates.iter().map(|update| self.creation(update)).collect::<Result<Vec<_>, _>>()?;
        if let Transaction::Committed = self.transact(writes.into_iter().flatten()).await? {
            return Ok(updates.iter().map(|_| Ok(Outcome::Recorded)).collect());
        }
        Ok(stream::iter(updates).map(|update| self.record(update)).buffered(CONCURRENCY).collect().await)
    }
}
