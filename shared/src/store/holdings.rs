//! What a customer has, as the accounts table holds it: accounts, and snapshots of custody accounts that
//! stand for an account per position.

use super::custody_snapshot::{self, StoredSnapshot};
use super::row::{Item, text};
use super::{Store, StoreError, StoredAccount, accounts};
use crate::config::Table;
use crate::domain::CustomerId;
use crate::query::Filter;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use thiserror::Error;

/// Accounts that a list reads to order or show them: about 3,100 read units and a few seconds.
pub const MAX_LISTED_ACCOUNTS: usize = 50_000;

/// Why a list could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// It is longer than may be read at once.
    #[error("more accounts than may be read at once")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An item of the accounts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredHolding {
    /// An account.
    Account(Box<StoredAccount>),
    /// A custody account's snapshot, which stands for an account per position.
    Snapshot(StoredSnapshot),
}

impl StoredHolding {
    /// How many accounts it stands for now.
    #[must_use]
    pub fn accounts(&self) -> usize {
        match self {
            Self::Account(_) => 1,
            Self::Snapshot(snapshot) => snapshot.position_ids().count(),
        }
    }

    /// Whether the filter may admit an account that it stands for, in some state of the account.
    #[must_use]
    pub fn is_admitted(&self, filter: &Filter) -> bool {
        match self {
            Self::Account(stored) => filter.admits_in_some_state(&stored.account),
            Self::Snapshot(_) => true,
        }
    }

    /// The customer that it belongs to.
    #[must_use]
    pub fn customer_id(&self) -> CustomerId {
        match self {
            Self::Account(stored) => stored.account.customer_id,
            Self::Snapshot(snapshot) => snapshot.owner.customer_id,
        }
    }
}

impl From<StoredAccount> for StoredHolding {
    fn from(stored: StoredAccount) -> Self {
        Self::Account(Box::new(stored))
    }
}

pub(super) fn from_item(item: &Item) -> Result<StoredHolding, StoreError> {
    if custody_snapshot::is_snapshot(item) {
        custody_snapshot::from_item(item).map(StoredHolding::Snapshot)
    } else {
        accounts::from_item(item).map(StoredHolding::from)
    }
}

impl Store {
    /// Everything that stands for accounts of the customer: one strongly consistent Query, page by page.
    pub async fn customer_accounts(&self, customer_id: CustomerId) -> Result<Vec<StoredHolding>, StoreError> {
        let mut items = self.by_customer(customer_id).into_paginator().items().send();
        let mut holdings = Vec::new();
        while let Some(item) = items.next().await {
            holdings.push(from_item(&item?)?);
        }
        Ok(holdings)
    }

    /// The same, unless it stands for more than `most` accounts: then reading stops.
    pub async fn customer_accounts_at_most(
        &self,
        customer_id: CustomerId,
        most: usize,
    ) -> Result<Vec<StoredHolding>, ListError> {
        let mut pages = self.by_customer(customer_id).into_paginator().send();
        let (mut holdings, mut count) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            for item in page.map_err(StoreError::from)?.items() {
                let holding = from_item(item)?;
                count += holding.accounts();
                holdings.push(holding);
            }
            if count > most {
                return Err(ListError::TooMany);
            }
        }
        Ok(holdings)
    }

    fn by_customer(&self, customer_id: CustomerId) -> QueryFluentBuilder {
        let query = self.client.query().table_name(self.table(Table::Accounts)).consistent_read(true);
        let query = query.key_condition_expression("customer_id = :customer");
        query.expression_attribute_values(":customer", text(customer_id.to_string()))
    }
}
