//! Positions on the wire. Numbers are exact literals, and may have more than 18 digits before the point.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::Answered;
use super::query::{Asked, BOOK_INTERVALS};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use shared::domain::book_totals::{BookGroup, BookStack};
use shared::domain::{BookDimension, BookTotals, Interval, Timestamp};
use shared::http::{GapsBody, Number, RateReceipt, schema};

/// A position: all accounts together as of an instant, known at an instant.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Position")]
pub(crate) struct PositionBody {
    /// As of when.
    #[schemars(schema_with = "schema::instant")]
    position_at: String,
    /// Known at when.
    #[schemars(schema_with = "schema::instant")]
    known_at: String,
    /// The currency everything was converted into.
    currency: &'static str,
    #[serde(flatten)]
    totals: TotalsBody,
    /// The receipt, every rate that was used.
    rates: Vec<RateReceipt>,
}

/// The closes of the book as a series.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PositionHistory")]
pub(crate) struct PositionHistoryBody {
    /// The currency everything was converted into.
    currency: &'static str,
    /// How long the intervals are.
    #[schemars(schema_with = "intervals")]
    interval: &'static str,
    /// The newest close of each interval, ascending.
    points: Vec<PointBody>,
}

/// One close.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PositionHistoryPoint")]
pub(super) struct PointBody {
    /// As of when.
    #[schemars(schema_with = "schema::instant")]
    at: String,
    /// Known at when.
    #[schemars(schema_with = "schema::instant")]
    known_at: String,
    #[serde(flatten)]
    totals: TotalsBody,
}

/// The part that a position and a point of a series share.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PositionTotals")]
struct TotalsBody {
    /// How many accounts were counted.
    accounts: u64,
    /// `fiat_balance` plus `crypto_balance`.
    total_balance: Number,
    /// The sum of the fiat stacks.
    fiat_balance: Number,
    /// The sum of the crypto stacks.
    crypto_balance: Number,
    /// The sum of the negative balances; negative or 0.
    overdrawn: Number,
    /// Whether nothing is missing.
    complete: bool,
    /// The gaps in the totals.
    #[serde(flatten)]
    gaps: Option<GapsBody>,
    /// With every `stack` but `currency`: `total_balance` minus the sum of the groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<Number>,
    /// With `stack`: the groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    stacks: Option<PositionStacks>,
}

/// The groups, ordered by their values; a group without a value comes last.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum PositionStacks {
    /// By currency.
    Currencies(Vec<PositionStackBody>),
    /// By anything else.
    Groups(Vec<PositionGroupBody>),
}

/// The accounts of one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PositionStack")]
struct PositionStackBody {
    currency: &'static str,
    is_crypto: bool,
    /// How many accounts.
    accounts: u64,
    /// The exact sum, in this currency.
    balance: Number,
    /// The sum, converted once and rounded half-even; null without a usable rate.
    balance_in_base: Option<Number>,
    /// The sum of the negative balances, in this currency; left out within a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdrawn: Option<Number>,
}

/// One group of accounts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PositionGroup")]
struct PositionGroupBody {
    /// Under the name of what the accounts are grouped by; null for accounts that have none.
    #[serde(flatten)]
    value: PositionGroupValue,
    /// How many accounts.
    accounts: u64,
    /// The sum of the stacks that have a rate.
    balance_in_base: Number,
    /// Every currency of the group, ordered by its code.
    stacks: Vec<PositionStackBody>,
}

/// The value that a group's accounts share, under the name of the dimension.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PositionGroupValue {
    /// The issuer of the currency.
    Issuer(Option<String>),
    /// The money that the currency is pegged to.
    Peg(Option<String>),
    /// The blockchain.
    Network(Option<String>),
    /// The custody provider.
    Provider(Option<String>),
    /// The status.
    Status(Option<String>),
    /// Whether they are the firm's own.
    House(bool),
}

impl PositionGroupValue {
    /// `None` for the currency, by which no groups are made.
    fn new(dimension: BookDimension, value: Option<String>) -> Option<Self> {
        Some(match dimension {
            BookDimension::Currency => return None,
            BookDimension::Issuer => Self::Issuer(value),
            BookDimension::Peg => Self::Peg(value),
            BookDimension::Network => Self::Network(value),
            BookDimension::Provider => Self::Provider(value),
            BookDimension::Status => Self::Status(value),
            BookDimension::House => Self::House(value.as_deref() == Some("true")),
        })
    }
}

impl PositionBody {
    pub(super) fn new(asked: &Asked, answered: Answered) -> Self {
        let rates =
            answered.totals.receipts.iter().map(|receipt| RateReceipt::new(receipt, asked.amounts)).collect();
        Self {
            position_at: answered.key.position_at.to_millis_text(),
            known_at: answered.key.known_at.to_millis_text(),
            currency: asked.target.code(),
            totals: TotalsBody::new(asked, answered),
            rates,
        }
    }
}

impl PositionHistoryBody {
    pub(super) fn new(asked: &Asked, interval: Interval, points: Vec<Answered>) -> Self {
        let point = |answered: Answered| PointBody {
            at: answered.key.position_at.to_millis_text(),
            known_at: Timestamp::to_millis_text(answered.key.known_at),
            totals: TotalsBody::new(asked, answered),
        };
        Self {
            currency: asked.target.code(),
            interval: interval.name(),
            points: points.into_iter().map(point).collect(),
        }
    }
}

impl TotalsBody {
    fn new(asked: &Asked, answered: Answered) -> Self {
        let Answered { key: _, totals, gaps } = answered;
        let BookTotals { accounts, total, fiat, crypto, overdrawn, stacks, groups, rounding, .. } = totals;
        let in_target = |amount| asked.amounts.decimal(asked.target.print_wide(amount));
        let stack_body = |stack: &BookStack, has_overdrawn: bool| {
            let own = |amount| asked.amounts.decimal(stack.asset.print_wide(amount));
            PositionStackBody {
                currency: stack.asset.code(),
                is_crypto: stack.asset.is_crypto(),
                accounts: stack.accounts,
                balance: own(stack.balance),
                balance_in_base: stack.in_base.map(in_target),
                overdrawn: has_overdrawn.then(|| own(stack.overdrawn)),
            }
        };
        let group_body = |dimension, group: BookGroup| {
            let BookGroup { value, accounts, in_base, stacks } = group;
            Some(PositionGroupBody {
                value: PositionGroupValue::new(dimension, value)?,
                accounts,
                balance_in_base: in_target(in_base),
                stacks: stacks.iter().map(|stack| stack_body(stack, false)).collect(),
            })
        };
        let is_grouped = asked.stack.is_some_and(|dimension| dimension != BookDimension::Currency);
        Self {
            accounts,
            total_balance: in_target(total),
            fiat_balance: in_target(fiat),
            crypto_balance: in_target(crypto),
            overdrawn: in_target(overdrawn),
            complete: gaps.is_none(),
            gaps,
            rounding: is_grouped.then(|| in_target(rounding)),
            stacks: asked.stack.map(|dimension| match dimension {
                BookDimension::Currency => {
                    PositionStacks::Currencies(stacks.iter().map(|stack| stack_body(stack, true)).collect())
                }
                _ => PositionStacks::Groups(
                    groups.into_iter().filter_map(|group| group_body(dimension, group)).collect(),
                ),
            }),
        }
    }
}

fn intervals(_: &mut SchemaGenerator) -> Schema {
    schema::names(BOOK_INTERVALS.map(Interval::name).to_vec())
}
