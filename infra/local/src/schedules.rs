//! The scheduled functions, run at the template's rates or when asked.

use crate::template::Schedule;
use custody_sync::{Event, Job, JobError, ReportBody};
use shared::domain::Timestamp;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// What Lambda gives a run.
const RUN_TIME: Duration = Duration::from_secs(55);
/// One process syncs every shard.
const WHOLE: Event = Event { shard: 0, shards: 1 };

/// The jobs by the names of their binaries; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Schedules {
    custody_sync: Job,
}

impl Schedules {
    pub(crate) const fn new(custody_sync: Job) -> Self {
        Self { custody_sync }
    }

    /// Runs a function once, now; `None` if there is no scheduled one of that name.
    pub(crate) async fn run(&self, function: &str) -> Option<Result<ReportBody, JobError>> {
        match function {
            "custody-sync" => Some(self.custody_sync.run(WHOLE, Timestamp::now(), RUN_TIME).await),
            _ => None,
        }
    }

    /// Runs a schedule until it is stopped. A run that fails is logged, and the next one is tried all the same.
    pub(crate) async fn keep(self, schedule: Schedule, stop: CancellationToken) {
        let mut ticks = interval_at(tokio::time::Instant::now() + schedule.rate, schedule.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.run(&schedule.function).await {
                Some(Err(cause)) => tracing::error!(function = schedule.function, %cause, "a scheduled run failed"),
                None => tracing::error!(function = schedule.function, "the template schedules a function that is not here"),
                Some(Ok(_)) => {}
            }
        }
    }
}
