//! A transaction that is sent once, and what `DynamoDB` answers.

use super::row::{Item, number};
use super::{Store, StoreError};
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use std::time::Duration;

/// A healthy table commits in tens of milliseconds. The time of a transaction is written into it, so a
/// transaction must not be under way for long.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);

/// How `DynamoDB` answered a transaction.
#[derive(Debug)]
pub(super) enum Transaction {
    Committed,
    /// Another transaction held one of the items.
    Collided,
    /// Conditions failed: whether each write's own did, in their order.
    Refused(Vec<bool>),
}

impl Store {
    /// Sends a transaction once. A transaction that is not answered in time may have been committed all the
    /// same.
    pub(super) async fn transact(
        &self,
        writes: impl IntoIterator<Item = TransactWriteItem>,
    ) -> Result<Transaction, StoreError> {
        let timeouts = TimeoutConfig::builder().operation_timeout(TRANSACTION_TIMEOUT).build();
        let once = Config::builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        let request =
            self.client.transact_write_items().set_transact_items(Some(writes.into_iter().collect()));
        match request.customize().config_override(once).send().await {
            Ok(_) => Ok(Transaction::Committed),
            Err(error) => Transaction::from_error(error),
        }
    }
}

/// Puts an item unless there is one under its key.
pub(super) fn put_absent(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = put.condition_expression("attribute_not_exists(account_id)");
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}

/// Puts an item in the place of the one that was read, if that one has still the `revision` it had then.
pub(super) fn replace(table: &str, item: Item, revision: u64) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = put.condition_expression("revision = :read");
    let put = put.expression_attribute_values(":read", number(revision));
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}

impl Transaction {
    fn from_error(error: SdkError<TransactWriteItemsError>) -> Result<Self, StoreError> {
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons().to_vec()
            }
            _ => return Err(error.into()),
        };
        let mut refused = Vec::with_capacity(reasons.len());
        let mut has_collided = false;
        for reason in reasons {
            let code = reason.code().unwrap_or("None");
            match code {
                "None" | "ConditionalCheckFailed" => refused.push(code != "None"),
                "TransactionConflict" => has_collided = true,
                "ProvisionedThroughputExceeded" | "ThrottlingError" => {
                    return Err(StoreError::Unavailable(code.to_owned()));
                }
                code => return Err(StoreError::Refused(code.to_owned())),
            }
        }
        // Cancelled without a reason: nothing is known, so nothing is concluded.
        Ok(if has_collided || refused.is_empty() { Self::Collided } else { Self::Refused(refused) })
    }
}
