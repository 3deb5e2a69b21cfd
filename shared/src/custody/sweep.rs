//! The scheduled sweep: whatever is due, in batches, until it is done or the time is short.
//!
//! It keeps no state of its own. What it did not come to is still due at the next run, and so is what a
//! killed run had claimed.

use super::ProviderError;
use super::sync::{BATCH_TIMEOUT, SyncError, Syncs, later};
use crate::domain::{CustodyAccount, CustodyAccountId, ProviderName, Timestamp};
use crate::store::{LOGICAL_SHARDS, LeaseClaim, Store, StoreError, SyncLease};
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Due accounts that one run looks at, the longest due first; the rest is the next run's.
const MAX_DUE: usize = 10_000;
/// Each shard is asked for its share of [`MAX_DUE`] so many times over: ids are spread evenly over the
/// shards, so no shard has more of the longest due ones.
const SHARD_SURPLUS: usize = 2;
/// Accounts that are claimed, read and stored together, within their leases.
const BATCH: usize = 100;
const CONCURRENT_BATCHES: usize = 4;
const CONCURRENT_CLAIMS: usize = 16;
/// No batch is begun with less time left: what is begun by the end of [`BATCH_TIMEOUT`] still has to be
/// stored.
const BATCH_TIME: Duration = BATCH_TIMEOUT.saturating_add(Duration::from_secs(5));
/// An account whose item cannot be read is looked at again after this.
const UNREADABLE_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Accounts that were due when it began, 10,000 at most.
    pub due: usize,
    /// Synced by it.
    pub synced: usize,
    /// Asked for in vain; they are due again later.
    pub failed: usize,
    /// Not come to, or in the hands of another just now; unless that succeeds they are still due.
    pub remaining: usize,
    /// How long the longest due of them was due when it began.
    pub lag: SignedDuration,
}

/// One run's share of the accounts: part `index` of `of`, which divides the logical shards evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// 1, 2, 4, 8 or 16.
    pub of: u32,
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    fn shards(self) -> impl Iterator<Item = u32> {
        (0..LOGICAL_SHARDS).filter(move |shard| shard % self.of == self.index)
    }
}

/// Sweeps; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sweep {
    store: Store,
    syncs: Syncs,
}

/// How one due account ended.
#[derive(Clone, Copy)]
enum End {
    Synced,
    Failed,
    Remaining,
}

impl Sweep {
    /// A sweep that syncs by `syncs`.
    #[must_use]
    pub const fn new(store: Store, syncs: Syncs) -> Self {
        Self { store, syncs }
    }

    /// Syncs the share's due accounts within `time`.
    pub async fn run(&self, share: Share, now: Timestamp, time: Duration) -> Result<Report, StoreError> {
        let run =
            Run { sweep: self, now, started: Instant::now(), time, is_over_budget: AtomicBool::new(false) };
        let _allotment = self.syncs.providers().allot_part(share.of);
        let due = self.due(share, now).await?;
        let lag = due.first().map(|(at, _)| at.age_at(now)).unwrap_or_default();
        let due: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
        let batches: Vec<_> = due.chunks(BATCH).map(|batch| run.batch(batch)).collect();
        let ends: Vec<Vec<End>> = stream::iter(batches).buffer_unordered(CONCURRENT_BATCHES).collect().await;
        let mut report = Report { due: due.len(), lag, ..Report::default() };
        for end in ends.into_iter().flatten() {
            *match end {
                End::Synced => &mut report.synced,
                End::Failed => &mut report.failed,
                End::Remaining => &mut report.remaining,
            } += 1;
        }
        Ok(report)
    }

    /// The due accounts, the longest due first, with when it was.
    async fn due(
        &self,
        share: Share,
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, CustodyAccountId)>, StoreError> {
        let most = SHARD_SURPLUS * MAX_DUE.div_ceil(share.shards().count().max(1));
        let shards =
            stream::iter(share.shards()).map(|shard| self.store.due_custody_accounts(shard, now, most));
        let due: Vec<Vec<_>> = shards.buffered(CONCURRENT_BATCHES).try_collect().await?;
        let mut due: Vec<_> = due.into_iter().flatten().collect();
        due.sort_unstable();
        due.truncate(MAX_DUE);
        Ok(due)
    }
}

/// One run, with its clock.
struct Run<'a> {
    sweep: &'a Sweep,
    now: Timestamp,
    started: Instant,
    time: Duration,
    /// Once it is, nothing more is claimed.
    is_over_budget: AtomicBool,
}

impl Run<'_> {
    /// Syncs some accounts, each for itself: what fails is logged once and holds up no other.
    async fn batch(&self, ids: &[CustodyAccountId]) -> Vec<End> {
        let is_late = self.started.elapsed() + BATCH_TIME > self.time;
        if is_late || self.is_over_budget.load(Ordering::Relaxed) {
            return vec![End::Remaining; ids.len()];
        }
        let now = later(self.now, self.started);
        let claims: Vec<_> = ids.iter().map(|id| self.claim(*id, now)).collect();
        let claims: Vec<_> = stream::iter(claims).buffered(CONCURRENT_CLAIMS).collect().await;
        let (mut ends, mut leases) = (Vec::new(), BTreeMap::<ProviderName, Vec<SyncLease>>::new());
        for claim in claims {
            match claim {
                Ok(lease) => leases.entry(lease.state.account.provider).or_default().push(*lease),
                Err(end) => ends.push(end),
            }
        }
        let synced: Vec<_> = leases.values().flatten().map(|lease| lease.state.account.id).collect();
        let syncs: Vec<_> =
            leases.into_values().map(|leases| self.sweep.syncs.sync_batch(leases, now)).collect();
        for (id, outcome) in synced.into_iter().zip(join_all(syncs).await.into_iter().flatten()) {
            ends.push(self.end(id, outcome));
        }
        ends
    }

    async fn claim(&self, id: CustodyAccountId, now: Timestamp) -> Result<Box<SyncLease>, End> {
        match self.sweep.syncs.claim_for_batch(id, now).await {
            Ok(LeaseClaim::Granted(lease)) => Ok(lease),
            // Somebody is asking for it right now.
            Ok(LeaseClaim::Taken(_) | LeaseClaim::Missing) => Err(End::Remaining),
            Err(StoreError::Unavailable(cause)) => {
                tracing::warn!(cause, account_id = %id, "an account was not claimed");
                Err(End::Remaining)
            }
            Err(cause) => {
                tracing::error!(%cause, account_id = %id, "an account cannot be read");
                // If even that fails, it is still due.
                drop(self.sweep.store.postpone_sync(id, now.plus(UNREADABLE_PAUSE)).await);
                Err(End::Failed)
            }
        }
    }

    fn end(&self, id: CustodyAccountId, outcome: Result<CustodyAccount, SyncError>) -> End {
        match outcome {
            Ok(_) => End::Synced,
            Err(SyncError::Provider(ProviderError::OverBudget { .. }) | SyncError::TooOften { .. }) => {
                self.is_over_budget.store(true, Ordering::Relaxed);
                End::Remaining
            }
            Err(
                SyncError::Provider(ProviderError::NotReached) | SyncError::LeaseLost | SyncError::Missing,
            ) => End::Remaining,
            Err(cause) => {
                tracing::warn!(%cause, account_id = %id, "an account was not synced");
                End::Failed
            }
        }
    }
}
