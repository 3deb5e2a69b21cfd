//! Custody accounts: their coverage, and their holdings as the provider last said.
//!
//! It knows no provider's names for anything, and no leases: those are the store's.

use super::{
    Account, AccountId, AccountLabels, AccountScope, AccountState, Amount, Asset, CustodyAccountId,
    CustomerId, EntryKey, Network, Status, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use uuid::Uuid;

/// Most holdings of one custody account that are not zero, and most assets that it lists.
pub const MAX_HOLDINGS: usize = 1_000;
const MAX_BLOCKCHAIN_CHARACTERS: usize = 20;
const MAX_PROVIDER_ACCOUNT_CHARACTERS: usize = 128;

/// A text that is no name of a blockchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a blockchain: 1 to 20 letters, digits and _")]
pub struct BlockchainError;

/// A blockchain by its short name, such as ETH, BSC, TRX or SOL; upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blockchain(String);

impl Blockchain {
    /// Parses a name in any case.
    pub fn parse(text: &str) -> Result<Self, BlockchainError> {
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_short = (1..=MAX_BLOCKCHAIN_CHARACTERS).contains(&text.len());
        if is_name && is_short { Ok(Self(text.to_ascii_uppercase())) } else { Err(BlockchainError) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// An asset on a blockchain: what one position of a custody account is of. Ordered by blockchain, then asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainAsset {
    /// Where it is.
    pub blockchain: Blockchain,
    /// The asset.
    pub asset: Asset,
}

/// Amounts that a provider cannot mean: negative, or more available than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the available amount is not between zero and the total")]
pub struct PositionError;

/// How much of one asset, and what of it is free: `balance = available + locked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    balance: Amount,
    available: Amount,
    last_transaction_at: Option<Timestamp>,
    held_since: Option<Timestamp>,
}

impl Position {
    /// A position of a total, of which some is available.
    pub fn new(total: Amount, available: Amount) -> Result<Self, PositionError> {
        let is_sound = Amount::ZERO <= available && available <= total;
        if is_sound {
            Ok(Self { balance: total, available, last_transaction_at: None, held_since: None })
        } else {
            Err(PositionError)
        }
    }

    /// Sets the last transaction's time; keeps the later of the two.
    #[must_use]
    pub fn with_last_transaction(self, at: Option<Timestamp>) -> Self {
        Self { last_transaction_at: self.last_transaction_at.max(at), ..self }
    }

    /// Sets since when something of the asset is or was held; keeps the earlier of the two.
    #[must_use]
    pub fn with_held_since(self, at: Option<Timestamp>) -> Self {
        Self { held_since: self.held_since.into_iter().chain(at).min(), ..self }
    }

    /// The instant of the first snapshot that held something of the asset; `None` if none has.
    #[must_use]
    pub const fn held_since(&self) -> Option<Timestamp> {
        self.held_since
    }

    /// When its last transaction was, as far as is known.
    #[must_use]
    pub const fn last_transaction_at(&self) -> Option<Timestamp> {
        self.last_transaction_at
    }

    /// Everything held.
    #[must_use]
    pub const fn balance(&self) -> Amount {
        self.balance
    }

    /// The part that can be moved.
    #[must_use]
    pub const fn available(&self) -> Amount {
        self.available
    }

    /// The part that cannot be moved: the balance less the available amount.
    #[must_use]
    pub fn locked(&self) -> Amount {
        // Both are amounts and the first is the larger, so the difference is one.
        Amount::from_wide(self.balance.wide() - self.available.wide()).unwrap_or_default()
    }

    /// Whether the amounts are the same, whatever is known of transactions.
    #[must_use]
    pub fn has_amounts_of(&self, other: &Self) -> bool {
        (self.balance, self.available) == (other.balance, other.available)
    }
}

/// Which adapter reads an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderName {
    /// Fireblocks; an account is a vault.
    Fireblocks,
    /// BitGo; an account is `coin/wallet`.
    BitGo,
}

/// A text that names no provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a custody provider: fireblocks or bitgo")]
pub struct UnknownProvider;

impl ProviderName {
    /// Every provider.
    pub const ALL: [Self; 2] = [Self::Fireblocks, Self::BitGo];

    /// The name in datasets, in the store and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fireblocks => "fireblocks",
            Self::BitGo => "bitgo",
        }
    }

    /// The provider of that name.
    pub fn parse(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.name() == text).ok_or(UnknownProvider)
    }
}

/// A text that no provider would have given an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a provider's account: 1 to 128 letters, digits, _, - and :, with one / for BitGo (coin/wallet)")]
pub struct ProviderAccountError;

/// The provider's own name of an account. It becomes part of a URL, so it holds nothing that would have to be
/// escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderAccount(String);

impl ProviderAccount {
    /// Parses a vault's id (Fireblocks) or a coin and a wallet's id (BitGo).
    pub fn parse(provider: ProviderName, text: &str) -> Result<Self, ProviderAccountError> {
        let is_segment = |segment: &str| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'))
        };
        let segments = match provider {
            ProviderName::Fireblocks => 1,
            ProviderName::BitGo => 2,
        };
        let is_whole = text.len() <= MAX_PROVIDER_ACCOUNT_CHARACTERS && text.split('/').count() == segments;
        if is_whole && text.split('/').all(is_segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ProviderAccountError)
        }
    }

    /// The text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Which of a provider's holdings an account shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Everything that the provider reports and the catalogue names.
    All,
    /// These, held or not.
    Listed(BTreeSet<ChainAsset>),
}

impl Coverage {
    /// Whether the account shows a holding of this asset.
    #[must_use]
    pub fn covers(&self, asset: &ChainAsset) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(asset),
        }
    }

    /// The listed assets; none for an account that covers everything.
    pub fn listed(&self) -> impl Iterator<Item = &ChainAsset> {
        let listed = match self {
            Self::All => None,
            Self::Listed(listed) => Some(listed),
        };
        listed.into_iter().flatten()
    }

    /// Whether an account may hold the asset without saying so before its first sync.
    #[must_use]
    pub fn may_hold(&self, asset: Asset) -> bool {
        match self {
            Self::All => asset.is_crypto(),
            Self::Listed(listed) => listed.iter().any(|own| own.asset == asset),
        }
    }
}

/// Why an account does not show a holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlistedReason {
    /// The account covers everything, and no row of the catalogue names the holding: the total is not
    /// complete.
    Unknown,
    /// The catalogue ignores it.
    Ignored,
    /// The account's list leaves it out on purpose.
    NotCovered,
}

impl UnlistedReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Ignored, Self::NotCovered];

    /// The name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
            Self::NotCovered => "not_covered",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == text)
    }
}

/// A holding that is not zero and that the account does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlistedHolding {
    /// The amount as the provider writes it; base units where the provider counts in those.
    pub balance: String,
    /// Why it is not shown.
    pub reason: UnlistedReason,
}

/// Holdings that an account does not show, by the provider's own id of the asset.
pub type Unlisted = BTreeMap<String, UnlistedHolding>;

/// A custody account as it is registered, with what its provider last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyAccount {
    /// Its id.
    pub id: CustodyAccountId,
    /// Whose it is; never changes.
    pub customer_id: CustomerId,
    /// The provider that keeps it.
    pub provider: ProviderName,
    /// The provider's name of it.
    pub provider_account: ProviderAccount,
    /// The assets that it shows.
    pub coverage: Coverage,
    /// The position of every asset that it lists, zero until a sync says otherwise; of an account that covers
    /// everything, of every asset that was ever held.
    pub positions: BTreeMap<ChainAsset, Position>,
    /// Holdings that it does not show.
    pub unlisted: Unlisted,
    /// When the provider was last asked and answered.
    pub synced_at: Option<Timestamp>,
}

impl CustodyAccount {
    /// Whether everything that the provider holds is shown or left out on purpose.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unlisted.values().all(|holding| holding.reason != UnlistedReason::Unknown)
    }

    /// The id of the account by which the unified view shows one position: the same at every sync.
    #[must_use]
    pub fn position_id(&self, asset: &ChainAsset) -> AccountId {
        position_id(self.id, asset)
    }
}

/// The id of the account by which the unified view shows a position of a custody account.
#[must_use]
pub fn position_id(id: CustodyAccountId, asset: &ChainAsset) -> AccountId {
    let name = format!("{}#{}", asset.blockchain.name(), asset.asset.code());
    Uuid::new_v5(&id.uuid(), name.as_bytes()).into()
}

/// The custody account that positions belong to, and the entry that they stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionOwner {
    /// The custody account.
    pub id: CustodyAccountId,
    /// Its customer.
    pub customer_id: CustomerId,
    /// Its provider.
    pub provider: ProviderName,
}

impl PositionOwner {
    /// The account of the unified view that shows a position; `None` for an asset of which nothing was ever
    /// held.
    #[must_use]
    pub fn account(&self, asset: &ChainAsset, position: &Position, entry: EntryKey) -> Option<Account> {
        Some(Account {
            id: position_id(self.id, asset),
            customer_id: self.customer_id,
            asset: asset.asset,
            entry,
            state: AccountState {
                balance: position.balance(),
                available: position.available(),
                active: true,
                status: Status::Active,
            },
            created_at: position.held_since()?,
            scope: AccountScope {
                network: Network::parse(asset.blockchain.name()).ok(),
                ..AccountScope::default()
            },
            labels: AccountLabels::described(format!("in custody at {}", self.provider.name())),
            custody_account_id: Some(self.id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Catalogue;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn a_position_is_sound_or_refused() {
        for (total, available, locked) in
            [("0", "0", "0"), ("10", "9", "1"), ("0.3", "0.1", "0.2"), ("5", "0", "5"), ("5", "5", "0")]
        {
            let position = Position::new(amount(total), amount(available)).unwrap();
            assert_eq!(
                (position.balance(), position.locked()),
                (amount(total), amount(locked)),
                "{total} {available}"
            );
        }
        for (total, available) in [("1", "1.000000000000000001"), ("-1", "-1"), ("0", "-1"), ("-1", "0")] {
            assert_eq!(
                Position::new(amount(total), amount(available)),
                Err(PositionError),
                "{total} {available}"
            );
        }
    }

    #[test]
    fn names_are_canonical_and_safe_in_a_url() {
        let catalogue = Catalogue::default();
        let chain_asset = |blockchain: &str, token: &str| catalogue.chain_asset(blockchain, token);
        assert_eq!(chain_asset("eth", "usdt").unwrap(), chain_asset("ETH", "USDT").unwrap());
        for (blockchain, token) in
            [("", "USDT"), ("E H", "USDT"), ("ETH", "EUR"), ("ETH", "NOPE"), ("ÉTH", "USDT")]
        {
            assert!(chain_asset(blockchain, token).is_err(), "{blockchain} {token}");
        }
        let rows = [
            (ProviderName::Fireblocks, "12", true),
            (ProviderName::Fireblocks, "", false),
            (ProviderName::Fireblocks, "1/2", false),
            (ProviderName::Fireblocks, "..", false),
            (ProviderName::Fireblocks, "1?x", false),
            (ProviderName::BitGo, "eth/59cd72485007a239fb00282ed480da1f", true),
            (ProviderName::BitGo, "eth", false),
            (ProviderName::BitGo, "eth/", false),
            (ProviderName::BitGo, "eth/a/b", false),
        ];
        for (provider, text, is_good) in rows {
            assert_eq!(ProviderAccount::parse(provider, text).is_ok(), is_good, "{text}");
        }
    }
}
