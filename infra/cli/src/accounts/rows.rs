//! A file of accounts, row by row: CSV with a header, or JSON Lines. A row that cannot be read is a row with a reason.

use crate::arguments::ImportFormat;
use crate::error::CliError;
use balance_ingest::{AccountEntry, Payload, from_object, is_ahead};
use csv::{ErrorKind, StringRecord};
use serde_json::{Map, Value};
use shared::domain::{Account, Timestamp};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The columns a CSV file may have: the fields of an event's `detail`.
const COLUMNS: [&str; 17] = [
    "id",
    "customer_id",
    "currency",
    "balance",
    "available",
    "active",
    "status",
    "balance_at",
    "iban",
    "account_number",
    "address",
    "address_tag",
    "network",
    "description",
    "organization_id",
    "merchant_id",
    "contact_id",
];
/// The columns it must have.
const REQUIRED_COLUMNS: [&str; 5] = ["id", "customer_id", "currency", "balance", "balance_at"];
/// An account with years of history, and then some.
const MAX_LINE_BYTES: u64 = 8 * 1024 * 1024;

/// One row of the file.
#[derive(Debug)]
pub(super) struct Row {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// The account's states, oldest first, or why it has none.
    pub(super) states: Result<Vec<Account>, String>,
}

/// The file being read.
pub(super) struct Rows {
    path: PathBuf,
    source: Source,
}

enum Source {
    Csv { reader: csv::Reader<File>, header: Vec<String> },
    Lines { reader: BufReader<File>, line: u64, bytes: u64 },
}

impl Rows {
    /// Opens a file; a CSV file's header is checked before anything of it is recorded.
    pub(super) fn open(path: &Path, format: Option<ImportFormat>) -> Result<Self, CliError> {
        let format = format
            .or_else(|| by_name(path))
            .ok_or_else(|| CliError::argument("--format", "the file's name does not tell: give csv or jsonl"))?;
        let file = File::open(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
        let source = match format {
            ImportFormat::Jsonl => Source::Lines { reader: BufReader::new(file), line: 0, bytes: 0 },
            ImportFormat::Csv => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
                let refused = |problem: String| CliError::Format { path: path.to_owned(), problem };
                let header = reader.headers().map_err(|error| refused(error.to_string()))?;
                let header: Vec<_> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
                checked(&header).map_err(refused)?;
                Source::Csv { reader, header }
            }
        };
        Ok(Self { path: path.to_owned(), source })
    }

    /// How far into the file reading has come.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Csv { reader, .. } => reader.position().byte(),
            Source::Lines { bytes, .. } => *bytes,
        }
    }

    /// The next row, `None` after the last. Only a file that cannot be read on is an error.
    pub(super) fn next(&mut self, now: Timestamp) -> Result<Option<Row>, CliError> {
        let unreadable = |source| CliError::File { path: self.path.clone(), source };
        let read = match &mut self.source {
            Source::Csv { reader, header } => csv_entry(reader, header).map_err(unreadable)?,
            Source::Lines { reader, line, bytes } => line_entry(reader, line, bytes).map_err(unreadable)?,
        };
        Ok(read.map(|(line, entry)| Row { line, states: entry.and_then(|entry| states(&entry, now)) }))
    }
}

fn by_name(path: &Path) -> Option<ImportFormat> {
    let extension = path.extension()?.to_str()?;
    let is = |names: &[&str]| names.iter().any(|name| extension.eq_ignore_ascii_case(name));
    if is(&["csv"]) { Some(ImportFormat::Csv) } else { is(&["jsonl", "ndjson"]).then_some(ImportFormat::Jsonl) }
}

fn checked(header: &[String]) -> Result<(), String> {
    if let Some(missing) = REQUIRED_COLUMNS.iter().find(|name| !header.iter().any(|column| column == *name)) {
        return Err(format!("the header lacks the column {missing}; it must have {}", REQUIRED_COLUMNS.join(", ")));
    }
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) {
            return Err(format!("the header has an unknown column {name:?}; known are {}", COLUMNS.join(", ")));
        }
        if header.iter().take(index).any(|earlier| earlier == name) {
            return Err(format!("the header has the column {name} twice"));
        }
    }
    Ok(())
}

type Read1 = Option<(u64, Result<AccountEntry, String>)>;

fn csv_entry(reader: &mut csv::Reader<File>, header: &[String]) -> std::io::Result<Read1> {
    let mut record = StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => {
            let line = record.position().map_or(0, csv::Position::line);
            Ok(Some((line, of_record(&record, header))))
        }
        Err(error) => match error.kind() {
            ErrorKind::Utf8 { pos, .. } => Ok(Some((pos.as_ref().map_or(0, csv::Position::line), Err("not UTF-8".to_owned())))),
            _ => Err(error.into()),
        },
    }
}

fn of_record(record: &StringRecord, header: &[String]) -> Result<AccountEntry, String> {
    if record.len() != header.len() {
        return Err(format!("{} cells under a header of {}", record.len(), header.len()));
    }
    let cell = |(name, text): (&String, &str)| {
        let value = match (name.as_str(), text) {
            ("active", "true") => Value::Bool(true),
            ("active", "false") => Value::Bool(false),
            _ => Value::from(text),
        };
        (name.clone(), value)
    };
    let filled: Map<_, _> = header.iter().zip(record).filter(|(_, text)| !text.is_empty()).map(cell).collect();
    from_object(Value::Object(filled))
}

fn line_entry(reader: &mut BufReader<File>, line: &mut u64, bytes: &mut u64) -> std::io::Result<Read1> {
    loop {
        let mut text = Vec::new();
        let read = u64::try_from(reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut text)?).unwrap_or(u64::MAX);
        if read == 0 {
            return Ok(None);
        }
        *line += 1;
        *bytes += read;
        if read == MAX_LINE_BYTES && !text.ends_with(b"\n") {
            return Err(std::io::Error::other(format!("line {line} is longer than {MAX_LINE_BYTES} bytes")));
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let entry = serde_json::from_slice::<Payload>(&text).map_err(|error| without_place(&error));
        return Ok(Some((*line, entry.and_then(|Payload(value)| from_object(value)))));
    }
}

/// The line is the file's, not the document's.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or_else(|| text.clone(), |(problem, _)| problem.to_owned())
}

fn states(entry: &AccountEntry, now: Timestamp) -> Result<Vec<Account>, String> {
    let states = entry.states().map_err(|error| error.to_string())?;
    match states.last() {
        Some(latest) if is_ahead(latest.balance_at, now) => Err("balance_at: more than 5 minutes ahead".to_owned()),
        _ => Ok(states),
    }
}
