//! Many items by their keys, all of them: keys that `DynamoDB` leaves unprocessed are asked for again.

use super::row::Item;
use super::{Store, StoreError};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;
use tokio::time::sleep;

/// Reads without any item that are followed by a pause and another read. `DynamoDB` leaves keys unprocessed
/// where a table is busy, or where the answer is longer than 16 MB; a read that brings items is no reason to
/// wait.
const MAX_PAUSES: usize = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// The items of at most 100 keys that exist, strongly consistent, in no order.
    pub(super) async fn batch_get(&self, table: &str, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        let mut keys = keys;
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(MAX_PAUSES);
        let mut pauses = pauses.with_jitter().build();
        while !keys.is_empty() {
            let count = keys.len();
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
            let answer = self.client.batch_get_item().request_items(table, request).send().await?;
            found.extend(answer.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default());
            let unprocessed = answer.unprocessed_keys.and_then(|mut tables| tables.remove(table));
            keys = unprocessed.map_or_else(Vec::new, |unprocessed| unprocessed.keys);
            if keys.len() == count {
                let busy = || StoreError::Unavailable("keys were left unprocessed".to_owned());
                sleep(pauses.next().ok_or_else(busy)?).await;
            }
        }
        Ok(found)
    }
}
