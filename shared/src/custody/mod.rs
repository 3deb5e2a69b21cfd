//! Custody: what providers say is held, read by adapters behind one trait and kept by syncs under leases.
//!
//! It knows no HTTP API of ours and no attribute values. A provider's JSON is known to its `wire` module
//! alone.

pub mod bitgo;
mod call;
mod change;
pub mod fireblocks;
mod providers;
mod sweep;
mod sync;

pub use call::Budget;
pub use providers::Providers;
pub use sweep::{Report, Share, Sweep};
pub use sync::{REQUEST_INTERVAL, SyncError, SyncRequest, Syncs};

use crate::domain::{
    Amount, Catalogue, ChainAsset, Coverage, CustodyAccount, Position, ProviderAsset, Timestamp, Unlisted,
    UnlistedHolding, UnlistedReason,
};
use crate::secret::SecretError;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// Characters that are kept of an amount that nothing here can read.
const MAX_UNLISTED_CHARACTERS: usize = 80;
/// Characters that are kept of a vendor's own words.
const MAX_WORDS: usize = 160;
/// A longer word may be a token or an address.
const MAX_WORD: usize = 24;

/// Why a provider did not say what is held. The texts are for the log: they name no account, key or amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// Our credentials are missing, wrong or not permitted: ours to mend, and an alarm.
    #[error("the provider refused our credentials: {0}")]
    Credentials(String),
    /// The provider does not know the account: the registration is wrong.
    #[error("the provider does not know the account: {0}")]
    UnknownAccount(String),
    /// Our own side failed before the provider was asked: its secret, or its configuration.
    #[error("the provider was not asked: {0}")]
    Ours(String),
    /// We ask too often.
    #[error("the provider limits our calls")]
    Throttled {
        /// When it says we may come back.
        retry_after: Option<Duration>,
    },
    /// It did not answer, or not as itself: worth another try.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// It answered something that cannot be meant.
    #[error("the provider answered nonsense: {0}")]
    Nonsense(String),
    /// The time of a batch was up before it was this account's turn.
    #[error("the time was up before the provider was asked")]
    NotReached,
    /// Our own budget of calls to it is used up for now.
    #[error("our budget of calls to the provider is used up")]
    OverBudget {
        /// Until the budget is renewed.
        retry_after_seconds: i64,
    },
}

impl From<SecretError> for ProviderError {
    fn from(error: SecretError) -> Self {
        Self::Ours(error.to_string())
    }
}

impl ProviderError {
    fn nonsense(error: impl std::fmt::Display) -> Self {
        Self::Nonsense(error.to_string())
    }

    /// A read that was under way when its time was up.
    pub(crate) fn too_slow() -> Self {
        Self::Unavailable("no answer in time".to_owned())
    }

    /// Whether it says nothing of the account: the attempt is given back, as if it had not been made.
    pub(crate) const fn is_not_the_accounts(&self) -> bool {
        matches!(self, Self::OverBudget { .. } | Self::NotReached | Self::Ours(_))
    }
}

/// A vendor's own words for a log line: one line of plain text, without words long enough to be a token or an
/// address.
fn plain_words(text: &str) -> String {
    let plain = |word: &str| match word.chars().count() {
        0..=MAX_WORD => word.chars().filter(|character| !character.is_control()).collect(),
        _ => "…".to_owned(),
    };
    let words: Vec<String> = text.split_whitespace().map(plain).collect();
    words.join(" ").chars().take(MAX_WORDS).collect()
}

/// The holdings of one account, as its provider says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Positions of assets that the account covers; one that is missing is zero.
    pub positions: BTreeMap<ChainAsset, Position>,
    /// Everything else that is held.
    pub unlisted: Unlisted,
}

impl Holdings {
    /// Adds a position. Two ids can stand for one asset, such as a bridged and a native token: their amounts
    /// are added up.
    fn add(&mut self, chain_asset: &ChainAsset, more: Position) -> Result<(), ProviderError> {
        let known = self.positions.get(chain_asset).copied().unwrap_or_default();
        let sum = |left: Amount, right: Amount| Amount::from_wide(left.wide() + right.wide());
        let sums = sum(known.balance(), more.balance())
            .and_then(|total| Ok((total, sum(known.available(), more.available())?)));
        let (total, available) = sums.map_err(ProviderError::nonsense)?;
        let position = Position::new(total, available).map_err(ProviderError::nonsense)?;
        self.positions.insert(chain_asset.clone(), position);
        Ok(())
    }

    /// Notes a holding that the account does not show, unless it is zero.
    fn leave_out(&mut self, id: &str, balance: &str, reason: UnlistedReason) {
        // An amount may have more digits than ours, so zero is told by its digits.
        let is_zero = !balance.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        if !is_zero {
            let balance = balance.chars().take(MAX_UNLISTED_CHARACTERS).collect();
            self.unlisted.insert(id.to_owned(), UnlistedHolding { balance, reason });
        }
    }
}

/// How an account takes an id of its provider's.
enum Placement<'a> {
    /// It shows the asset that the id stands for, which counts in base units of so many digits.
    Shown(&'a ChainAsset, u32),
    /// It does not.
    LeftOut(UnlistedReason),
}

fn place<'a>(account: &CustodyAccount, id: &str, catalogue: &'a Catalogue) -> Placement<'a> {
    match (catalogue.provider_asset(account.provider, id), &account.coverage) {
        (Some(ProviderAsset::Named { chain_asset, digits }), coverage) if coverage.covers(chain_asset) => {
            Placement::Shown(chain_asset, *digits)
        }
        (_, Coverage::Listed(_)) => Placement::LeftOut(UnlistedReason::NotCovered),
        (Some(ProviderAsset::Ignored), Coverage::All) => Placement::LeftOut(UnlistedReason::Ignored),
        (_, Coverage::All) => Placement::LeftOut(UnlistedReason::Unknown),
    }
}

/// A custody provider. Accounts come in batches, because providers can answer for hundreds of them in one
/// call.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// The holdings of each account, in the accounts' order, its assets named by `catalogue`; no account is
    /// waited for beyond `deadline`.
    fn holdings<'a>(
        &'a self,
        accounts: &'a [CustodyAccount],
        catalogue: &'a Catalogue,
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Holdings, ProviderError>>>;

    /// When each of these assets of an account last moved, as far as the provider tells, looking back no
    /// further than `since`.
    fn last_transactions<'a>(
        &'a self,
        account: &'a CustodyAccount,
        assets: &'a [ChainAsset],
        catalogue: &'a Catalogue,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<BTreeMap<ChainAsset, Timestamp>, ProviderError>>;
}
