//! Whole tables page by page, for an operator: nothing that answers a request walks one.

use super::custody::{self, CustodyState};
use super::{ApiKey, Store, StoreError, access};
use crate::domain::{CustodyAccountId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

impl Store {
    /// Custody accounts after this one, in the table's order, and where to go on unless the table has ended.
    pub async fn custody_page(
        &self,
        after: Option<CustodyAccountId>,
    ) -> Result<(Vec<CustodyState>, Option<CustodyAccountId>), StoreError> {
        let request = self.client.scan().table_name(&self.tables.custody).consistent_read(true);
        let answer = request.set_exclusive_start_key(after.map(custody::key)).send().await?;
        let accounts = answer.items().iter().map(custody::from_item).collect::<Result<Vec<_>, _>>()?;
        Ok((accounts, answer.last_evaluated_key().map(custody::id_of).transpose()?))
    }

    /// Every API key there is, revoked and expired ones included, in no order.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut items = self.client.scan().table_name(&self.tables.access).consistent_read(true).into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = items.next().await {
            keys.extend(access::api_key_of(&item?)?);
        }
        Ok(keys)
    }

    /// Revokes a key as of `now`; one that was revoked before stays so since then. `false`: there is no such key.
    pub async fn revoke_api_key(&self, sha256: &str, now: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.tables.access)
            .key("key", access::api_key_key(sha256))
            .update_expression("SET revoked_at = if_not_exists(revoked_at, :now)")
            .condition_expression("attribute_exists(subject)")
            .expression_attribute_values(":now", super::row::instant(now))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
