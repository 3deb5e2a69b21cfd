//! The accounts table: one item per account with its newest entry, and one per custody account with its
//! newest snapshot, found by their customer.
//!
//! An item is written whole, as [`merge`](super::merge) decides, on condition that its `revision` is the one
//! that was read. The index of organizations is `organizations`' business.

use super::custody_snapshot::{self, StoredSnapshot};
use super::history::entry_from_text;
use super::organizations::index_attributes;
use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{
    Account, AccountId, AccountLabels, AccountScope, AccountState, Asset, ContactId, CustomerId, EntryKey,
    MerchantId, Moment, Network, OrganizationId, Status, Timestamp,
};
use crate::query::Filter;
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

/// An account with its newest entry, and what the store remembers to answer for earlier moments.
///
/// [`Store::record`] writes it; [`Store::account_at`] and [`Store::accounts_at`] turn it into the account of
/// a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// The account as its newest entry says.
    pub account: Account,
    /// When that entry was recorded.
    pub recorded_at: Timestamp,
    /// Since when each part of the scope is known.
    pub(super) scope_times: ScopeTimes,
    /// The entry that brought the labels; `None` while no entry has brought any.
    pub(super) labels_entry: Option<EntryKey>,
    /// Counts the writes of the item, so that a write made of an older reading is refused.
    pub(super) revision: u64,
}

/// When the first entry that names a part of the scope was recorded; `None` for parts that none names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ScopeTimes {
    pub(super) organization: Option<Timestamp>,
    pub(super) merchant: Option<Timestamp>,
    pub(super) network: Option<Timestamp>,
}

impl StoredAccount {
    /// The account at a moment, in the state of the entry that counts then. Parts of the scope that were
    /// named later are left out.
    pub(super) fn shown(self, entry: EntryKey, state: AccountState, moment: Moment) -> Account {
        let Self { account, scope_times: times, .. } = self;
        let knows = |at: Option<Timestamp>| at.is_some_and(|at| moment.knows(at));
        let AccountScope { organization_id, merchant_id, network } = account.scope;
        let scope = AccountScope {
            organization_id: organization_id.filter(|_| knows(times.organization)),
            merchant_id: merchant_id.filter(|_| knows(times.merchant)),
            network: network.filter(|_| knows(times.network)),
        };
        Account { entry, state, scope, ..account }
    }
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

pub(super) fn holding_from_item(item: &Item) -> Result<StoredHolding, StoreError> {
    if custody_snapshot::is_snapshot(item) {
        custody_snapshot::from_item(item).map(StoredHolding::Snapshot)
    } else {
        from_item(item).map(StoredHolding::from)
    }
}

impl Store {
    /// One account of a customer's, if there is one of this id: a strongly consistent read.
    pub async fn account(
        &self,
        customer_id: CustomerId,
        id: AccountId,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let request = self.client.get_item().table_name(&self.tables.accounts).consistent_read(true);
        let answer = request.set_key(Some(key(customer_id, id))).send().await?;
        answer.item().map(from_item).transpose()
    }

    /// Everything that stands for accounts of the customer: one strongly consistent Query, page by page.
    pub async fn customer_accounts(&self, customer_id: CustomerId) -> Result<Vec<StoredHolding>, StoreError> {
        let mut items = self.by_customer(customer_id).into_paginator().items().send();
        let mut holdings = Vec::new();
        while let Some(item) = items.next().await {
            holdings.push(holding_from_item(&item?)?);
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
                let holding = holding_from_item(item)?;
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
        let query = self.client.query().table_name(&self.tables.accounts).consistent_read(true);
        let query = query.key_condition_expression("customer_id = :customer");
        query.expression_attribute_values(":customer", text(customer_id.to_string()))
    }
}

pub(super) fn key(customer_id: CustomerId, id: AccountId) -> Item {
    let key = [("customer_id", customer_id.to_string()), ("account_id", id.to_string())];
    key.map(|(name, id)| (name.to_owned(), text(id))).into()
}

/// Stands for the newest entry where an attribute names an entry.
const NEWEST: &str = "newest";

/// The whole item. An absent optional field has no attribute.
///
/// Every read of a customer pays for the bytes of all items, so the two instants that mostly are the newest
/// entry's own are not written out: labels of the newest entry are marked so, and an absent `created_at` is
/// the newest entry's instant.
pub(super) fn to_item(stored: &StoredAccount) -> Item {
    let StoredAccount { account, recorded_at, scope_times, labels_entry, revision } = stored;
    // An account that shows a position of a custody account has no item of its own.
    let Account { id, customer_id, asset, entry, state, created_at, scope, labels, custody_account_id: _ } =
        account;
    let required = [
        ("account_id", text(id.to_string())),
        ("customer_id", text(customer_id.to_string())),
        ("currency", text(asset.code())),
        ("entry", text(short_entry_text(*entry))),
        ("recorded_at", instant(*recorded_at)),
        ("revision", number(revision)),
    ];
    let labels_entry = labels_entry.map(|labels_entry| {
        if labels_entry == *entry { NEWEST.to_owned() } else { short_entry_text(labels_entry) }
    });
    let created_at = Some(*created_at).filter(|created_at| *created_at != entry.balance_at);
    let optional =
        [("labels_entry", labels_entry), ("created_at", created_at.map(Timestamp::to_stored_text))];
    required
        .into_iter()
        .chain(state_attributes(state))
        .chain(present(optional))
        .chain(scope_attributes(scope))
        .chain(scope_time_attributes(scope_times))
        .chain(index_attributes(*id, scope))
        .chain(label_attributes(labels))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) type Attribute = (&'static str, AttributeValue);

/// The attributes of a state, in the accounts table and in history alike.
pub(super) fn state_attributes(state: &AccountState) -> [Attribute; 4] {
    let AccountState { balance, available, active, status } = state;
    [
        ("balance", number(balance)),
        ("available", number(available)),
        ("active", AttributeValue::Bool(*active)),
        ("status", text(status.name())),
    ]
}

/// The attributes of the named parts of a scope, in both tables alike.
pub(super) fn scope_attributes(scope: &AccountScope) -> impl Iterator<Item = Attribute> + use<> {
    let AccountScope { organization_id, merchant_id, network } = scope;
    present([
        ("organization_id", organization_id.as_ref().map(ToString::to_string)),
        ("merchant_id", merchant_id.as_ref().map(ToString::to_string)),
        ("network", network.as_ref().map(|network| network.name().to_owned())),
    ])
}

fn scope_time_attributes(times: &ScopeTimes) -> impl Iterator<Item = Attribute> + use<> {
    let ScopeTimes { organization, merchant, network } = times;
    present([
        ("organization_known_at", organization.map(Timestamp::to_stored_text)),
        ("merchant_known_at", merchant.map(Timestamp::to_stored_text)),
        ("network_known_at", network.map(Timestamp::to_stored_text)),
    ])
}

fn label_attributes(labels: &AccountLabels) -> impl Iterator<Item = Attribute> + use<> {
    let AccountLabels { iban, account_number, address, address_tag, description, contact_id } = labels;
    present([
        ("iban", iban.clone()),
        ("account_number", account_number.clone()),
        ("address", address.clone()),
        ("address_tag", address_tag.clone()),
        ("description", description.clone()),
        ("contact_id", contact_id.as_ref().map(ToString::to_string)),
    ])
}

fn present<const N: usize>(
    optional: [(&'static str, Option<String>); N],
) -> impl Iterator<Item = Attribute> + use<N> {
    optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, text(value))))
}

/// An entry without the zeros by which its text sorts in history.
fn short_entry_text(EntryKey { balance_at, version }: EntryKey) -> String {
    format!("{}#{}", balance_at.to_stored_text(), version.number())
}

pub(super) fn from_item(item: &Item) -> Result<StoredAccount, StoreError> {
    let row = Row { table: TABLE, item };
    let entry = row.parsed("entry", entry_from_text)?;
    let labels_entry = |text: &str| if text == NEWEST { Ok(entry) } else { entry_from_text(text) };
    Ok(StoredAccount {
        account: Account {
            id: row.parsed("account_id", AccountId::parse)?,
            customer_id: row.parsed("customer_id", CustomerId::parse)?,
            asset: row.parsed("currency", Asset::parse)?,
            entry,
            state: state_of(row)?,
            created_at: row.optional("created_at", Timestamp::parse)?.unwrap_or(entry.balance_at),
            scope: scope_of(row)?,
            labels: AccountLabels {
                iban: row.text("iban")?,
                account_number: row.text("account_number")?,
                address: row.text("address")?,
                address_tag: row.text("address_tag")?,
                description: row.text("description")?,
                contact_id: row.optional("contact_id", ContactId::parse)?,
            },
            custody_account_id: None,
        },
        recorded_at: row.instant("recorded_at")?,
        scope_times: ScopeTimes {
            organization: row.optional("organization_known_at", Timestamp::parse)?,
            merchant: row.optional("merchant_known_at", Timestamp::parse)?,
            network: row.optional("network_known_at", Timestamp::parse)?,
        },
        labels_entry: row.optional("labels_entry", labels_entry)?,
        revision: row.number("revision", str::parse)?,
    })
}

pub(super) fn state_of(row: Row<'_>) -> Result<AccountState, StoreError> {
    Ok(AccountState {
        balance: row.amount("balance")?,
        available: row.amount("available")?,
        active: row.flag("active")?,
        status: row.parsed("status", Status::parse)?,
    })
}

pub(super) fn scope_of(row: Row<'_>) -> Result<AccountScope, StoreError> {
    Ok(AccountScope {
        organization_id: row.optional("organization_id", OrganizationId::parse)?,
        merchant_id: row.optional("merchant_id", MerchantId::parse)?,
        network: row.optional("network", Network::parse)?,
    })
}
