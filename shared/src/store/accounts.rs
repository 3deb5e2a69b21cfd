//! The accounts table: one item per account, found by its customer, or by its merchant in the index
//! `by_merchant`.

use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{
    Account, AccountId, Asset, ContactId, CustodyAccountId, CustomerId, MerchantId, OrganizationId, Status,
    Timestamp,
};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use thiserror::Error;

pub(super) const TABLE: &str = "accounts";

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

impl Store {
    /// One account of a customer's, if there is one of this id: a strongly consistent read.
    pub async fn account(
        &self,
        customer_id: CustomerId,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        let request = self.client.get_item().table_name(&self.tables.accounts).consistent_read(true);
        let answer = request.set_key(Some(key(customer_id, id))).send().await?;
        answer.item().map(from_item).transpose()
    }

    /// Every account of the customer as of now, ordered by id: one strongly consistent Query, page by page.
    pub async fn customer_accounts(&self, customer_id: CustomerId) -> Result<Vec<Account>, StoreError> {
        let mut items = self.by_customer(customer_id).into_paginator().items().send();
        let mut accounts = Vec::new();
        while let Some(item) = items.next().await {
            accounts.push(from_item(&item?)?);
        }
        Ok(accounts)
    }

    /// The customer's accounts, unless there are more than `most`: then reading stops.
    pub async fn customer_accounts_at_most(
        &self,
        customer_id: CustomerId,
        most: usize,
    ) -> Result<Vec<Account>, ListError> {
        self.at_most(self.by_customer(customer_id), most).await
    }

    async fn at_most(&self, request: QueryFluentBuilder, most: usize) -> Result<Vec<Account>, ListError> {
        let mut pages = request.into_paginator().send();
        let mut accounts = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(StoreError::from)?;
            if accounts.len() + page.items().len() > most {
                return Err(ListError::TooMany);
            }
            for item in page.items() {
                accounts.push(from_item(item)?);
            }
        }
        Ok(accounts)
    }

    fn by_customer(&self, customer_id: CustomerId) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.tables.accounts).consistent_read(true);
        let query = query.key_condition_expression("customer_id = :customer");
        query.expression_attribute_values(":customer", text(customer_id.to_string()))
    }

    /// The accounts of a merchant within an organization, ordered by id. The index lags: a write of a moment
    /// ago may be missing.
    pub async fn merchant_accounts(
        &self,
        organization_id: OrganizationId,
        merchant_id: MerchantId,
    ) -> Result<Vec<Account>, ListError> {
        let request = self
            .by_merchant(organization_id, merchant_id)
            .key_condition_expression("merchant_key = :merchant");
        self.at_most(request, MAX_LISTED_ACCOUNTS).await
    }

    /// One account of a merchant within an organization, if it is theirs.
    pub async fn merchant_account(
        &self,
        organization_id: OrganizationId,
        merchant_id: MerchantId,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        let request = self
            .by_merchant(organization_id, merchant_id)
            .key_condition_expression("merchant_key = :merchant AND account_id = :account")
            .expression_attribute_values(":account", text(id.to_string()));
        request.send().await?.items().first().map(from_item).transpose()
    }

    fn by_merchant(&self, organization_id: OrganizationId, merchant_id: MerchantId) -> QueryFluentBuilder {
        let key = merchant_key(organization_id, merchant_id);
        let query = self.client.query().table_name(&self.tables.accounts).index_name("by_merchant");
        query.expression_attribute_values(":merchant", text(key))
    }
}

pub(super) fn key(customer_id: CustomerId, id: AccountId) -> Item {
    let key = [("customer_id", customer_id.to_string()), ("account_id", id.to_string())];
    key.map(|(name, id)| (name.to_owned(), text(id))).into()
}

fn merchant_key(organization_id: OrganizationId, merchant_id: MerchantId) -> String {
    format!("{organization_id}#{merchant_id}")
}

/// The whole item. An absent optional field has no attribute, so that an update can tell what to clear.
pub(super) fn to_item(account: &Account) -> Item {
    let Account {
        id,
        customer_id,
        asset,
        balance,
        available,
        active,
        status,
        balance_at,
        created_at,
        iban,
        account_number,
        address,
        address_tag,
        network,
        description,
        organization_id,
        merchant_id,
        contact_id,
        custody_account_id,
    } = account;
    let required = [
        ("account_id", text(id.to_string())),
        ("customer_id", text(customer_id.to_string())),
        ("currency", text(asset.code())),
        ("balance", number(balance)),
        ("available", number(available)),
        ("active", AttributeValue::Bool(*active)),
        ("status", text(status.name())),
        ("balance_at", instant(*balance_at)),
        ("created_at", instant(*created_at)),
    ];
    let merchant_key = organization_id
        .zip(*merchant_id)
        .map(|(organization, merchant)| merchant_key(organization, merchant));
    let optional = [
        ("iban", iban.clone()),
        ("account_number", account_number.clone()),
        ("address", address.clone()),
        ("address_tag", address_tag.clone()),
        ("network", network.clone()),
        ("description", description.clone()),
        ("organization_id", organization_id.map(|id| id.to_string())),
        ("merchant_id", merchant_id.map(|id| id.to_string())),
        ("contact_id", contact_id.map(|id| id.to_string())),
        (CUSTODY, custody_account_id.map(|id| id.to_string())),
        (MERCHANT_KEY, merchant_key),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, text(value))));
    required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The sparse index `by_merchant` finds an account by this.
const MERCHANT_KEY: &str = "merchant_key";
/// Marks an account that shows a position of a custody account.
pub(super) const CUSTODY: &str = "custody_account_id";

/// The attributes an account may lack.
pub(super) const OPTIONAL_ATTRIBUTES: [&str; 11] = [
    "iban",
    "account_number",
    "address",
    "address_tag",
    "network",
    "description",
    "organization_id",
    "merchant_id",
    "contact_id",
    CUSTODY,
    MERCHANT_KEY,
];

pub(super) fn from_item(item: &Item) -> Result<Account, StoreError> {
    let row = Row { table: TABLE, item };
    Ok(Account {
        id: row.parsed("account_id", AccountId::parse)?,
        customer_id: row.parsed("customer_id", CustomerId::parse)?,
        asset: row.parsed("currency", Asset::parse)?,
        balance: row.amount("balance")?,
        available: row.amount("available")?,
        active: row.flag("active")?,
        status: row.parsed("status", Status::parse)?,
        balance_at: row.parsed("balance_at", Timestamp::parse)?,
        created_at: row.parsed("created_at", Timestamp::parse)?,
        iban: row.text("iban")?,
        account_number: row.text("account_number")?,
        address: row.text("address")?,
        address_tag: row.text("address_tag")?,
        network: row.text("network")?,
        description: row.text("description")?,
        organization_id: row.optional("organization_id", OrganizationId::parse)?,
        merchant_id: row.optional("merchant_id", MerchantId::parse)?,
        contact_id: row.optional("contact_id", ContactId::parse)?,
        custody_account_id: row.optional(CUSTODY, CustodyAccountId::parse)?,
    })
}
