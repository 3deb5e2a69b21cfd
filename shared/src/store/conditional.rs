//! An update on a condition, and what `DynamoDB` answers.

use super::StoreError;
use super::row::Item;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

/// How `DynamoDB` answered the update.
pub(super) enum ConditionalUpdate {
    /// The item as the request asks for it.
    Made(Item),
    /// The condition does not hold; the item as it is, if the request asks for it.
    Refused(Option<Item>),
}

pub(super) async fn conditional(request: UpdateItemFluentBuilder) -> Result<ConditionalUpdate, StoreError> {
    match request.send().await {
        Ok(answer) => Ok(ConditionalUpdate::Made(answer.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Ok(ConditionalUpdate::Refused(refused.item.clone()))
            }
            _ => Err(error.into()),
        },
    }
}
