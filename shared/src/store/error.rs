//! The errors of the store, told apart by what a caller can do about them.

use super::clock_check::WrongClock;
use super::usage::ReadBudgetSpent;
use crate::config::Table;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// A failed read or write. The texts are for the log: they name tables and attributes, never values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Throttled, unreachable or too slow: worth trying again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// An item does not have the shape it was written in.
    #[error("corrupt item in {table}: attribute {attribute}")]
    Corrupt {
        /// Its table.
        table: Table,
        /// The attribute that is missing or unreadable.
        attribute: &'static str,
    },
    /// This process's clock is wrong, so it may not write.
    #[error("{0}")]
    WrongClock(WrongClock),
    /// A request has read all that it may.
    #[error(transparent)]
    ReadBudget(#[from] ReadBudgetSpent),
    /// DynamoDB refused the call itself: a missing table or right.
    #[error("the store refused the call: {0}")]
    Refused(String),
}

/// Codes that mean "not now" rather than "not so"; the SDK has already retried them.
const PASSING: [&str; 6] = [
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
];

impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        if let Some(wrong) = refusal::<WrongClock>(&error) {
            return Self::WrongClock(wrong);
        }
        if let Some(spent) = refusal::<ReadBudgetSpent>(&error) {
            return Self::ReadBudget(spent);
        }
        let is_answered = error.raw_response().is_some_and(|response| !response.status().is_server_error());
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some(code) if is_answered && !PASSING.contains(&code) => Self::Refused(code.to_owned()),
            Some(code) => Self::Unavailable(code.to_owned()),
            // No answer, or one that is not DynamoDB's: a proxy's page, a cut body.
            None => Self::Unavailable(DisplayErrorContext(&error).to_string()),
        }
    }
}

/// The refusal of an interceptor of ours, which stands at the end of the causes.
fn refusal<R: Copy + std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> Option<R> {
    let mut causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref::<R>().copied())
}
