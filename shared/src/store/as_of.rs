//! Which entry counts at a moment: among those at or before `as_of`, recorded by `known_at`, the greatest.
//!
//! The account item repeats the newest entry, so most accounts need no read of their history. History is read
//! for accounts whose newest entry is later than the moment, or was recorded later.

use super::usage::check_budget;
use super::{Store, StoreError, StoredAccount, StoredHolding};
use crate::domain::{Account, CustodyGap, Moment};
use futures::stream::{self, StreamExt, TryStreamExt};

/// History reads under way at once for one request.
const CONCURRENT_READS: usize = 16;
/// Where the entry that counts is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Nowhere: the account did not exist yet, or has never been synced.
    Nowhere,
    /// In its own item.
    Newest,
    /// In its history, if anywhere.
    History,
}

impl StoredAccount {
    fn whereabouts(&self, moment: Moment) -> Whereabouts {
        if self.account.created_at > moment.latest() {
            Whereabouts::Nowhere
        } else if self.account.entry.balance_at <= moment.as_of && moment.knows(self.recorded_at) {
            // The newest entry is greater than every other, so if it counts, it is the one.
            Whereabouts::Newest
        } else {
            Whereabouts::History
        }
    }
}

impl StoredHolding {
    fn whereabouts(&self, moment: Moment) -> Whereabouts {
        match self {
            Self::Account(stored) => stored.whereabouts(moment),
            Self::Snapshot(snapshot) => snapshot.whereabouts(moment),
        }
    }
}

/// The accounts and gaps of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldingsAt {
    /// The accounts that existed then.
    pub accounts: Vec<Account>,
    /// The gaps of custody accounts that existed then.
    pub gaps: Vec<CustodyGap>,
}

impl Store {
    /// The accounts as they stood at a moment, in the order of what stands for them; those that did not exist
    /// then are left out.
    pub async fn accounts_at(
        &self,
        holdings: impl IntoIterator<Item = StoredHolding>,
        moment: Moment,
    ) -> Result<Vec<Account>, StoreError> {
        Ok(self.holdings_at(holdings, moment).await?.accounts)
    }

    /// The same, with the gaps of custody accounts.
    pub async fn holdings_at(
        &self,
        holdings: impl IntoIterator<Item = StoredHolding>,
        moment: Moment,
    ) -> Result<HoldingsAt, StoreError> {
        let holdings: Vec<StoredHolding> = holdings.into_iter().collect();
        let in_history = |holding: &&StoredHolding| holding.whereabouts(moment) == Whereabouts::History;
        // A read of a history costs a unit at least.
        check_budget(holdings.iter().filter(in_history).count())?;
        let shown =
            stream::iter(holdings).map(|holding| self.holding_at(holding, moment)).buffered(CONCURRENT_READS);
        let shown: Vec<HoldingsAt> = shown.try_collect().await?;
        let mut all = HoldingsAt::default();
        for HoldingsAt { accounts, gaps } in shown {
            all.accounts.extend(accounts);
            all.gaps.extend(gaps);
        }
        Ok(all)
    }

    /// The accounts that a holding stands for at a moment, ordered by id, and its gaps.
    pub(super) async fn holding_at(
        &self,
        holding: StoredHolding,
        moment: Moment,
    ) -> Result<HoldingsAt, StoreError> {
        match holding {
            StoredHolding::Account(stored) => {
                let accounts = self.account_at(*stored, moment).await?.into_iter().collect();
                Ok(HoldingsAt { accounts, gaps: Vec::new() })
            }
            StoredHolding::Snapshot(snapshot) => self.snapshot_at(&snapshot, moment).await,
        }
    }

    /// The account as it stood at a moment; `None` if it did not exist then.
    pub async fn account_at(
        &self,
        account: StoredAccount,
        moment: Moment,
    ) -> Result<Option<Account>, StoreError> {
        match account.whereabouts(moment) {
            Whereabouts::Nowhere => Ok(None),
            Whereabouts::Newest => {
                let (entry, state) = (account.account.entry, account.account.state);
                Ok(Some(account.shown(entry, state, moment)))
            }
            Whereabouts::History => {
                let found = self.entry_at(account.account.id, moment).await?;
                Ok(found.map(|found| account.shown(found.key, found.state, moment)))
            }
        }
    }
}
