//! The balance's history on the wire. Numbers are exact literals.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::query::HistoryQuery;
use crate::balance::body::{StackBody, stack_bodies};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use shared::domain::{Gap, Interval, Summary, Timestamp};
use shared::http::{GapsBody, Number, schema};

/// The balance of customers over time; its numbers are exact decimals.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceHistory")]
pub(crate) struct HistoryBody {
    /// The currency everything was converted into.
    currency: &'static str,
    /// How long the intervals are.
    #[schemars(schema_with = "intervals")]
    interval: &'static str,
    /// The zone whose clocks begin and end the intervals.
    timezone: String,
    /// One at the last millisecond of every interval, and one at `to`; ascending.
    points: Vec<PointBody>,
}

/// The balance at one instant: what `GET /v2/accounts/balance` answers with `as_of`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BalanceHistoryPoint")]
pub(super) struct PointBody {
    /// The instant.
    #[schemars(schema_with = "schema::instant")]
    at: String,
    /// `fiat_balance` plus `crypto_balance`.
    total_balance: Number,
    /// The sum of the fiat stacks.
    fiat_balance: Number,
    /// The sum of the crypto stacks.
    crypto_balance: Number,
    /// How many accounts were counted.
    accounts: usize,
    /// Whether nothing is missing.
    complete: bool,
    /// The gaps in the totals.
    #[serde(flatten)]
    gaps: Option<GapsBody>,
    /// With `stack`: every currency that is held, ordered by its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    stacks: Option<Vec<StackBody>>,
}

impl HistoryBody {
    pub(super) fn new(query: &HistoryQuery, points: Vec<PointBody>) -> Self {
        Self {
            currency: query.target.code(),
            interval: query.interval.name(),
            timezone: query.zone.name().to_owned(),
            points,
        }
    }
}

impl PointBody {
    pub(super) fn new(query: &HistoryQuery, at: Timestamp, summary: &Summary, gaps: &[Gap]) -> Self {
        let form = query.amounts;
        let in_target = |amount| form.of(query.target, amount);
        Self {
            at: at.to_millis_text(),
            total_balance: in_target(summary.total),
            fiat_balance: in_target(summary.fiat),
            crypto_balance: in_target(summary.crypto),
            accounts: summary.accounts(),
            complete: gaps.is_empty(),
            gaps: (!gaps.is_empty()).then(|| GapsBody::new(gaps, form)),
            stacks: query.has_stacks.then(|| stack_bodies(&summary.stacks, query.target, form)),
        }
    }
}

fn intervals(_: &mut SchemaGenerator) -> Schema {
    schema::names(Interval::ALL.map(Interval::name).to_vec())
}
