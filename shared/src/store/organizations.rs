//! The index `by_organization`: which accounts belong to an organization and its merchants.
//!
//! The index holds keys alone; accounts are read from the table itself, strongly consistent. Organization and
//! merchant are each named once, maybe by different events, and only these events write the index. An account
//! may be missing for a moment after its organization or merchant is named. Rejected: an index of whole
//! items, whose balances lag behind the table's and which costs a second write for every event.

use super::accounts::{self, MERCHANT_ACCOUNT};
use super::row::{Item, text};
use super::usage::check_budget;
use super::{Store, StoreError, StoredAccount};
use crate::config::Table;
use crate::domain::{AccountId, AccountScope, MerchantId, OrganizationId};
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeSet, HashMap};

const INDEX: &str = "by_organization";
/// Keys of one `BatchGetItem`.
const KEYS_PER_READ: usize = 100;
const CONCURRENT_READS: usize = 8;

/// Whose accounts of an organization are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merchants {
    /// Those of every merchant, and those of none.
    All,
    /// Those of these merchants.
    These(BTreeSet<MerchantId>),
}

impl Store {
    /// Accounts of an organization, ordered by id. One whose organization or merchant was named a moment ago
    /// may be missing.
    pub async fn organization_accounts(
        &self,
        organization_id: &OrganizationId,
        merchants: &Merchants,
    ) -> Result<Vec<StoredAccount>, StoreError> {
        let keys = self.keys_of(organization_id, merchants).await?;
        let reads: Vec<Vec<Item>> = keys.chunks(KEYS_PER_READ).map(<[Item]>::to_vec).collect();
        let reads = stream::iter(reads)
            .map(|keys| self.batch_get(self.table(Table::Accounts), keys))
            .buffered(CONCURRENT_READS);
        let items: Vec<Vec<Item>> = reads.try_collect().await?;
        let found = self.mapped(|catalogue| {
            let stored = items.iter().flatten().map(|item| accounts::from_item(item, catalogue));
            stored.collect::<Result<Vec<_>, _>>()
        });
        let mut found = found.await?;
        found.sort_unstable_by_key(|stored| stored.account.id);
        Ok(found)
    }

    async fn keys_of(
        &self,
        organization_id: &OrganizationId,
        merchants: &Merchants,
    ) -> Result<Vec<Item>, StoreError> {
        let parts: Vec<Option<&MerchantId>> = match merchants {
            Merchants::All => vec![None],
            Merchants::These(merchants) => merchants.iter().map(Some).collect(),
        };
        let reads: Vec<_> = parts.into_iter().map(|part| self.keys_of_part(organization_id, part)).collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
        // An account whose merchant is named while the index is read moves in the index, and is met twice.
        let mut keys = HashMap::new();
        while let Some(part) = reads.try_next().await? {
            for key in part {
                keys.insert(key.get("account_id").and_then(|id| id.as_s().ok()).cloned(), key);
            }
            // Each of these accounts will cost a unit at least.
            check_budget(keys.len())?;
        }
        Ok(keys.into_values().collect())
    }

    /// The keys of one merchant's accounts, or of all accounts of the organization.
    async fn keys_of_part(
        &self,
        organization_id: &OrganizationId,
        merchant_id: Option<&MerchantId>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut request = self
            .client
            .query()
            .table_name(self.table(Table::Accounts))
            .index_name(INDEX)
            .key_condition_expression("organization_id = :organization")
            .expression_attribute_values(":organization", text(organization_id.to_string()));
        if let Some(merchant_id) = merchant_id {
            request = request
                .key_condition_expression(
                    "organization_id = :organization AND begins_with(#place, :merchant)",
                )
                .expression_attribute_names("#place", MERCHANT_ACCOUNT)
                .expression_attribute_values(":merchant", text(format!("{merchant_id}#")));
        }
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page?.items().iter().map(table_key));
            check_budget(keys.len())?;
        }
        Ok(keys)
    }

    /// One account of a merchant within an organization, if it is theirs: a strongly consistent read, without
    /// the index.
    pub async fn merchant_account(
        &self,
        organization_id: &OrganizationId,
        merchant_id: &MerchantId,
        id: AccountId,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let account = self.account_by_id(id).await?;
        Ok(account.filter(|stored| {
            let AccountScope { organization_id: organization, merchant_id: merchant, network: _ } =
                &stored.account.scope;
            (organization.as_ref(), merchant.as_ref()) == (Some(organization_id), Some(merchant_id))
        }))
    }
}

/// The table's key, which an index of keys alone holds beside its own.
fn table_key(item: &Item) -> Item {
    let is_key = |name: &str| ["customer_id", "account_id"].contains(&name);
    let key = item.iter().filter(|(name, _)| is_key(name));
    key.map(|(name, value): (&String, &AttributeValue)| (name.clone(), value.clone())).collect()
}
