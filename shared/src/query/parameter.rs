//! Strict parameters: unknown, repeated, empty and malformed ones are refused by name, never ignored.
//!
//! A mistyped filter that is ignored makes a confident wrong total, so there is no lenient mode.

use crate::domain::{Asset, CustomerId, Status, Timestamp};
use std::collections::BTreeMap;
use thiserror::Error;

/// A refused parameter: its name as the caller wrote it, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvalidParameter {
    /// The name, for `details.parameter`.
    pub parameter: String,
    /// A sentence for the caller; it never repeats the value.
    pub message: String,
}

impl InvalidParameter {
    /// A refusal of `parameter` with a sentence.
    pub fn new(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), message: message.into() }
    }
}

/// One declared parameter: its name, what it expects in words, and its parser.
#[derive(Debug)]
pub struct Parameter<T> {
    /// The name in the query.
    pub name: &'static str,
    /// What a value must be, to complete "must be …".
    pub expects: &'static str,
    parse: fn(&str) -> Option<T>,
}

/// A parameter without its type, for lists of what a route knows.
pub trait Declared: Sync {
    /// The name in the query.
    fn name(&self) -> &'static str;
    /// What a value must be, to complete "must be …".
    fn expects(&self) -> &'static str;
}

impl<T> Declared for Parameter<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn expects(&self) -> &'static str {
        self.expects
    }
}

impl<T> Parameter<T> {
    /// Declares a parameter.
    pub const fn new(name: &'static str, expects: &'static str, parse: fn(&str) -> Option<T>) -> Self {
        Self { name, expects, parse }
    }

    /// A refusal of this parameter because of what it expects.
    #[must_use]
    pub fn malformed(&self) -> InvalidParameter {
        InvalidParameter::new(self.name, format!("`{}` must be {}.", self.name, self.expects))
    }
}

impl Parameter<bool> {
    /// A flag.
    #[must_use]
    pub const fn boolean(name: &'static str) -> Self {
        Self::new(name, BOOLEAN, parse_boolean)
    }
}

impl Parameter<Asset> {
    /// An asset's code.
    #[must_use]
    pub const fn asset(name: &'static str) -> Self {
        Self::new(name, ASSET, |text| Asset::parse(text).ok())
    }
}

impl Parameter<CustomerId> {
    /// A customer's id.
    #[must_use]
    pub const fn customer_id(name: &'static str) -> Self {
        Self::new(name, "a UUID", |text| CustomerId::parse(text).ok())
    }
}

impl Parameter<Timestamp> {
    /// A past instant.
    #[must_use]
    pub const fn instant(name: &'static str) -> Self {
        Self::new(name, INSTANT, |text| Timestamp::parse(text).ok())
    }
}

/// What a boolean is, in words.
pub const BOOLEAN: &str = "`true` or `false`";
/// What an asset is, in words.
pub const ASSET: &str = "the code of a known asset, such as EUR, USDC or BTC";
/// What a decimal is, in words.
pub const DECIMAL: &str = "a decimal of at most 18 digits before and 18 after the point, without exponent";
/// What an instant is, in words.
pub const INSTANT: &str = "an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z (a + is written %2B)";

/// Parses `true` or `false`.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Parses one of the four statuses.
#[must_use]
pub fn parse_status(text: &str) -> Option<Status> {
    Status::parse(text).ok()
}

/// The parameters a request carries, all of them declared, none twice, none empty.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<&'static str, String>,
}

impl Parameters {
    /// Checks decoded name–value pairs against what the route declares.
    pub fn read(pairs: Vec<(String, String)>, declared: &[&dyn Declared]) -> Result<Self, InvalidParameter> {
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let Some(known) = declared.iter().find(|known| known.name() == name) else {
                return Err(unknown(&name, declared));
            };
            if value.is_empty() {
                return Err(InvalidParameter::new(name, format!("`{}` is empty; it must be {}.", known.name(), known.expects())));
            }
            if values.insert(known.name(), value).is_some() {
                return Err(InvalidParameter::new(name, format!("`{}` is given more than once.", known.name())));
            }
        }
        Ok(Self { values })
    }

    /// The parameter's value, if it was given.
    pub fn optional<T>(&self, parameter: &Parameter<T>) -> Result<Option<T>, InvalidParameter> {
        let parse = |text: &String| (parameter.parse)(text).ok_or_else(|| parameter.malformed());
        self.values.get(parameter.name).map(parse).transpose()
    }

    /// The parameter's value.
    pub fn required<T>(&self, parameter: &Parameter<T>) -> Result<T, InvalidParameter> {
        let missing =
            || InvalidParameter::new(parameter.name, format!("`{}` is required: {}.", parameter.name, parameter.expects));
        self.optional(parameter)?.ok_or_else(missing)
    }
}

fn unknown(name: &str, declared: &[&dyn Declared]) -> InvalidParameter {
    let known = declared.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
    InvalidParameter::new(name, format!("This is not a parameter of this route; it knows {known}."))
}
