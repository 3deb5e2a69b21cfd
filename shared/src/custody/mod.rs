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

use crate::domain::{ChainAsset, CustodyAccount, Position, Timestamp};
use crate::secret::SecretError;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// Why a provider did not say what is held. The texts are for the log: they name no account, key or amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// Our credentials are missing, wrong or not permitted: ours to mend, and an alarm.
    #[error("the provider refused our credentials: {0}")]
    Credentials(String),
    /// The provider does not know the account: the registration is wrong.
    #[error("the provider does not know the account: {0}")]
    UnknownAccount(String),
    /// It has no wallet of that kind: nothing is held.
    #[error("the provider has no such wallet")]
    NoWallet,
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
        Self::Credentials(error.to_string())
    }
}

impl ProviderError {
    /// A read that was under way when its time was up.
    pub(crate) fn too_slow() -> Self {
        Self::Unavailable("no answer in time".to_owned())
    }

    /// Whether it says nothing of the account: the attempt is given back, as if it had not been made.
    pub(crate) const fn is_not_the_accounts(&self) -> bool {
        matches!(self, Self::OverBudget { .. } | Self::NotReached)
    }
}

/// What a provider says of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Positions of assets that the account lists; one that is missing is zero.
    pub positions: BTreeMap<ChainAsset, Position>,
    /// How many assets the provider holds that the account does not list.
    pub unlisted: usize,
}

/// A custody provider. Accounts come in batches, because providers can answer for hundreds of them in one
/// call.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// What each account holds, in the accounts' order; no account is waited for beyond `deadline`.
    fn holdings<'a>(
        &'a self,
        accounts: &'a [CustodyAccount],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Holdings, ProviderError>>>;

    /// When each of these assets of an account last moved, as far as the provider tells, looking back no
    /// further than `since`.
    fn last_transactions<'a>(
        &'a self,
        account: &'a CustodyAccount,
        assets: &'a [ChainAsset],
        since: Timestamp,
    ) -> BoxFuture<'a, Result<BTreeMap<ChainAsset, Timestamp>, ProviderError>>;
}
