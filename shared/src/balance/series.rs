//! The balance of customers at each of several moments.
//!
//! Each account is read once, with as much of its history as the moments need, and is added to the sums of
//! every moment at which it counts. Rejected: a question per moment, which reads every account and seeks in
//! every history once for each.

use super::{CountError, pages};
use crate::domain::{CustomerId, Gap, Measure, Moments, NativeSums};
use crate::query::Filter;
use crate::store::{HoldingRun, HoldingsAt, ItemDetail, Store, StoreError, StoredHolding, check_histories};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// Histories that are read at once.
const CONCURRENT_HISTORIES: usize = 16;

/// A question for the balance of customers over time.
#[derive(Debug, Clone, Copy)]
pub struct SeriesQuestion<'a> {
    /// Whose balance.
    pub customers: &'a BTreeSet<CustomerId>,
    /// Which of the accounts.
    pub filter: &'a Filter,
    /// When.
    pub moments: &'a Moments,
    /// Which amount is summed.
    pub measure: Measure,
}

/// The accounts that count at one moment, added up.
#[derive(Debug, Clone, Default)]
pub struct SeriesPoint {
    /// Their sums.
    pub sums: NativeSums,
    /// The gaps, rates aside: rates are looked up when the sums are converted.
    pub gaps: BTreeSet<Gap>,
}

/// Adds up the customers' accounts as they stood at each moment: one point per moment, in their order.
pub async fn counted_over(
    store: &Store,
    question: SeriesQuestion<'_>,
) -> Result<Vec<SeriesPoint>, CountError> {
    let SeriesQuestion { customers, filter, moments, measure: _ } = question;
    let mut points = vec![SeriesPoint::default(); moments.len()];
    let admitted = |mut page: Vec<StoredHolding>| {
        page.retain(|holding| holding.is_admitted(filter));
        check_histories(&page, moments)?;
        Ok::<_, StoreError>(stream::iter(page).map(Ok::<_, StoreError>))
    };
    let holdings = pages(store, customers, ItemDetail::Totals).map(|page| page.and_then(admitted));
    let mut runs = holdings
        .try_flatten()
        .map_ok(|holding| store.holding_over(holding, moments))
        .try_buffer_unordered(CONCURRENT_HISTORIES);
    while let Some(runs) = runs.try_next().await? {
        for run in runs {
            add(&mut points, run, question)?;
        }
    }
    Ok(points)
}

/// Adds what a holding stands for at consecutive moments to the points of these.
fn add(points: &mut [SeriesPoint], run: HoldingRun, question: SeriesQuestion<'_>) -> Result<(), CountError> {
    let HoldingRun { places, holdings: HoldingsAt { accounts, gaps } } = run;
    let points = points.get_mut(places).unwrap_or_default();
    for mut account in accounts {
        account.state = account.state.measured(question.measure);
        if question.filter.admits(&account) {
            for point in &mut *points {
                point.sums.add(&account)?;
            }
        }
    }
    for gap in gaps.into_iter().filter(|gap| question.filter.admits_gap(gap)).map(Gap::from) {
        for point in &mut *points {
            point.gaps.insert(gap.clone());
        }
    }
    Ok(())
}
