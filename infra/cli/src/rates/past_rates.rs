//! Files of rates of the past, read as a whole: our own CSV, or the history file of the European Central
//! Bank, plain or zipped. The header tells which it is.
//!
//! Nothing is recorded here. A row that is no rate is a reject with its line; a record that is not
//! well-formed refuses the file, because whatever follows the record could be anything.

use crate::csv_records::{CsvRecord, CsvRecords};
use serde::Serialize;
use shared::domain::{Asset, Catalogue, Method, Rate, SourceName, Timestamp, UsdPrice};
use shared::rates::sources::ecb;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// The bank's file has some 600 KB zipped and 4 MB plain.
pub(super) const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Begins a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";
/// The bank's name of the column of days, and its word for a day without a rate.
const DAY: &str = "date";
const NO_RATE: &str = "N/A";
const COLUMNS: [&str; 5] = ["observed_at", "currency", "usd", "source", "method"];
const REQUIRED_COLUMNS: usize = 3;
/// The source of a row that names none.
const IMPORT: &str = "import";
const MAX_SOURCE_CHARACTERS: usize = 64;

/// The rates of a file by instant and currency.
pub(super) type Overlays = BTreeMap<Timestamp, BTreeMap<String, Rate>>;

/// A row that holds no rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reject {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct PastRates {
    pub(super) overlays: Overlays,
    pub(super) rejects: Vec<Reject>,
}

/// Reads a file's bytes. The error says why the file as a whole is unusable.
pub(super) fn parse(bytes: &[u8], catalogue: &Catalogue, now: Timestamp) -> Result<PastRates, String> {
    let unzipped;
    let bytes = if bytes.starts_with(ZIP) {
        unzipped = unzipped_file(bytes)?;
        unzipped.as_slice()
    } else {
        bytes
    };
    let mut records = CsvRecords::new(bytes).map_err(|error| error.to_string())?;
    let first = records.next().map_err(|error| error.to_string())?.ok_or("the file is empty")?;
    let names: Vec<String> = first.cells?.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let layout = if names.first().is_some_and(|name| name == DAY) {
        Layout::bank(&names)?
    } else {
        Layout::own(&names)?
    };
    let mut read = PastRates::default();
    while let Some(CsvRecord { line, cells }) = records.next().map_err(|error| error.to_string())? {
        match cells {
            Err(reason) => read.reject(line, reason),
            // A decimal comma makes one cell two, and the part before the comma would be recorded as the
            // rate.
            Ok(cells) if cells.len() != names.len() && filled(&cells) != filled(&names) => {
                read.reject(line, format!("{} cells under a header of {}", cells.len(), names.len()));
            }
            Ok(cells) => layout.read(&cells, line, catalogue, now, &mut read),
        }
    }
    Ok(read)
}

/// The number of cells without empty ones at the end: the bank ends a line with a comma, or with none.
fn filled(cells: &[String]) -> usize {
    cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1)
}

/// The only file of an archive.
fn unzipped_file(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("the zip archive cannot be read: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    if archive.len() != 1 {
        return Err(format!("the zip archive holds {} files; it must hold one", archive.len()));
    }
    let file = archive.by_index(0).map_err(|error| unreadable(&error))?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(|error| unreadable(&error))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err("the file in the zip archive is longer than 256 MiB".to_owned());
    }
    Ok(content)
}

/// Where a record has its values.
enum Layout {
    /// One rate to a record; the places of [`COLUMNS`].
    Own([Option<usize>; COLUMNS.len()]),
    /// A day to a record: units per euro, the currencies' codes by column.
    Bank(Vec<String>),
}

impl Layout {
    fn own(names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
            return Err(format!(
                "the header has an unknown column {unknown:?}; known are {}, or those of the ECB's history file",
                COLUMNS.join(", ")
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(format!("the header has the column {twice} twice"));
        }
        let places = COLUMNS.map(|column| names.iter().position(|name| name == column));
        let missing = COLUMNS.iter().zip(places).take(REQUIRED_COLUMNS).find(|(_, place)| place.is_none());
        if let Some((column, _)) = missing {
            return Err(format!("the header lacks the column {column}"));
        }
        Ok(Self::Own(places))
    }

    fn bank(names: &[String]) -> Result<Self, String> {
        let codes: Vec<String> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        if codes.iter().filter(|code| *code == Asset::USD.code()).count() == 1 {
            Ok(Self::Bank(codes))
        } else {
            Err("the header has not one column USD, without which nothing has a rate in dollars".to_owned())
        }
    }

    fn read(&self, cells: &[String], line: u64, catalogue: &Catalogue, now: Timestamp, into: &mut PastRates) {
        match self {
            Self::Own(places) => {
                let cell =
                    |place: Option<usize>| place.and_then(|place| cells.get(place)).map(|cell| cell.trim());
                let [observed_at, currency, usd, source, method] = places.map(cell);
                let row = own_row([observed_at, currency, usd], source, method, catalogue, now);
                into.add(line, row);
            }
            Self::Bank(codes) => bank_row(codes, cells, line, now, into),
        }
    }
}

fn own_row(
    [observed_at, currency, usd]: [Option<&str>; REQUIRED_COLUMNS],
    source: Option<&str>,
    method: Option<&str>,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<(Asset, Rate), String> {
    let at = |column: &str, problem: &dyn std::fmt::Display| format!("{column}: {problem}");
    let observed_at = Timestamp::parse(observed_at.unwrap_or_default())
        .map_err(|error| at("observed_at", &error))?
        .cut_to_millis();
    if observed_at > now {
        return Err("observed_at: in the future".to_owned());
    }
    let asset = catalogue.asset(currency.unwrap_or_default()).map_err(|error| at("currency", &error))?;
    let usd = UsdPrice::parse(usd.unwrap_or_default()).map_err(|error| at("usd", &error))?;
    if asset == Asset::USD && usd != UsdPrice::ONE {
        return Err("usd: a dollar is always worth 1".to_owned());
    }
    let source = source.filter(|source| !source.is_empty()).unwrap_or(IMPORT);
    let is_printable = source.bytes().all(|byte| byte.is_ascii_graphic());
    if source.len() > MAX_SOURCE_CHARACTERS || !is_printable {
        return Err("source: must be 1 to 64 printable ASCII characters without blanks".to_owned());
    }
    let method = match method.filter(|method| !method.is_empty()) {
        None => Method::Market,
        Some(method) => Method::parse(method)
            .ok()
            .filter(|method| matches!(method, Method::Market | Method::Reference))
            .ok_or("method: must be market or reference")?,
    };
    Ok((asset, Rate { usd, source: source.to_owned(), method, observed_at }))
}

/// The rates of one day. A code that is no money of ours, a cell without a rate and the cell after a trailing
/// comma are passed over.
fn bank_row(codes: &[String], cells: &[String], line: u64, now: Timestamp, into: &mut PastRates) {
    let day = cells.first().map_or("", |day| day.trim());
    let observed_at = match ecb::published_at(day) {
        Ok(at) if at > now => return into.reject(line, "Date: in the future"),
        Ok(at) => at,
        Err(_) => return into.reject(line, "Date: not a day like 2026-09-24"),
    };
    let quoted: BTreeMap<&str, &str> = codes
        .iter()
        .zip(cells)
        .skip(1)
        .map(|(code, cell)| (code.as_str(), cell.trim()))
        .filter(|(_, cell)| !cell.is_empty() && *cell != NO_RATE)
        .collect();
    let Some(dollar) = quoted.get(Asset::USD.code()) else {
        return into.reject(line, "USD: no rate, without which nothing of the day has a rate in dollars");
    };
    let euro = (Asset::EUR, UsdPrice::quoted(dollar, "1"));
    let others = quoted
        .iter()
        .filter(|(code, _)| **code != Asset::USD.code())
        .filter_map(|(code, units)| Some((Catalogue::money(code)?, UsdPrice::quoted(dollar, units))));
    for (asset, usd) in std::iter::once(euro).chain(others) {
        let rate = |usd| Rate {
            usd,
            source: SourceName::Ecb.name().to_owned(),
            method: SourceName::Ecb.method(),
            observed_at,
        };
        into.add(
            line,
            usd.map(|usd| (asset, rate(usd))).map_err(|error| format!("{}: {error}", asset.code())),
        );
    }
}

impl PastRates {
    fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.rejects.push(Reject { line, reason: reason.into() });
    }

    /// Of two rows of one instant and currency that differ the first is taken and the second is a reject.
    fn add(&mut self, line: u64, row: Result<(Asset, Rate), String>) {
        let (asset, rate) = match row {
            Ok(row) => row,
            Err(reason) => return self.reject(line, reason),
        };
        let entries = self.overlays.entry(rate.observed_at).or_default();
        let known = entries.entry(asset.code().to_owned()).or_insert_with(|| rate.clone());
        if *known != rate {
            let reason = format!("another rate of {} at this instant stands above", asset.code());
            self.reject(line, reason);
        }
    }
}
