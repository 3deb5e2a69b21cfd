//! The accounts table: one item per account with its newest entry, and one per custody account with its
//! newest snapshot, found by their customer.
//!
//! An item is written whole, as [`merge`](super::merge) decides, on condition that its `revision` is the one
//! that was read. The index of organizations is `organizations`' business.

use super::attributes::{
    Attribute, entry_from_text, present, scope_attributes, scope_of, state_attributes, state_of,
};
use super::row::{Attributes, Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{
    Account, AccountId, AccountLabels, AccountScope, Catalogue, CustomerId, EntryKey, Label, Moment,
    Timestamp,
};

/// The attributes of an account that a total needs.
pub(super) const TOTAL_ATTRIBUTES: [&str; 13] = [
    "account_id",
    "customer_id",
    "currency",
    "entry",
    "recorded_at",
    "revision",
    "balance",
    "available",
    "active",
    "status",
    "created_at",
    "network",
    "network_known_at",
];

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
    /// The account without the parts of the scope that were named later than a moment knows.
    pub(super) fn known(self, moment: Moment) -> Account {
        let Self { account, scope_times: times, .. } = self;
        let knows = |at: Option<Timestamp>| at.is_some_and(|at| moment.knows(at));
        let AccountScope { organization_id, merchant_id, network } = account.scope;
        let scope = AccountScope {
            organization_id: organization_id.filter(|_| knows(times.organization)),
            merchant_id: merchant_id.filter(|_| knows(times.merchant)),
            network: network.filter(|_| knows(times.network)),
        };
        Account { scope, ..account }
    }
}

impl Store {
    /// One account of a customer's, if there is one of this id: a strongly consistent read.
    pub async fn account(
        &self,
        customer_id: CustomerId,
        id: AccountId,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Accounts)).consistent_read(true);
        let answer = request.set_key(Some(key(customer_id, id))).send().await?;
        self.mapped(|catalogue| answer.item().map(|item| from_item(item, catalogue)).transpose()).await
    }
}

pub(super) fn key(customer_id: CustomerId, id: AccountId) -> Item {
    let key = [("customer_id", customer_id.to_string()), ("account_id", id.to_string())];
    key.map(|(name, id)| (name.to_owned(), text(id))).into()
}

/// The sort key of the index `by_organization`: `<merchant_id>#<account_id>`. Accounts of no merchant begin
/// with `#`.
pub(super) const MERCHANT_ACCOUNT: &str = "merchant_account";
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

fn scope_time_attributes(times: &ScopeTimes) -> impl Iterator<Item = Attribute> + use<> {
    let ScopeTimes { organization, merchant, network } = times;
    present([
        ("organization_known_at", organization.map(Timestamp::to_stored_text)),
        ("merchant_known_at", merchant.map(Timestamp::to_stored_text)),
        ("network_known_at", network.map(Timestamp::to_stored_text)),
    ])
}

fn label_attributes(labels: &AccountLabels) -> impl Iterator<Item = Attribute> {
    labels.iter().map(|(label, value)| (label.name(), text(value)))
}

fn labels_of(row: Row<'_, impl Attributes>) -> Result<AccountLabels, StoreError> {
    let mut labels = AccountLabels::default();
    for label in Label::ALL {
        row.optional(label.name(), |text| labels.set(label, text))?;
    }
    Ok(labels)
}

/// The attribute that puts an account into the index, unless it belongs to no organization.
fn index_attributes(id: AccountId, scope: &AccountScope) -> Option<Attribute> {
    scope.organization_id.as_ref()?;
    let merchant = scope.merchant_id.as_ref().map(ToString::to_string).unwrap_or_default();
    Some((MERCHANT_ACCOUNT, text(format!("{merchant}#{id}"))))
}

/// An entry without the zeros by which its text sorts in history.
fn short_entry_text(EntryKey { balance_at, version }: EntryKey) -> String {
    format!("{}#{}", balance_at.to_stored_text(), version.number())
}

pub(super) fn from_item(item: &impl Attributes, catalogue: &Catalogue) -> Result<StoredAccount, StoreError> {
    let row = Row { table: Table::Accounts, item };
    let entry = row.parsed("entry", entry_from_text)?;
    let labels_entry = |text: &str| if text == NEWEST { Ok(entry) } else { entry_from_text(text) };
    Ok(StoredAccount {
        account: Account {
            id: row.parsed("account_id", AccountId::parse)?,
            customer_id: row.parsed("customer_id", CustomerId::parse)?,
            asset: row.parsed("currency", |code| catalogue.asset(code))?,
            entry,
            state: state_of(row)?,
            created_at: row.optional("created_at", Timestamp::parse)?.unwrap_or(entry.balance_at),
            scope: scope_of(row)?,
            labels: labels_of(row)?,
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
