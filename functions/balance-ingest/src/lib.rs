//! How core systems put balances in: `AccountBalanceChanged` events from the event bus.
//!
//! Events may come twice and in any order; what an account ends as does not depend on it. An event that can
//! never be accepted ends as an error that says why, and Lambda puts it with that reason into the failure
//! queue.

pub mod entry;
pub mod field;
mod payload;

pub use entry::{AccountEntry, EntryError, EntrySource};
pub use payload::Payload;

use serde::Serialize;
use serde_json::Value;
use shared::clock::Clock;
use shared::config::StoreConfig;
use shared::cost::{costed, costed_line};
use shared::domain::moment::MAX_AHEAD;
use shared::domain::{AccountUpdate, Catalogue, Timestamp};
use shared::store::{Outcome, RecordError, Store, StoreError};
use thiserror::Error;

/// The one kind of event that is understood.
pub const DETAIL_TYPE: &str = "AccountBalanceChanged";
/// The outcome of an accepted event, as it is answered and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorded {
    /// It is the account's newest entry now.
    Recorded,
    /// History has it, below a greater entry.
    Superseded,
    /// It was there already.
    Duplicate,
}

/// The answer to an accepted event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Accepted {
    result: Recorded,
}

/// Why an event was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IngestError {
    /// It is not of the shape of an event. The text may quote a field's name, so it is for the sender and not
    /// for a log.
    #[error("{0}")]
    Malformed(String),
    /// It can never be accepted: trying again will not help.
    #[error("{0}")]
    Rejected(String),
    /// The store failed: Lambda delivers the event again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes events in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Store,
}

impl Ingest {
    /// A client by configuration; nothing is connected yet.
    #[must_use]
    pub fn new(aws: &StoreConfig, clock: Clock) -> Self {
        Self { store: Store::new(aws, clock) }
    }

    /// One delivery, logged as one line without anything of the account.
    pub async fn invoked(&self, event: Payload, now: Timestamp) -> Result<Accepted, IngestError> {
        // Boxed, because the runtime's futures nest around it deeper than the compiler follows.
        let (outcome, cost) = costed(Box::pin(self.take(event, now))).await;
        match &outcome {
            Ok(Accepted { result }) => costed_line!(info, cost, "event", ?result),
            Err(IngestError::Malformed(_)) => costed_line!(warn, cost, "event rejected", cause = "malformed"),
            Err(IngestError::Rejected(cause)) => costed_line!(warn, cost, "event rejected", cause),
            Err(IngestError::Store(cause)) => {
                costed_line!(error, cost, "event not recorded", %cause, server_errors = 1);
            }
        }
        outcome
    }

    /// Checks an event and records what it says.
    pub async fn take(&self, Payload(event): Payload, now: Timestamp) -> Result<Accepted, IngestError> {
        let catalogue = self.store.catalogue().await?;
        let update = match update(event.clone(), &catalogue, now) {
            // An asset may have been added since the catalogue was read.
            Err(IngestError::Rejected(_)) => update(event, &self.store.renewed_catalogue().await?, now),
            decided => decided,
        }?;
        match self.store.record(&update).await {
            Ok(outcome) => Ok(Accepted { result: outcome.into() }),
            Err(RecordError::Rejected(reason)) => Err(IngestError::Rejected(format!("detail.{reason}"))),
            Err(RecordError::Store(error)) => Err(error.into()),
        }
    }
}

/// The entry that an event brings.
fn update(event: Value, catalogue: &Catalogue, now: Timestamp) -> Result<AccountUpdate, IngestError> {
    let malformed = |reason: &str| IngestError::Malformed(reason.to_owned());
    let rejected = |reason: String| IngestError::Rejected(reason);
    let Value::Object(mut event) = event else { return Err(malformed("the event: expected an object")) };
    match event.remove("detail-type") {
        Some(Value::String(name)) if name == DETAIL_TYPE => {}
        Some(Value::String(_)) => return Err(rejected(format!("detail-type: must be {DETAIL_TYPE}"))),
        Some(_) => return Err(malformed("detail-type: expected a string")),
        None => return Err(malformed("detail-type: missing")),
    }
    let detail = event.remove("detail").ok_or_else(|| malformed("detail: missing"))?;
    let entry = AccountEntry::of(detail).map_err(|problem| malformed(&format!("detail: {problem}")))?;
    let mut updates = entry.updates(EntrySource::Event, catalogue).map_err(|error| match error {
        EntryError::UnknownField { .. } => IngestError::Malformed(format!("detail.{error}")),
        EntryError::Value { .. } => IngestError::Rejected(format!("detail.{error}")),
    })?;
    let update = updates.pop().ok_or_else(|| malformed("detail: no entry"))?;
    if is_ahead(update.entry.balance_at, now) {
        return Err(rejected("detail.balance_at: more than 5 minutes ahead".to_owned()));
    }
    Ok(update)
}

/// Whether a balance claims to be of a future beyond what clocks can differ by.
#[must_use]
pub fn is_ahead(balance_at: Timestamp, now: Timestamp) -> bool {
    balance_at > now.plus(MAX_AHEAD)
}

impl From<Outcome> for Recorded {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Recorded => Self::Recorded,
            Outcome::Superseded => Self::Superseded,
            Outcome::Duplicate => Self::Duplicate,
        }
    }
}
