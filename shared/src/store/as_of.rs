//! Which entry counts at a moment: among those at or before `as_of`, recorded by `known_at`, the greatest.
//!
//! The account item repeats the newest entry, so most accounts need no read of their history. History is read
//! for accounts whose newest entry is later than a moment, or was recorded later. One moment and the many of
//! a series are answered by the same code.

use super::entries_at::{CountedEntry, EntryKind};
use super::item_page::PageItem;
use super::usage::check_budget;
use super::{Store, StoreError, StoredAccount, StoredHolding, history};
use crate::domain::{Account, CustodyGap, Moment, Moments};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::ops::Range;

/// History reads under way at once for one request.
pub(super) const CONCURRENT_READS: usize = 16;

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

/// The accounts and gaps that a holding stands for at consecutive moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldingRun {
    /// The places of the moments.
    pub places: Range<usize>,
    /// The accounts and gaps, which are the same at each of them.
    pub holdings: HoldingsAt,
}

/// The places of the moments at which something counts: those that the history answers come first.
pub(super) struct Places {
    /// An entry of the history counts, if any does.
    pub(super) history: Range<usize>,
    /// The newest entry counts.
    pub(super) newest: Range<usize>,
}

impl Places {
    /// Nothing counts at the first moments, then an entry of the history does, then the newest.
    pub(super) fn of(moments: &Moments, whereabouts: impl Fn(Moment) -> Whereabouts) -> Self {
        let count = |kind| moments.iter().filter(|moment| whereabouts(*moment) == kind).count();
        let (nowhere, history) = (count(Whereabouts::Nowhere), count(Whereabouts::History));
        Self { history: nowhere..nowhere + history, newest: nowhere + history..moments.len() }
    }
}

/// Refuses holdings whose histories cost more than is left of the read budget: each costs a unit at least.
pub(crate) fn check_histories(holdings: &[StoredHolding], moments: &Moments) -> Result<(), StoreError> {
    let is_in_history = |holding: &&StoredHolding| {
        moments.iter().any(|moment| holding.whereabouts(moment) == Whereabouts::History)
    };
    Ok(check_budget(holdings.iter().filter(is_in_history).count())?)
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
        check_histories(&holdings, &moment.into())?;
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
        let runs = self.holding_over(holding, &moment.into()).await?;
        Ok(runs.into_iter().next().map(|run| run.holdings).unwrap_or_default())
    }

    /// The accounts that a holding stands for at each of several moments, and its gaps. Moments at which
    /// there is neither have no run.
    pub async fn holding_over(
        &self,
        holding: StoredHolding,
        moments: &Moments,
    ) -> Result<Vec<HoldingRun>, StoreError> {
        match holding {
            StoredHolding::Account(stored) => {
                let accounts = self.account_over(*stored, moments).await?.into_iter();
                let run = |(places, account)| {
                    let holdings = HoldingsAt { accounts: vec![account], gaps: Vec::new() };
                    HoldingRun { places, holdings }
                };
                Ok(accounts.map(run).collect())
            }
            StoredHolding::Snapshot(snapshot) => self.snapshot_over(&snapshot, moments).await,
        }
    }

    /// The account as it stood at a moment; `None` if it did not exist then.
    pub async fn account_at(
        &self,
        account: StoredAccount,
        moment: Moment,
    ) -> Result<Option<Account>, StoreError> {
        let accounts = self.account_over(account, &moment.into()).await?;
        Ok(accounts.into_iter().next().map(|(_, account)| account))
    }

    /// The account as it stood at each of several moments.
    async fn account_over(
        &self,
        stored: StoredAccount,
        moments: &Moments,
    ) -> Result<Vec<(Range<usize>, Account)>, StoreError> {
        let Places { history, newest } = Places::of(moments, |moment| stored.whereabouts(moment));
        let Some(moment) = moments.get(0) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        if !history.is_empty() {
            let read = |item: &PageItem<'_>| history::from_item(item);
            let past = moments.part(history.clone());
            found = self.entries_at(stored.account.id, &past, EntryKind::State, read).await?;
        }
        let newest = (!newest.is_empty()).then_some((newest, stored.account.entry, stored.account.state));
        let earlier = found.into_iter().map(|CountedEntry { places, entry }| {
            (history.start + places.start..history.start + places.end, entry.key, entry.state)
        });
        let states: Vec<_> = newest.into_iter().chain(earlier).collect();
        // All moments know the same, so the parts of the scope that are known are the same at each.
        let account = stored.known(moment);
        Ok(states
            .into_iter()
            .map(|(places, entry, state)| (places, Account { entry, state, ..account.clone() }))
            .collect())
    }
}
