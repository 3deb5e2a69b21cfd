//! Exact decimals on the wire: JSON numbers whose literal is written as it is, or strings of the same digits.
//! No float is ever made of either.

use super::schema::schema;
use crate::domain::{Amount, Asset};
use crate::query::{Expected, Parameter};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How an answer writes its decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmountForm {
    /// As JSON numbers.
    #[default]
    Number,
    /// As JSON strings, for readers that would make floats of numbers.
    Text,
}

impl AmountForm {
    /// Every form with its name in a query.
    const NAMED: [(&'static str, Self); 2] = [("number", Self::Number), ("string", Self::Text)];

    fn parse(text: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(name, _)| *name == text).map(|(_, form)| form)
    }

    /// An amount with its asset's digits.
    #[must_use]
    pub fn of(self, asset: Asset, amount: Amount) -> Number {
        self.decimal(asset.print(amount))
    }

    /// A decimal's own text.
    #[must_use]
    pub const fn decimal(self, text: String) -> Number {
        Number { text, form: self }
    }

    /// An amount as a vendor writes it: a number where the text is one with digits that fit ours.
    #[must_use]
    pub fn vendors(self, text: &str) -> Number {
        let is_number = Amount::parse(text).is_ok() && serde_json::from_str::<&RawValue>(text).is_ok();
        Number { text: text.to_owned(), form: if is_number { self } else { Self::Text } }
    }
}

/// The parameter that chooses the form.
pub static AMOUNTS: Parameter<AmountForm> = Parameter::new(
    "amounts",
    "how decimals are written: as JSON numbers, or as strings with the same digits; `number` unless given",
    Expected::OneOf(|| AmountForm::NAMED.map(|(name, _)| name).to_vec()),
    |text, _| AmountForm::parse(text),
);

/// A decimal with exactly these digits.
///
/// ```
/// use shared::http::AmountForm;
/// use shared::domain::{Amount, Asset};
/// let amount = Amount::parse("1000.5").unwrap();
/// assert_eq!(serde_json::to_string(&AmountForm::Number.of(Asset::USD, amount))?, "1000.50");
/// assert_eq!(serde_json::to_string(&AmountForm::Text.of(Asset::USD, amount))?, "\"1000.50\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    text: String,
    form: AmountForm,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.form {
            AmountForm::Number => {
                RawValue::from_string(self.text.clone()).map_err(Error::custom)?.serialize(serializer)
            }
            AmountForm::Text => serializer.serialize_str(&self.text),
        }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// A number, or with `amounts=string` its digits as a string.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema([("type", vec!["number", "string"].into()), ("format", "decimal".into())])
    }
}
