//! A sandbox of the sources of rates: each answers its vendor's document, with quotes that can be set through
//! a control endpoint.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::clock::Clock;
use shared::domain::{SourceName, Timestamp, UsdPrice};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io::{Cursor, Write as _};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Where the sources are mounted: a source's name and its vendor's path follow.
pub(crate) const MOUNT: &str = "/_local/market";
/// The standard answer of every source: quotes as each vendor writes them, by its own names.
/// The file is part of the binary, and a test reads it.
static STANDARD: LazyLock<HashMap<String, Names>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../market.json")).unwrap_or_default());
/// The statuses that a source can be set to answer.
const STATUSES: std::ops::RangeInclusive<u16> = 200..=599;
const SECONDS_PER_DAY: i64 = 86_400;
/// Rates of a day are published in the afternoon: 14:00 UTC in summer.
const PUBLISHED_SECONDS: i64 = 14 * 3_600;
/// 1 January 1970 was a Thursday, counted from Monday.
const FIRST_WEEKDAY: i64 = 3;

/// 4 January 1999, the first day of the bank's history, in days since 1970.
const FIRST_DAY: i64 = 10_595;
/// Thousandths by which the history's rates are moved at most.
const MOST_MOVED: i64 = 20;
/// Characters of a rate in the history: the bank's have about six digits.
const HISTORY_CHARACTERS: usize = 8;

/// Quotes by the vendor's own names, as it writes them: units per euro, units per dollar, dollars per unit.
type Names = BTreeMap<String, String>;

/// The answer that a source is set to: quotes over the standard ones (`null` leaves one out), or a status
/// instead of any.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    quotes: BTreeMap<String, Option<String>>,
    status: Option<u16>,
}

impl Told {
    /// The fault of the setting, if it has one: quotes are positive numbers, and there must be such a status.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.status.is_some_and(|status| !STATUSES.contains(&status)) {
            return Some("`status` must be one of HTTP from 200 to 599.");
        }
        if !self
            .quotes
            .keys()
            .all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        {
            return Some("A name must be the vendor's: letters, digits and -.");
        }
        let is_number = |quote: &&String| {
            serde_json::from_str::<&RawValue>(quote).is_ok_and(|number| number.get() == quote.as_str())
        };
        let is_price =
            |quote: &String| UsdPrice::quoted(quote, "1").or_else(|_| UsdPrice::quoted("1", quote)).is_ok();
        let is_sound = self.quotes.values().flatten().all(|quote| is_number(&quote) && is_price(quote));
        (!is_sound).then_some("A quote must be a positive number as JSON writes it, in a string.")
    }
}

/// The sources; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    told: Arc<Mutex<HashMap<&'static str, Told>>>,
    clock: Clock,
}

impl Market {
    /// Sources whose quotes are of this clock's time.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { told: Arc::default(), clock }
    }

    /// Tells a source what to say from now on.
    pub(crate) fn tell(&self, source: SourceName, told: Told) {
        self.lock().insert(source.name(), told);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source's quotes, or the status that it answers instead.
    fn quotes(&self, source: SourceName) -> Result<Names, StatusCode> {
        let told = self.lock().get(source.name()).cloned().unwrap_or_default();
        if let Some(status) = told.status {
            return Err(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let mut quotes = STANDARD.get(source.name()).cloned().unwrap_or_default();
        for (name, quote) in told.quotes {
            match quote {
                Some(quote) => quotes.insert(name, quote),
                None => quotes.remove(&name),
            };
        }
        Ok(quotes)
    }

    /// The routes under [`MOUNT`], at the vendors' paths.
    pub(crate) fn routes(self) -> Router {
        let vendors = Router::new()
            .route("/ecb/stats/eurofxref/eurofxref-daily.xml", get(ecb))
            .route("/ecb/stats/eurofxref/eurofxref-hist.zip", get(ecb_history))
            .route("/coinbase/v2/exchange-rates", get(coinbase))
            .route("/coingecko/api/v3/simple/price", get(coingecko))
            .with_state(self);
        Router::new().nest(MOUNT, vendors)
    }
}

async fn ecb(State(market): State<Market>) -> Result<Response, StatusCode> {
    let mut cubes = String::new();
    for (currency, rate) in market.quotes(SourceName::Ecb)? {
        // Writing to a string does not fail.
        let _ = writeln!(cubes, "\t\t\t<Cube currency='{currency}' rate='{rate}'/>");
    }
    let day = newest_day(market.clock.now());
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" \
         xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">\n\t<gesmes:subject>Reference rates</gesmes:subject>\n\t\
         <gesmes:Sender>\n\t\t<gesmes:name>European Central Bank</gesmes:name>\n\t</gesmes:Sender>\n\t<Cube>\n\t\t\
         <Cube time='{day}'>\n{cubes}\t\t</Cube>\n\t</Cube>\n</gesmes:Envelope>"
    );
    Ok(([(CONTENT_TYPE, "text/xml")], document).into_response())
}

/// The history file: every weekday since the euro began, the newest first, in a zip archive as the bank has
/// it. The rates of the past are those of today, moved by up to two per cent from day to day.
async fn ecb_history(State(market): State<Market>) -> Result<Response, StatusCode> {
    let quotes = market.quotes(SourceName::Ecb)?;
    let mut table = "Date,".to_owned();
    for currency in quotes.keys() {
        table.push_str(currency);
        table.push(',');
    }
    for day in (FIRST_DAY..=newest_weekday(market.clock.now())).rev().filter(|day| is_weekday(*day)) {
        table.push('\n');
        table.push_str(&text_of_day(day));
        for (place, quote) in (1_i64..).zip(quotes.values()) {
            // Another step for each currency, the same at each reading.
            let thousandths = 1_000 - MOST_MOVED + (day * (2 * place + 1)).rem_euclid(2 * MOST_MOVED + 1);
            let moved = UsdPrice::quoted(quote, &format!("{thousandths}e-3")).map(|moved| moved.to_string());
            table.push(',');
            table.extend(moved.unwrap_or_default().chars().take(HISTORY_CHARACTERS));
        }
        table.push(',');
    }
    table.push('\n');
    let zipped = zipped("eurofxref-hist.csv", table.as_bytes());
    zipped
        .map(|file| ([(CONTENT_TYPE, "application/zip")], file).into_response())
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn zipped(name: &str, content: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, SimpleFileOptions::default())?;
    archive.write_all(content)?;
    Ok(archive.finish()?.into_inner())
}

/// The last weekday whose rates are out.
fn newest_day(now: Timestamp) -> String {
    text_of_day(newest_weekday(now))
}

/// The same in days since 1970.
fn newest_weekday(now: Timestamp) -> i64 {
    let today = (now.unix_seconds() - PUBLISHED_SECONDS).div_euclid(SECONDS_PER_DAY);
    (0..7).map(|back| today - back).find(|day| is_weekday(*day)).unwrap_or(today)
}

const fn is_weekday(day: i64) -> bool {
    (day + FIRST_WEEKDAY).rem_euclid(7) < 5
}

fn text_of_day(day: i64) -> String {
    let text =
        Timestamp::from_unix_milliseconds(day * SECONDS_PER_DAY * 1_000).map(Timestamp::to_millis_text);
    text.as_deref().and_then(|text| text.get(..10)).unwrap_or_default().to_owned()
}

#[derive(Serialize)]
struct Envelope {
    data: Data,
}

#[derive(Serialize)]
struct Data {
    currency: &'static str,
    rates: Names,
}

async fn coinbase(State(market): State<Market>) -> Result<Json<Envelope>, StatusCode> {
    let rates = market.quotes(SourceName::Coinbase)?;
    Ok(Json(Envelope { data: Data { currency: "USD", rates } }))
}

async fn coingecko(
    State(market): State<Market>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, StatusCode> {
    let quotes = market.quotes(SourceName::CoinGecko)?;
    let now = market.clock.now().unix_seconds();
    let price = |id: &str| {
        // A number's literal is written as it is.
        let usd = RawValue::from_string(quotes.get(id)?.clone()).ok()?;
        Some(format!("{}:{{\"usd\":{usd},\"last_updated_at\":{now}}}", serde_json::Value::from(id)))
    };
    let prices: Vec<_> =
        query.get("ids").into_iter().flat_map(|ids| ids.split(',')).filter_map(price).collect();
    Ok(([(CONTENT_TYPE, "application/json")], format!("{{{}}}", prices.join(","))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_standard_quotes() {
        assert!(
            SourceName::ALL
                .iter()
                .all(|source| STANDARD.get(source.name()).is_some_and(|quotes| quotes.len() > 10))
        );
    }

    #[test]
    fn rates_are_of_the_last_weekday_that_is_out() {
        let rows = [
            ("2026-09-24T15:00:00Z", "2026-09-24"),
            ("2026-09-24T13:59:59Z", "2026-09-23"),
            ("2026-09-26T23:00:00Z", "2026-09-25"),
            ("2026-09-28T08:00:00Z", "2026-09-25"),
            ("2026-09-28T14:00:00Z", "2026-09-28"),
        ];
        for (now, day) in rows {
            assert_eq!(newest_day(Timestamp::parse(now).unwrap()), day, "{now}");
        }
    }
}
