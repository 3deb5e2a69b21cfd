//! Identifiers, parsed once and then impossible to mix up: UUIDs of our own, and names that a vendor gave.

use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// A text that is not this identifier's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a valid identifier")]
pub struct IdError;

/// Length of the one accepted UUID form, hyphenated; the crate would also read braces, URNs and bare hex.
const HYPHENATED: usize = 36;

fn parse_uuid(text: &str) -> Result<Uuid, IdError> {
    if text.len() == HYPHENATED { Uuid::try_parse(text).map_err(|_| IdError) } else { Err(IdError) }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The text before the UUID.
            pub const PREFIX: &'static str = $prefix;

            /// Parses the prefix, as it is, and a hyphenated UUID in either case.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(Self::PREFIX).ok_or(IdError).and_then(parse_uuid).map(Self)
            }

            /// The bare UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0.hyphenated())
            }
        }
    };
}

identifier!(
    /// One account.
    AccountId, "");
identifier!(
    /// One account as the merchant view names it, `acc_<uuid>`.
    MerchantAccountId, "acc_");
identifier!(
    /// Whose accounts they are, in the unified and custody views.
    CustomerId, "");
identifier!(
    /// One account at a custody provider.
    CustodyAccountId, "");
/// The most characters after the prefix of a vendor's id.
pub const MAX_VENDOR_ID: usize = 64;

/// Parses an id that a vendor gave: these letters, perhaps one digit, `_`, and 1 to 64 of `[A-Za-z0-9-]`.
///
/// A UUID after the prefix is written in lower case, because both cases mean the same UUID. Every other id
/// stays as the vendor writes the id.
fn parse_vendor_id(prefix: &str, text: &str) -> Result<Arc<str>, IdError> {
    let letters = prefix.strip_suffix('_').ok_or(IdError)?;
    let (version, name) = text.strip_prefix(letters).and_then(|rest| rest.split_once('_')).ok_or(IdError)?;
    let is_version = version.len() <= 1 && version.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = (1..=MAX_VENDOR_ID).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_version || !is_name {
        return Err(IdError);
    }
    Ok(match parse_uuid(name) {
        Ok(uuid) => format!("{letters}{version}_{}", uuid.hyphenated()).into(),
        Err(_) => text.into(),
    })
}

macro_rules! vendor_identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The beginning of the id. A digit may stand before its `_`, as in the vendor's own `org3_…`.
            pub const PREFIX: &'static str = $prefix;

            /// Parses the prefix and 1 to 64 of `[A-Za-z0-9-]`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_vendor_id(Self::PREFIX, text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(format!("{}{}", Self::PREFIX, uuid.hyphenated()).into())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

vendor_identifier!(
    /// A merchant's organization, such as `org_<uuid>`.
    OrganizationId, "org_");
vendor_identifier!(
    /// Whose accounts they are, in the merchant view, such as `mrc_<uuid>`. Unique over all organizations.
    MerchantId, "mrc_");
vendor_identifier!(
    /// The contact behind an account, such as `con_<uuid>`.
    ContactId, "con_");

impl From<MerchantAccountId> for AccountId {
    fn from(id: MerchantAccountId) -> Self {
        Self(id.0)
    }
}

impl From<AccountId> for MerchantAccountId {
    fn from(id: AccountId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_parses_and_prints_back() {
        let uuid = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
        assert_eq!(CustomerId::parse(uuid).unwrap().to_string(), uuid);
        assert_eq!(CustomerId::parse(&uuid.to_uppercase()).unwrap().to_string(), uuid);
        assert_eq!(MerchantId::parse(&format!("mrc_{uuid}")).unwrap().to_string(), format!("mrc_{uuid}"));
        let bad = [
            "",
            "497f6eca62764993bfeb53cbbbba6f08",
            "{497f6eca-6276-4993-bfeb-53cbbbba6f08}",
            "acc_497f6eca-6276-4993-bfeb-53cbbbba6f08",
            "urn:uuid:497f6eca-6276-4993-bfeb-53cbbbba6f08",
            "497f6eca-6276-4993-bfeb-53cbbbba6f0g",
            "497f6eca-6276-4993-bfeb-53cbbbba6f08 ",
        ];
        for text in bad {
            assert_eq!(CustomerId::parse(text), Err(IdError), "{text:?}");
        }
        let named = MerchantAccountId::parse(&format!("acc_{uuid}")).unwrap();
        assert_eq!(
            (AccountId::from(named).to_string().as_str(), MerchantAccountId::from(AccountId::from(named))),
            (uuid, named)
        );
    }

    #[test]
    fn a_vendors_id_has_one_prefix_perhaps_a_digit_and_up_to_64_characters() {
        let uuid = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
        let longest = format!("org_{}", "x".repeat(64));
        for text in [format!("org_{uuid}"), "org3_a".to_owned(), "org_Az-09".to_owned(), longest.clone()] {
            assert_eq!(OrganizationId::parse(&text).unwrap().to_string(), text);
        }
        let upper = format!("mrc2_{}", uuid.to_uppercase());
        assert_eq!(MerchantId::parse(&upper).unwrap().to_string(), format!("mrc2_{uuid}"));
        let bad = [
            "",
            "org",
            "org_",
            "org3",
            "orgx_a",
            "org33_a",
            "ORG_a",
            "mrc_a",
            "org_a_b",
            "org_a#b",
            "org_ä",
            " org_a",
            uuid,
            &format!("{longest}x"),
        ];
        for text in bad {
            assert_eq!(OrganizationId::parse(text), Err(IdError), "{text:?}");
        }
    }
}
