//! Exact decimals as JSON numbers: the literal is written as it is, and no float is ever made of it.

use super::schema::schema;
use crate::domain::{Amount, Asset};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON number with exactly these digits.
///
/// ```
/// use shared::http::Number;
/// use shared::domain::{Amount, Asset};
/// let number = Number::of(Asset::USD, Amount::parse("1000.5").unwrap());
/// assert_eq!(serde_json::to_string(&number)?, "1000.50");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// An amount with its asset's digits.
    #[must_use]
    pub fn of(asset: Asset, amount: Amount) -> Self {
        Self(asset.print(amount))
    }

    /// A decimal's own text.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema([("type", "number".into()), ("format", "decimal".into())])
    }
}
