//! Attributes that more than one table has, each mapped in one place: the key of an entry, a state, a scope.

use super::StoreError;
use super::row::{Attributes, Row, number, text};
use crate::domain::account::VERSION_DIGITS;
use crate::domain::{
    AccountScope, AccountState, EntryKey, MerchantId, Network, OrganizationId, Status, Timestamp, Version,
};
use aws_sdk_dynamodb::types::AttributeValue;

pub(super) type Attribute = (&'static str, AttributeValue);

/// The sort key of an entry: texts sort as entries do.
pub(super) fn entry_text(EntryKey { balance_at, version }: EntryKey) -> String {
    format!("{}#{:0VERSION_DIGITS$}", balance_at.to_stored_text(), version.number())
}

/// A sort key that is none of an entry.
#[derive(Debug)]
pub(super) struct EntryTextError;

pub(super) fn entry_from_text(text: &str) -> Result<EntryKey, EntryTextError> {
    let (balance_at, version) = text.split_once('#').ok_or(EntryTextError)?;
    Ok(EntryKey {
        balance_at: Timestamp::parse(balance_at).map_err(|_| EntryTextError)?,
        version: Version::parse(version).map_err(|_| EntryTextError)?,
    })
}

/// The attributes of a state, in the accounts table and in history alike.
pub(super) fn state_attributes(state: &AccountState) -> [Attribute; 4] {
    let AccountState { balance, available, active, status } = state;
    [
        ("balance", number(balance)),
        ("available", number(available)),
        ("active", AttributeValue::Bool(*active)),
        ("status", text(status.name())),
    ]
}

/// The attributes of the named parts of a scope, in both tables alike.
pub(super) fn scope_attributes(scope: &AccountScope) -> impl Iterator<Item = Attribute> + use<> {
    let AccountScope { organization_id, merchant_id, network } = scope;
    present([
        ("organization_id", organization_id.as_ref().map(ToString::to_string)),
        ("merchant_id", merchant_id.as_ref().map(ToString::to_string)),
        ("network", network.as_ref().map(|network| network.name().to_owned())),
    ])
}

pub(super) fn present<const N: usize>(
    optional: [(&'static str, Option<String>); N],
) -> impl Iterator<Item = Attribute> + use<N> {
    optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, text(value))))
}

pub(super) fn state_of(row: Row<'_, impl Attributes>) -> Result<AccountState, StoreError> {
    Ok(AccountState {
        balance: row.amount("balance")?,
        available: row.amount("available")?,
        active: row.flag("active")?,
        status: row.parsed("status", Status::parse)?,
    })
}

pub(super) fn scope_of(row: Row<'_, impl Attributes>) -> Result<AccountScope, StoreError> {
    Ok(AccountScope {
        organization_id: row.optional("organization_id", OrganizationId::parse)?,
        merchant_id: row.optional("merchant_id", MerchantId::parse)?,
        network: row.optional("network", Network::parse)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_as_their_texts_do_and_come_back() {
        let key = |at: &str, version| EntryKey {
            balance_at: Timestamp::parse(at).unwrap(),
            version: Version::new(version).unwrap(),
        };
        let ordered = [
            key("2026-03-01T23:59:59.999999999Z", 999_999_999_999_999_999),
            key("2026-03-02T00:00:00Z", 0),
            key("2026-03-02T00:00:00Z", 9),
            key("2026-03-02T00:00:00Z", 10),
            key("2026-03-02T00:00:00.000000001Z", 0),
        ];
        let texts = ordered.map(entry_text);
        assert!(texts.is_sorted_by(|left, right| left < right), "{texts:?}");
        assert_eq!(texts.each_ref().map(|text| entry_from_text(text).unwrap()), ordered);
        assert!(texts.iter().all(|text| text.as_str() < "~"));
        for text in ["", "#owner", "2026-03-02T00:00:00.000000000Z", "x#000000000000000000"] {
            assert!(entry_from_text(text).is_err(), "{text}");
        }
    }
}
