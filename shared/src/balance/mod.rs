//! The balance of customers: accounts read page by page, counted or named as missing, and added up.
//!
//! The API's balance and the operator's command line ask here, so that both have one arithmetic. What a sum
//! is worth is [`total`](crate::domain::total)'s business, and wording is neither's.

mod series;

pub use series::{SeriesPoint, SeriesQuestion, counted_over};

use crate::domain::gap::StaleHolder;
use crate::domain::{
    Account, CustodyAccountId, CustomerId, Dimension, Gap, GroupedSums, Measure, Moment, Timestamp, TooLarge,
};
use crate::query::Filter;
use crate::store::{CustomerPages, HoldingsAt, ItemDetail, Store, StoreError, StoredHolding};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use std::collections::{BTreeSet, HashMap};
use thiserror::Error;

/// Customers whose accounts are read at once.
const CONCURRENT_CUSTOMERS: usize = 8;

/// A question for the balance of customers.
#[derive(Debug, Clone, Copy)]
pub struct BalanceQuestion<'a> {
    /// Whose balance.
    pub customers: &'a BTreeSet<CustomerId>,
    /// Which of the accounts.
    pub filter: &'a Filter,
    /// `None` asks about now.
    pub moment: Option<Moment>,
    /// The time of the question.
    pub now: Timestamp,
    /// Which amount is summed.
    pub measure: Measure,
    /// How long ago a counted balance may have been confirmed. Only a question about now may limit it.
    pub confirmed_within: Option<SignedDuration>,
    /// The dimension by which accounts are also grouped.
    pub group_by: Option<Dimension>,
    /// Most accounts that are also shown one by one; `None` shows none.
    pub rows: Option<usize>,
}

impl BalanceQuestion<'_> {
    /// The moment that the question is about.
    #[must_use]
    pub fn at(&self) -> Moment {
        self.moment.unwrap_or(Moment::as_of(self.now))
    }
}

/// The accounts that count, added up.
#[derive(Debug, Default)]
pub struct CountedAccounts {
    /// Their sums.
    pub sums: GroupedSums<String>,
    /// The accounts one by one, stale ones included, if they were asked for.
    pub rows: Vec<Account>,
    /// The gaps, rates aside: rates are looked up when the sums are converted.
    pub gaps: BTreeSet<Gap>,
    /// The oldest confirmation of a counted account; `None` without accounts, and for a question about the
    /// past.
    pub oldest_balance_at: Option<Timestamp>,
}

/// Why accounts could not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CountError {
    /// The store failed, or the read budget is spent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sum leaves 256 bits.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// There are more accounts than rows can be shown.
    #[error("more accounts than can be shown one by one")]
    TooManyRows,
}

/// Last confirmations of custody accounts.
type Confirmations = HashMap<CustodyAccountId, Timestamp>;

/// The customers' items, page by page, in no order.
fn pages<'a>(
    store: &'a Store,
    customers: &'a BTreeSet<CustomerId>,
    detail: ItemDetail,
) -> impl Stream<Item = Result<Vec<StoredHolding>, StoreError>> + 'a {
    let pages_of = move |customer_id: &CustomerId| {
        let pages = store.customer_pages(*customer_id, detail);
        let next = async |mut pages: CustomerPages| Ok(pages.next().await?.map(|page| (page, pages)));
        Box::pin(stream::try_unfold(pages, next))
    };
    stream::iter(customers).map(pages_of).flatten_unordered(CONCURRENT_CUSTOMERS)
}

/// Adds up the customers' accounts as they stood at the moment, page by page: unless rows are asked for, no
/// account is kept.
pub async fn counted(store: &Store, question: BalanceQuestion<'_>) -> Result<CountedAccounts, CountError> {
    let mut counted = CountedAccounts::default();
    let detail = if question.rows.is_some() { ItemDetail::Whole } else { ItemDetail::Totals };
    let mut pages = pages(store, question.customers, detail);
    while let Some(mut page) = pages.try_next().await? {
        // Conditions on the state can only be checked once the state of the moment is known.
        page.retain(|holding| holding.is_admitted(question.filter));
        let HoldingsAt { accounts, gaps } = store.holdings_at(page, question.at()).await?;
        let gaps = gaps.into_iter().filter(|gap| question.filter.admits_gap(gap)).map(Gap::from);
        counted.gaps.extend(gaps);
        let confirmations = confirmations(store, &accounts, question).await?;
        for account in accounts {
            counted.take(account, question, &confirmations)?;
        }
    }
    Ok(counted)
}

/// Last confirmations of the custody accounts behind these accounts; a question about the past needs none.
async fn confirmations(
    store: &Store,
    accounts: &[Account],
    question: BalanceQuestion<'_>,
) -> Result<Confirmations, StoreError> {
    let ids: BTreeSet<CustodyAccountId> = match question.moment {
        None => accounts.iter().filter_map(|account| account.custody_account_id).collect(),
        Some(_) => BTreeSet::new(),
    };
    if ids.is_empty() { Ok(Confirmations::new()) } else { store.confirmations(ids).await }
}

impl CountedAccounts {
    fn take(
        &mut self,
        mut account: Account,
        question: BalanceQuestion<'_>,
        confirmations: &Confirmations,
    ) -> Result<(), CountError> {
        account.state = account.state.measured(question.measure);
        if !question.filter.admits(&account) {
            return Ok(());
        }
        let confirmed_at = account.custody_account_id.and_then(|id| confirmations.get(&id).copied());
        // Any other account was confirmed when its source said so.
        let confirmed_at = confirmed_at.unwrap_or(account.entry.balance_at);
        let is_stale =
            question.confirmed_within.is_some_and(|within| confirmed_at.age_at(question.now) > within);
        if is_stale {
            let holder = account.custody_account_id;
            let holder = holder.map_or(StaleHolder::Account(account.id), StaleHolder::Custody);
            self.gaps.insert(Gap::Stale { holder, confirmed_at });
        } else {
            let group = question.group_by.map(|dimension| dimension.value(&account));
            self.sums.add(&account, group)?;
            if question.moment.is_none() {
                let oldest = self.oldest_balance_at.unwrap_or(confirmed_at);
                self.oldest_balance_at = Some(oldest.min(confirmed_at));
            }
        }
        match question.rows {
            None => Ok(()),
            Some(most) if self.rows.len() == most => Err(CountError::TooManyRows),
            Some(_) => {
                self.rows.push(account);
                Ok(())
            }
        }
    }
}
