//! The scheduled sync: once a minute, each of its shards syncs what is due. An operator has one account
//! synced the same way.

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::config::{CustodyConfig, StoreConfig};
use shared::cost::{costed, costed_line};
use shared::custody::{Providers, Report, Share, Sweep, SyncError, SyncRequest, Syncs};
use shared::domain::{CustodyAccountId, Timestamp};
use shared::store::{LOGICAL_SHARDS, Store, StoreError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Kept back of Lambda's time for the report and the last writes.
const MARGIN: Duration = Duration::from_secs(2);

/// Whose budget of provider reads an operator's syncs draw on.
const OPERATOR: &str = "operator";

/// The event of a run: a schedule sends which of how many shards it is, an operator one account, due or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A part of what is due.
    Shard(ShardEvent),
    /// One account.
    Account(AccountEvent),
}

/// A part of what is due.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEvent {
    /// From 0.
    pub shard: u32,
    /// 1, 2, 4, 8 or 16.
    pub shards: u32,
}

/// One account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEvent {
    /// Its id.
    pub account_id: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a schedule.
    Report(ReportBody),
    /// To an operator.
    Synced(SyncedBody),
}

/// One account's sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncedBody {
    account_id: String,
    last_synced: Option<String>,
}

/// The answer of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReportBody {
    due: usize,
    synced: usize,
    failed: usize,
    remaining: usize,
}

/// The outcome of a run.
enum Done {
    Swept(Report),
    Synced(SyncedBody),
}

impl From<Done> for Answer {
    fn from(done: Done) -> Self {
        match done {
            Done::Swept(Report { due, synced, failed, remaining, lag: _ }) => {
                Self::Report(ReportBody { due, synced, failed, remaining })
            }
            Done::Synced(body) => Self::Synced(body),
        }
    }
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
    /// The account's id is none.
    #[error("account_id is not a valid identifier")]
    NoSuchId,
    /// The account was not synced.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The job with its clients, built once per instance.
#[derive(Debug, Clone)]
pub struct Job {
    store: Store,
    sweep: Sweep,
    syncs: Syncs,
}

impl Job {
    /// Clients by configuration; nothing is connected yet. The error says what of the configuration is
    /// unusable.
    pub fn new(aws: &StoreConfig, custody: &CustodyConfig, clock: Clock) -> Result<Self, String> {
        let store = Store::new(aws, clock);
        let providers = Providers::new(custody, aws, &store)?;
        let syncs =
            Syncs::new(store.clone(), providers, custody.provider_reads_per_caller, custody.sync_interval());
        Ok(Self { sweep: Sweep::new(store.clone(), syncs.clone()), store, syncs })
    }

    /// A run that Lambda ends after `time`.
    pub async fn invoked(&self, event: Event, time: Duration) -> Result<Answer, JobError> {
        self.run(event, self.store.clock().now(), time.saturating_sub(MARGIN)).await
    }

    /// A run within `time`, logged as one line.
    pub async fn run(&self, event: Event, now: Timestamp, time: Duration) -> Result<Answer, JobError> {
        let part = if let Event::Shard(part) = &event { Some(*part) } else { None };
        // Boxed, because the runtime's futures nest around them deeper than the compiler follows.
        let (outcome, cost) = costed(Box::pin(self.work(event, now, time))).await;
        match &outcome {
            Ok(Done::Swept(Report { due, synced, failed, remaining, lag })) => {
                let (sync_lag_seconds, shard, shards) =
                    (lag.as_secs(), part.map(|part| part.shard), part.map(|part| part.shards));
                costed_line!(
                    info,
                    cost,
                    "custody sync",
                    due,
                    synced,
                    failed,
                    remaining,
                    sync_lag_seconds,
                    shard,
                    shards
                );
            }
            Ok(Done::Synced(_)) => costed_line!(info, cost, "custody sync of one account", synced = 1),
            Err(cause) => costed_line!(error, cost, "custody sync failed", %cause, server_errors = 1),
        }
        outcome.map(Answer::from)
    }

    async fn work(&self, event: Event, now: Timestamp, time: Duration) -> Result<Done, JobError> {
        match event {
            Event::Shard(event) => Ok(Done::Swept(self.sweep.run(share(event)?, now, time).await?)),
            Event::Account(AccountEvent { account_id }) => {
                self.sync(&account_id, now, Instant::now() + time).await.map(Done::Synced)
            }
        }
    }

    async fn sync(&self, id: &str, now: Timestamp, deadline: Instant) -> Result<SyncedBody, JobError> {
        let id = CustodyAccountId::parse(id).map_err(|_| JobError::NoSuchId)?;
        if self.store.custody_account(id).await?.is_none() {
            return Err(SyncError::Missing.into());
        }
        let account = self.syncs.requested(id, SyncRequest { caller: OPERATOR, now, deadline }).await?;
        let last_synced = account.synced_at.map(Timestamp::to_millis_text);
        Ok(SyncedBody { account_id: account.id.to_string(), last_synced })
    }
}

fn share(ShardEvent { shard, shards }: ShardEvent) -> Result<Share, JobError> {
    let is_part = shards.is_power_of_two() && shards <= LOGICAL_SHARDS && shard < shards;
    if is_part {
        Ok(Share { index: shard, of: shards })
    } else {
        Err(JobError::NoSuchShard { shard, shards })
    }
}
