//! A customer's items in the accounts table: accounts, and snapshots of custody accounts that
//! stand for an account per position.

use super::custody_snapshot::{self, StoredSnapshot};
use super::item_page::{PageItem, query_page};
use super::row::{Item, text};
use super::usage::check_budget;
use super::{Store, StoreError, StoredAccount, accounts};
use crate::config::Table;
use crate::domain::{Catalogue, CustomerId, ProviderName};
use crate::query::Filter;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use std::collections::HashMap;

/// Items of one page: a page of whole accounts takes a few MB of memory while it is parsed.
pub(super) const PAGE_ITEMS: i32 = 2_000;

/// How much of a customer's items is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemDetail {
    /// Everything.
    Whole,
    /// As much as a total needs: no labels, no organization and no merchant. It costs the same read units and
    /// half the time to parse.
    Totals,
}

/// An item of the accounts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredHolding {
    /// An account.
    Account(Box<StoredAccount>),
    /// A custody account's snapshot, which stands for an account per position.
    Snapshot(Box<StoredSnapshot>),
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

    /// The provider that has it in custody.
    #[must_use]
    pub fn provider(&self) -> Option<ProviderName> {
        match self {
            Self::Account(_) => None,
            Self::Snapshot(snapshot) => Some(snapshot.owner.provider),
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

pub(super) fn from_item(item: &Item, catalogue: &Catalogue) -> Result<StoredHolding, StoreError> {
    if custody_snapshot::is_snapshot(item) {
        custody_snapshot::from_item(item, catalogue).map(Box::new).map(StoredHolding::Snapshot)
    } else {
        accounts::from_item(item, catalogue).map(StoredHolding::from)
    }
}

/// The names of the attributes that a total needs, and the projection of these.
pub(super) fn totals_projection() -> (HashMap<String, String>, String) {
    let attributes = accounts::TOTAL_ATTRIBUTES.iter().chain(&custody_snapshot::ATTRIBUTES).enumerate();
    let names: Vec<(String, &str)> =
        attributes.map(|(number, attribute)| (format!("#{number}"), *attribute)).collect();
    let projection: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let projection = projection.join(",");
    (names.into_iter().map(|(name, attribute)| (name, attribute.to_owned())).collect(), projection)
}

/// The same of an item of a page.
pub(super) fn from_page_item(
    item: &PageItem<'_>,
    catalogue: &Catalogue,
) -> Result<StoredHolding, StoreError> {
    if custody_snapshot::is_snapshot(item) {
        from_item(&item.to_item(), catalogue)
    } else {
        accounts::from_item(item, catalogue).map(StoredHolding::from)
    }
}

/// A customer's items, page by page.
#[derive(Debug)]
pub struct CustomerPages {
    store: Store,
    query: QueryFluentBuilder,
    has_ended: bool,
}

impl CustomerPages {
    /// The next page, `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredHolding>>, StoreError> {
        if self.has_ended {
            return Ok(None);
        }
        let catalogue = self.store.catalogue().await?;
        let (holdings, last_key) = match self.page(catalogue).await {
            // The page may name an asset that was added since.
            Err(StoreError::Corrupt { .. }) => self.page(self.store.renewed_catalogue().await?).await?,
            page => page?,
        };
        check_budget(0)?;
        self.has_ended = last_key.is_none();
        self.query = self.query.clone().set_exclusive_start_key(last_key);
        Ok(Some(holdings))
    }

    async fn page(&self, catalogue: Catalogue) -> Result<(Vec<StoredHolding>, Option<Item>), StoreError> {
        let read = move |item: &PageItem<'_>| from_page_item(item, &catalogue);
        let (holdings, last_key) = query_page(self.query.clone(), read).await?;
        Ok((holdings.into_iter().collect::<Result<_, _>>()?, last_key))
    }
}

impl Store {
    /// Everything that stands for accounts of the customer, page by page: one strongly consistent Query.
    #[must_use]
    pub fn customer_pages(&self, customer_id: CustomerId, detail: ItemDetail) -> CustomerPages {
        let mut query = self
            .client
            .query()
            .table_name(self.table(Table::Accounts))
            .consistent_read(true)
            .limit(PAGE_ITEMS)
            .key_condition_expression("customer_id = :customer")
            .expression_attribute_values(":customer", text(customer_id.to_string()));
        if detail == ItemDetail::Totals {
            let (names, projection) = totals_projection();
            query = query.set_expression_attribute_names(Some(names)).projection_expression(projection);
        }
        CustomerPages { store: self.clone(), query, has_ended: false }
    }

    /// All pages together, for a reader that a customer's size cannot hurt.
    pub async fn customer_accounts(&self, customer_id: CustomerId) -> Result<Vec<StoredHolding>, StoreError> {
        let mut pages = self.customer_pages(customer_id, ItemDetail::Whole);
        let mut holdings = Vec::new();
        while let Some(page) = pages.next().await? {
            holdings.extend(page);
        }
        Ok(holdings)
    }
}
