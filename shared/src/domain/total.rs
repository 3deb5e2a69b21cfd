//! One answer to "how much do we hold?": native sums, each converted once, and the receipt that proves them.
//!
//! Accounts are folded into [`NativeSums`] one by one, so no total needs them all in memory. Sums are exact
//! and 256 bits wide, so they depend neither on the order of accounts nor on their number. Filters and
//! permission were applied before.

use super::{Account, Amount, Asset, Gap, Pricing, Rate, TooLarge};
use ethnum::I256;
use std::collections::BTreeMap;
use thiserror::Error;

/// All accounts of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The currency.
    pub asset: Asset,
    /// How many accounts hold it.
    pub accounts: usize,
    /// Their exact sum.
    pub balance: Amount,
    /// The sum in the target, `None` if it has no usable rate.
    pub balance_in_base: Option<Amount>,
}

/// One rate that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The currency it prices.
    pub asset: Asset,
    /// The rate.
    pub rate: Rate,
    /// `usd ÷ usd(target)` to 28 significant digits, as text.
    pub in_target: String,
    /// How far a pegged token is from its peg, as text; `None` where there is no peg, or no usable rate of
    /// it.
    pub peg_deviation: Option<String>,
}

/// The whole answer. `total = fiat + crypto`, and each is the sum of its stacks, to the digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// `fiat + crypto`.
    pub total: Amount,
    /// The sum of the fiat stacks.
    pub fiat: Amount,
    /// The sum of the crypto stacks.
    pub crypto: Amount,
    /// One per currency with an account, in order of currency.
    pub stacks: Vec<Stack>,
    /// The currencies that needed a rate and have no usable one, with their exact sums.
    pub unpriced: Vec<(Asset, Amount)>,
    /// The target and every currency that was converted, in order of currency; empty if nothing was.
    pub receipts: Vec<Receipt>,
}

impl Summary {
    /// The holdings that lack a rate.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> {
        self.unpriced.iter().map(|(asset, balance)| Gap::Unpriced { asset: *asset, balance: *balance })
    }

    /// How many accounts were counted.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.stacks.iter().map(|stack| stack.accounts).sum()
    }

    /// Whether a sum in this currency needed a rate and has no usable one.
    #[must_use]
    pub fn lacks_rate(&self, asset: Asset) -> bool {
        self.unpriced.iter().any(|(unpriced, _)| *unpriced == asset)
    }
}

/// A sum that has more than 18 digits before the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SumTooLarge {
    /// The holdings of a currency, in that currency.
    #[error("the sum of {} has more than 18 digits before the point", .0.code())]
    Held(Asset),
    /// The holdings of a currency, converted.
    #[error("the sum of {}, converted, has more than 18 digits before the point", .0.code())]
    Converted(Asset),
    /// The total of several currencies.
    #[error("the total has more than 18 digits before the point")]
    Total,
}

impl From<TooLarge> for SumTooLarge {
    fn from(TooLarge: TooLarge) -> Self {
        Self::Total
    }
}

/// The exact sum of balances, which must all be of one currency to mean anything.
pub fn sum<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> Result<Amount, TooLarge> {
    // No memory holds enough accounts to leave 256 bits.
    Amount::from_wide(accounts.into_iter().map(|account| account.state.balance.wide()).sum())
}

/// The accounts of one currency while they are summed.
#[derive(Debug, Clone, Default)]
struct NativeSum {
    accounts: usize,
    units: I256,
    has_balance: bool,
}

/// The sums of accounts by their currency.
///
/// ```
/// use shared::domain::total::NativeSums;
/// let sums = NativeSums::default();
/// assert_eq!(sums.accounts(), 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct NativeSums(BTreeMap<Asset, NativeSum>);

impl NativeSums {
    /// The sums of these accounts.
    pub fn of<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> Result<Self, TooLarge> {
        let mut sums = Self::default();
        for account in accounts {
            sums.add(account)?;
        }
        Ok(sums)
    }

    /// Adds an account's balance. Fails only where a sum leaves 256 bits.
    pub fn add(&mut self, account: &Account) -> Result<(), TooLarge> {
        let sum = self.0.entry(account.asset).or_default();
        sum.accounts += 1;
        sum.units = sum.units.checked_add(account.state.balance.wide()).ok_or(TooLarge)?;
        sum.has_balance |= account.state.balance != Amount::ZERO;
        Ok(())
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.0.values().map(|sum| sum.accounts).sum()
    }

    /// The currencies whose sum is not zero, and so needs a rate unless it is the target's.
    pub fn held(&self) -> impl Iterator<Item = Asset> + '_ {
        self.0.iter().filter(|(_, sum)| sum.units != I256::ZERO).map(|(asset, _)| *asset)
    }

    /// Converts each sum once into the target.
    ///
    /// `has_rows` says that each account is also shown with its own converted balance. Balances that cancel
    /// (+5 and −5) need no rate for their sum, but their rows do.
    ///
    /// Fails only if a sum or a conversion has more than 18 digits before the point.
    pub fn summary(&self, pricing: Pricing<'_>, has_rows: bool) -> Result<Summary, SumTooLarge> {
        let (mut fiat, mut crypto) = (I256::ZERO, I256::ZERO);
        let (mut stacks, mut unpriced, mut converted) = (Vec::new(), Vec::new(), Vec::new());
        for (&asset, sum) in &self.0 {
            let balance = Amount::from_wide(sum.units).map_err(|TooLarge| SumTooLarge::Held(asset))?;
            let balance_in_base = pricing.convert(asset, sum.units);
            let balance_in_base = balance_in_base.map_err(|TooLarge| SumTooLarge::Converted(asset))?;
            let is_converted = sum.units != I256::ZERO || (has_rows && sum.has_balance);
            if asset != pricing.target && is_converted {
                match pricing.rate(asset).filter(|_| pricing.rate(pricing.target).is_some()) {
                    Some(_) => converted.push(asset),
                    None => unpriced.push((asset, balance)),
                }
            }
            // Add in 256 bits: a subtotal may have more than 18 digits although the total has not.
            let subtotal = if asset.is_crypto() { &mut crypto } else { &mut fiat };
            *subtotal += balance_in_base.unwrap_or_default().wide();
            stacks.push(Stack { asset, accounts: sum.accounts, balance, balance_in_base });
        }
        Ok(Summary {
            total: Amount::from_wide(fiat + crypto)?,
            fiat: Amount::from_wide(fiat)?,
            crypto: Amount::from_wide(crypto)?,
            stacks,
            unpriced,
            receipts: receipts(converted, pricing),
        })
    }
}

pub(super) fn receipts(mut assets: Vec<Asset>, pricing: Pricing<'_>) -> Vec<Receipt> {
    let Some(target) = pricing.rate(pricing.target).filter(|_| !assets.is_empty()) else { return Vec::new() };
    assets.push(pricing.target);
    assets.sort_unstable();
    let receipt = |asset| {
        let rate = pricing.rate(asset)?;
        let peg = asset.peg().and_then(|peg| pricing.rate(peg));
        let peg_deviation = peg.and_then(|peg| rate.usd.deviation(peg.usd));
        Some(Receipt {
            asset,
            in_target: rate.usd.ratio_text(target.usd)?,
            peg_deviation,
            rate: rate.into_owned(),
        })
    };
    assets.into_iter().filter_map(receipt).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        AccountId, AccountLabels, AccountScope, AccountState, AgeLimits, CustomerId, EntryKey, Method,
        RateSheet, RatesInForce, SheetKind, Status, Timestamp, UsdPrice, Version,
    };
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn asset(code: &str) -> Asset {
        crate::domain::Catalogue::default().asset(code).unwrap()
    }

    const PRICES: [(&str, &str); 5] = [
        ("EUR", "1.1353"),
        ("USDC", "0.99991"),
        ("BTC", "97000.5"),
        ("JPY", "0.006631"),
        ("ETH", "3123.123456789012345678"),
    ];

    /// Thirty accounts of this many units of the dearest asset still fit in the cheapest.
    const MOST: i128 = 10_i128.pow(27);

    fn at() -> Timestamp {
        Timestamp::parse("2026-06-01T00:00:00Z").unwrap()
    }

    fn rates() -> RatesInForce {
        let rate = |usd| Rate {
            usd: UsdPrice::parse(usd).unwrap(),
            source: "test".to_owned(),
            method: Method::Market,
            observed_at: at(),
        };
        let entries = PRICES.iter().map(|(code, usd)| ((*code).to_owned(), rate(usd))).collect();
        RatesInForce::of(vec![RateSheet {
            kind: SheetKind::Complete,
            observed_at: at(),
            recorded_at: at(),
            entries,
        }])
    }

    fn account(code: &str, units: i128) -> Account {
        let balance = Amount::from_units(units).unwrap();
        Account {
            id: AccountId::from(Uuid::nil()),
            customer_id: CustomerId::from(Uuid::nil()),
            asset: asset(code),
            entry: EntryKey { balance_at: at(), version: Version::default() },
            state: AccountState { balance, available: balance, active: true, status: Status::Active },
            created_at: at(),
            scope: AccountScope::default(),
            labels: AccountLabels::default(),
            custody_account_id: None,
        }
    }

    fn accounts() -> impl Strategy<Value = Vec<Account>> {
        let account =
            (0_usize..PRICES.len(), -MOST..MOST).prop_map(|(index, units)| account(PRICES[index].0, units));
        proptest::collection::vec(account, 0..30)
    }

    fn summarize<'a>(
        accounts: impl IntoIterator<Item = &'a Account>,
        pricing: Pricing<'_>,
    ) -> Result<Summary, SumTooLarge> {
        NativeSums::of(accounts)?.summary(pricing, false)
    }

    fn sum(amounts: impl Iterator<Item = Amount>) -> I256 {
        amounts.fold(I256::ZERO, |sum, amount| sum + amount.wide())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_summary_does_not_depend_on_the_order_of_accounts(
            (accounts, shuffled) in accounts().prop_flat_map(|accounts| (Just(accounts.clone()), Just(accounts).prop_shuffle())),
            target in 0_usize..PRICES.len(),
        ) {
            let rates = rates();
            let pricing = Pricing { target: asset(PRICES[target].0), rates: &rates, at: at(), limits: AgeLimits::STANDARD };
            prop_assert_eq!(summarize(&accounts, pricing).unwrap(), summarize(&shuffled, pricing).unwrap());
        }

        #[test]
        fn totals_foot_with_stacks_and_sums_are_native_and_exact(accounts in accounts(), target in 0_usize..PRICES.len()) {
            let rates = rates();
            let pricing = Pricing { target: asset(PRICES[target].0), rates: &rates, at: at(), limits: AgeLimits::STANDARD };
            let summary = summarize(&accounts, pricing).unwrap();
            let in_base = |is_crypto: bool| {
                sum(summary.stacks.iter().filter(|stack| stack.asset.is_crypto() == is_crypto).map(|stack| stack.balance_in_base.unwrap()))
            };
            prop_assert_eq!(summary.fiat.wide(), in_base(false));
            prop_assert_eq!(summary.crypto.wide(), in_base(true));
            prop_assert_eq!(summary.total.wide(), in_base(false) + in_base(true));
            for stack in &summary.stacks {
                let own = || accounts.iter().filter(|account| account.asset == stack.asset);
                prop_assert_eq!((stack.accounts, stack.balance.wide()), (own().count(), sum(own().map(|account| account.state.balance))));
            }
            prop_assert!(summary.stacks.is_sorted_by_key(|stack| stack.asset.code()));
            let converted = summary.stacks.iter().filter(|stack| stack.asset != pricing.target && stack.balance != Amount::ZERO).count();
            prop_assert_eq!(summary.receipts.len(), if converted == 0 { 0 } else { converted + 1 });
        }
    }

    #[test]
    fn a_thousand_largest_balances_are_summed_without_wrapping() {
        let largest = account("EUR", 10_i128.pow(36) - 1);
        let none = RatesInForce::default();
        let pricing = Pricing { target: Asset::EUR, rates: &none, at: at(), limits: AgeLimits::STANDARD };
        let many = std::iter::repeat_n(&largest, 1_000);
        assert_eq!(summarize(many, pricing), Err(SumTooLarge::Held(Asset::EUR)));
        // A sum that leaves the range on the way and comes back is exact, within a currency and across.
        let rates = rates();
        let mixed = [
            account("EUR", 10_i128.pow(36) - 10_i128.pow(17)),
            account("JPY", 10_i128.pow(24)),
            account("USD", -10_i128.pow(24)),
        ];
        let across = Pricing { rates: &rates, ..pricing };
        assert!(summarize(&mixed, across).is_ok());
        let debt = account("EUR", -(10_i128.pow(36) - 1));
        let balanced = std::iter::repeat_n(&largest, 1_000).chain(std::iter::repeat_n(&debt, 1_000));
        assert_eq!(summarize(balanced, pricing).unwrap().total, Amount::ZERO);
    }
}
