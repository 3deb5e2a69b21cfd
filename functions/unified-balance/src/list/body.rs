//! The account list on the wire. Numbers are exact literals, and absent fields are left out.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::query::ListQuery;
use crate::icon;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use shared::domain::{Account, AccountLabels, AccountState, Asset, Label, Timestamp, TooLarge, sum};
use shared::http::{ApiError, Number, schema};
use shared::query::{InvalidParameter, Turned};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One page of accounts, or of their groups.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccountList")]
pub(crate) struct ListBody {
    data: Data,
    pagination: Pagination,
}

/// Accounts, or with `stack` their groups.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "AccountListData")]
enum Data {
    /// Without `stack`.
    Accounts(Vec<AccountBody>),
    /// With `stack`.
    Groups(Vec<GroupBody>),
}

/// Where the page stands.
#[derive(Debug, Serialize, JsonSchema)]
struct Pagination {
    limit: usize,
    offset: usize,
    /// How many accounts match, or groups with `stack`; null across all customers.
    total: Option<usize>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// The accounts of one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccountGroup")]
struct GroupBody {
    currency: &'static str,
    is_crypto: bool,
    /// How many accounts match.
    accounts: usize,
    /// Their exact sum.
    balance: Number,
    items: Vec<AccountBody>,
}

/// One account; fields that it does not have are left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
struct AccountBody {
    #[schemars(schema_with = "schema::uuid")]
    id: String,
    #[schemars(schema_with = "schema::uuid")]
    customer_id: String,
    currency: &'static str,
    balance: Number,
    available: Number,
    /// The amount that is held but cannot be spent.
    locked: Number,
    is_crypto: bool,
    active: bool,
    #[schemars(schema_with = "crate::statuses")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_wallet_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_wallet_address_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(flatten)]
    labels: ListedLabels,
    /// The instant of the entry that counts.
    #[schemars(schema_with = "schema::instant")]
    balance_at: String,
    /// When its earliest known balance is from; left out with `as_of` or `known_at`.
    #[schemars(schema_with = "schema::instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// When its latest balance is from; left out with `as_of` or `known_at`.
    #[schemars(schema_with = "schema::instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    metadata: Metadata,
}

/// The labels that are shown under their own names; those that the account lacks are left out.
#[derive(Debug)]
struct ListedLabels(AccountLabels);

impl Serialize for ListedLabels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.0.iter().filter(|(label, _)| label.is_listed());
        serializer.collect_map(listed.map(|(label, text)| (label.name(), text)))
    }
}

impl JsonSchema for ListedLabels {
    fn schema_name() -> Cow<'static, str> {
        "ListedLabels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let listed = Label::ALL.into_iter().filter(|label| label.is_listed());
        schema::texts(listed.map(|label| (label.name(), label.about())))
    }
}

/// Facts about an account's asset, to show beside the account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccountMetadata")]
struct Metadata {
    /// Its currency's icon, on the same host.
    icon_url: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'static str>,
}

impl ListBody {
    /// A page of accounts that are all at hand, or of their groups.
    pub(super) fn new(query: &ListQuery, accounts: Vec<Account>) -> Result<Self, ApiError> {
        let ListQuery { sort, page, has_stacks, .. } = query;
        if !has_stacks {
            let turned = page.of(accounts, sort, |account| sort.place(account))?;
            return Self::of_accounts(query, turned);
        }
        let currencies = sort.of_currencies();
        let turned =
            page.of(groups(accounts), &currencies, |(asset, _)| currencies.place_of_currency(*asset))?;
        Self::of_groups(query, turned)
    }

    /// A page of accounts as it is.
    pub(super) fn of_accounts(query: &ListQuery, turned: Turned<Account>) -> Result<Self, ApiError> {
        let Turned { items, total, next_cursor } = turned;
        let rows = items
            .iter()
            .map(|account| account_body(query, account))
            .collect::<Result<_, _>>()
            .map_err(too_large)?;
        Ok(Self { data: Data::Accounts(rows), pagination: Pagination::new(query, total, next_cursor) })
    }

    fn of_groups(query: &ListQuery, turned: Turned<(Asset, Vec<Account>)>) -> Result<Self, ApiError> {
        let Turned { items, total, next_cursor } = turned;
        let groups = items.into_iter().map(|(asset, accounts)| group_body(query, asset, accounts));
        let groups = groups.collect::<Result<_, _>>().map_err(too_large)?;
        Ok(Self { data: Data::Groups(groups), pagination: Pagination::new(query, total, next_cursor) })
    }
}

impl Pagination {
    fn new(query: &ListQuery, total: Option<usize>, next_cursor: Option<String>) -> Self {
        let total = total.filter(|_| query.reach.is_counted());
        Self { limit: query.page.limit, offset: query.page.offset, total, next_cursor }
    }
}

fn groups(accounts: Vec<Account>) -> Vec<(Asset, Vec<Account>)> {
    let mut groups = BTreeMap::<Asset, Vec<Account>>::new();
    for account in accounts {
        groups.entry(account.asset).or_default().push(account);
    }
    groups.into_iter().collect()
}

fn group_body(query: &ListQuery, asset: Asset, mut accounts: Vec<Account>) -> Result<GroupBody, TooLarge> {
    accounts.sort_by_cached_key(|account| query.sort.place(account));
    Ok(GroupBody {
        currency: asset.code(),
        is_crypto: asset.is_crypto(),
        accounts: accounts.len(),
        balance: query.amounts.of(asset, sum(&accounts)?),
        items: accounts.iter().map(|account| account_body(query, account)).collect::<Result<_, _>>()?,
    })
}

fn account_body(query: &ListQuery, account: &Account) -> Result<AccountBody, TooLarge> {
    let Account { id, customer_id, asset, entry, state, created_at, scope, labels, custody_account_id: _ } =
        account;
    let AccountState { balance, available, active, status } = state;
    let label = |label| labels.get(label).map(str::to_owned);
    let of_now = |at: Timestamp| query.moment.is_none().then(|| at.to_millis_text());
    Ok(AccountBody {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        currency: asset.code(),
        balance: query.amounts.of(*asset, *balance),
        available: query.amounts.of(*asset, *available),
        locked: query.amounts.of(*asset, state.locked()?),
        is_crypto: asset.is_crypto(),
        active: *active,
        status: status.name(),
        main_wallet_address: label(Label::Address),
        main_wallet_address_tag: labels
            .get(Label::Address)
            .map(|_| label(Label::AddressTag).unwrap_or_default()),
        network: scope.network.as_ref().map(|network| network.name().to_owned()),
        labels: ListedLabels(labels.clone()),
        balance_at: entry.balance_at.to_millis_text(),
        created_at: of_now(*created_at),
        updated_at: of_now(entry.balance_at),
        metadata: Metadata {
            icon_url: icon::url(*asset),
            name: asset.name().to_owned(),
            issuer: asset.issuer(),
        },
    })
}

fn too_large(TooLarge: TooLarge) -> ApiError {
    let message = "An amount of the answer has more than 18 digits before the point; leave `stack` out or \
        narrow the search.";
    InvalidParameter::new("stack", message).into()
}
