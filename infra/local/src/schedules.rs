//! The scheduled functions, run at the template's rates or when asked.

use crate::template::Schedule;
use custody_sync::{Event, ShardEvent};
use serde::Serialize;
use shared::clock::Clock;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// The time that Lambda gives a run.
const RUN_TIME: Duration = Duration::from_secs(55);
/// One process syncs every shard.
const WHOLE: Event = Event::Shard(ShardEvent { shard: 0, shards: 1 });

/// The answer of a run.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Report {
    CustodySync(custody_sync::Answer),
    RatesSync(rates_sync::ReportBody),
}

/// The jobs by the names of their binaries; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Schedules {
    pub(crate) custody_sync: custody_sync::Job,
    pub(crate) rates_sync: rates_sync::Job,
    pub(crate) clock: Clock,
}

impl Schedules {
    /// Runs a function once, now; `None` if there is no scheduled one of that name. The error says why it
    /// came to nothing.
    pub(crate) async fn run(&self, function: &str) -> Option<Result<Report, String>> {
        match function {
            "custody-sync" => Some(self.sync_custody(WHOLE).await),
            "rates-sync" => Some(self.sync_rates().await),
            _ => None,
        }
    }

    /// Runs a function as Lambda does for whoever invokes it, by its binary's name after whatever a stack's
    /// puts before it.
    pub(crate) async fn invoke(&self, function: &str, event: &[u8]) -> Option<Result<Report, String>> {
        let is = |name: &str| {
            function.strip_suffix(name).is_some_and(|stack| stack.is_empty() || stack.ends_with('-'))
        };
        if is("custody-sync") {
            return Some(match serde_json::from_slice(event) {
                Ok(event) => self.sync_custody(event).await,
                Err(error) => Err(error.to_string()),
            });
        }
        if is("rates-sync") { Some(self.sync_rates().await) } else { None }
    }

    async fn sync_custody(&self, event: Event) -> Result<Report, String> {
        let report = self.custody_sync.run(event, self.clock.now(), RUN_TIME).await;
        report.map(Report::CustodySync).map_err(|error| error.to_string())
    }

    async fn sync_rates(&self) -> Result<Report, String> {
        let report = self.rates_sync.run(self.clock.now()).await;
        report.map(Report::RatesSync).map_err(|error| error.to_string())
    }

    /// Runs a schedule until it is stopped. A run that fails is logged, and the next one is tried all the
    /// same.
    pub(crate) async fn keep(self, schedule: Schedule, stop: CancellationToken) {
        let mut ticks = interval_at(tokio::time::Instant::now() + schedule.rate, schedule.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.run(&schedule.function).await {
                Some(Err(cause)) => {
                    tracing::error!(function = schedule.function, %cause, "a scheduled run failed");
                }
                None => tracing::error!(
                    function = schedule.function,
                    "the template schedules a function that is not here"
                ),
                Some(Ok(_)) => {}
            }
        }
    }
}
