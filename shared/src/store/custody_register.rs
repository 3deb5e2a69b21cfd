//! How a custody account comes to be known, and how what it supports changes.

use super::custody::{Attempts, NEWEST_LEASE, from_item, key, new_item, positions_to_map};
use super::row::{instant, number};
use super::{Store, StoreError};
use crate::domain::custody::MAX_POSITIONS;
use crate::domain::{Amount, ChainAsset, CustodyAccount, Position, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why an account could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// A snapshot is one item, written whole.
    #[error("more than {MAX_POSITIONS} assets")]
    TooManyAssets,
    /// An account keeps its customer, provider and provider's account for ever.
    #[error("the account is registered with another customer, provider or provider account")]
    OtherOwner,
    /// What is held cannot be forgotten.
    #[error("{} on {} cannot be removed while it is held", .0.asset.code(), .0.blockchain.name())]
    StillHeld(ChainAsset),
    /// A sync is under way, or was cut short; after the next complete one it can be tried again.
    #[error("a sync of the account is not completed; sync it and try again")]
    Unfinished,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Registers an account, due at once, or changes which assets a registered one supports. Safe to repeat.
    pub async fn register_custody_account(
        &self,
        account: &CustodyAccount,
        now: Timestamp,
    ) -> Result<(), RegisterError> {
        if account.positions.len() > MAX_POSITIONS {
            return Err(RegisterError::TooManyAssets);
        }
        let fresh = CustodyAccount { synced_at: None, ..account.clone() };
        let put =
            self.client.put_item().table_name(&self.tables.custody).set_item(Some(new_item(&fresh, now)));
        match put.condition_expression("attribute_not_exists(account_id)").send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                self.change_assets(account, now).await
            }
            Err(error) => Err(StoreError::from(error).into()),
        }
    }

    async fn change_assets(&self, account: &CustodyAccount, now: Timestamp) -> Result<(), RegisterError> {
        let request = self.client.get_item().table_name(&self.tables.custody).consistent_read(true);
        let answer = request.set_key(Some(key(account.id))).send().await.map_err(StoreError::from)?;
        let state = from_item(&answer.item.unwrap_or_default())?;
        let stored = &state.account;
        let owner = |account: &CustodyAccount| {
            (account.customer_id, account.provider, account.provider_account.clone())
        };
        if owner(stored) != owner(account) {
            return Err(RegisterError::OtherOwner);
        }
        let positions = changed(&stored.positions, &account.positions)?;
        if positions == stored.positions {
            return Ok(());
        }
        let Attempts { newest, held_until, ended, completed, has_failed: _ } = state.attempts;
        // A sync under way would write back what it began with, and one that was cut short may have shown
        // what no snapshot has. One that has lost its time is fenced off by the next token.
        let has_less = stored.positions.keys().any(|held| !positions.contains_key(held));
        if held_until.is_some_and(|until| until > now) || (has_less && completed != newest) {
            return Err(RegisterError::Unfinished);
        }
        let next = newest + 1;
        let has_more = positions.keys().any(|held| !stored.positions.contains_key(held));
        // What was just added is not known to be zero: the provider is asked before it is shown, and at once.
        let forget = if has_more { ", synced_at" } else { "" };
        let expression = format!(
            "SET positions = :positions, lease_token = :next, attempt_completed = :completed, next_sync_at = :now REMOVE lease_until{forget}"
        );
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.custody)
            .set_key(Some(key(account.id)))
            .update_expression(expression)
            .condition_expression(format!(
                "{NEWEST_LEASE} AND (attribute_not_exists(attempt_ended) OR attempt_ended = :ended)"
            ))
            .expression_attribute_values(":positions", positions_to_map(&positions))
            .expression_attribute_values(":token", number(newest))
            .expression_attribute_values(":ended", number(ended))
            .expression_attribute_values(":next", number(next))
            .expression_attribute_values(
                ":completed",
                number(if completed == newest { next } else { completed }),
            )
            .expression_attribute_values(":now", instant(now));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Err(RegisterError::Unfinished)
            }
            Err(error) => Err(StoreError::from(error).into()),
        }
    }
}

/// The new set of assets with the amounts of the old one.
fn changed(
    stored: &BTreeMap<ChainAsset, Position>,
    wanted: &BTreeMap<ChainAsset, Position>,
) -> Result<BTreeMap<ChainAsset, Position>, RegisterError> {
    let is_lost = |(held, position): &(&ChainAsset, &Position)| {
        !wanted.contains_key(held) && position.balance() != Amount::ZERO
    };
    if let Some((held, _)) = stored.iter().find(is_lost) {
        return Err(RegisterError::StillHeld(held.clone()));
    }
    Ok(wanted.keys().map(|held| (held.clone(), stored.get(held).copied().unwrap_or_default())).collect())
}
