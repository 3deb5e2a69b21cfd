//! Positions of the whole book: what all accounts together held at each day's end, and in between on request.
//!
//! Once a minute a run looks for a close that is missing, and makes it. An operator has one position made the
//! same way, again with later knowledge if one is there. Rejected: counters that each write would move on,
//! because they cost every event two write units, collide on few items, and cannot tell the past.

mod due;
mod make;

use due::Due;
use make::{Made, Maker};
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::config::{BookConfig, StoreConfig};
use shared::cost::{costed, costed_line};
use shared::domain::moment::SETTLED_AFTER;
use shared::domain::{AgeLimits, Asset, BookFilter, BookQuestion, Measure, Pricing, Timestamp, TooLarge};
use shared::store::{PositionUnderWay, Store, StoreError, StoredPosition};
use std::time::{Duration, Instant};
use thiserror::Error;

/// The function's time-out in the template.
pub const TIME_OUT: Duration = Duration::from_secs(58);
/// Kept back of Lambda's time for the report and the last writes.
const MARGIN: Duration = Duration::from_secs(2);

/// The event of a run. A schedule sends an empty one; an operator names a position.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Event {
    /// As of when (RFC 3339); the newest close that is missing if absent.
    pub as_of: Option<String>,
    /// Known at when (RFC 3339); the last settled instant if absent.
    pub known_at: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The position is there.
    Made(MadeBody),
    /// The run's time was too short: later runs go on.
    UnderWay(UnderWayBody),
    /// Nothing was missing.
    Nothing {},
}

/// A position that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MadeBody {
    position_at: String,
    known_at: String,
    accounts: u64,
    complete: bool,
    /// Whole US dollars, for the dashboard alone; `None` if they are more than a metric holds.
    #[serde(skip)]
    total_usd: Option<i64>,
}

/// A position that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnderWayBody {
    position_at: String,
    known_at: String,
    parts_left: usize,
}

/// Why a run made nothing, or ended early. What is missing is made by a later run.
#[derive(Debug, Error)]
pub enum JobError {
    /// The event's instants cannot be a position's.
    #[error("{0}")]
    Event(String),
    /// A sum leaves 256 bits.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The job with its client, built once per instance.
#[derive(Debug, Clone)]
pub struct Job {
    store: Store,
    config: BookConfig,
    limits: AgeLimits,
}

impl Job {
    /// A client by configuration; nothing is connected yet.
    #[must_use]
    pub fn new(aws: &StoreConfig, config: BookConfig, limits: AgeLimits, clock: Clock) -> Self {
        Self { store: Store::new(aws, clock), config, limits }
    }

    /// A run that Lambda ends after `time`.
    pub async fn invoked(&self, event: Event, time: Duration) -> Result<Answer, JobError> {
        let now = self.store.clock().now();
        self.run(event, now, Some(Instant::now() + time.saturating_sub(MARGIN))).await
    }

    /// A run until `deadline`, or to its end without one, logged as one line.
    pub async fn run(
        &self,
        event: Event,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Answer, JobError> {
        let (outcome, cost) = costed(Box::pin(self.work(event, now, deadline))).await;
        let close_delay_seconds = self.close_delay(now).await.unwrap_or_default();
        match &outcome {
            Ok(Answer::Made(MadeBody { position_at, known_at, accounts, complete, total_usd })) => {
                costed_line!(
                    info,
                    cost,
                    "book position",
                    position_at,
                    known_at,
                    book_accounts = accounts,
                    book_total_usd = total_usd,
                    complete,
                    close_delay_seconds
                );
            }
            Ok(Answer::UnderWay(UnderWayBody { position_at, known_at, parts_left })) => costed_line!(
                info,
                cost,
                "book position under way",
                position_at,
                known_at,
                parts_left,
                close_delay_seconds
            ),
            Ok(Answer::Nothing {}) => {
                costed_line!(info, cost, "no book position is missing", close_delay_seconds);
            }
            Err(cause) => {
                costed_line!(error, cost, "book position failed", %cause, server_errors = 1, close_delay_seconds);
            }
        }
        outcome
    }

    async fn work(
        &self,
        event: Event,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Answer, JobError> {
        let due = Due { zone: &self.config.zone, position_minutes: self.config.position_minutes, now };
        let wanted = match event.as_of {
            Some(as_of) => vec![due.asked(&as_of, event.known_at.as_deref())?],
            None if event.known_at.is_some() => {
                return Err(JobError::Event("known_at is given without as_of".to_owned()));
            }
            None => self.missing(&due).await?,
        };
        let maker = Maker::new(&self.store, &self.config, deadline);
        let mut answer = Answer::Nothing {};
        for under_way in wanted {
            answer = match maker.make(under_way).await? {
                Made::Position(position) => Answer::Made(MadeBody {
                    total_usd: self.whole_dollars(&position).await,
                    position_at: position.key.position_at.to_millis_text(),
                    known_at: position.key.known_at.to_millis_text(),
                    accounts: position.summary.accounts(),
                    complete: position.gaps.count() == 0,
                }),
                Made::PartsLeft(parts_left) => Answer::UnderWay(UnderWayBody {
                    position_at: under_way.key.position_at.to_millis_text(),
                    known_at: under_way.key.known_at.to_millis_text(),
                    parts_left,
                }),
            };
        }
        Ok(answer)
    }

    /// Positions that a schedule is to make: those under way, and those that are due and not there.
    async fn missing(&self, due: &Due<'_>) -> Result<Vec<PositionUnderWay>, JobError> {
        let mut missing = self.store.positions_under_way().await?;
        for position in due.positions() {
            let is_missing = !missing.contains(&position)
                && self.store.position(position.kind, position.key).await?.is_none();
            if is_missing {
                missing.push(position);
            }
        }
        Ok(missing)
    }

    /// The position's worth for the dashboard, which does without if rates cannot be read. Currencies without
    /// a rate are left out.
    async fn whole_dollars(&self, position: &StoredPosition) -> Option<i64> {
        let moment = position.key.moment();
        let rates = self.store.rates_at(moment, self.limits).await;
        let rates = rates.inspect_err(|cause| tracing::warn!(%cause, "the position was not priced")).ok()?;
        let pricing = Pricing { target: Asset::USD, rates: &rates, at: moment.as_of, limits: self.limits };
        let question =
            BookQuestion { filter: &BookFilter::default(), group_by: None, measure: Measure::Balance };
        question.totals(&position.summary, pricing).ok()?.whole_units()
    }

    /// Seconds since the newest close that is missing was due; 0 if it is there.
    async fn close_delay(&self, now: Timestamp) -> Result<i64, StoreError> {
        let due = Due { zone: &self.config.zone, position_minutes: None, now };
        let Some(PositionUnderWay { key, kind }) = due.close() else { return Ok(0) };
        let is_there = self.store.position(kind, key).await?.is_some();
        Ok(if is_there { 0 } else { key.known_at.plus(SETTLED_AFTER).age_at(now).as_secs() })
    }
}
