//! The sentences of a 422: which rate is missing since when, and what fills the other gaps.

use crate::domain::{Asset, Gap, Pricing, Rate, Suspect};
use std::collections::BTreeMap;

/// Currencies that one sentence explains; more are only listed.
const MAX_EXPLAINED: usize = 3;

/// The currencies that lack a usable rate: the target alone, if the target lacks one, because no rate of a
/// holding would help then.
pub(super) fn without_rate(unpriced: Vec<Asset>, pricing: Pricing<'_>) -> Vec<Asset> {
    let target = pricing.target;
    if target != Asset::USD && pricing.rate(target).is_none() { vec![target] } else { unpriced }
}

/// Why currencies have no usable rate, and since when.
pub(super) fn why(currencies: &[Asset], pricing: Pricing<'_>, suspects: &BTreeMap<Asset, Suspect>) -> String {
    let Some(newest) = pricing.rates.newest() else {
        let none =
            "There is no rate sheet of that time or of the days before it, so nothing can be converted.";
        return none.to_owned();
    };
    let explained = currencies.iter().take(MAX_EXPLAINED).map(|asset| {
        let code = asset.code();
        match (suspects.get(asset), pricing.rates.entry(*asset)) {
            (Some(suspect), _) => format!(
                "{code} jumped at {}, and {}",
                suspect.seen_at.to_millis_text(),
                suspect.reason().text()
            ),
            (None, Some(Rate { source, observed_at, .. })) => format!(
                "the last rate of {code}, by {source}, is of {} and too old",
                observed_at.to_millis_text()
            ),
            (None, None) => format!(
                "no source had a rate of {code} for the sheet of {}",
                newest.observed_at.to_millis_text()
            ),
        }
    });
    let explained: Vec<String> = explained.collect();
    let more = if currencies.len() > MAX_EXPLAINED { "; and more" } else { "" };
    let advice = "with `partial=true` what has no rate is left out of the totals and named";
    format!("No usable rate: {}{more}; {advice}.", explained.join("; "))
}

/// A sentence that says which kinds of gaps there are, and how each is filled.
pub(super) fn what_helps(gaps: &[Gap]) -> String {
    let has = |is_one: fn(&Gap) -> bool| gaps.iter().any(is_one);
    let kinds = [
        (has(|gap| matches!(gap, Gap::Unpriced { .. })), "holdings without a usable rate"),
        (
            has(|gap| matches!(gap, Gap::Unsynced(_))),
            "custody accounts that have never been synced (sync them, or wait for the schedule)",
        ),
        (
            has(|gap| matches!(gap, Gap::UnknownAsset { .. })),
            "custody holdings that the catalogue does not name (`ballast assets add`, or an ignore row)",
        ),
        (
            has(|gap| matches!(gap, Gap::Stale { .. })),
            "balances confirmed longer ago than `confirmed_within`",
        ),
    ];
    let missing: Vec<&str> =
        kinds.into_iter().filter(|(is_there, _)| *is_there).map(|(_, kind)| kind).collect();
    let advice = "with `partial=true` they are left out of the totals and named";
    format!("The balance lacks {}; {advice}.", missing.join(", and "))
}
