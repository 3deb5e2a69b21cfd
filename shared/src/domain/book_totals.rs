//! A position of the whole book in one currency: filtered, grouped, and converted once per currency.
//!
//! Its amounts may have more than 18 digits before the point, so sums and conversions are 256-bit integers of
//! 10⁻¹⁸ units throughout.

use super::book::{BookGap, CellKey, Cells};
use super::total::{Receipt, SumTooLarge, receipts};
use super::{Asset, CustodyGap, Measure, Network, Pricing, ProviderName, Status, TooLarge, decimal};
use ethnum::I256;
use std::collections::{BTreeMap, BTreeSet};

/// Which cells count. What is not given admits everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BookFilter {
    /// Of this currency.
    pub asset: Option<Asset>,
    /// Crypto only, or fiat only.
    pub is_crypto: Option<bool>,
    /// Of this status.
    pub status: Option<Status>,
    /// The accounts' own flag.
    pub active: Option<bool>,
    /// The firm's own accounts only, or those of others.
    pub is_house: Option<bool>,
    /// On this blockchain.
    pub network: Option<Network>,
    /// In custody of this provider.
    pub provider: Option<ProviderName>,
}

impl BookFilter {
    fn admits(&self, key: &CellKey) -> bool {
        let is = |wanted: Option<bool>, own: bool| wanted.is_none_or(|wanted| wanted == own);
        self.asset.is_none_or(|asset| asset == key.asset)
            && is(self.is_crypto, key.asset.is_crypto())
            && self.status.is_none_or(|status| status == key.status)
            && is(self.active, key.active)
            && is(self.is_house, key.is_house)
            && self.network.as_ref().is_none_or(|network| Some(network) == key.network.as_ref())
            && self.provider.is_none_or(|provider| Some(provider) == key.provider)
    }

    /// Whether a gap may hide an account that the filter admits. Positions in custody are active and crypto;
    /// an asset that nothing names is none that a filter could.
    #[must_use]
    pub fn admits_gap(&self, BookGap { gap, is_house, provider }: &BookGap) -> bool {
        let CustodyGap { coverage, unknown, .. } = gap;
        self.is_crypto != Some(false)
            && self.active != Some(false)
            && self.status.is_none_or(|status| status == Status::Active)
            && self.is_house.is_none_or(|wanted| wanted == *is_house)
            && self.provider.is_none_or(|wanted| wanted == *provider)
            && self.asset.is_none_or(|asset| unknown.is_none() && coverage.may_hold(asset))
    }

    /// Whether it asks for something that the summary by currency and house does not tell.
    #[must_use]
    pub const fn needs_cube(&self) -> bool {
        self.status.is_some() || self.active.is_some() || self.network.is_some() || self.provider.is_some()
    }
}

/// The dimension by which a position is grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookDimension {
    /// The currency.
    Currency,
    /// The issuer of the currency, as the catalogue names it today.
    Issuer,
    /// The money that the currency is pegged to.
    Peg,
    /// The blockchain.
    Network,
    /// The custody provider.
    Provider,
    /// The status.
    Status,
    /// The firm's own, or others'.
    House,
}

impl BookDimension {
    /// Every dimension.
    pub const ALL: [Self; 7] =
        [Self::Currency, Self::Issuer, Self::Peg, Self::Network, Self::Provider, Self::Status, Self::House];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::Issuer => "issuer",
            Self::Peg => "peg",
            Self::Network => "network",
            Self::Provider => "provider",
            Self::Status => "status",
            Self::House => "house",
        }
    }

    /// The dimension of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == text)
    }

    /// Whether the summary by currency and house does not tell it.
    #[must_use]
    pub const fn needs_cube(self) -> bool {
        matches!(self, Self::Network | Self::Provider | Self::Status)
    }

    /// The cell's value, if it has one.
    fn value(self, key: &CellKey) -> Option<String> {
        match self {
            Self::Currency => Some(key.asset.code().to_owned()),
            Self::Issuer => key.asset.row().issuer.map(str::to_owned),
            Self::Peg => key.asset.peg().map(|peg| peg.code().to_owned()),
            Self::Network => key.network.as_ref().map(|network| network.name().to_owned()),
            Self::Provider => key.provider.map(|provider| provider.name().to_owned()),
            Self::Status => Some(key.status.name().to_owned()),
            Self::House => Some(key.is_house.to_string()),
        }
    }
}

/// The accounts of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookStack {
    /// The currency.
    pub asset: Asset,
    /// How many accounts.
    pub accounts: u64,
    /// The measured sum, in the currency.
    pub balance: I256,
    /// The sum of negative balances, in the currency.
    pub overdrawn: I256,
    /// The measured sum in the target; `None` without a usable rate.
    pub in_base: Option<I256>,
    /// The negative balances in the target; `None` without a usable rate.
    overdrawn_in_base: Option<I256>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookGroup {
    /// The value that its accounts share.
    pub value: Option<String>,
    /// How many accounts.
    pub accounts: u64,
    /// The sum of the stacks that have a rate.
    pub in_base: I256,
    /// By currency.
    pub stacks: Vec<BookStack>,
}

/// A position in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookTotals {
    /// How many accounts were counted.
    pub accounts: u64,
    /// `fiat` plus `crypto`.
    pub total: I256,
    /// The sum of the fiat stacks.
    pub fiat: I256,
    /// The sum of the crypto stacks.
    pub crypto: I256,
    /// The negative balances, converted once per currency; negative or 0.
    pub overdrawn: I256,
    /// One per currency, in order.
    pub stacks: Vec<BookStack>,
    /// One per group, ordered by value; those without a value come last.
    pub groups: Vec<BookGroup>,
    /// The total minus the sum of the groups.
    pub rounding: I256,
    /// Currencies that needed a rate and have none, with their sums.
    pub unpriced: Vec<(Asset, I256)>,
    /// The rates that were used.
    pub receipts: Vec<Receipt>,
}

impl BookTotals {
    /// The total in whole units of the target, cut; `None` if they are more than 63 bits hold.
    #[must_use]
    pub fn whole_units(&self) -> Option<i64> {
        i64::try_from(self.total.checked_div(I256::from(decimal::ONE))?).ok()
    }
}

/// A question to a position.
#[derive(Debug, Clone, Copy)]
pub struct BookQuestion<'a> {
    /// Which cells count.
    pub filter: &'a BookFilter,
    /// The dimension by which the answer is grouped.
    pub group_by: Option<BookDimension>,
    /// Which amount is summed.
    pub measure: Measure,
}

/// Sums of cells by currency.
type Sums = BTreeMap<Asset, super::book::CellSums>;

impl BookQuestion<'_> {
    /// The currencies of cells that count.
    #[must_use]
    pub fn assets(&self, cells: &Cells) -> BTreeSet<Asset> {
        cells.iter().filter(|(key, _)| self.filter.admits(key)).map(|(key, _)| key.asset).collect()
    }

    /// Adds up the cells that count, and converts each currency's sum once.
    pub fn totals(&self, cells: &Cells, pricing: Pricing<'_>) -> Result<BookTotals, SumTooLarge> {
        let mut whole = Sums::new();
        // Groups without a value come last: `true` sorts after `false`.
        let mut groups = BTreeMap::<(bool, Option<String>), Sums>::new();
        for (key, sums) in cells.iter().filter(|(key, _)| self.filter.admits(key)) {
            whole.entry(key.asset).or_default().merge(sums)?;
            if let Some(dimension) = self.group_by.filter(|dimension| *dimension != BookDimension::Currency) {
                let value = dimension.value(key);
                let group = groups.entry((value.is_none(), value)).or_default();
                group.entry(key.asset).or_default().merge(sums)?;
            }
        }
        let stacks = self.stacks(&whole, pricing)?;
        let groups = groups.into_iter().map(|((_, value), sums)| {
            let stacks = self.stacks(&sums, pricing)?;
            Ok(BookGroup { value, accounts: count(&stacks), in_base: in_base(&stacks, |_| true)?, stacks })
        });
        let groups: Vec<BookGroup> = groups.collect::<Result<_, SumTooLarge>>()?;
        let needed: BTreeSet<Asset> = stacks
            .iter()
            .chain(groups.iter().flat_map(|group| &group.stacks))
            .filter(|stack| stack.needs_rate(pricing.target))
            .map(|stack| stack.asset)
            .collect();
        let has_target = pricing.rate(pricing.target).is_some();
        let (converted, lacking): (Vec<Asset>, Vec<Asset>) =
            needed.into_iter().partition(|asset| has_target && pricing.rate(*asset).is_some());
        let unpriced = stacks.iter().filter(|stack| lacking.contains(&stack.asset));
        let unpriced = unpriced.map(|stack| (stack.asset, stack.balance)).collect();
        let (fiat, crypto) = (
            in_base(&stacks, |stack| !stack.asset.is_crypto())?,
            in_base(&stacks, |stack| stack.asset.is_crypto())?,
        );
        let total = fiat.checked_add(crypto).ok_or(TooLarge)?;
        let of_groups = sum(groups.iter().map(|group| group.in_base))?;
        Ok(BookTotals {
            accounts: count(&stacks),
            total,
            fiat,
            crypto,
            overdrawn: sum(stacks.iter().filter_map(|stack| stack.overdrawn_in_base))?,
            stacks,
            groups,
            rounding: total.checked_sub(of_groups).ok_or(TooLarge)?,
            unpriced,
            receipts: receipts(converted, pricing),
        })
    }

    fn stacks(&self, sums: &Sums, pricing: Pricing<'_>) -> Result<Vec<BookStack>, SumTooLarge> {
        let stack = |(asset, sums): (&Asset, &super::book::CellSums)| {
            let convert = |units| {
                pricing.convert_wide(*asset, units).map_err(|TooLarge| SumTooLarge::Converted(*asset))
            };
            let balance = sums.measured(self.measure);
            Ok(BookStack {
                asset: *asset,
                accounts: sums.accounts,
                balance,
                overdrawn: sums.overdrawn,
                in_base: convert(balance)?,
                overdrawn_in_base: convert(sums.overdrawn)?,
            })
        };
        sums.iter().map(stack).collect()
    }
}

impl BookStack {
    fn needs_rate(&self, target: Asset) -> bool {
        self.asset != target && (self.balance != I256::ZERO || self.overdrawn != I256::ZERO)
    }
}

fn count(stacks: &[BookStack]) -> u64 {
    stacks.iter().map(|stack| stack.accounts).sum()
}

fn in_base(stacks: &[BookStack], is_wanted: impl Fn(&BookStack) -> bool) -> Result<I256, TooLarge> {
    sum(stacks.iter().filter(|stack| is_wanted(stack)).filter_map(|stack| stack.in_base))
}

fn sum(amounts: impl IntoIterator<Item = I256>) -> Result<I256, TooLarge> {
    amounts.into_iter().try_fold(I256::ZERO, |sum, amount| sum.checked_add(amount).ok_or(TooLarge))
}
