//! The fields of an account's entry: one row each, from which events, imported files, the event's schema and
//! the command line know them.
//!
//! The labels among them are [`Label`]'s. How the other fields make up an account is the business of
//! [`entry`](crate::entry).

use serde_json::Value;
use shared::domain::{Account, ContactId, Label, MerchantId, Network, OrganizationId};

/// The kind of value that a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValue {
    /// A UUID.
    Uuid,
    /// The code of an asset.
    Currency,
    /// A decimal.
    Amount,
    /// `true` or `false`.
    Flag,
    /// A status's name.
    Status,
    /// A date-time.
    Instant,
    /// A whole number, or its digits.
    Version,
    /// A vendor's id that begins so, and `_`.
    VendorId(&'static str),
    /// A blockchain's name.
    Network,
    /// A text.
    Label,
}

/// The part of an account that a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldGroup {
    /// Which account it is, for ever.
    Identity,
    /// Which entry.
    Key,
    /// The account's state.
    State,
    /// The parties that see the account beside its customer: each part is named once.
    Scope,
    /// A description: the labels are given together or not at all.
    Label,
}

/// One field of an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryField {
    /// The name in events, files and commands.
    pub name: &'static str,
    /// A sentence for documents.
    pub about: &'static str,
    /// The kind of value that it holds.
    pub value: FieldValue,
    /// The part of an account that it belongs to.
    pub group: FieldGroup,
    /// Whether every entry has it.
    pub is_required: bool,
    place: FieldPlace,
}

/// Where an account has the field.
#[derive(Debug, Clone, Copy)]
enum FieldPlace {
    Account(fn(&Account) -> Value),
    Label(Label),
}

impl EntryField {
    /// A field before the labels; `show` takes it from an account.
    const fn new(
        name: &'static str,
        value: FieldValue,
        group: FieldGroup,
        show: fn(&Account) -> Value,
    ) -> Self {
        Self { name, about: "", value, group, is_required: false, place: FieldPlace::Account(show) }
    }

    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    const fn of_label(label: Label) -> Self {
        let value = match label {
            Label::ContactId => FieldValue::VendorId(ContactId::PREFIX),
            _ => FieldValue::Label,
        };
        Self {
            name: label.name(),
            about: label.about(),
            value,
            group: FieldGroup::Label,
            is_required: false,
            place: FieldPlace::Label(label),
        }
    }

    /// The label that it is, if it is one.
    #[must_use]
    pub const fn label(&self) -> Option<Label> {
        match self.place {
            FieldPlace::Account(_) => None,
            FieldPlace::Label(label) => Some(label),
        }
    }

    /// The field of an account as JSON; null if the account has none. Amounts are strings.
    #[must_use]
    pub fn of(&self, account: &Account) -> Value {
        match self.place {
            FieldPlace::Account(show) => show(account),
            FieldPlace::Label(label) => account.labels.get(label).into(),
        }
    }
}

/// The fields before the labels, in the order documents list them.
const FIELDS: [EntryField; 12] = [
    EntryField::new("id", FieldValue::Uuid, FieldGroup::Identity, |account| account.id.to_string().into())
        .about("The account. It belongs to one customer and holds one currency for ever.")
        .required(),
    EntryField::new("customer_id", FieldValue::Uuid, FieldGroup::Identity, |account| {
        account.customer_id.to_string().into()
    })
    .about("The customer that the account belongs to.")
    .required(),
    EntryField::new("currency", FieldValue::Currency, FieldGroup::Identity, |account| {
        account.asset.code().into()
    })
    .about("ISO 4217, or a crypto asset that Ballast knows; in any case.")
    .required(),
    EntryField::new("balance", FieldValue::Amount, FieldGroup::State, |account| {
        account.asset.print(account.state.balance).into()
    })
    .about(
        "Everything that is held; negative when overdrawn. At most 18 digits before and 18 after the point.",
    )
    .required(),
    EntryField::new("available", FieldValue::Amount, FieldGroup::State, |account| {
        account.asset.print(account.state.available).into()
    })
    .about("The spendable amount; the balance unless given. It may exceed the balance by a credit line."),
    EntryField::new("active", FieldValue::Flag, FieldGroup::State, |account| account.state.active.into())
        .about("The account's own flag; true unless given."),
    EntryField::new("status", FieldValue::Status, FieldGroup::State, |account| {
        account.state.status.name().into()
    })
    .about("Where the account stands with its provider; active unless given."),
    EntryField::new("balance_at", FieldValue::Instant, FieldGroup::Key, |account| {
        account.entry.balance_at.to_stored_text().into()
    })
    .about(
        "The instant of this state, with any offset and at most 9 fraction digits; at most 5 minutes ahead.",
    )
    .required(),
    EntryField::new("version", FieldValue::Version, FieldGroup::Key, |account| {
        account.entry.version.number().into()
    })
    .about("The source's number of this entry, 0 unless given. The highest for one balance_at counts."),
    EntryField::new(
        "organization_id",
        FieldValue::VendorId(OrganizationId::PREFIX),
        FieldGroup::Scope,
        |account| account.scope.organization_id.as_ref().map(ToString::to_string).into(),
    )
    .about("The merchant's organization. Named once."),
    EntryField::new("merchant_id", FieldValue::VendorId(MerchantId::PREFIX), FieldGroup::Scope, |account| {
        account.scope.merchant_id.as_ref().map(ToString::to_string).into()
    })
    .about("The merchant. Named once, together with organization_id or after it."),
    EntryField::new("network", FieldValue::Network, FieldGroup::Scope, |account| {
        account.scope.network.as_ref().map(Network::name).into()
    })
    .about("The blockchain of the main wallet's address. Named once."),
];

/// Every field, in the order documents list them.
pub fn entry_fields() -> impl Iterator<Item = EntryField> {
    FIELDS.into_iter().chain(Label::ALL.into_iter().map(EntryField::of_label))
}

/// The names of the fields that `is_one` picks, in the order documents list them.
pub fn field_names(is_one: impl Fn(&EntryField) -> bool) -> Vec<&'static str> {
    entry_fields().filter(is_one).map(|field| field.name).collect()
}
