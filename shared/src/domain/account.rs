//! An account: whose it is, what it holds, and in which state it was at an instant.
//!
//! An *entry* says: at this instant the account was in this state. The module knows entries one by one; the
//! store keeps them all and says which of them counts.

use super::{
    AccountId, AccountLabels, Amount, Asset, CustodyAccountId, CustomerId, MerchantId, OrganizationId,
    Timestamp, TooLarge,
};
use thiserror::Error;

/// Most digits of a version, so that texts of it sort as numbers do.
pub const VERSION_DIGITS: usize = 18;
const MAX_VERSION: u64 = 999_999_999_999_999_999;
/// Longest name of a network.
pub const MAX_NETWORK_CHARACTERS: usize = 32;

/// A text that is none of the four statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a known status")]
pub struct UnknownStatus;

/// Where an account stands with its provider; independent of its `active` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In use.
    Active,
    /// Not in use.
    Inactive,
    /// Blocked for now.
    Suspended,
    /// Ended.
    Closed,
}

impl Status {
    /// Every status, in the order documents list them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Inactive, Self::Suspended, Self::Closed];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(UnknownStatus)
    }
}

/// A text that is no version of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a whole number from 0 to 10^18 - 1")]
pub struct VersionError;

/// The source's number of an entry: of several entries for one instant the greatest counts. 0 is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

impl Version {
    /// The version of this number.
    pub const fn new(number: u64) -> Result<Self, VersionError> {
        if number <= MAX_VERSION { Ok(Self(number)) } else { Err(VersionError) }
    }

    /// Parses 1 to 18 digits.
    ///
    /// ```
    /// use shared::domain::Version;
    /// assert_eq!(Version::parse("007")?, Version::new(7)?);
    /// assert!(Version::parse("-1").is_err());
    /// # Ok::<(), shared::domain::account::VersionError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let is_number = text.len() <= VERSION_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self).ok_or(VersionError)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Which entry of an account: the instant it speaks of, then the source's version. The order of entries is
/// the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// The instant of the state.
    pub balance_at: Timestamp,
    /// Tells entries for one instant apart.
    pub version: Version,
}

/// The state of an account, as an entry gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// Everything held, negative when overdrawn.
    pub balance: Amount,
    /// The spendable amount; it may exceed the balance by a credit line.
    pub available: Amount,
    /// The account's own flag.
    pub active: bool,
    /// Where it stands with its provider.
    pub status: Status,
}

/// Which amount of an account is summed, converted and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// The balance.
    #[default]
    Balance,
    /// The available amount.
    Available,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 2] = [Self::Balance, Self::Available];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Available => "available",
        }
    }

    /// The measure of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == text)
    }
}

impl AccountState {
    /// The state with the measured amount in the place of its balance.
    #[must_use]
    pub const fn measured(self, measure: Measure) -> Self {
        match measure {
            Measure::Balance => self,
            Measure::Available => Self { balance: self.available, ..self },
        }
    }

    /// The amount that is held but cannot be spent: the balance less the available amount, never below zero.
    pub fn locked(&self) -> Result<Amount, TooLarge> {
        Amount::from_wide(self.balance.wide() - self.available.wide()).map(|locked| locked.max(Amount::ZERO))
    }
}

/// A text that is no name of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a network: 1 to {MAX_NETWORK_CHARACTERS} letters, digits, _ and -")]
pub struct NetworkError;

/// The blockchain of an account's address, as its source names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(String);

impl Network {
    /// Parses a name, which keeps its case.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let is_short = (1..=MAX_NETWORK_CHARACTERS).contains(&text.len());
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_short && is_name { Ok(Self(text.to_owned())) } else { Err(NetworkError) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The parties that see an account beside its customer, and its group. Each part is named once, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountScope {
    /// The merchant's organization.
    pub organization_id: Option<OrganizationId>,
    /// The owner in the merchant view.
    pub merchant_id: Option<MerchantId>,
    /// The blockchain of the account's address.
    pub network: Option<Network>,
}

/// One account as a view shows it: its entry, state and scope are those of the asked moment; `created_at` and
/// the labels are of everything that is known today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Belongs to one customer for ever.
    pub id: AccountId,
    /// The owner in the unified view.
    pub customer_id: CustomerId,
    /// The one asset that it holds, for ever.
    pub asset: Asset,
    /// The entry that counts.
    pub entry: EntryKey,
    /// That entry's state.
    pub state: AccountState,
    /// The instant of the earliest entry known of it.
    pub created_at: Timestamp,
    /// The parties that see it beside the customer.
    pub scope: AccountScope,
    /// Its newest labels, at whatever instant it is shown.
    pub labels: AccountLabels,
    /// The custody account it shows a position of; such an account is part of that account's snapshot.
    pub custody_account_id: Option<CustodyAccountId>,
}

/// One entry as a source brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdate {
    /// Which account.
    pub id: AccountId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The account's asset.
    pub asset: Asset,
    /// Which entry.
    pub entry: EntryKey,
    /// Its state.
    pub state: AccountState,
    /// The parts of the scope that it names.
    pub scope: AccountScope,
    /// The whole group of labels; `None` leaves the account's labels as they are.
    pub labels: Option<AccountLabels>,
    /// When it was recorded, where a dataset tells the past; `None` stands for the process's clock.
    pub recorded_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_whole_numbers_of_at_most_eighteen_digits() {
        for text in ["0", "7", "007", "999999999999999999"] {
            assert!(Version::parse(text).is_ok(), "{text}");
        }
        for text in ["", "-1", "+1", "1.0", "1e3", " 1", "1000000000000000000", "0000000000000000001"] {
            assert_eq!(Version::parse(text), Err(VersionError), "{text:?}");
        }
        assert_eq!(Version::new(1_000_000_000_000_000_000), Err(VersionError));
    }

    #[test]
    fn entries_are_ordered_by_instant_and_then_by_version() {
        let key = |at: &str, version| EntryKey {
            balance_at: Timestamp::parse(at).unwrap(),
            version: Version::new(version).unwrap(),
        };
        let ordered = [
            key("2026-03-01T00:00:00Z", 9),
            key("2026-03-02T00:00:00Z", 0),
            key("2026-03-02T00:00:00Z", 1),
            key("2026-03-02T00:00:00Z", 10),
        ];
        assert!(ordered.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn a_network_is_a_short_name() {
        for text in ["ETH", "polygon", "arbitrum-one", "a_1"] {
            assert_eq!(Network::parse(text).unwrap().name(), text);
        }
        for text in ["", "a b", "é", "a/b", &"x".repeat(33)] {
            assert_eq!(Network::parse(text), Err(NetworkError), "{text}");
        }
    }
}
