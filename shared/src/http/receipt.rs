//! The rates behind a converted total, as every view writes them.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::{AmountForm, Number, schema};
use crate::domain::Method;
use crate::domain::total::Receipt;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// A rate that was used, with its source and time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RateReceipt {
    currency: &'static str,
    /// Dollars per unit, exactly as in the rate sheet.
    usd: Number,
    /// `usd` divided by the target's, to 28 significant digits.
    rate: Number,
    /// The source of the rate.
    source: String,
    /// Whether it is a market's price, a reference rate, or taken at par with its peg.
    #[schemars(schema_with = "methods")]
    method: &'static str,
    #[schemars(schema_with = "schema::instant")]
    observed_at: String,
    /// Only of a pegged token: how far it is from its peg, `-0.2` being a fifth below.
    #[serde(skip_serializing_if = "Option::is_none")]
    peg_deviation: Option<Number>,
}

fn methods(_: &mut SchemaGenerator) -> Schema {
    schema::names(Method::ALL.map(Method::name).to_vec())
}

impl RateReceipt {
    /// The receipt on the wire.
    #[must_use]
    pub fn new(receipt: &Receipt, form: AmountForm) -> Self {
        let Receipt { asset, rate, in_target, peg_deviation } = receipt;
        Self {
            currency: asset.code(),
            usd: form.decimal(rate.usd.to_string()),
            rate: form.decimal(in_target.clone()),
            source: rate.source.clone(),
            method: rate.method.name(),
            observed_at: rate.observed_at.to_millis_text(),
            peg_deviation: peg_deviation.clone().map(|deviation| form.decimal(deviation)),
        }
    }
}
