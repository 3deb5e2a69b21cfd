//! The JSON of a row of the asset catalogue: in the built-in file `assets.json`, which the build script
//! reads, and in a deployment's own rows, in imports and datasets.
//!
//! The build script includes this file, so it uses nothing of the crate. What a row may say is checked by
//! [`Catalogue`](crate::domain::Catalogue).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRowJson {
    /// The canonical spelling of its code.
    pub code: String,
    /// Another spelling that is understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Its English name.
    pub name: String,
    /// Its issuer, if one company issues it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Digits after the point of its smallest unit, on the chain where they are most.
    pub decimals: u32,
    /// The fiat money of which it promises to be worth one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peg: Option<String>,
    /// Whether it may be priced at its peg.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub par: bool,
    /// How old its quotes may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_hours: Option<u32>,
    /// Its id at each source of prices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, String>,
    /// Whether an exchange's price of it counts before an index's: it is traded everywhere under one ticker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exchange_first: bool,
    /// For each custody provider its ids, each with the chain and, after `/`, the digits of a base unit
    /// there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custody: BTreeMap<String, BTreeMap<String, String>>,
}

impl AssetRowJson {
    /// The chain and the digits in the value of a provider's id, such as `BSC/18`; `None` if the digits are
    /// none.
    #[must_use]
    pub fn chain_and_digits<'a>(&self, value: &'a str) -> Option<(&'a str, u32)> {
        match value.split_once('/') {
            None => Some((value, self.decimals)),
            Some((chain, digits)) => Some((chain, digits.parse().ok()?)),
        }
    }
}
