//! The work of making a position: parts of a parallel Scan of the accounts table, claimed one by one.
//!
//! A part is an item of the positions table. Whoever claims it reads its segment of the table, and keeps how
//! far it came, or what it found. Parts are exact whoever reads them and when, because every account is read
//! as of one instant, known at one instant: so a part that two runs read at once is the same in both, and a
//! claim only saves work.

use super::conditional::{ConditionalUpdate, conditional};
use super::holdings::{PAGE_ITEMS, from_page_item, totals_projection};
use super::item_page::{PageItem, scan_page};
use super::positions::{
    PLACE, PositionKey, PositionKind, SERIES, cells_of, cells_to_attribute, gaps_of, gaps_to_attributes,
    item, kept_until, parse_place,
};
use super::row::{Item, Row, instant, text};
use super::{Store, StoreError, StoredHolding};
use crate::config::Table;
use crate::domain::{BookGaps, Catalogue, Cells, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::SignedDuration;
use uuid::Uuid;

/// Parts of the accounts table.
pub const BOOK_PARTS: i32 = 64;
/// The series of positions that are being made.
const UNDER_WAY: &str = "work";
/// How long a claim keeps others away: longer than a run lasts.
const CLAIM_LASTS: SignedDuration = SignedDuration::from_secs(90);
/// A claim beyond this is one of a clock that ran ahead.
const LONGEST_CLAIM: SignedDuration = SignedDuration::from_secs(300);

/// A page of the accounts table.
#[derive(Debug)]
pub struct BookPage {
    /// The items: accounts, and snapshots of custody accounts.
    pub holdings: Vec<StoredHolding>,
    /// Where the next page begins, unless this was the last.
    pub next: Option<BookPlace>,
}

/// Where a reader of the accounts table stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BookPlace(Item);

/// The sums of a part, as far as it has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartState {
    /// The accounts, added up.
    pub cells: Cells,
    /// The custody gaps.
    pub gaps: BookGaps,
    /// Where to go on; the beginning if `None`.
    pub next: Option<BookPlace>,
}

/// A part that this claimant works on.
#[derive(Debug)]
pub struct ClaimedPart {
    /// Which part.
    pub part: i32,
    /// The sums that an earlier run has kept.
    pub state: PartState,
    claimant: String,
}

/// How a claim of a part ended.
#[derive(Debug)]
pub enum PartClaim {
    /// The part is the claimant's.
    Granted(ClaimedPart),
    /// Another run works on it.
    Taken,
    /// It has been read.
    Done,
}

/// A position that is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionUnderWay {
    /// Which.
    pub key: PositionKey,
    /// How long it will be kept.
    pub kind: PositionKind,
}

impl Store {
    /// A page of the accounts table, of one of its parts or of the whole, with as much as a total needs.
    pub async fn book_page(
        &self,
        part: Option<i32>,
        after: Option<BookPlace>,
    ) -> Result<BookPage, StoreError> {
        let catalogue = self.catalogue().await?;
        match self.book_page_by(part, after.clone(), catalogue).await {
            // The page may name an asset that was added since.
            Err(StoreError::Corrupt { .. }) => {
                self.book_page_by(part, after, self.renewed_catalogue().await?).await
            }
            page => page,
        }
    }

    async fn book_page_by(
        &self,
        part: Option<i32>,
        after: Option<BookPlace>,
        catalogue: Catalogue,
    ) -> Result<BookPage, StoreError> {
        let (names, projection) = totals_projection();
        let request = self
            .client
            .scan()
            .table_name(self.table(Table::Accounts))
            .consistent_read(true)
            .limit(PAGE_ITEMS)
            .set_segment(part)
            .set_total_segments(part.map(|_| BOOK_PARTS))
            .set_expression_attribute_names(Some(names))
            .projection_expression(projection)
            .set_exclusive_start_key(after.map(|BookPlace(key)| key));
        let read = move |item: &PageItem<'_>| from_page_item(item, &catalogue);
        let (holdings, next) = scan_page(request, read).await?;
        Ok(BookPage { holdings: holdings.into_iter().collect::<Result<_, _>>()?, next: next.map(BookPlace) })
    }

    /// Notes that a position is being made, for later runs to go on with.
    pub async fn note_under_way(
        &self,
        under_way: PositionUnderWay,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let PositionUnderWay { key, kind } = under_way;
        let mut item = item(UNDER_WAY, &key.place(), None);
        item.insert("is_close".to_owned(), AttributeValue::Bool(kind == PositionKind::Close));
        item.insert("expires_at".to_owned(), kept_until(now));
        let request = self.client.put_item().table_name(self.table(Table::Positions)).set_item(Some(item));
        request.send().await?;
        Ok(())
    }

    /// Positions that are being made, the earliest first.
    pub async fn positions_under_way(&self) -> Result<Vec<PositionUnderWay>, StoreError> {
        let items = self.series(UNDER_WAY.to_owned()).await?;
        let under_way = |item: &Item| {
            let row = Row { table: Table::Positions, item };
            let kind = if row.flag("is_close")? { PositionKind::Close } else { PositionKind::Interim };
            Ok(PositionUnderWay { key: row.parsed(PLACE, parse_place)?, kind })
        };
        items.iter().map(under_way).collect()
    }

    /// Forgets that a position is being made: it is there. Its parts expire by themselves.
    pub async fn end_under_way(&self, key: PositionKey) -> Result<(), StoreError> {
        let item = Item::from([(SERIES.to_owned(), text(UNDER_WAY)), (PLACE.to_owned(), text(key.place()))]);
        let request = self.client.delete_item().table_name(self.table(Table::Positions)).set_key(Some(item));
        request.send().await?;
        Ok(())
    }

    /// Claims a part of a position, unless another run works on it at `now` or it has been read.
    pub async fn claim_part(
        &self,
        key: PositionKey,
        part: i32,
        now: Timestamp,
    ) -> Result<PartClaim, StoreError> {
        let claimant = Uuid::new_v4().to_string();
        let is_free = "attribute_not_exists(is_done) AND (attribute_not_exists(claimed_until) \
                       OR claimed_until <= :now OR claimed_until > :latest OR claimed_by = :me)";
        let request = self
            .client
            .update_item()
            .table_name(self.table(Table::Positions))
            .set_key(Some(item(&series_of(key), &place_of(part), None)))
            .update_expression("SET claimed_by = :me, claimed_until = :until, expires_at = :expiry")
            .condition_expression(is_free)
            .expression_attribute_values(":me", text(&claimant))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":until", instant(now.plus(CLAIM_LASTS)))
            .expression_attribute_values(":latest", instant(now.plus(LONGEST_CLAIM)))
            .expression_attribute_values(":expiry", kept_until(now))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match conditional(request).await? {
            ConditionalUpdate::Made(item) => {
                let state = self.mapped(|catalogue| state_of(&item, catalogue)).await?;
                Ok(PartClaim::Granted(ClaimedPart { part, state, claimant }))
            }
            ConditionalUpdate::Refused(item) => {
                let is_done = item.is_some_and(|item| item.contains_key("is_done"));
                Ok(if is_done { PartClaim::Done } else { PartClaim::Taken })
            }
        }
    }

    /// Keeps what has been found in a part, if it is still the claimant's. A part without a next place is
    /// done; another can be claimed at once.
    pub async fn keep_part(
        &self,
        key: PositionKey,
        claim: &ClaimedPart,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ClaimedPart { part, state: PartState { cells, gaps, next }, claimant } = claim;
        let mut item = item(&series_of(key), &place_of(*part), None);
        item.insert("cells".to_owned(), cells_to_attribute(cells)?);
        item.insert("expires_at".to_owned(), kept_until(now));
        item.extend(gaps_to_attributes(gaps));
        match next {
            Some(BookPlace(next)) => item.insert("next".to_owned(), AttributeValue::M(next.clone())),
            None => item.insert("is_done".to_owned(), AttributeValue::Bool(true)),
        };
        let request = self
            .client
            .put_item()
            .table_name(self.table(Table::Positions))
            .set_item(Some(item))
            .condition_expression("claimed_by = :me")
            .expression_attribute_values(":me", text(claimant));
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run has taken the part over, and will find the same.
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The sums of the parts that have been read to their end.
    pub async fn parts_done(&self, key: PositionKey) -> Result<Vec<PartState>, StoreError> {
        let items = self.series(series_of(key)).await?;
        let done: Vec<&Item> = items.iter().filter(|item| item.contains_key("is_done")).collect();
        self.mapped(|catalogue| done.iter().map(|item| state_of(item, catalogue)).collect()).await
    }

    /// Whether any part of a position has been begun.
    pub async fn has_parts(&self, key: PositionKey) -> Result<bool, StoreError> {
        Ok(self.position_item(&series_of(key), &place_of(0)).await?.is_some())
    }

    async fn series(&self, series: String) -> Result<Vec<Item>, StoreError> {
        let request = self.client.query().table_name(self.table(Table::Positions)).consistent_read(true);
        let mut pages = request
            .key_condition_expression("#series = :series")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_values(":series", text(series))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item?);
        }
        Ok(items)
    }
}

fn series_of(key: PositionKey) -> String {
    format!("{UNDER_WAY}#{}", key.place())
}

fn place_of(part: i32) -> String {
    format!("{part:02}")
}

fn state_of(item: &Item, catalogue: &Catalogue) -> Result<PartState, StoreError> {
    if !item.contains_key("cells") {
        return Ok(PartState::default());
    }
    let next = item.get("next").map(|next| next.as_m().cloned()).transpose();
    let next = next.map_err(|_| StoreError::Corrupt { table: Table::Positions, attribute: "next" })?;
    Ok(PartState {
        cells: cells_of(item, catalogue)?,
        gaps: gaps_of(item, catalogue)?,
        next: next.map(BookPlace),
    })
}
