//! Attribute values by hand: a number never passes through a float, and a missing or mistyped attribute says
//! its name.

use super::StoreError;
use crate::config::Table;
use crate::domain::{Amount, Timestamp};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn instant(at: Timestamp) -> AttributeValue {
    text(at.to_stored_text())
}

/// The attributes of an item, whichever parser has made it.
pub(super) trait Attributes {
    /// A text; an error if the attribute is of another kind.
    fn text(&self, name: &str) -> Option<Result<&str, ()>>;
    /// The digits of a number.
    fn number(&self, name: &str) -> Option<&str>;
    /// A flag.
    fn flag(&self, name: &str) -> Option<bool>;
}

impl Attributes for Item {
    fn text(&self, name: &str) -> Option<Result<&str, ()>> {
        self.get(name).map(|value| value.as_s().map(String::as_str).map_err(|_| ()))
    }

    fn number(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| value.as_n().ok()).map(String::as_str)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(|value| value.as_bool().ok()).copied()
    }
}

/// An item being read, with its table for errors.
pub(super) struct Row<'a, A = Item> {
    pub(super) table: Table,
    pub(super) item: &'a A,
}

impl<A> Clone for Row<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Row<'_, A> {}

impl<'a, A: Attributes> Row<'a, A> {
    pub(super) fn corrupt(&self, attribute: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, attribute }
    }

    /// A required string, parsed.
    pub(super) fn parsed<T, E>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        self.optional(attribute, parse)?.ok_or_else(|| self.corrupt(attribute))
    }

    /// A string that may be absent, parsed.
    pub(super) fn optional<T, E>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.item.text(attribute) else { return Ok(None) };
        let text = text.map_err(|()| self.corrupt(attribute))?;
        parse(text).map(Some).map_err(|_| self.corrupt(attribute))
    }

    pub(super) fn text(&self, attribute: &'static str) -> Result<Option<String>, StoreError> {
        self.optional(attribute, |text| Ok::<_, StoreError>(text.to_owned()))
    }

    pub(super) fn instant(&self, attribute: &'static str) -> Result<Timestamp, StoreError> {
        self.parsed(attribute, Timestamp::parse)
    }

    pub(super) fn amount(&self, attribute: &'static str) -> Result<Amount, StoreError> {
        self.number(attribute, Amount::parse)
    }

    pub(super) fn number<T, E>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let digits = self.item.number(attribute);
        digits.and_then(|digits| parse(digits).ok()).ok_or_else(|| self.corrupt(attribute))
    }

    pub(super) fn flag(&self, attribute: &'static str) -> Result<bool, StoreError> {
        self.item.flag(attribute).ok_or_else(|| self.corrupt(attribute))
    }
}

impl<'a> Row<'a> {
    /// A whole number; an absent one is 0.
    pub(super) fn number_or_zero(&self, attribute: &'static str) -> Result<u64, StoreError> {
        if self.item.contains_key(attribute) { self.number(attribute, str::parse) } else { Ok(0) }
    }

    /// A list of strings, each parsed; an absent list is empty.
    pub(super) fn list<T, C: FromIterator<T>>(
        &self,
        attribute: &'static str,
        parse: impl Fn(&'a str) -> Option<T>,
    ) -> Result<C, StoreError> {
        let Some(value) = self.item.get(attribute) else { return Ok(C::from_iter([])) };
        let elements = value.as_l().map_err(|_| self.corrupt(attribute))?;
        let parsed = elements.iter().map(|element| element.as_s().ok().and_then(|text| parse(text)));
        parsed.collect::<Option<C>>().ok_or_else(|| self.corrupt(attribute))
    }
}
