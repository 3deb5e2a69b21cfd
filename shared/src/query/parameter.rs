//! Strict parameters: unknown, repeated, empty and malformed ones are refused by name, never ignored.
//!
//! A mistyped filter that is ignored makes a confident wrong total, so there is no lenient mode.

use super::expected::Expected;
use crate::domain::{Asset, Catalogue, CustomerId, Timestamp};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
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

/// One declared parameter, of a query or a path: its name, what it means and expects, and its parser.
#[derive(Debug)]
pub struct Parameter<T> {
    /// The name in the query or the path.
    pub name: &'static str,
    /// Its meaning, for the reference.
    pub about: &'static str,
    /// The form of a value.
    pub expects: Expected,
    is_required: bool,
    is_filled_in: bool,
    parse: fn(&str, &Catalogue) -> Option<T>,
}

/// A parameter without its type, for lists of what a route knows.
pub trait Declared: Sync {
    /// The name in the query or the path.
    fn name(&self) -> &'static str;
    /// Its meaning, for the reference.
    fn about(&self) -> &'static str;
    /// The form of a value.
    fn expects(&self) -> Expected;
    /// Whether a query must have it; a path always has its own.
    fn is_required(&self) -> bool;
    /// Whether the form of the reference page is filled in with an example of it.
    fn is_filled_in(&self) -> bool;
}

impl<T> Declared for Parameter<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn expects(&self) -> Expected {
        self.expects
    }

    fn is_required(&self) -> bool {
        self.is_required
    }

    fn is_filled_in(&self) -> bool {
        self.is_filled_in
    }
}

impl<T> Parameter<T> {
    /// Declares a parameter.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        expects: Expected,
        parse: fn(&str, &Catalogue) -> Option<T>,
    ) -> Self {
        Self { name, about, expects, is_required: false, is_filled_in: false, parse }
    }

    /// The same parameter, which a query must have: it is read with [`Parameters::required`].
    #[must_use]
    pub const fn required(self) -> Self {
        Self { is_required: true, is_filled_in: true, ..self }
    }

    /// The same parameter, which or another a query must have: it is the one that the reference page shows.
    #[must_use]
    pub const fn filled_in(self) -> Self {
        Self { is_filled_in: true, ..self }
    }

    /// A value of it; `catalogue` knows the codes of assets.
    pub fn value(&self, text: &str, catalogue: &Catalogue) -> Result<T, InvalidParameter> {
        (self.parse)(text, catalogue).ok_or_else(|| self.malformed())
    }

    /// A value of a parameter that names no asset, such as a path's id.
    pub fn parse(&self, text: &str) -> Result<T, InvalidParameter> {
        self.value(text, &Catalogue::default())
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
    pub const fn boolean(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Expected::Boolean, |text, _| parse_boolean(text))
    }
}

impl Parameter<Asset> {
    /// An asset's code.
    #[must_use]
    pub const fn asset(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Expected::Asset, |text, catalogue| catalogue.asset(text).ok())
    }
}

impl Parameter<CustomerId> {
    /// A customer's id.
    #[must_use]
    pub const fn customer_id(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Expected::Id(CustomerId::PREFIX), |text, _| CustomerId::parse(text).ok())
    }
}

impl Parameter<Timestamp> {
    /// A past instant.
    #[must_use]
    pub const fn instant(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Expected::PastInstant, |text, _| Timestamp::parse(text).ok())
    }
}

/// Parses `true` or `false`.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Parses a whole number of digits only: the integer parsers would also take a sign.
#[must_use]
pub fn parse_whole_number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Parses values separated by commas, none of them empty.
#[must_use]
pub fn parse_list<T: Ord, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<BTreeSet<T>> {
    text.split(',').map(|element| parse(element).ok()).collect()
}

/// The parameters a request carries, all of them declared, none empty, and none twice but lists, whose values
/// are joined.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<&'static str, String>,
    catalogue: Catalogue,
}

impl Parameters {
    /// Checks decoded name–value pairs against what the route declares; `catalogue` knows the codes of
    /// assets.
    pub fn read(
        pairs: Vec<(String, String)>,
        declared: &[&dyn Declared],
        catalogue: &Catalogue,
    ) -> Result<Self, InvalidParameter> {
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let Some(known) = declared.iter().find(|known| known.name() == name) else {
                return Err(unknown(&name, declared));
            };
            if value.is_empty() {
                return Err(InvalidParameter::new(
                    name,
                    format!("`{}` is empty; it must be {}.", known.name(), known.expects()),
                ));
            }
            match values.entry(known.name()) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                // Most generated clients repeat a list's parameter for each of its elements.
                Entry::Occupied(mut entry) if known.expects().is_list() => {
                    let joined = format!("{},{value}", entry.get());
                    entry.insert(joined);
                }
                Entry::Occupied(_) => {
                    let message = format!("`{}` is given more than once.", known.name());
                    return Err(InvalidParameter::new(name, message));
                }
            }
        }
        Ok(Self { values, catalogue: catalogue.clone() })
    }

    /// The given values by name.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The parameter's value, if it was given.
    pub fn optional<T>(&self, parameter: &Parameter<T>) -> Result<Option<T>, InvalidParameter> {
        self.values.get(parameter.name).map(|text| parameter.value(text, &self.catalogue)).transpose()
    }

    /// The instant, if it was given, cut to whole milliseconds; it must not lie after `now`.
    pub fn optional_past(
        &self,
        parameter: &Parameter<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, InvalidParameter> {
        match self.optional(parameter)?.map(Timestamp::cut_to_millis) {
            Some(at) if at > now => Err(parameter.malformed()),
            at => Ok(at),
        }
    }

    /// The parameter's value.
    pub fn required<T>(&self, parameter: &Parameter<T>) -> Result<T, InvalidParameter> {
        let missing = || {
            InvalidParameter::new(
                parameter.name,
                format!("`{}` is required: {}.", parameter.name, parameter.expects),
            )
        };
        self.optional(parameter)?.ok_or_else(missing)
    }
}

fn unknown(name: &str, declared: &[&dyn Declared]) -> InvalidParameter {
    if declared.is_empty() {
        return InvalidParameter::new(name, "This route has no parameters.");
    }
    let known = declared.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
    InvalidParameter::new(name, format!("This is not a parameter of this route; it knows {known}."))
}
