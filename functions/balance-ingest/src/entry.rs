//! An account entry as its source writes it: every field checked by name, its value never repeated in an
//! error.
//!
//! Events, imported files and datasets share this form. It is read field by field rather than by a derived
//! struct, because an error must name the field, and because a label that is given as `null` differs from one
//! that is absent.

use crate::field::{EntryField, FieldGroup, field_names};
use crate::payload::Payload;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shared::domain::moment::MAX_AHEAD;
use shared::domain::{
    AccountId, AccountLabels, AccountScope, AccountState, AccountUpdate, Amount, Catalogue, CustomerId,
    EntryKey, Label, MerchantId, Network, OrganizationId, Status, Timestamp, TooLarge, Version,
};
use std::collections::BTreeMap;
use std::fmt::Display;
use thiserror::Error;

const BALANCE: &str = "balance";
const HISTORY: &str = "history";
const RECORDED_AT: &str = "recorded_at";

/// The fault of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// It has a field that is not known. The name is the sender's word and belongs in no log.
    #[error("{name}: unknown field; known are {known}", known = .known.join(", "))]
    UnknownField {
        /// Its name, such as `colour` or `history[2].colour`.
        name: String,
        /// The fields that can stand there.
        known: Vec<&'static str>,
    },
    /// A value is not what its field holds.
    #[error("{field}: {problem}")]
    Value {
        /// Which field, such as `balance` or `history[2].balance_at`.
        field: String,
        /// The fault of the value, without the value.
        problem: String,
    },
}

impl EntryError {
    fn value(field: &str, problem: impl Display) -> Self {
        Self::Value { field: field.to_owned(), problem: problem.to_string() }
    }

    fn within(self, place: &str) -> Self {
        match self {
            Self::UnknownField { name, known } => {
                Self::UnknownField { name: format!("{place}.{name}"), known }
            }
            Self::Value { field, problem } => Self::Value { field: format!("{place}.{field}"), problem },
        }
    }
}

/// Where an entry comes from, which decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrySource {
    /// An event: one entry.
    Event,
    /// A file of an operator's: it may bring `history`.
    Import,
    /// A dataset: it may also say when entries were recorded, and give instants relative to its start.
    Dataset {
        /// The instant that `now` stands for.
        start: Timestamp,
    },
}

/// One account with its newest entry, and in files and datasets its earlier ones.
#[derive(Debug, Clone)]
pub struct AccountEntry(Map<String, Value>);

impl<'de> Deserialize<'de> for AccountEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Payload(value) = Payload::deserialize(deserializer)?;
        Self::of(value).map_err(serde::de::Error::custom)
    }
}

impl AccountEntry {
    /// The entry in a JSON value, which must be an object.
    pub fn of(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err("expected an object"),
        }
    }

    /// The entries that it brings, in their order: its history, and last itself.
    pub fn updates(
        &self,
        source: EntrySource,
        catalogue: &Catalogue,
    ) -> Result<Vec<AccountUpdate>, EntryError> {
        self.refuse_unknown(source)?;
        let newest = Fields { given: &self.0, source, catalogue }.update()?;
        let mut updates = BTreeMap::from([(newest.entry, newest.clone())]);
        for (index, element) in self.history()?.iter().enumerate() {
            let place = format!("{HISTORY}[{index}]");
            let Some(element) = element.as_object() else {
                return Err(EntryError::value(&place, "expected an object"));
            };
            let update = self.past(element, source, catalogue).map_err(|error| error.within(&place))?;
            if update.entry > newest.entry {
                let problem = "later than the account's own balance_at and version";
                return Err(EntryError::value("balance_at", problem).within(&place));
            }
            let key = update.entry;
            if updates.insert(key, update.clone()).is_some_and(|other| other != update) {
                let problem = "another entry has this balance_at and version too";
                return Err(EntryError::value("balance_at", problem).within(&place));
            }
        }
        Ok(updates.into_values().collect())
    }

    fn refuse_unknown(&self, source: EntrySource) -> Result<(), EntryError> {
        let beyond: &[&'static str] = match source {
            EntrySource::Event => &[],
            EntrySource::Import => &[HISTORY],
            EntrySource::Dataset { .. } => &[HISTORY, RECORDED_AT],
        };
        refuse_others(&self.0, field_names(|_| true), beyond)
    }

    fn history(&self) -> Result<&[Value], EntryError> {
        match self.0.get(HISTORY) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(elements)) => Ok(elements),
            Some(_) => Err(EntryError::value(HISTORY, "expected a list")),
        }
    }

    /// An element of `history`: its own fields, over those of the account. A `null` is no field here, as it
    /// is none of a state anywhere else.
    fn past(
        &self,
        own: &Map<String, Value>,
        source: EntrySource,
        catalogue: &Catalogue,
    ) -> Result<AccountUpdate, EntryError> {
        let beyond: &[&'static str] = match source {
            EntrySource::Event | EntrySource::Import => &[],
            EntrySource::Dataset { .. } => &[RECORDED_AT],
        };
        let is_of_history = |field: &EntryField| matches!(field.group, FieldGroup::Key | FieldGroup::State);
        refuse_others(own, field_names(is_of_history), beyond)?;
        let given = own.iter().filter(|(_, value)| !value.is_null());
        let mut fields = self.0.clone();
        // The instant, the version and the balance are the element's own; the rest of a state is the
        // account's unless given.
        let is_own = |field: &EntryField| field.group == FieldGroup::Key || field.name == BALANCE;
        let own_names = field_names(is_own);
        fields.retain(|name, _| !own_names.contains(&name.as_str()) && name != RECORDED_AT);
        fields.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Fields { given: &fields, source, catalogue }.update()
    }
}

fn refuse_others(
    fields: &Map<String, Value>,
    mut known: Vec<&'static str>,
    beyond: &[&'static str],
) -> Result<(), EntryError> {
    known.extend_from_slice(beyond);
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(EntryError::UnknownField { name: unknown.clone(), known }),
        None => Ok(()),
    }
}

/// The fields of one entry. A reader of each kind of field says what it expected.
struct Fields<'a> {
    given: &'a Map<String, Value>,
    source: EntrySource,
    catalogue: &'a Catalogue,
}

impl Fields<'_> {
    fn update(&self) -> Result<AccountUpdate, EntryError> {
        let balance_at = self.required("balance_at", |text| self.instant(text))?;
        let update = AccountUpdate {
            id: self.required("id", AccountId::parse)?,
            customer_id: self.required("customer_id", CustomerId::parse)?,
            asset: self.required("currency", |code| self.catalogue.asset(code))?,
            entry: EntryKey { balance_at, version: self.version()? },
            state: self.state()?,
            scope: self.scope()?,
            labels: self.labels()?,
            recorded_at: self.recorded_at(balance_at)?,
        };
        Ok(update)
    }

    fn state(&self) -> Result<AccountState, EntryError> {
        let balance = self.required(BALANCE, Amount::parse)?;
        let state = AccountState {
            balance,
            available: self.optional("available", Amount::parse)?.unwrap_or(balance),
            active: self.flag("active")?.unwrap_or(true),
            status: self.optional("status", Status::parse)?.unwrap_or(Status::Active),
        };
        if let Err(TooLarge) = state.locked() {
            let problem = "balance less available has more than 18 digits before the point";
            return Err(EntryError::value("available", problem));
        }
        Ok(state)
    }

    fn scope(&self) -> Result<AccountScope, EntryError> {
        Ok(AccountScope {
            organization_id: self.optional("organization_id", OrganizationId::parse)?,
            merchant_id: self.optional("merchant_id", MerchantId::parse)?,
            network: self.optional("network", Network::parse)?,
        })
    }

    /// The whole group if one of its labels is given, be it as `null` or as an empty text.
    fn labels(&self) -> Result<Option<AccountLabels>, EntryError> {
        let mut labels = AccountLabels::default();
        for label in Label::ALL {
            of_field(label.name(), labels.set(label, self.text(label.name())?.unwrap_or_default()))?;
        }
        let is_given = Label::ALL.iter().any(|label| self.given.contains_key(label.name()));
        Ok(is_given.then_some(labels))
    }

    /// When a dataset's entry was recorded: as if it had come on time, unless the dataset says otherwise.
    fn recorded_at(&self, balance_at: Timestamp) -> Result<Option<Timestamp>, EntryError> {
        if !matches!(self.source, EntrySource::Dataset { .. }) {
            return Ok(None);
        }
        let recorded_at = self.optional(RECORDED_AT, |text| self.instant(text))?.unwrap_or(balance_at);
        if balance_at > recorded_at.plus(MAX_AHEAD) {
            return Err(EntryError::value(RECORDED_AT, "more than 5 minutes before balance_at"));
        }
        Ok(Some(recorded_at))
    }

    fn instant(&self, text: &str) -> Result<Timestamp, String> {
        match self.source {
            EntrySource::Dataset { start } => Timestamp::parse_relative(text, start),
            EntrySource::Event | EntrySource::Import => Timestamp::parse(text),
        }
        .map_err(|error| error.to_string())
    }

    fn version(&self) -> Result<Version, EntryError> {
        let version = match self.given.get("version") {
            None | Some(Value::Null) => Ok(Version::default()),
            Some(Value::Number(number)) => Version::parse(&number.to_string()),
            Some(Value::String(digits)) => Version::parse(digits),
            Some(_) => return Err(EntryError::value("version", "expected a whole number or its digits")),
        };
        of_field("version", version)
    }

    fn required<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, EntryError> {
        self.optional(name, parse)?.ok_or_else(|| EntryError::value(name, "missing"))
    }

    fn optional<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, EntryError> {
        self.text(name)?.map(|text| of_field(name, parse(text))).transpose()
    }

    fn text(&self, name: &str) -> Result<Option<&str>, EntryError> {
        match self.given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(EntryError::value(name, "expected a string")),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, EntryError> {
        match self.given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(EntryError::value(name, "expected true or false")),
        }
    }
}

fn of_field<T, E: Display>(name: &str, parsed: Result<T, E>) -> Result<T, EntryError> {
    parsed.map_err(|error| EntryError::value(name, error))
}
