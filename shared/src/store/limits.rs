//! The limits table: how often a caller has called within a clock minute, counted by all instances together.

use super::row::{Row, number, text};
use super::{Store, StoreError};
use crate::config::Table;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::ReturnValue;

/// How long a counter outlives its minute before DynamoDB may delete it.
const KEPT_SECONDS: i64 = 3_600;

impl Store {
    /// Adds to the counter of `key` in the minute that ends at `window_end` (Unix seconds) and returns the
    /// sum of all instances.
    ///
    /// Tried once: an addition that was made and not answered would be made again.
    pub async fn add_calls(&self, key: &str, calls: u64, window_end: i64) -> Result<u64, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(self.table(Table::Limits))
            .key("key", text(format!("{key}#{window_end}")))
            .update_expression("ADD #calls :calls SET expires_at = :expires_at")
            .expression_attribute_names("#calls", "calls")
            .expression_attribute_values(":calls", number(calls))
            .expression_attribute_values(":expires_at", number(window_end + KEPT_SECONDS))
            .return_values(ReturnValue::UpdatedNew)
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await?;
        let counted = answer.attributes.unwrap_or_default();
        Row { table: Table::Limits, item: &counted }.number("calls", str::parse)
    }
}
