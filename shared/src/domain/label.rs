//! The labels of an account: texts that describe it and decide nothing.
//!
//! A label is one variant and one row here. Events, imports, items, the free-text search, the account list
//! and the command line go through [`Label::ALL`], so a new label needs no word in any of them. Rejected: a
//! struct of named fields, which each of them spelt out again.

use super::ContactId;
use std::collections::BTreeMap;
use thiserror::Error;

/// Longest label: a batch of accounts must fit a transaction of 4 MB.
pub const MAX_LABEL_CHARACTERS: usize = 1_024;

/// A text that cannot be a label.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// It is longer than [`MAX_LABEL_CHARACTERS`].
    #[error("longer than {MAX_LABEL_CHARACTERS} characters")]
    TooLong,
    /// It is not of the label's form.
    #[error("{0}")]
    Malformed(String),
}

/// One label of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The IBAN of a bank account.
    Iban,
    /// The number of a bank account without an IBAN.
    AccountNumber,
    /// The main wallet's address.
    Address,
    /// The memo or destination tag of that address.
    AddressTag,
    /// Free text.
    Description,
    /// The contact behind the account.
    ContactId,
    /// The account's id in the system that it comes from.
    ExternalId,
}

/// The facts about a label.
struct LabelRow {
    name: &'static str,
    about: &'static str,
    /// Whether the account list's free-text search looks into it.
    is_searched: bool,
    /// Whether the account list shows it under its own name.
    is_listed: bool,
}

impl Label {
    /// Every label, in the order documents list them.
    pub const ALL: [Self; 7] = [
        Self::Iban,
        Self::AccountNumber,
        Self::Address,
        Self::AddressTag,
        Self::Description,
        Self::ContactId,
        Self::ExternalId,
    ];

    const fn row(self) -> LabelRow {
        match self {
            Self::Iban => LabelRow {
                name: "iban",
                about: "The IBAN of a bank account.",
                is_searched: true,
                is_listed: true,
            },
            Self::AccountNumber => LabelRow {
                name: "account_number",
                about: "The number of a bank account without an IBAN.",
                is_searched: true,
                is_listed: true,
            },
            // The account list shows an address and its tag together, under names of its own.
            Self::Address => LabelRow {
                name: "address",
                about: "The main wallet's address.",
                is_searched: true,
                is_listed: false,
            },
            Self::AddressTag => LabelRow {
                name: "address_tag",
                about: "The memo or destination tag of that address.",
                is_searched: false,
                is_listed: false,
            },
            Self::Description => {
                LabelRow { name: "description", about: "Free text.", is_searched: true, is_listed: true }
            }
            Self::ContactId => LabelRow {
                name: "contact_id",
                about: "The contact behind the account.",
                is_searched: false,
                is_listed: false,
            },
            Self::ExternalId => LabelRow {
                name: "external_id",
                about: "The account's id in the system that it comes from.",
                is_searched: true,
                is_listed: true,
            },
        }
    }

    /// The name in events, files, items and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// A sentence for documents.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().about
    }

    /// Whether the account list shows it under its own name.
    #[must_use]
    pub const fn is_listed(self) -> bool {
        self.row().is_listed
    }
}

/// The labels that an account has: one group, which an entry gives whole or leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountLabels(BTreeMap<Label, String>);

impl AccountLabels {
    /// The labels of an account that is described and nothing else.
    #[must_use]
    pub fn described(description: String) -> Self {
        Self(BTreeMap::from([(Label::Description, description)]))
    }

    /// Sets a label; an empty text clears it.
    ///
    /// ```
    /// use shared::domain::{AccountLabels, Label};
    /// let mut labels = AccountLabels::default();
    /// labels.set(Label::Iban, "DE89370400440532013000")?;
    /// assert_eq!(labels.get(Label::Iban), Some("DE89370400440532013000"));
    /// assert!(labels.set(Label::ContactId, "nobody").is_err());
    /// # Ok::<(), shared::domain::label::LabelError>(())
    /// ```
    pub fn set(&mut self, label: Label, text: &str) -> Result<(), LabelError> {
        if text.is_empty() {
            self.0.remove(&label);
            return Ok(());
        }
        if text.chars().count() > MAX_LABEL_CHARACTERS {
            return Err(LabelError::TooLong);
        }
        let text = match label {
            Label::ContactId => {
                ContactId::parse(text).map_err(|error| LabelError::Malformed(error.to_string()))?.to_string()
            }
            _ => text.to_owned(),
        };
        self.0.insert(label, text);
        Ok(())
    }

    /// A label's text.
    #[must_use]
    pub fn get(&self, label: Label) -> Option<&str> {
        self.0.get(&label).map(String::as_str)
    }

    /// The labels that there are, in the order of [`Label::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Label, &str)> {
        self.0.iter().map(|(label, text)| (*label, text.as_str()))
    }

    /// The texts that a free-text search looks into.
    pub fn searched(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|(label, _)| label.row().is_searched).map(|(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_place_and_a_name_of_its_own() {
        assert!(Label::ALL.is_sorted_by(|left, right| left < right));
        let names: std::collections::BTreeSet<_> = Label::ALL.iter().map(|label| label.name()).collect();
        assert_eq!(names.len(), Label::ALL.len());
    }

    #[test]
    fn a_label_is_short_and_an_empty_one_is_none() {
        let mut labels = AccountLabels::default();
        assert_eq!(labels.set(Label::Description, &"é".repeat(MAX_LABEL_CHARACTERS)), Ok(()));
        let too_long = "é".repeat(MAX_LABEL_CHARACTERS + 1);
        assert_eq!(labels.set(Label::Description, &too_long), Err(LabelError::TooLong));
        assert!(labels.get(Label::Description).is_some());
        assert_eq!(labels.set(Label::Description, ""), Ok(()));
        assert_eq!(labels, AccountLabels::default());
    }
}
