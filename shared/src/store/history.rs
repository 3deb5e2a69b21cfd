//! The history table: every entry of every account, under the instant it speaks of and its version.
//!
//! An entry is put if it is absent, and never replaced or deleted: so any answer can be had again. Of the
//! labels that an entry brought it keeps a hash alone, enough to tell a repeated entry from a conflicting
//! one. Rejected: the labels themselves, because a history that is never deleted is no place for names and
//! account numbers.
//!
//! The item `#owner` says whose the account is; it sorts before every instant.

use super::attributes::{
    entry_from_text, entry_text, scope_attributes, scope_of, state_attributes, state_of,
};
use super::row::{Attributes, Item, Row, instant, text};
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{
    AccountId, AccountLabels, AccountScope, AccountState, AccountUpdate, Asset, Catalogue, CustodyAccountId,
    CustomerId, EntryKey, Timestamp,
};
use aws_lc_rs::digest;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The sort key of the item that names the owner.
pub(super) const OWNER: &str = "#owner";
/// Marks an owner that is a custody account.
pub(super) const CUSTODY: &str = "custody_account_id";
/// Sorts after [`OWNER`] and before every instant.
const FIRST_INSTANT: &str = "0";
/// Sorts after every version.
const AFTER_VERSIONS: char = '~';
/// Bytes of the SHA-256 that stands for a group of labels.
const LABELS_HASH_BYTES: usize = 16;

/// Which end of a history is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryEnd {
    /// The newest entry.
    Newest,
    /// The oldest.
    Oldest,
}

/// An entry as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEntry {
    /// Which entry.
    pub key: EntryKey,
    /// Its state.
    pub state: AccountState,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The parts of the scope that it named.
    pub(super) scope: AccountScope,
    /// Stands for the labels that it brought; `None` if it brought none.
    pub(super) labels_hash: Option<String>,
}

impl RecordedEntry {
    /// The entry that an update becomes.
    pub(super) fn of(update: &AccountUpdate, recorded_at: Timestamp) -> Self {
        Self {
            key: update.entry,
            state: update.state,
            recorded_at,
            scope: update.scope.clone(),
            labels_hash: update.labels.as_ref().map(labels_hash),
        }
    }

    /// Whether an update for the same key says the same. A part of the scope, or the labels, that the update
    /// does not give is not compared.
    pub(super) fn agrees_with(&self, update: &AccountUpdate) -> bool {
        let AccountScope { organization_id, merchant_id, network } = &update.scope;
        let is_scope = agrees(organization_id.as_ref(), self.scope.organization_id.as_ref())
            && agrees(merchant_id.as_ref(), self.scope.merchant_id.as_ref())
            && agrees(network.as_ref(), self.scope.network.as_ref());
        let labels = update.labels.as_ref().map(labels_hash);
        self.state == update.state && is_scope && (labels.is_none() || labels == self.labels_hash)
    }
}

fn agrees<T: PartialEq>(given: Option<&T>, stored: Option<&T>) -> bool {
    given.is_none() || given == stored
}

/// Whose an id is, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOwner {
    /// The id is an account's.
    Account {
        /// The account's customer.
        customer_id: CustomerId,
        /// The one asset that it holds.
        asset: Asset,
    },
    /// The id is a custody account's own, or that of an account which shows one of its positions.
    Custody {
        /// The custody account's customer.
        customer_id: CustomerId,
        /// The custody account.
        custody_account_id: CustodyAccountId,
    },
}

impl IdOwner {
    /// Whose customer's it is.
    #[must_use]
    pub const fn customer_id(self) -> CustomerId {
        match self {
            Self::Account { customer_id, .. } | Self::Custody { customer_id, .. } => customer_id,
        }
    }
}

impl Store {
    /// At most `limit` entries of an account, from one end of its history.
    pub async fn entries(
        &self,
        id: AccountId,
        end: HistoryEnd,
        limit: u16,
    ) -> Result<Vec<RecordedEntry>, StoreError> {
        self.entry_items(id, end, limit).await?.iter().map(from_item).collect()
    }

    /// The items of at most `limit` entries, from one end of a history.
    pub(super) async fn entry_items(
        &self,
        id: AccountId,
        end: HistoryEnd,
        limit: u16,
    ) -> Result<Vec<Item>, StoreError> {
        let request = self
            .entries_of(id, &AFTER_VERSIONS.to_string())
            .scan_index_forward(end == HistoryEnd::Oldest)
            .limit(limit.into());
        let mut pages = request.into_paginator().items().send();
        let mut items = Vec::new();
        // A page holds 1 MB, which can be few snapshots.
        while items.len() < usize::from(limit)
            && let Some(item) = pages.next().await
        {
            items.push(item?);
        }
        Ok(items)
    }

    /// A query of the entries that speak of an instant or of later ones, in their order.
    pub(super) fn entries_from(&self, id: AccountId, instant: Timestamp) -> QueryFluentBuilder {
        self.entries_between(id, &instant.to_stored_text(), &AFTER_VERSIONS.to_string())
    }

    /// A query of the entries that speak of an instant or of earlier ones, in their order.
    pub(super) fn entries_until(&self, id: AccountId, instant: Timestamp) -> QueryFluentBuilder {
        self.entries_of(id, &format!("{}#{AFTER_VERSIONS}", instant.to_stored_text()))
    }

    /// Whose account it is; `None` if there has never been one of this id.
    pub async fn owner(&self, id: AccountId) -> Result<Option<IdOwner>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::History)).consistent_read(true);
        let answer = request.set_key(Some(owner_key(id))).send().await?;
        let owner = |catalogue: &_| answer.item().map(|item| owner_from_item(item, catalogue)).transpose();
        self.mapped(owner).await
    }

    fn entries_of(&self, id: AccountId, last: &str) -> QueryFluentBuilder {
        self.entries_between(id, FIRST_INSTANT, last)
    }

    fn entries_between(&self, id: AccountId, first: &str, last: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table(Table::History))
            .consistent_read(true)
            .key_condition_expression("account_id = :id AND entry BETWEEN :first AND :last")
            .expression_attribute_values(":id", text(id.to_string()))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
    }
}

pub(super) fn key(id: AccountId, entry: EntryKey) -> Item {
    Item::from([
        ("account_id".to_owned(), text(id.to_string())),
        ("entry".to_owned(), text(entry_text(entry))),
    ])
}

pub(super) fn to_item(id: AccountId, entry: &RecordedEntry) -> Item {
    let RecordedEntry { key: entry_key, state, recorded_at, scope, labels_hash } = entry;
    let labels_hash = labels_hash.iter().map(|hash| ("labels_hash", text(hash)));
    let attributes = state_attributes(state).into_iter().chain(scope_attributes(scope)).chain(labels_hash);
    let mut item = key(id, *entry_key);
    item.insert("recorded_at".to_owned(), instant(*recorded_at));
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(super) fn from_item(item: &impl Attributes) -> Result<RecordedEntry, StoreError> {
    let row = Row { table: Table::History, item };
    Ok(RecordedEntry {
        key: row.parsed("entry", entry_from_text)?,
        state: state_of(row)?,
        recorded_at: row.instant("recorded_at")?,
        scope: scope_of(row)?,
        labels_hash: row.text("labels_hash")?,
    })
}

pub(super) fn owner_key(id: AccountId) -> Item {
    Item::from([("account_id".to_owned(), text(id.to_string())), ("entry".to_owned(), text(OWNER))])
}

/// The account that an item is of.
pub(super) fn id_of(item: &Item) -> Result<AccountId, StoreError> {
    Row { table: Table::History, item }.parsed("account_id", AccountId::parse)
}

pub(super) fn is_owner(item: &Item) -> bool {
    item.get("entry").and_then(|entry| entry.as_s().ok()).is_some_and(|entry| entry == OWNER)
}

pub(super) fn owner_to_item(id: AccountId, owner: IdOwner) -> Item {
    let mut item = owner_key(id);
    item.insert("customer_id".to_owned(), text(owner.customer_id().to_string()));
    let (name, value) = match owner {
        IdOwner::Account { asset, .. } => ("currency", asset.code().to_owned()),
        IdOwner::Custody { custody_account_id, .. } => (CUSTODY, custody_account_id.to_string()),
    };
    item.insert(name.to_owned(), text(value));
    item
}

pub(super) fn owner_from_item(item: &Item, catalogue: &Catalogue) -> Result<IdOwner, StoreError> {
    let row = Row { table: Table::History, item };
    let customer_id = row.parsed("customer_id", CustomerId::parse)?;
    Ok(match row.optional(CUSTODY, CustodyAccountId::parse)? {
        Some(custody_account_id) => IdOwner::Custody { customer_id, custody_account_id },
        None => {
            IdOwner::Account { customer_id, asset: row.parsed("currency", |code| catalogue.asset(code))? }
        }
    })
}

/// A hash of a group of labels. Each text stands with its label and its length, so that no two groups read
/// the same.
fn labels_hash(labels: &AccountLabels) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for (label, text) in labels.iter() {
        context.update(format!("{}={}:{text}", label.name(), text.len()).as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..LABELS_HASH_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Label;

    #[test]
    fn the_owner_sorts_before_every_instant() {
        let first = Timestamp::parse("0000-01-01T00:00:00Z").unwrap().to_stored_text();
        assert!(OWNER < FIRST_INSTANT && FIRST_INSTANT < first.as_str());
    }

    #[test]
    fn groups_of_labels_that_differ_have_different_hashes() {
        let group = |given: &[(Label, &str)]| {
            let mut labels = AccountLabels::default();
            for (label, text) in given {
                labels.set(*label, text).unwrap();
            }
            labels
        };
        let groups = [
            group(&[]),
            group(&[(Label::Iban, "a")]),
            group(&[(Label::AccountNumber, "a")]),
            group(&[(Label::Iban, "aaccount_number=1:a")]),
            group(&[(Label::Iban, "a"), (Label::AccountNumber, "a")]),
        ];
        let hashes: std::collections::BTreeSet<_> = groups.iter().map(labels_hash).collect();
        assert_eq!(hashes.len(), groups.len());
    }
}
