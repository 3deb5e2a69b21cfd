//! The one way a balance is written: history and account in one transaction, safe to repeat and in any order.
//!
//! Whatever order updates arrive in, and however often, the account ends as its newest update says and
//! history holds them all. Refusals are read in this order: another owner or currency, another balance at
//! that instant, an older instant, the same one.

use super::accounts::CUSTODY;
use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError, accounts, history};
use crate::domain::{Account, CustomerId};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use backon::{ExponentialBuilder, Retryable};
use std::time::Duration;
use thiserror::Error;

/// What became of an accepted update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is the account's latest balance now.
    Recorded,
    /// It is older than the latest; history has it.
    Superseded,
    /// It was already the latest, to the last field.
    Duplicate,
}

/// Why an update can never be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejection {
    /// An account belongs to one customer for ever.
    #[error("the account belongs to another customer")]
    OtherCustomer,
    /// An account holds one currency for ever.
    #[error("the account holds another currency")]
    OtherCurrency,
    /// It shows a position of a custody account, which its sync alone writes.
    #[error("the account is kept by a custody sync")]
    InCustody,
    /// The same instant already has another truth.
    #[error("the account has a different balance or different fields at this balance_at")]
    Conflict,
}

/// A failed update.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The update is wrong; repeating it will not help.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed; the update may be repeated.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Attempts at a transaction that collides with others on the same account.
const MAX_RETRIES: usize = 4;
const FIRST_DELAY: Duration = Duration::from_millis(20);

/// How long transactions that collide keep out of each other's way.
pub(super) fn collision_backoff() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(FIRST_DELAY).with_max_times(MAX_RETRIES).with_jitter()
}

/// How one attempt at a transaction ended.
enum Attempt {
    Done(Outcome),
    /// Somebody else wrote between our read and our write: look again.
    Changed,
}

impl Store {
    /// Records what a source says of an account at an instant. Only `created_at` is the store's own: the
    /// earliest instant recorded.
    pub async fn record(&self, update: &Account) -> Result<Outcome, RecordError> {
        let attempt = || async {
            match self.attempt(update).await {
                Ok(Attempt::Done(outcome)) => Ok(Ok(outcome)),
                Ok(Attempt::Changed) => {
                    Err(StoreError::Unavailable("concurrent writes to one account".to_owned()))
                }
                Err(error) => Ok(Err(error)),
            }
        };
        attempt.retry(collision_backoff()).await?
    }

    async fn attempt(&self, update: &Account) -> Result<Attempt, RecordError> {
        let writes = self.advance(update)?;
        let refused = match self.transact(writes).await? {
            Transaction::Committed => return Ok(Attempt::Done(Outcome::Recorded)),
            Transaction::Collided => return Ok(Attempt::Changed),
            Transaction::Refused(refused) => refused,
        };
        let Some(stored) = refused.first().and_then(Refusal::found) else {
            // Refused and not found: there is no such account. Not refused: history was, by another balance
            // at this instant.
            let is_missing = refused.first().is_some_and(Refusal::is_refused);
            return if is_missing { self.create(update).await } else { Err(Rejection::Conflict.into()) };
        };
        let stored = accounts::from_item(stored)?;
        if stored.custody_account_id != update.custody_account_id {
            Err(Rejection::InCustody.into())
        } else if stored.asset != update.asset {
            Err(Rejection::OtherCurrency.into())
        } else if stored.balance_at > update.balance_at {
            self.supersede(update, &stored).await
        } else if stored.balance_at < update.balance_at {
            Ok(Attempt::Changed)
        } else if (Account { created_at: stored.created_at, ..update.clone() }) == stored {
            Ok(Attempt::Done(Outcome::Duplicate))
        } else {
            Err(Rejection::Conflict.into())
        }
    }

    async fn create(&self, update: &Account) -> Result<Attempt, RecordError> {
        let writes = self.creation(update)?;
        let refused = match self.transact(writes).await? {
            Transaction::Committed => return Ok(Attempt::Done(Outcome::Recorded)),
            Transaction::Collided => return Ok(Attempt::Changed),
            Transaction::Refused(refused) => refused,
        };
        if let Some(owner) = refused.first().and_then(Refusal::found) {
            let owner =
                Row { table: history::TABLE, item: owner }.parsed("customer_id", CustomerId::parse)?;
            return Err(if owner == update.customer_id {
                Rejection::OtherCurrency
            } else {
                Rejection::OtherCustomer
            }
            .into());
        }
        // Created by another a moment ago, or a history that outlived its account.
        if refused.get(1).is_some_and(Refusal::is_refused) {
            Ok(Attempt::Changed)
        } else {
            Err(Rejection::Conflict.into())
        }
    }

    /// Adds an older balance to history alone, and lets the account remember if it is the oldest.
    async fn supersede(&self, update: &Account, stored: &Account) -> Result<Attempt, RecordError> {
        let mut writes = vec![self.add_history(update)?];
        if update.balance_at < stored.created_at {
            writes.push(self.backdate_account(update)?);
        }
        match self.transact(writes).await? {
            Transaction::Committed => Ok(Attempt::Done(Outcome::Superseded)),
            Transaction::Refused(refused) if refused.first().is_some_and(Refusal::is_refused) => {
                Err(Rejection::Conflict.into())
            }
            Transaction::Collided | Transaction::Refused(_) => Ok(Attempt::Changed),
        }
    }

    /// Replaces every field but `created_at` of an older state.
    fn advance_account(&self, account: &Account) -> Result<TransactWriteItem, StoreError> {
        let mut item = accounts::to_item(account);
        item.retain(|name, _| !["customer_id", "account_id", "created_at"].contains(&name.as_str()));
        let cleared = accounts::OPTIONAL_ATTRIBUTES
            .iter()
            .filter(|name| !item.contains_key(**name))
            .map(|name| format!("#{name}"));
        let cleared = cleared.collect::<Vec<_>>().join(", ");
        let set = item.keys().map(|name| format!("#{name} = :{name}")).collect::<Vec<_>>().join(", ");
        let expression =
            if cleared.is_empty() { format!("SET {set}") } else { format!("SET {set} REMOVE {cleared}") };
        let custody = match account.custody_account_id {
            Some(_) => format!("#{CUSTODY} = :{CUSTODY}"),
            None => format!("attribute_not_exists(#{CUSTODY})"),
        };
        let names = item.keys().map(String::as_str).chain(accounts::OPTIONAL_ATTRIBUTES);
        let names = names.map(|name| (format!("#{name}"), name.to_owned())).collect();
        let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        let update = Update::builder()
            .table_name(&self.tables.accounts)
            .set_key(Some(accounts::key(account.customer_id, account.id)))
            .update_expression(expression)
            .condition_expression(format!(
                "#balance_at < :balance_at AND #currency = :currency AND {custody}"
            ))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    fn backdate_account(&self, account: &Account) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.accounts)
            .set_key(Some(accounts::key(account.customer_id, account.id)))
            .update_expression("SET created_at = :at")
            .condition_expression("created_at > :at")
            .expression_attribute_values(":at", instant(account.balance_at));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    fn create_account(&self, account: &Account) -> Result<TransactWriteItem, StoreError> {
        let item = accounts::to_item(&Account { created_at: account.balance_at, ..account.clone() });
        let put = Put::builder()
            .table_name(&self.tables.accounts)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(account_id)");
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// The three writes that make an account.
    pub(super) fn creation(&self, account: &Account) -> Result<[TransactWriteItem; 3], StoreError> {
        Ok([self.claim_owner(account)?, self.create_account(account)?, self.add_history(account)?])
    }

    /// The two writes that move an account on.
    pub(super) fn advance(&self, account: &Account) -> Result<[TransactWriteItem; 2], StoreError> {
        Ok([self.advance_account(account)?, self.add_history(account)?])
    }

    /// One balance per instant: the same again is welcome, another is refused.
    fn add_history(&self, account: &Account) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.history)
            .set_item(Some(history::to_item(account)))
            .condition_expression("attribute_not_exists(account_id) OR balance = :balance")
            .expression_attribute_values(":balance", number(account.balance));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn claim_owner(&self, account: &Account) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.history)
            .set_item(Some(history::owner_to_item(account)))
            .condition_expression(
                "attribute_not_exists(account_id) OR (customer_id = :customer AND currency = :currency)",
            )
            .expression_attribute_values(":customer", text(account.customer_id.to_string()))
            .expression_attribute_values(":currency", text(account.asset.code()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    pub(super) async fn transact(
        &self,
        writes: impl IntoIterator<Item = TransactWriteItem>,
    ) -> Result<Transaction, StoreError> {
        let request =
            self.client.transact_write_items().set_transact_items(Some(writes.into_iter().collect()));
        match request.send().await {
            Ok(_) => Ok(Transaction::Committed),
            Err(error) => Transaction::from_error(error),
        }
    }
}

/// How DynamoDB answered a transaction.
pub(super) enum Transaction {
    Committed,
    /// Another transaction held one of the items.
    Collided,
    /// One entry per write, in their order.
    Refused(Vec<Refusal>),
}

/// What DynamoDB says of one write of a refused transaction.
pub(super) enum Refusal {
    /// It was not the cause.
    None,
    /// Its condition failed, against this item if there was one and it was asked for.
    Condition(Option<Item>),
}

impl Refusal {
    fn found(&self) -> Option<&Item> {
        match self {
            Self::Condition(item) => item.as_ref(),
            Self::None => None,
        }
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self, Self::Condition(_))
    }
}

impl Transaction {
    fn from_error(error: SdkError<TransactWriteItemsError>) -> Result<Self, StoreError> {
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons().to_vec()
            }
            _ => return Err(error.into()),
        };
        let mut refusals = Vec::with_capacity(reasons.len());
        let mut has_collided = false;
        for reason in reasons {
            match reason.code().unwrap_or("None") {
                "None" => refusals.push(Refusal::None),
                "ConditionalCheckFailed" => refusals.push(Refusal::Condition(reason.item)),
                "TransactionConflict" => has_collided = true,
                code @ ("ProvisionedThroughputExceeded" | "ThrottlingError") => {
                    return Err(StoreError::Unavailable(code.to_owned()));
                }
                code => return Err(StoreError::Refused(code.to_owned())),
            }
        }
        // Cancelled without a reason: nothing is known, so nothing is concluded.
        Ok(if has_collided || refusals.is_empty() { Self::Collided } else { Self::Refused(refusals) })
    }
}
