//! How core systems put balances in: `AccountBalanceChanged` events from the event bus.
//!
//! Events may come twice and in any order; what an account ends as does not depend on it. An event that can
//! never be accepted ends as an error that says why, and Lambda puts it with that reason into the failure
//! queue.

pub mod entry;
mod payload;

pub use entry::{AccountEntry, EntryError};
pub use payload::{Payload, object as from_object};

use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::config::StoreConfig;
use shared::cost::{costed, costed_line};
use shared::domain::Timestamp;
use shared::store::{Outcome, RecordError, Store, StoreError};
use thiserror::Error;

/// The one kind of event that is understood.
pub const DETAIL_TYPE: &str = "AccountBalanceChanged";
/// A balance later than this by our clock is a mistake of the source's.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What `EventBridge` delivers, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Value,
}

/// What became of an accepted event, as it is answered and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorded {
    /// It is the account's latest balance now.
    Recorded,
    /// It is older than the latest; history has it.
    Superseded,
    /// It was already the latest, to the last field.
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
    /// It is not of the shape of an event. The text may quote it, so it is for its sender and not for a log.
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
    pub fn new(aws: &StoreConfig) -> Self {
        Self { store: Store::new(aws) }
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
                costed_line!(error, cost, "event not recorded", %cause, server_errors = 1)
            }
        }
        outcome
    }

    /// Checks an event and records what it says.
    pub async fn take(&self, Payload(event): Payload, now: Timestamp) -> Result<Accepted, IngestError> {
        let rejected = |reason: String| IngestError::Rejected(reason);
        let Event { detail_type, detail } = object(event, "the event")?;
        if detail_type != DETAIL_TYPE {
            return Err(rejected(format!("detail-type must be {DETAIL_TYPE}")));
        }
        if detail.get("history").is_some() {
            return Err(rejected("detail: unknown field `history`".to_owned()));
        }
        let entry: AccountEntry = object(detail, "detail")?;
        let account = entry.parse().map_err(|error| rejected(format!("detail.{error}")))?;
        if is_ahead(account.balance_at, now) {
            return Err(rejected("detail.balance_at: more than 5 minutes ahead".to_owned()));
        }
        match self.store.record(&account).await {
            Ok(outcome) => Ok(Accepted { result: outcome.into() }),
            Err(RecordError::Rejected(reason)) => Err(rejected(reason.to_string())),
            Err(RecordError::Store(error)) => Err(error.into()),
        }
    }
}

fn object<T: DeserializeOwned>(value: Value, what: &str) -> Result<T, IngestError> {
    payload::object(value).map_err(|problem| IngestError::Malformed(format!("{what}: {problem}")))
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
