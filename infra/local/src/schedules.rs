//! The scheduled functions, run at the template's rates or when asked.

use crate::template::Schedule;
use book_positions::{Event as BookEvent, JobError};
use custody_sync::{Event, ShardEvent};
use jiff::SignedDuration;
use serde::Serialize;
use shared::clock::Clock;
use shared::domain::Zone;
use std::time::Duration;
use thiserror::Error;
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
    BookPositions(book_positions::Answer),
}

/// Why a run came to nothing.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// Its event asks for what cannot be.
    #[error("{0}")]
    Event(String),
    /// The job failed.
    #[error("{0}")]
    Failed(String),
}

/// The jobs by the names of their binaries; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Schedules {
    pub(crate) custody_sync: custody_sync::Job,
    pub(crate) rates_sync: rates_sync::Job,
    pub(crate) book_positions: book_positions::Job,
    pub(crate) clock: Clock,
}

impl Schedules {
    /// Runs a function once, now; `None` if there is no scheduled one of that name. The error says why it
    /// came to nothing.
    pub(crate) async fn run(&self, function: &str) -> Option<Result<Report, RunError>> {
        match function {
            "custody-sync" => Some(self.sync_custody(WHOLE).await),
            "rates-sync" => Some(self.sync_rates().await),
            "book-positions" => Some(self.make_positions(BookEvent::default()).await),
            _ => None,
        }
    }

    /// Runs a function as Lambda does for whoever invokes it, by its binary's name after whatever a stack's
    /// puts before it.
    pub(crate) async fn invoke(&self, function: &str, event: &[u8]) -> Option<Result<Report, RunError>> {
        let is = |name: &str| {
            function.strip_suffix(name).is_some_and(|stack| stack.is_empty() || stack.ends_with('-'))
        };
        if is("custody-sync") {
            return Some(match serde_json::from_slice(event) {
                Ok(event) => self.sync_custody(event).await,
                Err(error) => Err(RunError::Event(error.to_string())),
            });
        }
        if is("book-positions") {
            return Some(match serde_json::from_slice(event) {
                Ok(event) => self.make_positions(event).await,
                Err(error) => Err(RunError::Event(error.to_string())),
            });
        }
        if is("rates-sync") { Some(self.sync_rates().await) } else { None }
    }

    async fn sync_custody(&self, event: Event) -> Result<Report, RunError> {
        let report = self.custody_sync.run(event, self.clock.now(), RUN_TIME).await;
        report.map(Report::CustodySync).map_err(|error| RunError::Failed(error.to_string()))
    }

    /// A position is made to its end: nothing here ends a run.
    async fn make_positions(&self, event: BookEvent) -> Result<Report, RunError> {
        let report = self.book_positions.run(event, self.clock.now(), None).await;
        report.map(Report::BookPositions).map_err(|error| match error {
            JobError::Event(message) => RunError::Event(message),
            error => RunError::Failed(error.to_string()),
        })
    }

    /// Makes the closes of the last days, the oldest first: a demonstration would have none to look at. It
    /// ends early where one fails.
    pub(crate) async fn make_past_closes(&self, zone: &Zone, days: u32) -> Result<(), RunError> {
        let mut closes = Vec::new();
        // The newest of them knows what was recorded within a minute, and that has to settle for another.
        let mut end = zone.last_day_end(self.clock.now().minus(SignedDuration::from_secs(120)));
        while let Some(close) = end
            && closes.len() < usize::try_from(days).unwrap_or_default()
        {
            closes.push(close);
            end = zone.last_day_end(close.minus(SignedDuration::from_millis(1)));
        }
        for close in closes.into_iter().rev() {
            let known_at = Some(close.plus(SignedDuration::from_secs(60)).to_millis_text());
            self.make_positions(BookEvent { as_of: Some(close.to_millis_text()), known_at }).await?;
        }
        Ok(())
    }

    async fn sync_rates(&self) -> Result<Report, RunError> {
        let report = self.rates_sync.run(self.clock.now()).await;
        report.map(Report::RatesSync).map_err(|error| RunError::Failed(error.to_string()))
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
