//! The history table: every balance an account ever had, by instant.
//!
//! Its item `#owner` says whose the account is; it sorts before every instant.

use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{Account, AccountId, Amount, Timestamp};
use futures::stream::{self, StreamExt, TryStreamExt};
use thiserror::Error;

pub(super) const TABLE: &str = "history";
/// The sort key of the item that names the owner.
pub(super) const OWNER: &str = "#owner";
/// Sorts after [`OWNER`] and before every instant.
const FIRST_INSTANT: &str = "0";
/// History reads under way at once for one request.
const CONCURRENT_READS: usize = 16;
/// History reads a request may cost: about 10,000 half-capacity units and a few seconds.
pub const MAX_HISTORY_READS: usize = 10_000;

/// Why balances of another time could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PastError {
    /// More than [`MAX_HISTORY_READS`] accounts have changed since.
    #[error("more than {MAX_HISTORY_READS} accounts have changed since that time")]
    TooManyReads,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which end of a history is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The newest balance.
    Newest,
    /// The oldest.
    Oldest,
}

impl Store {
    /// At most `limit` balances of an account with their instants, from one end of its history.
    pub async fn balances(
        &self,
        id: AccountId,
        end: End,
        limit: usize,
    ) -> Result<Vec<(Amount, Timestamp)>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.tables.history)
            .consistent_read(true)
            .key_condition_expression("account_id = :id AND balance_at >= :first")
            .expression_attribute_values(":id", text(id.to_string()))
            .expression_attribute_values(":first", text(FIRST_INSTANT))
            .scan_index_forward(end == End::Oldest)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        request.send().await?.items().iter().map(balance_from_item).collect()
    }

    /// The accounts with the balances they had at `at`, inclusive; those without a balance by then are left
    /// out.
    ///
    /// Only `balance` and `balance_at` are of that time. History is read for accounts whose latest balance is
    /// newer and whose earliest is not, and for no other.
    pub async fn accounts_as_of(
        &self,
        accounts: Vec<Account>,
        at: Timestamp,
    ) -> Result<Vec<Account>, PastError> {
        let existing: Vec<_> = accounts.into_iter().filter(|account| account.created_at <= at).collect();
        if existing.iter().filter(|account| account.balance_at > at).count() > MAX_HISTORY_READS {
            return Err(PastError::TooManyReads);
        }
        let as_of =
            stream::iter(existing).map(|account| self.account_as_of(account, at)).buffered(CONCURRENT_READS);
        Ok(as_of.try_filter_map(|account| async { Ok(account) }).try_collect().await?)
    }

    /// The account with the balance it had at `at`, inclusive; none if it had none by then.
    pub async fn account_as_of(
        &self,
        account: Account,
        at: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        if account.created_at > at {
            return Ok(None);
        }
        if account.balance_at <= at {
            return Ok(Some(account));
        }
        let past = self.balance_as_of(account.id, at).await?;
        Ok(past.map(|(balance, balance_at)| Account { balance, balance_at, ..account }))
    }

    /// The newest balance at or before `at`, and its instant.
    async fn balance_as_of(
        &self,
        id: AccountId,
        at: Timestamp,
    ) -> Result<Option<(Amount, Timestamp)>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.history)
            .consistent_read(true)
            .key_condition_expression("account_id = :id AND balance_at BETWEEN :first AND :at")
            .expression_attribute_values(":id", text(id.to_string()))
            .expression_attribute_values(":first", text(FIRST_INSTANT))
            .expression_attribute_values(":at", instant(at))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await?;
        answer.items().first().map(balance_from_item).transpose()
    }
}

/// Whose balance it was, how much, and when.
pub(super) fn entry_from_item(item: &Item) -> Result<(AccountId, Amount, Timestamp), StoreError> {
    let (balance, at) = balance_from_item(item)?;
    Ok((Row { table: TABLE, item }.parsed("account_id", AccountId::parse)?, balance, at))
}

fn balance_from_item(item: &Item) -> Result<(Amount, Timestamp), StoreError> {
    let row = Row { table: TABLE, item };
    Ok((row.amount("balance")?, row.instant("balance_at")?))
}

pub(super) fn to_item(account: &Account) -> Item {
    Item::from([
        ("account_id".to_owned(), text(account.id.to_string())),
        ("balance_at".to_owned(), instant(account.balance_at)),
        ("balance".to_owned(), number(account.balance)),
    ])
}

pub(super) fn key(account: &Account) -> Item {
    Item::from([
        ("account_id".to_owned(), text(account.id.to_string())),
        ("balance_at".to_owned(), instant(account.balance_at)),
    ])
}

pub(super) fn owner_key(id: AccountId) -> Item {
    Item::from([("account_id".to_owned(), text(id.to_string())), ("balance_at".to_owned(), text(OWNER))])
}

pub(super) fn owner_to_item(account: &Account) -> Item {
    let mut item = owner_key(account.id);
    item.insert("customer_id".to_owned(), text(account.customer_id.to_string()));
    item.insert("currency".to_owned(), text(account.asset.code()));
    item
}
