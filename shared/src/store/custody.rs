//! The custody table: one item per custody account, with its provider's last answer, its lease and when it is
//! due.
//!
//! A lease makes one reader of the provider out of many. Its token grows with every claim and fences every
//! write: a holder whose lease has expired and was claimed again can write nothing any more. What became of
//! an attempt stays in the item, so that those who wait for it share it.

use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{
    ChainAsset, CustodyAccount, CustodyAccountId, CustomerId, Position, ProviderAccount, ProviderName,
    Timestamp,
};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::collections::BTreeMap;

const TABLE: &str = "custody";
/// Parts of the due index, whatever the number of instances that share them.
pub const LOGICAL_SHARDS: u32 = 16;

/// How an account's last attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// The token of the newest lease, 0 before the first.
    pub newest: u64,
    /// When that lease ends by itself, if it is held.
    pub held_until: Option<Timestamp>,
    /// The token of the newest attempt that has ended.
    pub ended: u64,
    /// Whether that one failed.
    pub has_failed: bool,
    /// The token of the newest attempt that succeeded: any after it may have left its work half done.
    pub completed: u64,
}

/// A custody account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyState {
    /// The account and its positions.
    pub account: CustodyAccount,
    /// Who is asking the provider, or did.
    pub attempts: Attempts,
    /// Attempts that have failed since one succeeded.
    pub failures: u32,
}

/// The right to ask the provider and to store its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The account as it was when the lease was granted.
    pub state: CustodyState,
    /// Fences every write under the lease.
    pub token: u64,
}

impl Lease {
    /// Whether everything before it was completed: an attempt that did not succeed may have written
    /// projections that no snapshot knows of.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.state.attempts.completed + 1 == self.token
    }
}

/// What an attempt that failed had written by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Nothing: things are as whole as they were.
    Nothing,
    /// Perhaps some projections, which no snapshot knows of.
    Perhaps,
}

/// What a claim of a lease led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Granted(Box<Lease>),
    /// Another attempt is under way.
    Held(Attempts),
    /// There is no such account.
    Missing,
}

/// Whether a fenced write took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It did.
    Written,
    /// Another has claimed the lease since; nothing was written.
    Lost,
}

impl Store {
    /// The custody account and how its attempts stand: one strongly consistent read.
    pub async fn custody_account(&self, id: CustodyAccountId) -> Result<Option<CustodyState>, StoreError> {
        let request = self.client.get_item().table_name(&self.tables.custody).consistent_read(true);
        let answer = request.set_key(Some(key(id))).send().await?;
        answer.item().map(from_item).transpose()
    }

    /// Claims the right to ask the provider until `until`, unless another has it at `now`.
    pub async fn claim_lease(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let request = self
            .update_custody(id)
            .update_expression("SET lease_until = :until ADD lease_token :one")
            .condition_expression(
                "attribute_exists(account_id) AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            )
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(request).await? {
            Update::Made(item) => {
                let state = from_item(&item)?;
                Ok(Claim::Granted(Box::new(Lease { token: state.attempts.newest, state })))
            }
            Update::Refused(Some(item)) => Ok(Claim::Held(from_item(&item)?.attempts)),
            Update::Refused(None) => Ok(Claim::Missing),
        }
    }

    /// Ends an attempt with the provider's answer.
    pub async fn complete_attempt(
        &self,
        lease: &Lease,
        account: &CustodyAccount,
        next_sync_at: Timestamp,
    ) -> Result<Fenced, StoreError> {
        let expression = "SET positions = :positions, synced_at = :synced_at, next_sync_at = :next, attempt_ended = :token, \
                          attempt_completed = :token, failures = :zero REMOVE lease_until, has_failed";
        let request = self
            .update_leased(lease, expression)
            .expression_attribute_values(":positions", positions_to_map(&account.positions))
            .expression_attribute_values(":synced_at", instant(account.synced_at.unwrap_or(next_sync_at)))
            .expression_attribute_values(":next", instant(next_sync_at))
            .expression_attribute_values(":zero", number(0));
        fenced(request).await
    }

    /// Ends an attempt that did not succeed. With `next_sync_at` it counts as a failure of the schedule's.
    pub async fn fail_attempt(
        &self,
        lease: &Lease,
        written: Written,
        next_sync_at: Option<Timestamp>,
    ) -> Result<Fenced, StoreError> {
        let is_whole = lease.is_whole() && written == Written::Nothing;
        let whole = if is_whole { ", attempt_completed = :token" } else { "" };
        let failed = format!("SET has_failed = :yes, attempt_ended = :token{whole}");
        let expression = match next_sync_at {
            Some(_) => format!("{failed}, next_sync_at = :next ADD failures :one REMOVE lease_until"),
            None => format!("{failed} REMOVE lease_until"),
        };
        let mut request = self
            .update_leased(lease, &expression)
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        if let Some(at) = next_sync_at {
            request = request.expression_attribute_values(":next", instant(at));
            request = request.expression_attribute_values(":one", number(1));
        }
        fenced(request).await
    }

    /// Gives a lease back unused: whoever waits for its outcome may claim one of their own.
    pub async fn abandon_attempt(&self, lease: &Lease) -> Result<Fenced, StoreError> {
        let expression = if lease.is_whole() {
            "SET attempt_completed = :token REMOVE lease_until"
        } else {
            "REMOVE lease_until"
        };
        fenced(self.update_leased(lease, expression)).await
    }

    /// Moves an account that cannot be read out of the schedule's way until `at`.
    pub async fn postpone_sync(&self, id: CustodyAccountId, at: Timestamp) -> Result<(), StoreError> {
        let request = self.update_custody(id).update_expression("SET next_sync_at = :at");
        let request = request.condition_expression("attribute_exists(account_id)");
        conditional(request.expression_attribute_values(":at", instant(at))).await.map(drop)
    }

    /// Claims the one sync that may be requested in a while: after `earliest`. `Err` is when the last one was
    /// requested.
    pub async fn claim_requested_sync(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
        earliest: Timestamp,
    ) -> Result<Result<(), Timestamp>, StoreError> {
        let request = self
            .update_custody(id)
            .update_expression("SET requested_at = :now")
            .condition_expression(
                "attribute_exists(account_id) AND (attribute_not_exists(requested_at) OR requested_at <= :earliest)",
            )
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":earliest", instant(earliest))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(request).await? {
            Update::Made(_) => Ok(Ok(())),
            Update::Refused(item) => {
                let item = item.unwrap_or_default();
                let requested_at =
                    Row { table: TABLE, item: &item }.optional("requested_at", Timestamp::parse)?;
                Ok(Err(requested_at.unwrap_or(now)))
            }
        }
    }

    /// At most `limit` accounts of a logical shard that are due at `now`, the longest due first, each with
    /// when it was.
    pub async fn due_custody_accounts(
        &self,
        shard: u32,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, CustodyAccountId)>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.tables.custody)
            .index_name("by_due")
            .key_condition_expression("#shard = :shard AND next_sync_at <= :now")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_values(":shard", text(shard_name(shard)))
            .expression_attribute_values(":now", instant(now))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let mut items = request.into_paginator().items().send();
        let mut due = Vec::new();
        while let Some(item) = items.next().await {
            let item = item?;
            let row = Row { table: TABLE, item: &item };
            match row
                .instant("next_sync_at")
                .and_then(|at| Ok((at, row.parsed("account_id", CustodyAccountId::parse)?)))
            {
                Ok(found) => due.push(found),
                // It cannot even be named; the others are due all the same.
                Err(cause) => tracing::error!(%cause, "a due account cannot be read"),
            }
            if due.len() == limit {
                break;
            }
        }
        Ok(due)
    }

    fn update_custody(&self, id: CustodyAccountId) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.tables.custody).set_key(Some(key(id)))
    }

    /// An update that only the newest lease may make.
    fn update_leased(&self, lease: &Lease, expression: &str) -> UpdateItemFluentBuilder {
        let request = self.update_custody(lease.state.account.id).update_expression(expression);
        request.condition_expression(NEWEST_LEASE).expression_attribute_values(":token", number(lease.token))
    }
}

/// Holds for the holder of the newest lease.
pub(super) const NEWEST_LEASE: &str = "lease_token = :token";

enum Update {
    Made(Item),
    Refused(Option<Item>),
}

async fn conditional(request: UpdateItemFluentBuilder) -> Result<Update, StoreError> {
    match request.send().await {
        Ok(answer) => Ok(Update::Made(answer.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Ok(Update::Refused(refused.item.clone()))
            }
            _ => Err(error.into()),
        },
    }
}

async fn fenced(request: UpdateItemFluentBuilder) -> Result<Fenced, StoreError> {
    Ok(match conditional(request).await? {
        Update::Made(_) => Fenced::Written,
        Update::Refused(_) => Fenced::Lost,
    })
}

pub(super) fn key(id: CustodyAccountId) -> Item {
    Item::from([("account_id".to_owned(), text(id.to_string()))])
}

/// The account that a key is of.
pub(super) fn id_of(key: &Item) -> Result<CustodyAccountId, StoreError> {
    Row { table: TABLE, item: key }.parsed("account_id", CustodyAccountId::parse)
}

fn shard_name(shard: u32) -> String {
    format!("{shard:02}")
}

/// The logical shard of an account; ids are random, so their remainders are even.
fn shard_of(id: CustodyAccountId) -> u32 {
    let (_, low) = id.uuid().as_u64_pair();
    u32::try_from(low % u64::from(LOGICAL_SHARDS)).unwrap_or_default()
}

/// The item of an account that has never been synced and is due at once.
pub(super) fn new_item(account: &CustodyAccount, now: Timestamp) -> Item {
    let CustodyAccount { id, customer_id, provider, provider_account, positions, synced_at: _ } = account;
    let attributes = [
        ("account_id", text(id.to_string())),
        ("customer_id", text(customer_id.to_string())),
        ("provider", text(provider.name())),
        ("provider_account", text(provider_account.name())),
        ("positions", positions_to_map(positions)),
        ("shard", text(shard_name(shard_of(*id)))),
        ("next_sync_at", instant(now)),
        ("lease_token", number(0)),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn positions_to_map(positions: &BTreeMap<ChainAsset, Position>) -> AttributeValue {
    let entry = |(held, position): (&ChainAsset, &Position)| {
        let name = format!("{}#{}", held.blockchain.name(), held.asset.code());
        let amounts = [("balance", number(position.balance())), ("available", number(position.available()))];
        let last = position.last_transaction_at().map(|at| ("last_transaction_at", instant(at)));
        let attributes = amounts.into_iter().chain(last).map(|(name, value)| (name.to_owned(), value));
        (name, AttributeValue::M(attributes.collect()))
    };
    AttributeValue::M(positions.iter().map(entry).collect())
}

pub(super) fn from_item(item: &Item) -> Result<CustodyState, StoreError> {
    let row = Row { table: TABLE, item };
    let provider = row.parsed("provider", ProviderName::parse)?;
    Ok(CustodyState {
        account: CustodyAccount {
            id: row.parsed("account_id", CustodyAccountId::parse)?,
            customer_id: row.parsed("customer_id", CustomerId::parse)?,
            provider,
            provider_account: row
                .parsed("provider_account", |text| ProviderAccount::parse(provider, text))?,
            positions: positions_from_item(row)?,
            synced_at: row.optional("synced_at", Timestamp::parse)?,
        },
        attempts: Attempts {
            newest: row.number("lease_token", str::parse)?,
            held_until: row.optional("lease_until", Timestamp::parse)?,
            ended: row.number_or_zero("attempt_ended")?,
            has_failed: item.contains_key("has_failed"),
            completed: row.number_or_zero("attempt_completed")?,
        },
        failures: u32::try_from(row.number_or_zero("failures")?).unwrap_or(u32::MAX),
    })
}

fn positions_from_item(row: Row<'_>) -> Result<BTreeMap<ChainAsset, Position>, StoreError> {
    let positions = row
        .item
        .get("positions")
        .and_then(|value| value.as_m().ok())
        .ok_or_else(|| row.corrupt("positions"))?;
    let entry = |(name, value): (&String, &AttributeValue)| {
        let held =
            name.split_once('#').and_then(|(blockchain, token)| ChainAsset::parse(blockchain, token).ok());
        let item = value.as_m().map_err(|_| row.corrupt("positions"))?;
        Ok((held.ok_or_else(|| row.corrupt("positions"))?, position_from_item(Row { table: TABLE, item })?))
    };
    positions.iter().map(entry).collect()
}

fn position_from_item(row: Row<'_>) -> Result<Position, StoreError> {
    let position = Position::new(row.amount("balance")?, row.amount("available")?)
        .map_err(|_| row.corrupt("available"))?;
    Ok(position.last_moved(row.optional("last_transaction_at", Timestamp::parse)?))
}
