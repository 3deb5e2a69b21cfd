//! The positions table: what all accounts held together, as of an instant, known at an instant.
//!
//! A position is two items. The summary, by currency and house, answers most questions and stands in the
//! series of closes, or in that of positions in between, which expire. The cube, under the same place, has
//! every combination. Both are put if they are absent, the cube first: so a summary that is there has its
//! cube. Sums are text, because 38 digits do not hold those of 10⁸ accounts.

use super::row::{Item, Row, number, text};
use super::{Store, StoreError, custody_snapshot};
use crate::config::Table;
use crate::domain::gap::UnknownHolding;
use crate::domain::{
    BookGap, BookGaps, BookPosition, Catalogue, CellKey, CellSums, Cells, Coverage, CustodyAccountId,
    CustodyGap, Moment, Network, ProviderName, Status, Timestamp,
};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ethnum::I256;
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use jiff::SignedDuration;
use std::io::Read;

/// The table's keys.
pub(super) const SERIES: &str = "series";
pub(super) const PLACE: &str = "place";
const CUBES: &str = "cube";
/// Sorts after whatever is known of an instant.
const AFTER_PLACES: char = '~';
/// How long positions between the closes are kept.
const INTERIM_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Positions that the first look takes where some are known too late; each further look takes four times as
/// many.
const FIRST_LOOK: i32 = 4;
const LONGEST_LOOK: i32 = 256;
/// Most bytes of cells once they are no longer compressed: 20,000 cells of 250 bytes.
const MAX_CELL_BYTES: u64 = 5_000_000;
/// Assets of a coverage that a gap remembers; one that lists more may hold anything.
const MAX_REMEMBERED_ASSETS: usize = 50;

/// How long a position is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionKind {
    /// For ever: it is of a day's end.
    Close,
    /// For a week.
    Interim,
}

impl PositionKind {
    const fn series(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Interim => "interim",
        }
    }
}

/// Which position: as of an instant, known at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PositionKey {
    /// As of when.
    pub position_at: Timestamp,
    /// Known at when.
    pub known_at: Timestamp,
}

impl PositionKey {
    /// The moment that the accounts are read at.
    #[must_use]
    pub const fn moment(self) -> Moment {
        Moment { as_of: self.position_at, known_at: Some(self.known_at) }
    }

    pub(super) fn place(self) -> String {
        format!("{}#{}", self.position_at.to_stored_text(), self.known_at.to_stored_text())
    }
}

/// A summary as it is stored: cells of which only the currency and the house are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPosition {
    /// Which position.
    pub key: PositionKey,
    /// The sums by currency and house.
    pub summary: Cells,
    /// The custody gaps.
    pub gaps: BookGaps,
}

impl Store {
    /// The newest position at or before an instant, with the newest knowledge at or before `known_at`.
    pub async fn newest_position(
        &self,
        as_of: Timestamp,
        known_at: Option<Timestamp>,
    ) -> Result<Option<StoredPosition>, StoreError> {
        let of = |kind| self.newest_of(kind, as_of, known_at);
        let (close, interim) = tokio::try_join!(of(PositionKind::Close), of(PositionKind::Interim))?;
        Ok(close.into_iter().chain(interim).max_by_key(|position| position.key))
    }

    /// The newest close at or before an instant.
    pub async fn newest_close(&self, as_of: Timestamp) -> Result<Option<StoredPosition>, StoreError> {
        self.newest_of(PositionKind::Close, as_of, None).await
    }

    async fn newest_of(
        &self,
        kind: PositionKind,
        as_of: Timestamp,
        known_at: Option<Timestamp>,
    ) -> Result<Option<StoredPosition>, StoreError> {
        let mut look = if known_at.is_some() { FIRST_LOOK } else { 1 };
        let mut start = None;
        loop {
            let request = self.client.query().table_name(self.table(Table::Positions)).consistent_read(true);
            let answer = request
                .key_condition_expression("#series = :series AND #place <= :last")
                .expression_attribute_names("#series", SERIES)
                .expression_attribute_names("#place", PLACE)
                .expression_attribute_values(":series", text(kind.series()))
                .expression_attribute_values(
                    ":last",
                    text(format!("{}#{AFTER_PLACES}", as_of.to_stored_text())),
                )
                .scan_index_forward(false)
                .limit(look)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in answer.items() {
                let key = key_of(item)?;
                if known_at.is_none_or(|known_at| key.known_at <= known_at) {
                    return self.mapped(|catalogue| from_item(item, catalogue)).await.map(Some);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(None);
            }
            look = look.saturating_mul(FIRST_LOOK).min(LONGEST_LOOK);
        }
    }

    /// The position, if it has been made.
    pub async fn position(
        &self,
        kind: PositionKind,
        key: PositionKey,
    ) -> Result<Option<StoredPosition>, StoreError> {
        let Some(item) = self.position_item(kind.series(), &key.place()).await? else { return Ok(None) };
        self.mapped(|catalogue| from_item(&item, catalogue)).await.map(Some)
    }

    /// Every combination of a position that has been made.
    pub async fn cube(&self, key: PositionKey) -> Result<Cells, StoreError> {
        let missing = || StoreError::Corrupt { table: Table::Positions, attribute: CELLS };
        let item = self.position_item(CUBES, &key.place()).await?.ok_or_else(missing)?;
        self.mapped(|catalogue| cells_of(&item, catalogue)).await
    }

    pub(super) async fn position_item(&self, series: &str, place: &str) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Positions)).consistent_read(true);
        let key = Item::from([(SERIES.to_owned(), text(series)), (PLACE.to_owned(), text(place))]);
        Ok(request.set_key(Some(key)).send().await?.item)
    }

    /// Keeps a position unless it is there already. Whoever makes it, it is the same.
    pub async fn put_position(&self, kind: PositionKind, position: &BookPosition) -> Result<(), StoreError> {
        let BookPosition { position_at, known_at, cells, gaps } = position;
        let key = PositionKey { position_at: *position_at, known_at: *known_at };
        let expires_at = match kind {
            PositionKind::Close => None,
            PositionKind::Interim => Some(position_at.plus(INTERIM_KEPT).unix_seconds()),
        };
        let mut cube = item(CUBES, &key.place(), expires_at);
        cube.insert(CELLS.to_owned(), cells_to_attribute(cells)?);
        self.put_absent_position(cube).await?;
        let mut summary = item(kind.series(), &key.place(), expires_at);
        let summarized = cells.summarized().map_err(|_| corrupt(CELLS))?;
        summary.insert(CELLS.to_owned(), cells_to_attribute(&summarized)?);
        summary.extend(gaps_to_attributes(gaps));
        self.put_absent_position(summary).await
    }

    async fn put_absent_position(&self, item: Item) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(self.table(Table::Positions)).set_item(Some(item));
        let request = request.condition_expression("attribute_not_exists(#series)");
        match request.expression_attribute_names("#series", SERIES).send().await {
            Ok(_) => Ok(()),
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
}

pub(super) fn item(series: &str, place: &str, expires_at: Option<i64>) -> Item {
    let key = [(SERIES, text(series)), (PLACE, text(place))];
    let expires_at = expires_at.map(|seconds| ("expires_at", number(seconds)));
    key.into_iter().chain(expires_at).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn corrupt(attribute: &'static str) -> StoreError {
    StoreError::Corrupt { table: Table::Positions, attribute }
}

fn key_of(item: &Item) -> Result<PositionKey, StoreError> {
    Row { table: Table::Positions, item }.parsed(PLACE, parse_place)
}

/// The key in a place; an error for any other text.
pub(super) fn parse_place(place: &str) -> Result<PositionKey, ()> {
    let (position_at, known_at) = place.split_once('#').ok_or(())?;
    let parse = |text| Timestamp::parse(text).map_err(|_| ());
    Ok(PositionKey { position_at: parse(position_at)?, known_at: parse(known_at)? })
}

fn from_item(item: &Item, catalogue: &Catalogue) -> Result<StoredPosition, StoreError> {
    Ok(StoredPosition {
        key: key_of(item)?,
        summary: cells_of(item, catalogue)?,
        gaps: gaps_of(item, catalogue)?,
    })
}

const CELLS: &str = "cells";
const GAPS: &str = "gaps";
const OMITTED: &str = "gaps_omitted";
/// Stands for an absent network or provider in a cell's line; no name has this character.
const ABSENT: &str = "*";

/// Cells as lines of fields between blanks, compressed: 2,000 of them would not fit an item otherwise.
pub(super) fn cells_to_attribute(cells: &Cells) -> Result<AttributeValue, StoreError> {
    let line = |(key, sums): (&CellKey, &CellSums)| {
        let CellKey { asset, is_house, status, active, network, provider } = key;
        let CellSums { accounts, balance, available, overdrawn } = sums;
        let network = network.as_ref().map_or(ABSENT, Network::name);
        let provider = provider.map_or(ABSENT, ProviderName::name);
        let (code, status) = (asset.code(), status.name());
        format!(
            "{code} {is_house} {status} {active} {provider} {accounts} {balance} {available} {overdrawn} {network}\n"
        )
    };
    let lines: String = cells.iter().map(line).collect();
    let mut compressed = Vec::new();
    GzEncoder::new(lines.as_bytes(), Compression::default())
        .read_to_end(&mut compressed)
        .map_err(|_| corrupt(CELLS))?;
    Ok(AttributeValue::B(Blob::new(compressed)))
}

pub(super) fn cells_of(item: &Item, catalogue: &Catalogue) -> Result<Cells, StoreError> {
    let compressed = item.get(CELLS).and_then(|value| value.as_b().ok()).ok_or_else(|| corrupt(CELLS))?;
    let mut lines = String::new();
    GzDecoder::new(compressed.as_ref())
        .take(MAX_CELL_BYTES)
        .read_to_string(&mut lines)
        .map_err(|_| corrupt(CELLS))?;
    let mut cells = Cells::default();
    for line in lines.lines() {
        let (key, sums) = cell_of(line, catalogue).ok_or_else(|| corrupt(CELLS))?;
        cells.add_cell(key, &sums).map_err(|_| corrupt(CELLS))?;
    }
    Ok(cells)
}

fn cell_of(line: &str, catalogue: &Catalogue) -> Option<(CellKey, CellSums)> {
    let mut fields = line.split(' ');
    let asset = catalogue.asset(fields.next()?).ok()?;
    let is_house = fields.next()?.parse().ok()?;
    let status = Status::parse(fields.next()?).ok()?;
    let active = fields.next()?.parse().ok()?;
    let provider = match fields.next()? {
        ABSENT => None,
        name => Some(ProviderName::parse(name).ok()?),
    };
    let accounts = fields.next()?.parse().ok()?;
    let mut amount = || fields.next()?.parse::<I256>().ok();
    let sums = CellSums { accounts, balance: amount()?, available: amount()?, overdrawn: amount()? };
    let network = match fields.next()? {
        ABSENT => None,
        name => Some(Network::parse(name).ok()?),
    };
    Some((CellKey { asset, is_house, status, active, network, provider }, sums))
}

pub(super) fn gaps_to_attributes(gaps: &BookGaps) -> [(String, AttributeValue); 2] {
    let gap = |BookGap { gap, is_house, provider }: &BookGap| {
        let CustodyGap { custody_account_id, coverage, unknown } = gap;
        let mut item = Item::from([
            ("custody_account_id".to_owned(), text(custody_account_id.to_string())),
            ("is_house".to_owned(), AttributeValue::Bool(*is_house)),
            ("provider".to_owned(), text(provider.name())),
        ]);
        if let Some(UnknownHolding { provider_asset, balance }) = unknown {
            item.insert("provider_asset".to_owned(), text(provider_asset));
            item.insert("balance".to_owned(), text(balance));
        } else {
            let remembered = coverage.listed().take(MAX_REMEMBERED_ASSETS + 1);
            let listed: Vec<_> = remembered.map(|asset| text(custody_snapshot::asset_name(asset))).collect();
            if !listed.is_empty() && listed.len() <= MAX_REMEMBERED_ASSETS {
                item.insert("coverage".to_owned(), AttributeValue::L(listed));
            }
        }
        AttributeValue::M(item)
    };
    [
        (GAPS.to_owned(), AttributeValue::L(gaps.listed.iter().map(gap).collect())),
        (OMITTED.to_owned(), number(gaps.omitted)),
    ]
}

pub(super) fn gaps_of(item: &Item, catalogue: &Catalogue) -> Result<BookGaps, StoreError> {
    let row = Row { table: Table::Positions, item };
    let listed = item.get(GAPS).and_then(|value| value.as_l().ok()).ok_or_else(|| corrupt(GAPS))?;
    let gap = |value: &AttributeValue| {
        let row = Row { table: Table::Positions, item: value.as_m().map_err(|_| corrupt(GAPS))? };
        let provider_asset = row.text("provider_asset")?;
        let unknown = provider_asset.zip(row.text("balance")?);
        let coverage = if row.item.contains_key("coverage") {
            let asset = |name: &str| custody_snapshot::parse_asset(name, catalogue);
            Coverage::Listed(row.list("coverage", asset)?)
        } else {
            Coverage::All
        };
        Ok(BookGap {
            gap: CustodyGap {
                custody_account_id: row.parsed("custody_account_id", CustodyAccountId::parse)?,
                coverage,
                unknown: unknown.map(|(provider_asset, balance)| UnknownHolding { provider_asset, balance }),
            },
            is_house: row.flag("is_house")?,
            provider: row.parsed("provider", ProviderName::parse)?,
        })
    };
    Ok(BookGaps {
        listed: listed.iter().map(gap).collect::<Result<_, StoreError>>()?,
        omitted: row.number(OMITTED, str::parse)?,
    })
}

/// When DynamoDB may delete an item of work.
pub(super) fn kept_until(now: Timestamp) -> AttributeValue {
    number(now.plus(INTERIM_KEPT).unix_seconds())
}
