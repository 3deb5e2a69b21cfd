//! The balance on the wire. Numbers are exact literals; the order of fields is the reference's.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::query::BalanceQuery;
use crate::stack::Grouping;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use shared::domain::total::{Stack, SumTooLarge};
use shared::domain::{
    Account, AccountState, Asset, Dimension, Gap, GroupedSummary, Label, Pricing, Summary, Timestamp,
    TooLarge,
};
use shared::http::{AmountForm, GapsBody, Number, RateReceipt, schema};

/// A customer's balance in one currency; its numbers are exact decimals.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Balance")]
pub(crate) struct Body {
    /// `fiat_balance` plus `crypto_balance`.
    total_balance: Number,
    /// The currency everything was converted into.
    currency: &'static str,
    /// The sum of the fiat stacks.
    fiat_balance: Number,
    /// The sum of the crypto stacks.
    crypto_balance: Number,
    /// How many accounts were counted.
    accounts: usize,
    /// Whether nothing is missing.
    complete: bool,
    /// Of the counted accounts' last confirmations the oldest, null without accounts; left out with `as_of`
    /// or `known_at`. A custody account is confirmed by each successful sync, any other at its `balance_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_balance_at: Option<OldestBalance>,
    /// The gaps in the totals.
    #[serde(flatten)]
    gaps: Option<GapsBody>,
    /// With `partial`: the holdings without a usable rate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<UnpricedBody>,
    /// With `stack`: the groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    stacks: Option<Stacks>,
    /// With every `stack` but `currency`: `total_balance` minus the sum of the groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<Number>,
    /// With `details`: every account.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    /// With `details`: the receipt, every rate that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Vec<RateReceipt>>,
}

/// A holding without a usable rate.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnpricedHolding")]
struct UnpricedBody {
    currency: &'static str,
    balance: Number,
}

/// The groups, ordered by their values; a group without a value comes last.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Stacks {
    /// By currency.
    Currencies(Vec<StackBody>),
    /// By anything else.
    Groups(Vec<GroupBody>),
}

/// One group of accounts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceGroup")]
struct GroupBody {
    /// Under the name of what the accounts are grouped by; null for accounts that have none.
    #[serde(flatten)]
    value: GroupValue,
    /// How many accounts.
    accounts: usize,
    /// The sum of the stacks that have a rate.
    balance_in_base: Number,
    /// Every currency that the group holds, ordered by its code.
    stacks: Vec<StackBody>,
}

/// The value that a group's accounts share, under the name of the dimension.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GroupValue {
    /// The customer.
    CustomerId(Option<String>),
    /// The issuer of the asset.
    Issuer(Option<String>),
    /// The blockchain.
    Network(Option<String>),
}

impl GroupValue {
    const fn new(dimension: Dimension, value: Option<String>) -> Self {
        match dimension {
            Dimension::Customer => Self::CustomerId(value),
            Dimension::Issuer => Self::Issuer(value),
            Dimension::Network => Self::Network(value),
        }
    }
}

/// The holding in one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceStack")]
pub(crate) struct StackBody {
    currency: &'static str,
    is_crypto: bool,
    /// How many accounts.
    accounts: usize,
    /// The exact sum, in this currency.
    balance: Number,
    /// The sum, converted once and rounded half-even; null without a usable rate.
    balance_in_base: Option<Number>,
}

/// Every account; an empty list is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceDetails")]
struct Details {
    fiat_accounts: Option<Vec<AccountBody>>,
    crypto_assets: Option<Vec<AccountBody>>,
}

/// One account in its own currency and in the asked one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceAccount")]
struct AccountBody {
    #[schemars(schema_with = "schema::uuid")]
    id: String,
    #[schemars(schema_with = "schema::uuid")]
    customer_id: String,
    currency: &'static str,
    balance: Number,
    /// Converted and rounded for itself; null without a usable rate.
    balance_in_base: Option<Number>,
    is_crypto: bool,
    /// The account's own flag, independent of its status.
    active: bool,
    #[schemars(schema_with = "crate::statuses")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_wallet_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_wallet_address_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iban: Option<String>,
    /// The instant of the entry that counts.
    #[schemars(schema_with = "schema::instant")]
    balance_at: String,
}

fn optional_instant(generator: &mut SchemaGenerator) -> Schema {
    schema::or_null(schema::instant(generator))
}

/// An instant, or null.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
struct OldestBalance(#[schemars(schema_with = "optional_instant")] Option<String>);

/// The part of an answer that says how complete it is.
#[derive(Clone, Copy)]
pub(super) struct Missing<'a> {
    pub(super) gaps: &'a [Gap],
    pub(super) oldest_balance_at: Option<Timestamp>,
}

impl Body {
    pub(super) fn new(
        query: &BalanceQuery,
        summary: &GroupedSummary<String>,
        rows: &[Account],
        missing: Missing<'_>,
        pricing: Pricing<'_>,
    ) -> Result<Self, SumTooLarge> {
        let GroupedSummary { whole, groups, rounding } = summary;
        let Summary { total, fiat, crypto, stacks, unpriced, receipts } = whole;
        let form = query.amounts;
        let in_target = |amount| form.of(query.target, amount);
        let Missing { gaps, oldest_balance_at } = missing;
        let oldest_balance_at = OldestBalance(oldest_balance_at.map(Timestamp::to_millis_text));
        let unpriced = unpriced
            .iter()
            .map(|(asset, sum)| UnpricedBody { currency: asset.code(), balance: form.of(*asset, *sum) });
        Ok(Self {
            total_balance: in_target(*total),
            currency: query.target.code(),
            fiat_balance: in_target(*fiat),
            crypto_balance: in_target(*crypto),
            accounts: whole.accounts(),
            complete: gaps.is_empty(),
            oldest_balance_at: query.moment.is_none().then_some(oldest_balance_at),
            gaps: (!gaps.is_empty()).then(|| GapsBody::new(gaps, form)),
            unpriced: unpriced.collect(),
            stacks: query.grouping.map(|grouping| match grouping {
                Grouping::Currency => Stacks::Currencies(stack_bodies(stacks, pricing.target, form)),
                Grouping::By(dimension) => {
                    let body = |(value, summary): &(Option<String>, Summary)| {
                        group_body(GroupValue::new(dimension, value.clone()), summary, pricing.target, form)
                    };
                    Stacks::Groups(groups.iter().map(body).collect())
                }
            }),
            rounding: query.grouping.and_then(Grouping::dimension).map(|_| in_target(*rounding)),
            details: if query.has_details { Some(details(rows, pricing, form)?) } else { None },
            rates: query
                .has_details
                .then(|| receipts.iter().map(|receipt| RateReceipt::new(receipt, form)).collect()),
        })
    }
}

pub(crate) fn stack_bodies(stacks: &[Stack], target: Asset, form: AmountForm) -> Vec<StackBody> {
    let body = |stack: &Stack| {
        let Stack { asset, accounts, balance, balance_in_base } = *stack;
        StackBody {
            currency: asset.code(),
            is_crypto: asset.is_crypto(),
            accounts,
            balance: form.of(asset, balance),
            balance_in_base: balance_in_base.map(|amount| form.of(target, amount)),
        }
    };
    stacks.iter().map(body).collect()
}

fn group_body(value: GroupValue, summary: &Summary, target: Asset, form: AmountForm) -> GroupBody {
    GroupBody {
        value,
        accounts: summary.accounts(),
        balance_in_base: form.of(target, summary.total),
        stacks: stack_bodies(&summary.stacks, target, form),
    }
}

fn details(accounts: &[Account], pricing: Pricing<'_>, form: AmountForm) -> Result<Details, SumTooLarge> {
    let (crypto, fiat): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| account.asset.is_crypto());
    let rows = |accounts: Vec<&Account>| {
        let rows = accounts
            .into_iter()
            .map(|account| account_body(account, pricing, form))
            .collect::<Result<Vec<_>, _>>()?;
        Ok::<_, SumTooLarge>((!rows.is_empty()).then_some(rows))
    };
    Ok(Details { fiat_accounts: rows(fiat)?, crypto_assets: rows(crypto)? })
}

fn account_body(
    account: &Account,
    pricing: Pricing<'_>,
    form: AmountForm,
) -> Result<AccountBody, SumTooLarge> {
    let Account { id, customer_id, asset, entry, state, labels, .. } = account;
    let AccountState { balance, available: _, active, status } = state;
    let label = |label| labels.get(label).map(str::to_owned);
    let in_base = pricing.convert(*asset, balance.wide());
    let in_base = in_base.map_err(|TooLarge| SumTooLarge::Converted(*asset))?;
    Ok(AccountBody {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        currency: asset.code(),
        balance: form.of(*asset, *balance),
        balance_in_base: in_base.map(|amount| form.of(pricing.target, amount)),
        is_crypto: asset.is_crypto(),
        active: *active,
        status: status.name(),
        main_wallet_address: label(Label::Address),
        main_wallet_address_tag: labels
            .get(Label::Address)
            .map(|_| label(Label::AddressTag).unwrap_or_default()),
        iban: label(Label::Iban),
        balance_at: entry.balance_at.to_millis_text(),
    })
}
