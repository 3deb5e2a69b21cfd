//! The rates table: one item per sheet, found by time, and the newest kept for half a minute.

use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{Asset, Method, Rate, RateSheet, Timestamp, UsdPrice};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const TABLE: &str = "rates";
/// All sheets are of one kind, US dollars per unit, and stand under one key.
const USD_SHEETS: &str = "usd";
/// How long an instance may answer from the newest sheet it has read; a sheet is written every five minutes.
const CACHE_TTL: SignedDuration = SignedDuration::from_secs(30);

impl Store {
    /// The newest sheet at or before `at`.
    pub async fn sheet_as_of(&self, at: Timestamp) -> Result<Option<RateSheet>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.rates)
            .consistent_read(true)
            .key_condition_expression("sheet = :sheet AND observed_at <= :at")
            .expression_attribute_values(":sheet", text(USD_SHEETS))
            .expression_attribute_values(":at", instant(at))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await?;
        answer.items().first().map(from_item).transpose()
    }

    /// Keeps a sheet for ever; one of the same instant is replaced.
    pub async fn put_sheet(&self, sheet: &RateSheet) -> Result<(), StoreError> {
        self.client.put_item().table_name(&self.tables.rates).set_item(Some(to_item(sheet))).send().await?;
        Ok(())
    }
}

/// The rate sheets as one instance reads them: the newest from memory while it is fresh, the past always from
/// the store.
#[derive(Debug, Clone)]
pub struct Sheets {
    store: Store,
    newest: Arc<Mutex<Option<Cached>>>,
}

#[derive(Debug, Clone)]
struct Cached {
    sheet: Arc<RateSheet>,
    read_at: Timestamp,
}

impl Sheets {
    /// An empty cache over the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, newest: Arc::default() }
    }

    /// Forgets the newest sheet, because there is a newer one.
    pub fn forget(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads the newest sheet ahead. A failure is only logged: the first request will try again.
    pub async fn warm(&self, now: Timestamp) {
        let sheet = self.newest(now).await;
        sheet
            .map_or_else(|cause| tracing::warn!(%cause, "the newest rate sheet was not read at start"), drop);
    }

    /// The newest sheet at `now`, read at most 30 s ago. Having none is not remembered.
    pub async fn newest(&self, now: Timestamp) -> Result<Option<Arc<RateSheet>>, StoreError> {
        let cached = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(cached) = cached.filter(|cached| cached.read_at.age_at(now).abs() < CACHE_TTL) {
            return Ok(Some(cached.sheet));
        }
        let sheet = self.store.sheet_as_of(now).await?.map(Arc::new);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) =
            sheet.clone().map(|sheet| Cached { sheet, read_at: now });
        Ok(sheet)
    }

    /// The newest sheet at or before `at`.
    pub async fn as_of(&self, at: Timestamp) -> Result<Option<Arc<RateSheet>>, StoreError> {
        Ok(self.store.sheet_as_of(at).await?.map(Arc::new))
    }
}

pub(super) fn to_item(sheet: &RateSheet) -> Item {
    let RateSheet { observed_at, entries } = sheet;
    let entries = entries
        .iter()
        .map(|(asset, rate)| (asset.code().to_owned(), AttributeValue::M(rate_to_item(rate))))
        .collect();
    Item::from([
        ("sheet".to_owned(), text(USD_SHEETS)),
        ("observed_at".to_owned(), instant(*observed_at)),
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
    let row = Row { table: TABLE, item };
    let entries =
        item.get("entries").and_then(|value| value.as_m().ok()).ok_or_else(|| row.corrupt("entries"))?;
    // A code that is not in this version's table was written by another version; what can be held here needs
    // none of it.
    let known = entries.iter().filter_map(|(code, value)| Some((Asset::parse(code).ok()?, value)));
    let entry = |(asset, value): (Asset, &AttributeValue)| {
        let rate = rate_from_item(value.as_m().map_err(|_| row.corrupt("entries"))?)?;
        Ok::<_, StoreError>((asset, rate))
    };
    Ok(RateSheet {
        observed_at: row.instant("observed_at")?,
        entries: known.map(entry).collect::<Result<BTreeMap<_, _>, _>>()?,
    })
}

fn rate_from_item(item: &Item) -> Result<Rate, StoreError> {
    let row = Row { table: TABLE, item };
    Ok(Rate {
        usd: row.number("usd", UsdPrice::parse)?,
        source: row.parsed("source", |text| Ok::<_, StoreError>(text.to_owned()))?,
        method: row.parsed("method", Method::parse)?,
        observed_at: row.instant("observed_at")?,
    })
}
