//! Identifiers: a UUID, or a prefix and a UUID, parsed once and then impossible to mix up.

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
identifier!(
    /// A merchant's organization, `org_<uuid>`.
    OrganizationId, "org_");
identifier!(
    /// Whose accounts they are, in the merchant view, `mrc_<uuid>`.
    MerchantId, "mrc_");
identifier!(
    /// The contact behind an account, `con_<uuid>`.
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
        for text in
            [uuid, "MRC_497f6eca-6276-4993-bfeb-53cbbbba6f08", "org_497f6eca-6276-4993-bfeb-53cbbbba6f08"]
        {
            assert_eq!(MerchantId::parse(text), Err(IdError), "{text:?}");
        }
    }
}
