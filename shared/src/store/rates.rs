//! The rates table: sheets by month and instant, and the pointer to the newest.
//!
//! A sheet stands under its month and then under `<observed_at>#<recorded_at>`; it is put if it is absent and
//! never replaced. The pointer item names the newest sheet, and is written in the sheet's own transaction; so
//! one read of a small item tells whether a sheet in memory is still the newest. Rejected: to trust a sheet
//! in memory for some seconds, because the same question asked with a `known_at` later on would be answered
//! by another sheet.

use super::record::pauses;
use super::row::{Item, Row, instant, number, text};
use super::transaction::Transaction;
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{AgeLimits, Method, Moment, Rate, RateSheet, Timestamp, UsdPrice};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use backon::BackoffBuilder;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::sleep;

/// The table's partition key: a month's sheets, the pointer or the quote book.
pub(super) const SERIES: &str = "series";
/// The table's sort key.
pub(super) const PLACE: &str = "place";
/// Begins the series of a month's sheets, all of which are US dollars per unit.
const USD_SHEETS: &str = "usd#";
/// Digits of `YYYY-MM`.
const MONTH_LENGTH: usize = 7;
/// The pointer item's key, both parts of it.
const POINTER: &str = "newest";
/// Sorts after every sheet of an instant.
const AFTER_SHEETS: char = '~';
/// Sheets that the first read looks at where some may not have been known yet; each further read looks at
/// four times as many.
const FIRST_LOOK: i32 = 4;
const LOOK_FACTOR: i32 = 4;
const LONGEST_LOOK: i32 = 256;

/// The pointer item.
#[derive(Debug, Clone, Default)]
struct Pointer {
    /// The place of the newest sheet.
    newest: Option<String>,
    /// Every month that has a sheet, as `YYYY-MM`.
    months: Vec<String>,
}

/// Whether a sheet becomes the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointerUpdate {
    /// It does, on condition that the newest is older.
    Move,
    /// It does not.
    Keep,
}

impl Store {
    /// The newest sheet at or before the moment that was known then.
    ///
    /// It is looked for as far back as the age limits let an entry price anything.
    pub async fn sheet_at(&self, moment: Moment, limits: AgeLimits) -> Result<Option<RateSheet>, StoreError> {
        let latest = moment.latest();
        let newest_month = month(latest);
        let months = if let Some(reach) = limits.reach() {
            // The reach is a few days: it touches two months at most.
            let mut months = vec![newest_month, month(latest.minus(reach))];
            months.dedup();
            months
        } else {
            let mut months = self.pointer().await?.months;
            months.retain(|month| *month <= newest_month);
            months.sort_unstable_by(|left, right| right.cmp(left));
            months
        };
        for month in months {
            if let Some(sheet) = self.sheet_of_month(&month, moment).await? {
                return Ok(Some(sheet));
            }
        }
        Ok(None)
    }

    async fn sheet_of_month(&self, month: &str, moment: Moment) -> Result<Option<RateSheet>, StoreError> {
        let last = format!("{}#{AFTER_SHEETS}", moment.latest().to_stored_text());
        let mut look = if moment.known_at.is_none() { 1 } else { FIRST_LOOK };
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(self.table(Table::Rates))
                .consistent_read(true)
                .key_condition_expression("#series = :series AND #place <= :last")
                .expression_attribute_names("#series", SERIES)
                .expression_attribute_names("#place", PLACE)
                .expression_attribute_values(":series", text(format!("{USD_SHEETS}{month}")))
                .expression_attribute_values(":last", text(&last))
                .scan_index_forward(false)
                .limit(look)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in answer.items() {
                let sheet = from_item(item)?;
                if moment.knows(sheet.recorded_at) {
                    return Ok(Some(sheet));
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(None);
            }
            look = look.saturating_mul(LOOK_FACTOR).min(LONGEST_LOOK);
        }
    }

    /// Keeps a sheet for ever. One with the same `observed_at` and `recorded_at` is there already and stays.
    pub async fn put_sheet(&self, sheet: &RateSheet) -> Result<(), StoreError> {
        let mut pauses = pauses().build();
        let mut update = PointerUpdate::Move;
        loop {
            let writes = [self.sheet_put(sheet)?, self.pointer_update(sheet, update)?];
            match self.transact(writes).await? {
                Transaction::Committed => return Ok(()),
                Transaction::Refused(refused) if refused.first() == Some(&true) => return Ok(()),
                Transaction::Refused(_) => update = PointerUpdate::Keep,
                Transaction::Collided => {
                    let collided = || StoreError::Unavailable("concurrent writes of rate sheets".to_owned());
                    sleep(pauses.next().ok_or_else(collided)?).await;
                }
            }
        }
    }

    pub(super) fn sheet_put(&self, sheet: &RateSheet) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(self.table(Table::Rates))
            .set_item(Some(to_item(sheet)))
            .condition_expression("attribute_not_exists(#series)")
            .expression_attribute_names("#series", SERIES);
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    pub(super) fn pointer_update(
        &self,
        sheet: &RateSheet,
        update: PointerUpdate,
    ) -> Result<TransactWriteItem, StoreError> {
        let request = Update::builder()
            .table_name(self.table(Table::Rates))
            .set_key(Some(pointer_key()))
            .expression_attribute_names("#months", "months")
            .expression_attribute_values(":month", AttributeValue::Ss(vec![month(sheet.observed_at)]));
        let request = match update {
            PointerUpdate::Keep => request.update_expression("ADD #months :month"),
            PointerUpdate::Move => request
                .update_expression("SET newest = :place ADD #months :month")
                .condition_expression("attribute_not_exists(newest) OR newest < :place")
                .expression_attribute_values(":place", text(place(sheet))),
        };
        Ok(TransactWriteItem::builder().update(request.build()?).build())
    }

    async fn pointer(&self) -> Result<Pointer, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Rates)).consistent_read(true);
        let answer = request.set_key(Some(pointer_key())).send().await?;
        let Some(item) = answer.item() else { return Ok(Pointer::default()) };
        let row = Row { table: Table::Rates, item };
        let months = item.get("months").map_or(Ok(Vec::new()), |months| months.as_ss().cloned());
        Ok(Pointer { newest: row.text("newest")?, months: months.map_err(|_| row.corrupt("months"))? })
    }

    async fn sheet_at_place(&self, place: &str) -> Result<Option<RateSheet>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Rates)).consistent_read(true);
        let series = format!("{USD_SHEETS}{}", place.get(..MONTH_LENGTH).unwrap_or_default());
        let answer = request.key(SERIES, text(series)).key(PLACE, text(place)).send().await?;
        answer.item().map(from_item).transpose()
    }
}

/// The rate sheets as one instance reads them. The newest is kept in memory and used as long as the pointer
/// names it; sheets of the past are read.
#[derive(Debug, Clone)]
pub struct Sheets {
    store: Store,
    limits: AgeLimits,
    newest: Arc<Mutex<Option<Arc<RateSheet>>>>,
}

impl Sheets {
    /// An empty cache over the store.
    #[must_use]
    pub fn new(store: Store, limits: AgeLimits) -> Self {
        Self { store, limits, newest: Arc::default() }
    }

    /// Reads the newest sheet ahead. A failure is only logged: the first request will try again.
    pub async fn warm(&self, now: Timestamp) {
        let sheet = self.newest(now).await;
        sheet
            .map_or_else(|cause| tracing::warn!(%cause, "the newest rate sheet was not read at start"), drop);
    }

    /// The newest sheet at `now`: one read of the pointer, and one of the sheet if it is another than before.
    pub async fn newest(&self, now: Timestamp) -> Result<Option<Arc<RateSheet>>, StoreError> {
        let Some(newest) = self.store.pointer().await?.newest else { return Ok(None) };
        let cached = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cached = cached.filter(|sheet| place(sheet) == newest);
        let sheet = match cached {
            Some(sheet) => Some(sheet),
            None => self.store.sheet_at_place(&newest).await?.map(Arc::new),
        };
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&sheet);
        match sheet.filter(|sheet| sheet.observed_at <= now && self.limits.reaches(sheet.observed_at, now)) {
            Some(sheet) => Ok(Some(sheet)),
            // The newest is too old, or lies ahead: clocks differ, or the local clock has been set back. The
            // newest that does not lie ahead is looked for then, at every request.
            None => self.at(Moment::as_of(now)).await,
        }
    }

    /// The sheet of a question: that of a moment which the request names, or the newest.
    pub async fn asked(
        &self,
        moment: Option<Moment>,
        now: Timestamp,
    ) -> Result<Option<Arc<RateSheet>>, StoreError> {
        match moment {
            None => self.newest(now).await,
            Some(moment) => self.at(moment).await,
        }
    }

    /// The newest sheet at or before a moment that was known then.
    pub async fn at(&self, moment: Moment) -> Result<Option<Arc<RateSheet>>, StoreError> {
        Ok(self.store.sheet_at(moment, self.limits).await?.map(Arc::new))
    }
}

fn month(at: Timestamp) -> String {
    at.to_stored_text().get(..MONTH_LENGTH).unwrap_or_default().to_owned()
}

fn place(sheet: &RateSheet) -> String {
    format!("{}#{}", sheet.observed_at.to_stored_text(), sheet.recorded_at.to_stored_text())
}

fn pointer_key() -> Item {
    Item::from([(SERIES.to_owned(), text(POINTER)), (PLACE.to_owned(), text(POINTER))])
}

fn to_item(sheet: &RateSheet) -> Item {
    let RateSheet { observed_at, recorded_at, entries } = sheet;
    let entries =
        entries.iter().map(|(code, rate)| (code.clone(), AttributeValue::M(rate_to_item(rate)))).collect();
    Item::from([
        (SERIES.to_owned(), text(format!("{USD_SHEETS}{}", month(*observed_at)))),
        (PLACE.to_owned(), text(place(sheet))),
        ("observed_at".to_owned(), instant(*observed_at)),
        ("recorded_at".to_owned(), instant(*recorded_at)),
        ("entries".to_owned(), AttributeValue::M(entries)),
    ])
}

fn rate_to_item(rate: &Rate) -> Item {
    let Rate { usd, source, method, observed_at } = rate;
    Item::from([
        ("usd".to_owned(), number(usd)),
        ("source".to_owned(), text(source)),
        ("method".to_owned(), text(method.name())),
        ("observed_at".to_owned(), instant(*observed_at)),
    ])
}

fn from_item(item: &Item) -> Result<RateSheet, StoreError> {
    let row = Row { table: Table::Rates, item };
    let entries =
        item.get("entries").and_then(|value| value.as_m().ok()).ok_or_else(|| row.corrupt("entries"))?;
    let entry = |(code, value): (&String, &AttributeValue)| {
        let rate = rate_from_item(value.as_m().map_err(|_| row.corrupt("entries"))?)?;
        Ok::<_, StoreError>((code.clone(), rate))
    };
    Ok(RateSheet {
        observed_at: row.instant("observed_at")?,
        recorded_at: row.instant("recorded_at")?,
        entries: entries.iter().map(entry).collect::<Result<BTreeMap<_, _>, _>>()?,
    })
}

fn rate_from_item(item: &Item) -> Result<Rate, StoreError> {
    let row = Row { table: Table::Rates, item };
    Ok(Rate {
        usd: row.number("usd", UsdPrice::parse)?,
        source: row.parsed("source", |text| Ok::<_, StoreError>(text.to_owned()))?,
        method: row.parsed("method", Method::parse)?,
        observed_at: row.instant("observed_at")?,
    })
}
