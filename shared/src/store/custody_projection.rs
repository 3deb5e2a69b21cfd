//! Positions of custody accounts as accounts of the unified view: the same writes as any balance, under the
//! lease's fence.

use super::custody::{self, Fenced, Lease, NEWEST_LEASE};
use super::merge::{UpdateContext, decide};
use super::record::pauses;
use super::row::number;
use super::transaction::Transaction;
use super::{Store, StoreError, accounts};
use crate::domain::{AccountUpdate, Amount, EntryKey, Timestamp};
use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use backon::Retryable;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;

/// Writes of one transaction beside the fence; DynamoDB takes a hundred in all.
const MAX_WRITES: usize = 99;
const CONCURRENT_READS: usize = 8;
/// A clock that runs behind still moves the balance on by this much.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// Nobody but the sync writes a projection, so one that is refused is not what it was.
const NOT_OURS: StoreError = StoreError::Corrupt { table: accounts::TABLE, attribute: accounts::CUSTODY };

/// What is to be written of an account's projections, in transactions that fit.
#[derive(Debug, Clone)]
pub struct ProjectionPlan {
    transactions: Vec<Vec<TransactWriteItem>>,
}

impl ProjectionPlan {
    /// Its transactions, to be written one after the other.
    pub fn transactions(self) -> impl Iterator<Item = ProjectionWrites> {
        self.transactions.into_iter().map(ProjectionWrites)
    }
}

/// One transaction of a plan.
#[derive(Debug, Clone)]
pub struct ProjectionWrites(Vec<TransactWriteItem>);

impl Store {
    /// Compares projections with what is stored: only amounts that differ are to be written.
    ///
    /// A balance is dated by its sync, but never before the one it replaces. What an earlier attempt has
    /// written is not written again, so an attempt that was cut short is completed by the next.
    pub async fn plan_projection(
        &self,
        projections: Vec<AccountUpdate>,
    ) -> Result<ProjectionPlan, StoreError> {
        let groups =
            stream::iter(projections).map(|update| self.projection_writes(update)).buffered(CONCURRENT_READS);
        let groups: Vec<Vec<TransactWriteItem>> = groups.try_collect().await?;
        Ok(ProjectionPlan { transactions: packed(groups, MAX_WRITES) })
    }

    async fn projection_writes(
        &self,
        mut update: AccountUpdate,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let account = self.account(update.customer_id, update.id).await?;
        let context = UpdateContext { account, ..UpdateContext::default() };
        match &context.account {
            // An asset that was never held needs no account.
            None if update.state.balance == Amount::ZERO => return Ok(Vec::new()),
            None => {}
            Some(stored) if stored.account.state == update.state => return Ok(Vec::new()),
            Some(stored) => {
                let balance_at = after(stored.account.entry.balance_at, update.entry.balance_at);
                update.entry = EntryKey { balance_at, ..update.entry };
            }
        }
        let decision = decide(&update, &context, self.clock.now()).map_err(|_| NOT_OURS)?;
        self.writes(&update, &context, &decision)
    }

    /// Writes one transaction of a plan, if the lease is still the newest.
    pub async fn write_projection(
        &self,
        lease: &Lease,
        writes: ProjectionWrites,
    ) -> Result<Fenced, StoreError> {
        let ProjectionWrites(writes) = writes;
        let fence = ConditionCheck::builder()
            .table_name(&self.tables.custody)
            .set_key(Some(custody::key(lease.state.account.id)))
            .condition_expression(NEWEST_LEASE)
            .expression_attribute_values(":token", number(lease.token))
            .build()?;
        let fence = TransactWriteItem::builder().condition_check(fence).build();
        let writes: Vec<_> = std::iter::once(fence).chain(writes).collect();
        let attempt = || async {
            match self.transact(writes.clone()).await {
                Ok(Transaction::Collided) => {
                    Err(StoreError::Unavailable("concurrent writes to one account".to_owned()))
                }
                other => Ok(other),
            }
        };
        match attempt.retry(pauses()).await?? {
            Transaction::Committed => Ok(Fenced::Written),
            Transaction::Refused(refused) if refused.first() == Some(&true) => Ok(Fenced::Lost),
            Transaction::Refused(_) | Transaction::Collided => Err(NOT_OURS),
        }
    }
}

fn after(stored: Timestamp, now: Timestamp) -> Timestamp {
    now.max(stored.plus(TICK))
}

/// Groups put together as long as a whole one fits.
fn packed<T>(groups: Vec<Vec<T>>, most: usize) -> Vec<Vec<T>> {
    let mut packed: Vec<Vec<T>> = Vec::new();
    for group in groups.into_iter().filter(|group| !group.is_empty()) {
        match packed.last_mut() {
            Some(last) if last.len() + group.len() <= most => last.extend(group),
            _ => packed.push(group),
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_never_torn() {
        let lengths = |groups: Vec<Vec<u8>>| packed(groups, 5).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(
            lengths(vec![vec![0; 3], vec![0; 2], vec![0; 3], vec![], vec![0; 3], vec![0; 1]]),
            [5, 3, 4]
        );
        assert!(lengths(vec![vec![], vec![]]).is_empty());
    }
}
