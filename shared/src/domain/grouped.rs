//! A total over groups of accounts, and the total of each group.
//!
//! The whole is converted once per currency over all groups. Each group's total is converted and rounded for
//! itself, so the groups' totals need not add up to the whole's: the difference is the rounding.

use super::total::{NativeSums, Receipt, Stack, SumTooLarge, Summary};
use super::{Account, Amount, Asset, Pricing, TooLarge};
use std::collections::BTreeMap;

/// The dimension by which accounts are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The customer.
    Customer,
    /// The issuer of the asset, as the catalogue names it.
    Issuer,
    /// The blockchain.
    Network,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Issuer, Self::Network];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer_id",
            Self::Issuer => "issuer",
            Self::Network => "network",
        }
    }

    /// The account's value, if it has one.
    #[must_use]
    pub fn value(self, account: &Account) -> Option<String> {
        match self {
            Self::Customer => Some(account.customer_id.to_string()),
            Self::Issuer => account.asset.row().issuer.map(str::to_owned),
            Self::Network => account.scope.network.as_ref().map(|network| network.name().to_owned()),
        }
    }
}

/// The sums of accounts by their currency, over all and by group. `None` is the group of accounts that have
/// no value to be grouped by.
#[derive(Debug, Clone)]
pub struct GroupedSums<K> {
    whole: NativeSums,
    groups: BTreeMap<Option<K>, NativeSums>,
}

impl<K: Ord> Default for GroupedSums<K> {
    fn default() -> Self {
        Self { whole: NativeSums::default(), groups: BTreeMap::new() }
    }
}

/// The whole and its groups in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupedSummary<K> {
    /// Over all groups. Its gaps and receipts are those of the groups too: a currency whose sum over all
    /// groups is zero needs a rate all the same if one group holds it.
    pub whole: Summary,
    /// One per group, ordered by its value; accounts that have none come last.
    pub groups: Vec<(Option<K>, Summary)>,
    /// The whole's total minus the sum of the groups' totals.
    pub rounding: Amount,
}

impl<K: Ord> GroupedSums<K> {
    /// Adds an account's balance to the whole, and to its group if there are groups. Fails only where a sum
    /// leaves 256 bits.
    pub fn add(&mut self, account: &Account, group: Option<Option<K>>) -> Result<(), TooLarge> {
        if let Some(group) = group {
            self.groups.entry(group).or_default().add(account)?;
        }
        self.whole.add(account)
    }

    /// Over all groups.
    #[must_use]
    pub const fn whole(&self) -> &NativeSums {
        &self.whole
    }

    /// Converts each sum of the whole and of each group once into the target; `has_rows` as in
    /// [`NativeSums::summary`].
    pub fn summary(self, pricing: Pricing<'_>, has_rows: bool) -> Result<GroupedSummary<K>, SumTooLarge> {
        let Self { whole, mut groups } = self;
        let mut whole = whole.summary(pricing, has_rows)?;
        let without_value = groups.remove(&None);
        let ordered = groups.into_iter().chain(without_value.map(|sums| (None, sums)));
        let summary = |(group, sums): (_, NativeSums)| Ok((group, sums.summary(pricing, false)?));
        let groups: Vec<(Option<K>, Summary)> = ordered.map(summary).collect::<Result<_, SumTooLarge>>()?;
        let rest = groups.iter().fold(whole.total.wide(), |rest, (_, group)| rest - group.total.wide());
        let summaries = || std::iter::once(&whole).chain(groups.iter().map(|(_, summary)| summary));
        let lacks_rate = |stack: &&Stack| summaries().any(|summary| summary.lacks_rate(stack.asset));
        let unpriced = whole.stacks.iter().filter(lacks_rate).map(|stack| (stack.asset, stack.balance));
        let unpriced = unpriced.collect();
        // All summaries price by the same rates, so any one receipt of an asset will do.
        let receipts: BTreeMap<Asset, Receipt> = summaries()
            .flat_map(|summary| &summary.receipts)
            .map(|receipt| (receipt.asset, receipt.clone()))
            .collect();
        whole = Summary { unpriced, receipts: receipts.into_values().collect(), ..whole };
        Ok(GroupedSummary { whole, groups, rounding: Amount::from_wide(rest)? })
    }
}
