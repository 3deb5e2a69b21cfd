//! The order of a list: several keys, ties broken by id, and the place of one account in it.

use crate::domain::{Account, AccountId, Amount, Asset, Status, Timestamp};
use std::borrow::Cow;
use std::cmp::Reverse;

/// The fields by which a list can be ordered, as the `sort` parameter names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// By id.
    Id,
    /// By the bytes of the currency's code.
    Currency,
    /// By the number of the balance, whatever its currency.
    Balance,
    /// By the status's name.
    Status,
    /// By the earliest balance's instant.
    CreatedAt,
    /// By the latest balance's instant.
    UpdatedAt,
}

impl SortField {
    const ALL: [(&'static str, Self); 6] = [
        ("id", Self::Id),
        ("currency", Self::Currency),
        ("balance", Self::Balance),
        ("status", Self::Status),
        ("created_at", Self::CreatedAt),
        ("updated_at", Self::UpdatedAt),
    ];

    fn value(self, account: &Account) -> SortValue {
        match self {
            Self::Id => SortValue::Id(account.id),
            Self::Currency => SortValue::Name(account.asset.code().into()),
            Self::Balance => SortValue::Balance(account.state.balance),
            Self::Status => SortValue::Name(account.state.status.name().into()),
            Self::CreatedAt => SortValue::Instant(account.created_at),
            Self::UpdatedAt => SortValue::Instant(account.entry.balance_at),
        }
    }

    fn parse_value(self, text: &str) -> Option<SortValue> {
        match self {
            Self::Id => AccountId::parse(text).ok().map(SortValue::Id),
            // The code of an asset that was removed is a place too.
            Self::Currency => Some(SortValue::Name(text.to_owned().into())),
            Self::Balance => Amount::parse(text).ok().map(SortValue::Balance),
            Self::Status => Status::parse(text).ok().map(|status| SortValue::Name(status.name().into())),
            Self::CreatedAt | Self::UpdatedAt => Timestamp::parse(text).ok().map(SortValue::Instant),
        }
    }
}

/// One value of a place. Values of one key are of one kind, so they compare as their fields do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    /// An id.
    Id(AccountId),
    /// A currency's code or a status's name.
    Name(Cow<'static, str>),
    /// A balance.
    Balance(Amount),
    /// An instant.
    Instant(Timestamp),
}

impl std::fmt::Display for SortValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Balance(balance) => balance.fmt(f),
            Self::Instant(at) => f.write_str(&at.to_stored_text()),
        }
    }
}

/// One value of a place, which compares as its key is ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceValue {
    /// Smaller values come first.
    Ascending(SortValue),
    /// Larger values come first.
    Descending(Reverse<SortValue>),
}

impl std::fmt::Display for PlaceValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ascending(value) | Self::Descending(Reverse(value)) => value.fmt(f),
        }
    }
}

/// Where something stands in an order; places of one order compare by it.
pub type Place = Vec<PlaceValue>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SortKey {
    field: SortField,
    is_descending: bool,
}

impl SortKey {
    const fn directed(self, value: SortValue) -> PlaceValue {
        if self.is_descending { PlaceValue::Descending(Reverse(value)) } else { PlaceValue::Ascending(value) }
    }
}

/// A total order of accounts.
///
/// ```
/// use shared::query::Sort;
/// assert!(Sort::parse("-balance,currency").is_some());
/// assert!(Sort::parse("balance,-balance").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    keys: Vec<SortKey>,
}

/// The fields' names, as `sort` takes them.
#[must_use]
pub fn field_names() -> Vec<&'static str> {
    SortField::ALL.map(|(name, _)| name).to_vec()
}

impl Default for Sort {
    fn default() -> Self {
        Self { keys: vec![SortKey { field: SortField::Id, is_descending: false }] }
    }
}

impl Sort {
    /// Parses field names separated by commas, each at most once, `-` before one for descending.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut keys: Vec<SortKey> = Vec::new();
        for element in text.split(',') {
            let (name, is_descending) =
                element.strip_prefix('-').map_or((element, false), |name| (name, true));
            let (_, field) = SortField::ALL.into_iter().find(|(known, _)| *known == name)?;
            if keys.iter().any(|key| key.field == field) {
                return None;
            }
            keys.push(SortKey { field, is_descending });
        }
        if keys.iter().all(|key| key.field != SortField::Id) {
            keys.push(SortKey { field: SortField::Id, is_descending: false });
        }
        Some(Self { keys })
    }

    /// The order of currencies within this order: ascending unless it names the currency descending.
    #[must_use]
    pub fn of_currencies(&self) -> Self {
        let named = self.keys.iter().find(|key| key.field == SortField::Currency).copied();
        Self { keys: vec![named.unwrap_or(SortKey { field: SortField::Currency, is_descending: false })] }
    }

    /// Whether it orders by when accounts were created or updated.
    #[must_use]
    pub fn is_by_time(&self) -> bool {
        self.keys.iter().any(|key| matches!(key.field, SortField::CreatedAt | SortField::UpdatedAt))
    }

    /// Where the account stands.
    #[must_use]
    pub fn place(&self, account: &Account) -> Place {
        self.keys.iter().map(|key| key.directed(key.field.value(account))).collect()
    }

    /// Where a currency stands in an order of currencies alone.
    #[must_use]
    pub fn place_of_currency(&self, asset: Asset) -> Place {
        self.keys.iter().map(|key| key.directed(SortValue::Name(asset.code().into()))).collect()
    }

    /// A place as [`PlaceValue`] prints its values.
    #[must_use]
    pub fn parse_place(&self, texts: &[String]) -> Option<Place> {
        if texts.len() != self.keys.len() {
            return None;
        }
        self.keys
            .iter()
            .zip(texts)
            .map(|(key, text)| key.field.parse_value(text).map(|value| key.directed(value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_fields_once_each_make_an_order() {
        for text in
            ["id", "-id", "balance", "-balance,currency", "status,created_at,updated_at,id,currency,-balance"]
        {
            assert!(Sort::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            ",",
            "id,",
            "name",
            "Balance",
            "--balance",
            "+balance",
            " balance",
            "balance,-balance",
            "id,id",
        ] {
            assert_eq!(Sort::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_place_comes_back_from_its_text() {
        let sort = Sort::parse("-balance,currency,status,created_at").unwrap();
        let texts = [
            "-0.1",
            "EURØP",
            "closed",
            "2026-01-01T00:00:00.123456789Z",
            "00000000-0000-4000-8000-000000000001",
        ];
        let texts = texts.map(str::to_owned);
        let place = sort.parse_place(&texts).unwrap();
        assert_eq!(place.iter().map(ToString::to_string).collect::<Vec<_>>(), texts);
        assert_eq!(sort.parse_place(&texts[1..]), None);
        assert_eq!(sort.parse_place(&[const { String::new() }; 5]), None);
    }
}
