//! The totals of an organization and of each of its merchants.
//!
//! The organization's total is converted once per currency over all merchants, so the merchants' totals,
//! each of which is rounded for itself, need not add up to it: the difference is the rounding.

use shared::domain::total::{Receipt, SumTooLarge};
use shared::domain::{Account, Amount, Asset, Gap, MerchantId, NativeSums, Pricing, Summary};
use std::collections::BTreeMap;

/// An organization's balance in one currency.
#[derive(Debug)]
pub(super) struct Totals {
    /// The sum over all merchants, converted once per currency.
    pub(super) total: Amount,
    /// `total` minus the sum of the merchants' totals.
    pub(super) rounding: Amount,
    /// One per merchant with an account, ordered by id; accounts of no merchant come last.
    pub(super) merchants: Vec<(Option<MerchantId>, Summary)>,
    /// The currencies that the total or a merchant's total lacks a rate for, with the organization's sums.
    pub(super) unpriced: Vec<(Asset, Amount)>,
    /// The rates of every conversion, ordered by currency.
    pub(super) receipts: Vec<Receipt>,
}

impl Totals {
    /// The holdings that lack a rate.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap> {
        self.unpriced.iter().map(|(asset, balance)| Gap::Unpriced { asset: *asset, balance: *balance })
    }

    /// Fails only if a sum or a conversion has more than 18 digits before the point.
    pub(super) fn of(accounts: &[Account], pricing: Pricing<'_>) -> Result<Self, SumTooLarge> {
        let whole = NativeSums::of(accounts)?.summary(pricing, false)?;
        let merchants = merchants(accounts, pricing)?;
        let rest =
            merchants.iter().fold(whole.total.wide(), |rest, (_, summary)| rest - summary.total.wide());
        let summaries = || std::iter::once(&whole).chain(merchants.iter().map(|(_, summary)| summary));
        // A currency whose sum over all merchants is zero needs a rate all the same if one merchant holds it.
        let lacks_rate = |asset: Asset| summaries().any(|summary| summary.lacks_rate(asset));
        // All summaries price by one sheet, so any one receipt of an asset will do.
        let receipts: BTreeMap<Asset, &Receipt> = summaries()
            .flat_map(|summary| &summary.receipts)
            .map(|receipt| (receipt.asset, receipt))
            .collect();
        let stacks = whole.stacks.iter().filter(|stack| lacks_rate(stack.asset));
        Ok(Self {
            total: whole.total,
            rounding: Amount::from_wide(rest)?,
            unpriced: stacks.map(|stack| (stack.asset, stack.balance)).collect(),
            receipts: receipts.into_values().cloned().collect(),
            merchants,
        })
    }
}

fn merchants(
    accounts: &[Account],
    pricing: Pricing<'_>,
) -> Result<Vec<(Option<MerchantId>, Summary)>, SumTooLarge> {
    let mut groups = BTreeMap::<Option<&MerchantId>, NativeSums>::new();
    for account in accounts {
        groups.entry(account.scope.merchant_id.as_ref()).or_default().add(account)?;
    }
    let without_merchant = groups.remove(&None);
    let ordered = groups.into_iter().chain(without_merchant.map(|sums| (None, sums)));
    ordered.map(|(merchant, sums)| Ok((merchant.cloned(), sums.summary(pricing, false)?))).collect()
}
