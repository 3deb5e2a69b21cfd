//! The balance on the wire. Numbers are exact literals; the order of fields is the reference's.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::query::BalanceQuery;
use schemars::JsonSchema;
use serde::Serialize;
use shared::domain::total::Stack;
use shared::domain::{Account, AccountState, Label, Pricing, Summary, TooLarge};
use shared::http::{Number, RateReceipt, schema};

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
    /// With `partial`: whether nothing was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
    /// With `partial`: what was left out of the totals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<UnpricedBody>,
    /// With `stack`: every currency that is held, ordered by its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    stacks: Option<Vec<StackBody>>,
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

/// The holding in one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceStack")]
struct StackBody {
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
}

impl Body {
    pub(super) fn new(
        query: &BalanceQuery,
        summary: &Summary,
        accounts: &[Account],
        pricing: Pricing<'_>,
    ) -> Result<Self, TooLarge> {
        let Summary { total, fiat, crypto, stacks, unpriced, receipts } = summary;
        let in_target = |amount| Number::of(query.target, amount);
        let unpriced = unpriced
            .iter()
            .map(|(asset, sum)| UnpricedBody { currency: asset.code(), balance: Number::of(*asset, *sum) });
        Ok(Self {
            total_balance: in_target(*total),
            currency: query.target.code(),
            fiat_balance: in_target(*fiat),
            crypto_balance: in_target(*crypto),
            complete: query.is_partial.then_some(summary.unpriced.is_empty()),
            unpriced: unpriced.collect(),
            stacks: query.has_stacks.then(|| stacks.iter().map(|stack| stack_body(stack, pricing)).collect()),
            details: if query.has_details { Some(details(accounts, pricing)?) } else { None },
            rates: query.has_details.then(|| receipts.iter().map(RateReceipt::new).collect()),
        })
    }
}

fn stack_body(stack: &Stack, pricing: Pricing<'_>) -> StackBody {
    let Stack { asset, accounts, balance, balance_in_base } = *stack;
    StackBody {
        currency: asset.code(),
        is_crypto: asset.is_crypto(),
        accounts,
        balance: Number::of(asset, balance),
        balance_in_base: balance_in_base.map(|amount| Number::of(pricing.target, amount)),
    }
}

fn details(accounts: &[Account], pricing: Pricing<'_>) -> Result<Details, TooLarge> {
    let (crypto, fiat): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| account.asset.is_crypto());
    let rows = |accounts: Vec<&Account>| {
        let rows = accounts
            .into_iter()
            .map(|account| account_body(account, pricing))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((!rows.is_empty()).then_some(rows))
    };
    Ok(Details { fiat_accounts: rows(fiat)?, crypto_assets: rows(crypto)? })
}

fn account_body(account: &Account, pricing: Pricing<'_>) -> Result<AccountBody, TooLarge> {
    let Account { id, customer_id, asset, state, labels, .. } = account;
    let AccountState { balance, available: _, active, status } = state;
    let label = |label| labels.get(label).map(str::to_owned);
    let in_base = pricing.convert(*asset, balance.wide())?;
    Ok(AccountBody {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        currency: asset.code(),
        balance: Number::of(*asset, *balance),
        balance_in_base: in_base.map(|amount| Number::of(pricing.target, amount)),
        is_crypto: asset.is_crypto(),
        active: *active,
        status: status.name(),
        main_wallet_address: label(Label::Address),
        main_wallet_address_tag: labels
            .get(Label::Address)
            .map(|_| label(Label::AddressTag).unwrap_or_default()),
        iban: label(Label::Iban),
    })
}
