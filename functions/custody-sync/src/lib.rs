//! The scheduled sync: once a minute, each of its shards syncs what is due.

use serde::{Deserialize, Serialize};
use shared::config::{CustodyConfig, StoreConfig};
use shared::custody::{Providers, Report, Share, Sweep, Syncs};
use shared::domain::Timestamp;
use shared::store::{LOGICAL_SHARDS, Store, StoreError};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// Kept back of Lambda's time for the report and the last writes.
const MARGIN: Duration = Duration::from_secs(2);

/// What a schedule sends: which of how many shards this run is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// From 0.
    pub shard: u32,
    /// 1, 2, 4, 8 or 16.
    pub shards: u32,
}

/// What a run answers and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReportBody {
    due: usize,
    synced: usize,
    failed: usize,
    remaining: usize,
}

/// Why a run did nothing, or ended early. What it had not come to is still due.
#[derive(Debug, Error)]
pub enum JobError {
    /// The event names no shard there is.
    #[error("shard {shard} of {shards}: shards must be 1, 2, 4, 8 or 16, and the shard one of them")]
    NoSuchShard {
        /// As the event has it.
        shard: u32,
        /// As the event has it.
        shards: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The job with its clients, built once per instance.
#[derive(Debug, Clone)]
pub struct Job {
    sweep: Sweep,
}

impl Job {
    /// Clients by configuration; nothing is connected yet. The error says what of the configuration is unusable.
    pub fn new(aws: &StoreConfig, custody: &CustodyConfig) -> Result<Self, String> {
        let store = Store::new(aws);
        let providers = Providers::new(custody, aws, &store)?;
        let syncs = Syncs::new(store.clone(), providers, custody.provider_reads_per_caller, custody.sync_interval());
        Ok(Self { sweep: Sweep::new(store, syncs) })
    }

    /// A run that Lambda ends at `deadline`.
    pub async fn invoked(&self, event: Event, deadline: SystemTime) -> Result<ReportBody, JobError> {
        let time = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        self.run(event, Timestamp::now(), time.saturating_sub(MARGIN)).await
    }

    /// A run within `time`. Its report is logged as one line.
    pub async fn run(&self, event: Event, now: Timestamp, time: Duration) -> Result<ReportBody, JobError> {
        let Report { due, synced, failed, remaining } = self.sweep.run(share(event)?, now, time).await?;
        tracing::info!(due, synced, failed, remaining, shard = event.shard, shards = event.shards, "custody sync");
        Ok(ReportBody { due, synced, failed, remaining })
    }
}

fn share(Event { shard, shards }: Event) -> Result<Share, JobError> {
    let is_part = shards.is_power_of_two() && shards <= LOGICAL_SHARDS && shard < shards;
    if is_part { Ok(Share { index: shard, of: shards }) } else { Err(JobError::NoSuchShard { shard, shards }) }
}
