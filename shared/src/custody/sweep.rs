//! The scheduled sweep: whatever is due, in batches, until it is done or the time is short.
//!
//! It keeps no state of its own. What it did not come to is still due at the next run, and so is what a killed run had claimed.

use super::ProviderError;
use super::sync::{SyncError, Syncs, later};
use crate::domain::{CustodyAccount, CustodyAccountId, ProviderName, Timestamp};
use crate::store::{Claim, LOGICAL_SHARDS, Lease, Store, StoreError};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Due accounts that one run looks at; the rest is the next run's.
const MAX_DUE: usize = 10_000;
/// Accounts whose leases are claimed and read together: one page of the provider, stored well within a lease.
const BATCH: usize = 100;
const CONCURRENT_BATCHES: usize = 4;
const CONCURRENT_CLAIMS: usize = 16;
/// A batch takes at most this; none is begun with less time left.
const BATCH_TIME: Duration = Duration::from_secs(15);

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Accounts that were due when it began.
    pub due: usize,
    /// Synced by it, or meanwhile by another.
    pub synced: usize,
    /// Asked for in vain; they are due again later.
    pub failed: usize,
    /// Not come to; they are still due.
    pub remaining: usize,
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
        let run = Run { sweep: self, now, started: Instant::now(), time };
        self.syncs.providers().allot_part(share.of);
        let due = self.due(share, now).await?;
        let batches: Vec<_> = due.chunks(BATCH).map(|batch| run.batch(batch)).collect();
        let ends: Vec<Vec<End>> = stream::iter(batches).buffer_unordered(CONCURRENT_BATCHES).try_collect().await?;
        let mut report = Report { due: due.len(), ..Report::default() };
        for end in ends.into_iter().flatten() {
            *match end {
                End::Synced => &mut report.synced,
                End::Failed => &mut report.failed,
                End::Remaining => &mut report.remaining,
            } += 1;
        }
        Ok(report)
    }

    async fn due(&self, share: Share, now: Timestamp) -> Result<Vec<CustodyAccountId>, StoreError> {
        let shards = stream::iter(share.shards()).map(|shard| self.store.due_custody_accounts(shard, now, MAX_DUE));
        let due: Vec<Vec<_>> = shards.buffered(CONCURRENT_BATCHES).try_collect().await?;
        Ok(due.into_iter().flatten().take(MAX_DUE).collect())
    }
}

/// One run, with its clock.
#[derive(Clone, Copy)]
struct Run<'a> {
    sweep: &'a Sweep,
    now: Timestamp,
    started: Instant,
    time: Duration,
}

impl Run<'_> {
    fn clock(&self) -> Timestamp {
        later(self.now, self.started)
    }

    async fn batch(self, ids: &[CustodyAccountId]) -> Result<Vec<End>, StoreError> {
        if self.started.elapsed() + BATCH_TIME > self.time {
            return Ok(vec![End::Remaining; ids.len()]);
        }
        let now = self.clock();
        let claims = stream::iter(ids.to_vec()).map(|id| self.sweep.syncs.claim(id, now));
        let claims: Vec<Claim> = claims.buffered(CONCURRENT_CLAIMS).try_collect().await?;
        let (mut ends, mut leases) = (Vec::new(), BTreeMap::<ProviderName, Vec<Lease>>::new());
        for claim in claims {
            match claim {
                Claim::Granted(lease) => leases.entry(lease.state.account.provider).or_default().push(*lease),
                // Somebody is asking for it right now.
                Claim::Held(_) | Claim::Missing => ends.push(End::Synced),
            }
        }
        for leases in leases.into_values() {
            for outcome in self.sweep.syncs.sync(leases, now).await {
                ends.push(end(outcome)?);
            }
        }
        Ok(ends)
    }
}

/// A store that fails ends the run; an account that fails is logged once and does not hold up the others.
fn end(outcome: Result<CustodyAccount, SyncError>) -> Result<End, StoreError> {
    match outcome {
        // Whoever took over is syncing it.
        Ok(_) | Err(SyncError::LeaseLost | SyncError::Missing) => Ok(End::Synced),
        Err(SyncError::Store(error)) => Err(error),
        Err(SyncError::TooOften { .. } | SyncError::Provider(ProviderError::OverBudget { .. })) => Ok(End::Remaining),
        Err(SyncError::Provider(cause)) => {
            tracing::warn!(%cause, "an account was not synced");
            Ok(End::Failed)
        }
    }
}
