//! Makes one position: the accounts table is read whole, in one page or in parts that any number of runs
//! share.

use crate::JobError;
use futures::stream::{self, StreamExt, TryStreamExt};
use shared::config::BookConfig;
use shared::domain::book::MAX_CELLS;
use shared::domain::{BookGap, BookPosition, ProviderName};
use shared::store::{
    BOOK_PARTS, BookPage, HoldingsAt, PartClaim, PartState, PositionKey, PositionUnderWay, Store, StoreError,
    StoredHolding, StoredPosition, usage_so_far,
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Parts that one run reads at once, and histories of each page.
const CONCURRENT_PARTS: usize = 4;
const CONCURRENT_HISTORIES: usize = 16;

/// How far a position has come.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is there.
    Position(StoredPosition),
    /// So many parts have yet to be read.
    PartsLeft(usize),
}

/// Reads the table at the pace that the configuration allows.
#[derive(Debug)]
pub(crate) struct Maker<'a> {
    store: &'a Store,
    config: &'a BookConfig,
    started: Instant,
    deadline: Option<Instant>,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(store: &'a Store, config: &'a BookConfig, deadline: Option<Instant>) -> Self {
        Self { store, config, started: Instant::now(), deadline }
    }

    /// Makes a position, or as much of it as the time allows.
    pub(crate) async fn make(&self, under_way: PositionUnderWay) -> Result<Made, JobError> {
        let PositionUnderWay { key, kind } = under_way;
        if let Some(position) = self.store.position(kind, key).await? {
            self.store.end_under_way(key).await?;
            return Ok(Made::Position(position));
        }
        if !self.store.has_parts(key).await?
            && let Some(state) = self.only_page(key).await?
        {
            return self.keep(under_way, state).await;
        }
        self.store.note_under_way(under_way, self.now()).await?;
        self.read_parts(key).await?;
        let parts = self.store.parts_done(key).await?;
        let left = usize::try_from(BOOK_PARTS).unwrap_or_default().saturating_sub(parts.len());
        if left > 0 {
            return Ok(Made::PartsLeft(left));
        }
        let made = self.keep(under_way, merged(parts)?).await?;
        self.store.end_under_way(key).await?;
        Ok(made)
    }

    async fn keep(&self, under_way: PositionUnderWay, state: PartState) -> Result<Made, JobError> {
        let PositionUnderWay { key, kind } = under_way;
        let PartState { cells, gaps, next: _ } = state;
        let PositionKey { position_at, known_at } = key;
        let position = BookPosition { position_at, known_at, cells: cells.bounded(MAX_CELLS)?, gaps };
        self.store.put_position(kind, &position).await?;
        let summary = position.cells.summarized()?;
        Ok(Made::Position(StoredPosition { key, summary, gaps: position.gaps }))
    }

    /// The whole table, if it is one page.
    async fn only_page(&self, key: PositionKey) -> Result<Option<PartState>, JobError> {
        let BookPage { holdings, next } = self.store.book_page(None, None).await?;
        if next.is_some() {
            return Ok(None);
        }
        let mut state = PartState::default();
        self.add(&mut state, key, holdings).await?;
        Ok(Some(state))
    }

    async fn read_parts(&self, key: PositionKey) -> Result<(), JobError> {
        stream::iter(0..BOOK_PARTS)
            .map(|part| self.read_part(key, part))
            .buffer_unordered(CONCURRENT_PARTS)
            .try_collect::<()>()
            .await
    }

    /// Reads a part to its end, or until the time is short; nothing if another run reads it.
    async fn read_part(&self, key: PositionKey, part: i32) -> Result<(), JobError> {
        if self.is_late() {
            return Ok(());
        }
        let PartClaim::Granted(mut claim) = self.store.claim_part(key, part, self.now()).await? else {
            return Ok(());
        };
        loop {
            let BookPage { holdings, next } =
                self.store.book_page(Some(part), claim.state.next.take()).await?;
            self.add(&mut claim.state, key, holdings).await?;
            claim.state.next = next;
            if claim.state.next.is_some() {
                self.keep_pace().await;
            }
            if claim.state.next.is_none() || self.is_late() {
                return Ok(self.store.keep_part(key, &claim, self.now()).await?);
            }
        }
    }

    /// Adds what the holdings of a page stood for.
    async fn add(
        &self,
        state: &mut PartState,
        key: PositionKey,
        holdings: Vec<StoredHolding>,
    ) -> Result<(), JobError> {
        let at_moment = |holding: StoredHolding| async move {
            let is_house = self.config.house_customers.contains(&holding.customer_id());
            let provider = holding.provider();
            let shown = self.store.holdings_at([holding], key.moment()).await?;
            Ok::<_, StoreError>((is_house, provider, shown))
        };
        let mut shown = stream::iter(holdings).map(at_moment).buffer_unordered(CONCURRENT_HISTORIES);
        while let Some((is_house, provider, HoldingsAt { accounts, gaps })) = shown.try_next().await? {
            for account in &accounts {
                state.cells.add(account, is_house, provider)?;
            }
            let gap = |gap| provider.map(|provider: ProviderName| BookGap { gap, is_house, provider });
            state.gaps.add(gaps.into_iter().filter_map(gap), 0);
        }
        Ok(())
    }

    /// Waits until what has been read fits the read units of each second so far, but no longer than the run
    /// may last.
    async fn keep_pace(&self) {
        let (units, _) = usage_so_far().units();
        let allowed = Duration::from_millis(
            units.saturating_mul(1_000).checked_div(self.config.read_units_per_second).unwrap_or_default(),
        );
        let wait = allowed.saturating_sub(self.started.elapsed());
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        sleep(left.map_or(wait, |left| wait.min(left))).await;
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn now(&self) -> shared::domain::Timestamp {
        self.store.clock().now()
    }
}

fn merged(parts: Vec<PartState>) -> Result<PartState, JobError> {
    let mut whole = PartState::default();
    for PartState { cells, gaps, next: _ } in parts {
        for (key, sums) in cells.iter() {
            whole.cells.add_cell(key.clone(), sums)?;
        }
        whole.gaps.add(gaps.listed, gaps.omitted);
    }
    Ok(whole)
}
