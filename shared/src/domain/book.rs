//! The whole book: what all accounts together held as of an instant, known at an instant.
//!
//! Accounts are counted in cells: one for every combination that occurs of currency, house, status, `active`,
//! network and custody provider. So the memory of a position grows with combinations, not with accounts. What
//! a position is worth is [`book_totals`](super::book_totals)'s business.

use super::{
    Account, AccountState, Asset, CustodyGap, Measure, Moment, Network, ProviderName, Status, TooLarge,
};
use ethnum::I256;
use std::collections::BTreeMap;

/// Most cells of a position. Beyond, the networks with the fewest accounts become [`OTHER_NETWORKS`].
pub const MAX_CELLS: usize = 2_000;
/// Gaps that a position lists; of more it says how many there are.
pub const MAX_BOOK_GAPS: usize = 100;
/// The network of cells that were put together.
pub const OTHER_NETWORKS: &str = "other";

/// The combination that the accounts of a cell share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// Their currency.
    pub asset: Asset,
    /// Whether they are the firm's own.
    pub is_house: bool,
    /// Their status.
    pub status: Status,
    /// Their own flag.
    pub active: bool,
    /// Their blockchain.
    pub network: Option<Network>,
    /// The provider that has them in custody.
    pub provider: Option<ProviderName>,
}

/// The accounts of a cell, added up. Sums are in units of 10⁻¹⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellSums {
    /// How many there are.
    pub accounts: u64,
    /// Their balances.
    pub balance: I256,
    /// Their available amounts.
    pub available: I256,
    /// The negative balances among them.
    pub overdrawn: I256,
}

impl CellSums {
    fn add(&mut self, state: &AccountState) -> Result<(), TooLarge> {
        let balance = state.balance.wide();
        self.merge(&Self {
            accounts: 1,
            balance,
            available: state.available.wide(),
            overdrawn: balance.min(I256::ZERO),
        })
    }

    /// Adds other accounts. Fails only where a sum leaves 256 bits.
    pub fn merge(&mut self, other: &Self) -> Result<(), TooLarge> {
        let sum = |own: I256, other| own.checked_add(other).ok_or(TooLarge);
        *self = Self {
            accounts: self.accounts.checked_add(other.accounts).ok_or(TooLarge)?,
            balance: sum(self.balance, other.balance)?,
            available: sum(self.available, other.available)?,
            overdrawn: sum(self.overdrawn, other.overdrawn)?,
        };
        Ok(())
    }

    /// The measured sum.
    #[must_use]
    pub const fn measured(&self, measure: Measure) -> I256 {
        match measure {
            Measure::Balance => self.balance,
            Measure::Available => self.available,
        }
    }
}

/// Cells with their sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells(BTreeMap<CellKey, CellSums>);

impl Cells {
    /// Adds an account.
    pub fn add(
        &mut self,
        account: &Account,
        is_house: bool,
        provider: Option<ProviderName>,
    ) -> Result<(), TooLarge> {
        let AccountState { status, active, .. } = account.state;
        let network = account.scope.network.clone();
        let key = CellKey { asset: account.asset, is_house, status, active, network, provider };
        self.0.entry(key).or_default().add(&account.state)
    }

    /// Adds the accounts of a cell.
    pub fn add_cell(&mut self, key: CellKey, sums: &CellSums) -> Result<(), TooLarge> {
        self.0.entry(key).or_default().merge(sums)
    }

    /// Every cell, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&CellKey, &CellSums)> {
        self.0.iter()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> u64 {
        self.0.values().map(|sums| sums.accounts).sum()
    }

    /// The cells without what only the whole cube tells: one for each currency, of the house and of others.
    pub fn summarized(&self) -> Result<Self, TooLarge> {
        let mut summary = Self::default();
        for (key, sums) in &self.0 {
            let key = CellKey {
                status: Status::Active,
                active: true,
                network: None,
                provider: None,
                ..key.clone()
            };
            summary.add_cell(key, sums)?;
        }
        Ok(summary)
    }

    /// The cells, of which there are at most `most`: beyond, the networks with the fewest accounts are put
    /// together, one after the other.
    pub fn bounded(self, most: usize) -> Result<Self, TooLarge> {
        if self.0.len() <= most {
            return Ok(self);
        }
        let mut networks = BTreeMap::<Network, u64>::new();
        for (key, sums) in &self.0 {
            if let Some(network) = &key.network {
                *networks.entry(network.clone()).or_default() += sums.accounts;
            }
        }
        let mut smallest: Vec<(u64, Network)> =
            networks.into_iter().map(|(network, accounts)| (accounts, network)).collect();
        smallest.sort_unstable();
        let Ok(other) = Network::parse(OTHER_NETWORKS) else { return Ok(self) };
        let mut bounded = self;
        for (_, network) in smallest {
            if bounded.0.len() <= most {
                break;
            }
            let mut renamed = Self::default();
            for (key, sums) in bounded.0 {
                let is_small = key.network.as_ref() == Some(&network);
                let network = if is_small { Some(other.clone()) } else { key.network.clone() };
                renamed.add_cell(CellKey { network, ..key }, &sums)?;
            }
            bounded = renamed;
        }
        Ok(bounded)
    }
}

/// A custody gap, with what filters know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookGap {
    /// The gap.
    pub gap: CustodyGap,
    /// Whether the custody account is the firm's own.
    pub is_house: bool,
    /// The provider.
    pub provider: ProviderName,
}

/// The custody gaps of a position: the first ones by their accounts, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BookGaps {
    /// Ordered by reason, then by id; at most [`MAX_BOOK_GAPS`].
    pub listed: Vec<BookGap>,
    /// How many more there are.
    pub omitted: u64,
}

impl BookGaps {
    /// Adds gaps. The ones that are listed do not depend on the order in which they come.
    pub fn add(&mut self, gaps: impl IntoIterator<Item = BookGap>, omitted: u64) {
        self.listed.extend(gaps);
        self.listed.sort_by_key(order);
        let beyond = self.listed.len().saturating_sub(MAX_BOOK_GAPS);
        self.listed.truncate(MAX_BOOK_GAPS);
        self.omitted =
            self.omitted.saturating_add(omitted).saturating_add(u64::try_from(beyond).unwrap_or(u64::MAX));
    }

    /// How many gaps there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.listed.len()).unwrap_or(u64::MAX).saturating_add(self.omitted)
    }
}

fn order(gap: &BookGap) -> super::Gap {
    super::Gap::from(gap.gap.clone())
}

/// All accounts together as of an instant, known at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookPosition {
    /// As of when.
    pub position_at: super::Timestamp,
    /// Known at when.
    pub known_at: super::Timestamp,
    /// The sums.
    pub cells: Cells,
    /// The custody gaps of that moment.
    pub gaps: BookGaps,
}

impl BookPosition {
    /// The moment that it is of.
    #[must_use]
    pub const fn moment(&self) -> Moment {
        Moment { as_of: self.position_at, known_at: Some(self.known_at) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CustodyAccountId;
    use super::*;
    use crate::domain::{Coverage, gap::UnknownHolding};
    use uuid::Uuid;

    fn key(network: Option<&str>, is_house: bool) -> CellKey {
        CellKey {
            asset: Asset::EUR,
            is_house,
            status: Status::Active,
            active: true,
            network: network.map(|name| Network::parse(name).unwrap()),
            provider: None,
        }
    }

    fn sums(accounts: u64) -> CellSums {
        let units = I256::from(accounts);
        CellSums { accounts, balance: units, available: units, overdrawn: I256::ZERO }
    }

    fn cells(rows: &[(Option<&str>, bool, u64)]) -> Cells {
        let mut cells = Cells::default();
        for (network, is_house, accounts) in rows {
            cells.add_cell(key(*network, *is_house), &sums(*accounts)).unwrap();
        }
        cells
    }

    #[test]
    fn beyond_the_limit_the_smallest_networks_are_put_together() {
        let all = cells(&[
            (Some("large"), false, 50),
            (Some("middle"), false, 20),
            (Some("middle"), true, 5),
            (Some("small"), false, 3),
            (None, false, 1),
        ]);
        assert_eq!(all.clone().bounded(5).unwrap(), all);
        let bounded = all.clone().bounded(4).unwrap();
        // Renaming the smallest alone frees nothing: the next one joins it.
        let expected = cells(&[
            (Some("large"), false, 50),
            (Some("other"), false, 23),
            (Some("other"), true, 5),
            (None, false, 1),
        ]);
        assert_eq!((bounded, expected.accounts()), (expected.clone(), all.accounts()));
        // What belongs to no network is never put together.
        assert_eq!(all.bounded(1).unwrap().iter().count(), 3);
    }

    #[test]
    fn a_summary_tells_the_house_and_the_currency() {
        let summary = cells(&[(Some("a"), false, 1), (Some("b"), false, 2), (None, true, 4)]).summarized();
        assert_eq!(summary.unwrap(), cells(&[(None, false, 3), (None, true, 4)]));
    }

    #[test]
    fn a_sum_that_leaves_256_bits_is_an_error() {
        let most = CellSums { balance: I256::MAX, ..CellSums::default() };
        let mut cells = Cells::default();
        cells.add_cell(key(None, false), &most).unwrap();
        assert_eq!(cells.add_cell(key(None, false), &sums(1)), Err(TooLarge));
    }

    #[test]
    fn the_gaps_that_are_listed_do_not_depend_on_their_order() {
        let gap = |number: u128| BookGap {
            gap: CustodyGap {
                custody_account_id: CustodyAccountId::from(Uuid::from_u128(number % 90)),
                coverage: Coverage::All,
                unknown: (number >= 90).then(|| UnknownHolding {
                    provider_asset: format!("{number:03}"),
                    balance: "1".to_owned(),
                }),
            },
            is_house: false,
            provider: ProviderName::BitGo,
        };
        let (mut one, mut other) = (BookGaps::default(), BookGaps::default());
        one.add((0..150).map(gap), 7);
        for number in (0..150).rev() {
            other.add([gap(number)], 0);
        }
        other.add([], 7);
        assert_eq!((one.listed.len(), one.omitted, one.count()), (MAX_BOOK_GAPS, 57, 157));
        assert_eq!(one, other);
    }
}
