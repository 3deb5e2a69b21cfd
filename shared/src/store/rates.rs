//! The rates table: sheets by month and instant, and the pointer to the newest.
//!
//! A sheet stands under its month and then under `<observed_at>#<recorded_at>`; it is put if it is absent and
//! never replaced. The rates of a moment are read backwards from it: overlays, until the first complete
//! sheet. The pointer item names the newest complete sheet and the last overlay, and is
//! written in their transactions; so one read of a small item tells whether rates in memory are still the
//! newest. Rejected: to trust rates in memory for some seconds, because the same question asked with a
//! `known_at` later on would be answered by other rates.

use super::record::pauses;
use super::row::{Item, Row, instant, number, text};
use super::transaction::Transaction;
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{
    AgeLimits, Asset, Method, Moment, Moments, Rate, RateSheet, RatesInForce, SheetKind, Timestamp, UsdPrice,
};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use backon::BackoffBuilder;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
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
/// Reads of sheets under way at once for one series.
const CONCURRENT_READS: usize = 16;
/// The attribute that holds a sheet's entries.
const ENTRIES: &str = "entries";
/// Most assets that a query names: DynamoDB takes 4 KB of names.
const MAX_PROJECTED: usize = 50;
/// Overlays of one transaction, beside which the pointer is updated: DynamoDB takes a hundred writes.
pub const MAX_OVERLAYS_AT_ONCE: usize = 99;
/// Rates of one transaction: 200 bytes each at the most, and DynamoDB takes 4 MB.
pub const MAX_RATES_AT_ONCE: usize = 15_000;

/// The pointer item.
#[derive(Debug, Clone, Default)]
struct Pointer {
    marks: Marks,
    /// Every month that has a sheet, as `YYYY-MM`.
    months: Vec<String>,
}

/// Changes whenever newer rates than those in memory are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Marks {
    /// The place of the newest complete sheet.
    newest: Option<String>,
    /// The place of an overlay among those that were last recorded.
    overlay: Option<String>,
}

/// Whether a sheet becomes the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointerUpdate {
    /// It does, on condition that the newest is older.
    Move,
    /// It does not.
    Keep,
}

/// A query of sheets, of the entries of some assets or of all.
#[derive(Debug, Default)]
struct SheetQuery {
    /// Empty for all.
    codes: BTreeSet<&'static str>,
}

impl SheetQuery {
    /// A query of the entries that some assets need: their own, and the euro's for money that it replaced.
    fn of(assets: &BTreeSet<Asset>) -> Self {
        if assets.len() > MAX_PROJECTED {
            return Self::default();
        }
        let codes = assets.iter().chain(&[Asset::USD, Asset::EUR]).map(|asset| asset.code());
        Self { codes: codes.collect() }
    }

    fn request(&self, store: &Store) -> QueryFluentBuilder {
        let request = store.client.query().table_name(store.table(Table::Rates)).consistent_read(true);
        if self.codes.is_empty() {
            return request;
        }
        let named = self.codes.iter().enumerate().fold(request, |request, (number, code)| {
            request.expression_attribute_names(format!("#code{number}"), *code)
        });
        let entries: Vec<String> =
            (0..self.codes.len()).map(|number| format!("#entries.#code{number}")).collect();
        named
            .expression_attribute_names("#entries", ENTRIES)
            .projection_expression(format!("observed_at, recorded_at, is_overlay, {}", entries.join(", ")))
    }
}

impl Store {
    /// The rates of a moment: the newest complete sheet at or before the moment that was known then, and the
    /// overlays since.
    ///
    /// Sheets are looked for as far back as the age limits let an entry price anything. Without limits the
    /// complete sheet is looked for without end, and overlays as far before the newest sheet as the standard
    /// limits reach. A question of a time before every complete sheet then reads all that was imported before
    /// that time.
    pub async fn rates_at(&self, moment: Moment, limits: AgeLimits) -> Result<RatesInForce, StoreError> {
        let months = self.months_without_limits(limits).await?;
        self.rates_in(moment, limits, &months, &SheetQuery::default()).await
    }

    /// The rates of some assets at each of several moments: one read of a sheet for each, if no overlays came
    /// after the sheet.
    pub async fn rates_over(
        &self,
        moments: &Moments,
        limits: AgeLimits,
        assets: &BTreeSet<Asset>,
    ) -> Result<Vec<RatesInForce>, StoreError> {
        let months = self.months_without_limits(limits).await?;
        let query = SheetQuery::of(assets);
        let (months, query) = (&months, &query);
        let rates = stream::iter(moments.iter())
            .map(|moment| async move { self.rates_in(moment, limits, months, query).await });
        rates.buffered(CONCURRENT_READS).try_collect().await
    }

    /// Every month that has a sheet, the newest first; none where age limits say how far back to look.
    async fn months_without_limits(&self, limits: AgeLimits) -> Result<Vec<String>, StoreError> {
        if limits.reach().is_some() {
            return Ok(Vec::new());
        }
        let mut months = self.pointer().await?.months;
        months.sort_unstable_by(|left, right| right.cmp(left));
        Ok(months)
    }

    async fn rates_in(
        &self,
        moment: Moment,
        limits: AgeLimits,
        months: &[String],
        query: &SheetQuery,
    ) -> Result<RatesInForce, StoreError> {
        let latest = moment.latest();
        let newest_month = month(latest);
        let mut first = limits.reach().map(|reach| latest.minus(reach));
        let months = if let Some(first) = first {
            // The reach is a few days: it touches two months at most.
            let mut months = vec![newest_month, month(first)];
            months.dedup();
            months
        } else {
            months.iter().filter(|month| **month <= newest_month).cloned().collect()
        };
        let (mut sheets, mut has_complete) = (Vec::new(), false);
        for month in &months {
            if has_complete || first.is_some_and(|first| self::month(first) > *month) {
                break;
            }
            has_complete = self.sheets_of_month(month, moment, query, &mut first, &mut sheets).await?;
        }
        if !has_complete && limits.reach().is_none() {
            sheets.extend(self.complete_sheet(&months, moment, query).await?);
        }
        Ok(RatesInForce::of(sheets))
    }

    /// The newest complete sheet of some months, the newest month first.
    async fn complete_sheet(
        &self,
        months: &[String],
        moment: Moment,
        query: &SheetQuery,
    ) -> Result<Option<RateSheet>, StoreError> {
        let last = format!("{}#{AFTER_SHEETS}", moment.latest().to_stored_text());
        for month in months {
            let request = query.request(self);
            let request = request
                .key_condition_expression("#series = :series AND #place <= :last")
                .filter_expression("attribute_not_exists(is_overlay) OR is_overlay = :no")
                .expression_attribute_names("#series", SERIES)
                .expression_attribute_names("#place", PLACE)
                .expression_attribute_values(":series", text(format!("{USD_SHEETS}{month}")))
                .expression_attribute_values(":last", text(&last))
                .expression_attribute_values(":no", AttributeValue::Bool(false))
                .scan_index_forward(false);
            let mut start = None;
            loop {
                let answer = request.clone().set_exclusive_start_key(start).send().await?;
                for item in answer.items() {
                    let sheet = from_item(item)?;
                    if moment.knows(sheet.recorded_at) {
                        return Ok(Some(sheet));
                    }
                }
                start = answer.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Adds a month's sheets, the newest first, until one is complete; whether one was.
    ///
    /// No sheet before `first` is added. Where there is no such limit yet, the first sheet that is found sets
    /// the limit.
    async fn sheets_of_month(
        &self,
        month: &str,
        moment: Moment,
        query: &SheetQuery,
        first: &mut Option<Timestamp>,
        sheets: &mut Vec<RateSheet>,
    ) -> Result<bool, StoreError> {
        let last = format!("{}#{AFTER_SHEETS}", moment.latest().to_stored_text());
        let mut look = if moment.known_at.is_none() { 1 } else { FIRST_LOOK };
        let mut start = None;
        // Every page of a query has the same range, or its start key would lie outside.
        let from = first.map_or_else(|| month.to_owned(), Timestamp::to_stored_text);
        loop {
            let answer = query
                .request(self)
                .key_condition_expression("#series = :series AND #place BETWEEN :from AND :last")
                .expression_attribute_names("#series", SERIES)
                .expression_attribute_names("#place", PLACE)
                .expression_attribute_values(":series", text(format!("{USD_SHEETS}{month}")))
                .expression_attribute_values(":from", text(&from))
                .expression_attribute_values(":last", text(&last))
                .scan_index_forward(false)
                .limit(look)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in answer.items() {
                let sheet = from_item(item)?;
                if !moment.knows(sheet.recorded_at) {
                    continue;
                }
                let reach = AgeLimits::STANDARD.reach().unwrap_or_default();
                let first = *first.get_or_insert_with(|| sheet.observed_at.minus(reach));
                if sheet.observed_at < first {
                    return Ok(false);
                }
                let is_complete = sheet.kind == SheetKind::Complete;
                sheets.push(sheet);
                if is_complete {
                    return Ok(true);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
            look = look.saturating_mul(LOOK_FACTOR).min(LONGEST_LOOK);
        }
    }

    /// Every sheet of one instant, the last recorded first.
    pub async fn sheets_of(&self, instant: Timestamp) -> Result<Vec<RateSheet>, StoreError> {
        let place = instant.to_stored_text();
        let request = self.client.query().table_name(self.table(Table::Rates)).consistent_read(true);
        let request = request
            .key_condition_expression("#series = :series AND begins_with(#place, :place)")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_names("#place", PLACE)
            .expression_attribute_values(":series", text(format!("{USD_SHEETS}{}", month(instant))))
            .expression_attribute_values(":place", text(place))
            .scan_index_forward(false);
        let (mut sheets, mut start) = (Vec::new(), None);
        loop {
            let answer = request.clone().set_exclusive_start_key(start).send().await?;
            for item in answer.items() {
                sheets.push(from_item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(sheets);
            }
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

    /// Keeps at most [`MAX_OVERLAYS_AT_ONCE`] overlays of [`MAX_RATES_AT_ONCE`] rates for ever, all or none,
    /// each of another instant. They are recorded now, so that questions known at an earlier time are
    /// answered without them.
    pub async fn put_overlays(
        &self,
        overlays: BTreeMap<Timestamp, BTreeMap<String, Rate>>,
    ) -> Result<(), StoreError> {
        let mut pauses = pauses().build();
        loop {
            let recorded_at = self.clock.now();
            let sheet = |(observed_at, entries): (&Timestamp, &BTreeMap<String, Rate>)| RateSheet {
                kind: SheetKind::Overlay,
                observed_at: *observed_at,
                recorded_at,
                entries: entries.clone(),
            };
            let sheets: Vec<_> = overlays.iter().map(sheet).collect();
            let mut writes: Vec<_> =
                sheets.iter().map(|sheet| self.sheet_put(sheet)).collect::<Result<_, _>>()?;
            writes.push(self.overlay_mark(&sheets)?);
            match self.transact(writes).await? {
                Transaction::Committed => {
                    self.count_if_late(recorded_at);
                    return Ok(());
                }
                // Another import has recorded one of these instants at this very moment.
                Transaction::Refused(_) | Transaction::Collided => {
                    let collided = || StoreError::Unavailable("concurrent imports of rates".to_owned());
                    sleep(pauses.next().ok_or_else(collided)?).await;
                }
            }
        }
    }

    /// Tells readers that keep rates in memory of new overlays, and notes the months of these.
    fn overlay_mark(&self, overlays: &[RateSheet]) -> Result<TransactWriteItem, StoreError> {
        let months: BTreeSet<String> = overlays.iter().map(|overlay| month(overlay.observed_at)).collect();
        let request = Update::builder()
            .table_name(self.table(Table::Rates))
            .set_key(Some(pointer_key()))
            .update_expression("SET overlay = :place ADD #months :months")
            .expression_attribute_names("#months", "months")
            .expression_attribute_values(":place", text(overlays.last().map(place).unwrap_or_default()))
            .expression_attribute_values(":months", AttributeValue::Ss(months.into_iter().collect()));
        Ok(TransactWriteItem::builder().update(request.build()?).build())
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
        let marks = Marks { newest: row.text("newest")?, overlay: row.text("overlay")? };
        Ok(Pointer { marks, months: months.map_err(|_| row.corrupt("months"))? })
    }
}

/// The rates as one instance reads them. The newest are kept in memory and used as long as the pointer says
/// that there are none newer; rates of the past are read.
#[derive(Debug, Clone)]
pub struct RateReader {
    store: Store,
    limits: AgeLimits,
    newest: Arc<Mutex<Option<KeptRates>>>,
}

/// The newest rates as they were read, and the pointer's marks of then.
#[derive(Debug, Clone)]
struct KeptRates {
    marks: Marks,
    rates: Arc<RatesInForce>,
}

impl RateReader {
    /// An empty memory over the store.
    #[must_use]
    pub fn new(store: Store, limits: AgeLimits) -> Self {
        Self { store, limits, newest: Arc::default() }
    }

    /// Reads the newest rates ahead. A failure is only logged: the first request will try again.
    pub async fn warm(&self, now: Timestamp) {
        let rates = self.newest(now).await;
        rates.map_or_else(|cause| tracing::warn!(%cause, "the newest rates were not read at start"), drop);
    }

    /// The newest rates at `now`: one read of the pointer, and of the sheets if there are other than before.
    pub async fn newest(&self, now: Timestamp) -> Result<Arc<RatesInForce>, StoreError> {
        let Pointer { marks, months } = self.store.pointer().await?;
        if months.is_empty() {
            return Ok(Arc::default());
        }
        let kept = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_in_force = |rates: &RatesInForce| {
            let newest = rates.newest().map(|sheet| sheet.observed_at);
            newest.is_some_and(|newest| newest <= now && self.limits.reaches(newest, now))
        };
        if let Some(kept) = kept.filter(|kept| kept.marks == marks && is_in_force(&kept.rates)) {
            return Ok(kept.rates);
        }
        let rates = self.at(Moment::as_of(now)).await?;
        // Sheets that lie ahead of `now` are not among these: clocks differ, or the local clock has been set
        // back. They are read at every request then.
        let is_past = |place: &Option<String>| {
            let last = format!("{}#{AFTER_SHEETS}", now.to_stored_text());
            place.as_ref().is_none_or(|place| *place <= last)
        };
        if is_past(&marks.newest) && is_past(&marks.overlay) {
            *self.newest.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(KeptRates { marks, rates: Arc::clone(&rates) });
        }
        Ok(rates)
    }

    /// The rates of a question: those of a moment which the request names, or the newest.
    pub async fn asked(
        &self,
        moment: Option<Moment>,
        now: Timestamp,
    ) -> Result<Arc<RatesInForce>, StoreError> {
        match moment {
            None => self.newest(now).await,
            Some(moment) => self.at(moment).await,
        }
    }

    /// The rates of some assets at each of several moments, as they were known then.
    pub async fn over(
        &self,
        moments: &Moments,
        assets: &BTreeSet<Asset>,
    ) -> Result<Vec<RatesInForce>, StoreError> {
        self.store.rates_over(moments, self.limits, assets).await
    }

    /// The rates of a moment as they were known then.
    pub async fn at(&self, moment: Moment) -> Result<Arc<RatesInForce>, StoreError> {
        Ok(Arc::new(self.store.rates_at(moment, self.limits).await?))
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
    let RateSheet { kind, observed_at, recorded_at, entries } = sheet;
    let entries =
        entries.iter().map(|(code, rate)| (code.clone(), AttributeValue::M(rate_to_item(rate)))).collect();
    Item::from([
        (SERIES.to_owned(), text(format!("{USD_SHEETS}{}", month(*observed_at)))),
        (PLACE.to_owned(), text(place(sheet))),
        ("observed_at".to_owned(), instant(*observed_at)),
        ("recorded_at".to_owned(), instant(*recorded_at)),
        ("is_overlay".to_owned(), AttributeValue::Bool(*kind == SheetKind::Overlay)),
        (ENTRIES.to_owned(), AttributeValue::M(entries)),
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

/// An entry that cannot be read prices nothing, and takes no other entry of the sheet with it.
fn from_item(item: &Item) -> Result<RateSheet, StoreError> {
    let row = Row { table: Table::Rates, item };
    // A query that names assets answers no map where a sheet has none of them.
    let none = Item::new();
    let entries = item.get(ENTRIES).map_or(Ok(&none), |value| value.as_m());
    let entries = entries.map_err(|_| row.corrupt(ENTRIES))?;
    let entry = |(code, value): (&String, &AttributeValue)| {
        let rate = value.as_m().map_err(|_| row.corrupt(ENTRIES)).and_then(rate_from_item);
        rate.inspect_err(|cause| tracing::error!(code, %cause, "an entry of a rate sheet was passed over"))
            .ok()
            .map(|rate| (code.clone(), rate))
    };
    let is_overlay = item.get("is_overlay").and_then(|value| value.as_bool().ok()).is_some_and(|is| *is);
    Ok(RateSheet {
        kind: if is_overlay { SheetKind::Overlay } else { SheetKind::Complete },
        observed_at: row.instant("observed_at")?,
        recorded_at: row.instant("recorded_at")?,
        entries: entries.iter().filter_map(entry).collect(),
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
