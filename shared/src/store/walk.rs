//! Whole tables page by page, for an operator: nothing that answers a request walks one.

use super::custody::{self, CustodyControl};
use super::listing::TablePlace;
use super::row::{Item, Row, text};
use super::{ApiKey, IdOwner, Store, StoreError, StoredHolding, access, history, holdings};
use crate::config::Table;
use crate::domain::{AccountId, Catalogue};

/// Where a walk through the history stands.
#[derive(Debug, Clone)]
pub struct OwnerPlace(Item);

/// A row that is not of the shape it was written in, and the key it stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptRow {
    /// Its customer and account, as far as the key says.
    pub key: String,
    /// The fault.
    pub error: StoreError,
}

/// A part of what history knows, each row as it could be read: whose account it is, and which.
pub type OwnerRows = (Vec<Result<(IdOwner, AccountId), CorruptRow>>, Option<OwnerPlace>);

/// A part of the accounts table, each row as it could be read.
pub type AccountRows = (Vec<Result<StoredHolding, CorruptRow>>, Option<TablePlace>);

/// A part of the custody table, each account's control item as it could be read.
pub type CustodyRows = (Vec<Result<CustodyControl, CorruptRow>>, Option<CustodyPlace>);

/// Where a walk through the custody table stands.
#[derive(Debug, Clone)]
pub struct CustodyPlace(Item);

impl Store {
    /// Accounts after this place, in the table's order, and where to go on unless the table has ended.
    pub async fn account_rows(&self, after: Option<TablePlace>) -> Result<AccountRows, StoreError> {
        let request = self.client.scan().table_name(self.table(Table::Accounts)).consistent_read(true);
        let answer = request.set_exclusive_start_key(after.map(TablePlace::key)).send().await?;
        let key =
            |item: &Item| format!("{} of customer {}", part(item, "account_id"), part(item, "customer_id"));
        let rows = self.rows(|catalogue| {
            let row = |item: &Item| {
                holdings::from_item(item, catalogue).map_err(|error| CorruptRow { key: key(item), error })
            };
            answer.items().iter().map(row).collect()
        });
        Ok((rows.await?, answer.last_evaluated_key().map(TablePlace::of_key).transpose()?))
    }

    /// Whose ids history knows, after this place of the table. It reads the whole history for it.
    pub async fn owner_rows(&self, after: Option<OwnerPlace>) -> Result<OwnerRows, StoreError> {
        let request = self.client.scan().table_name(self.table(Table::History)).consistent_read(true);
        let answer = request
            .filter_expression("entry = :owner")
            .expression_attribute_values(":owner", text(history::OWNER))
            .set_exclusive_start_key(after.map(|OwnerPlace(key)| key))
            .send()
            .await?;
        let rows = self.rows(|catalogue| {
            let owner = |item: &Item| {
                let row = Row { table: Table::History, item };
                let owner = history::owner_from_item(item, catalogue)?;
                Ok((owner, row.parsed("account_id", AccountId::parse)?))
            };
            let row = |item: &Item| {
                owner(item).map_err(|error| CorruptRow { key: part(item, "account_id"), error })
            };
            answer.items().iter().map(row).collect()
        });
        Ok((rows.await?, answer.last_evaluated_key.map(OwnerPlace)))
    }

    /// Rows as they can be read. If some cannot, they are read once more by the catalogue as it stands now.
    async fn rows<T>(
        &self,
        map: impl Fn(&Catalogue) -> Vec<Result<T, CorruptRow>>,
    ) -> Result<Vec<Result<T, CorruptRow>>, StoreError> {
        let rows = map(&self.catalogue().await?);
        if rows.iter().all(Result::is_ok) { Ok(rows) } else { Ok(map(&self.renewed_catalogue().await?)) }
    }

    /// Custody accounts after this one, in the table's order, and where to go on unless the table has ended.
    pub async fn custody_page(&self, after: Option<CustodyPlace>) -> Result<CustodyRows, StoreError> {
        let request = self.client.scan().table_name(self.table(Table::Custody)).consistent_read(true);
        let answer = request.set_exclusive_start_key(after.map(|CustodyPlace(key)| key)).send().await?;
        let row = |item: &Item| {
            custody::from_item(item).map_err(|error| CorruptRow { key: part(item, "account_id"), error })
        };
        let accounts = answer.items().iter().filter(|item| !custody::is_reservation(item)).map(row).collect();
        Ok((accounts, answer.last_evaluated_key.map(CustodyPlace)))
    }

    /// Every API key there is, revoked and expired ones included, in no order.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut items = self
            .client
            .scan()
            .table_name(self.table(Table::Access))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(item) = items.next().await {
            keys.extend(access::api_key_of(&item?)?);
        }
        Ok(keys)
    }
}

fn part(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str).to_owned()
}
