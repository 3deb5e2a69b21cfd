//! A file of accounts, row by row: CSV with a header, or JSON Lines. A row that cannot be read is a row with
//! a reason.

use super::lines::{Lines, TOO_LONG};
use super::records;
use crate::arguments::ImportFormat;
use crate::error::CliError;
use balance_ingest::field::{FieldValue, entry_fields, field_names};
use balance_ingest::{AccountEntry, EntrySource, Payload, is_ahead};
use csv::StringRecord;
use serde_json::{Map, Value};
use shared::domain::{AccountUpdate, Timestamp};
use std::path::{Path, PathBuf};

/// One row of the file.
#[derive(Debug)]
pub(super) struct Row {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// The account's states, oldest first, or why it has none.
    pub(super) states: Result<Vec<AccountUpdate>, String>,
}

/// The file being read.
pub(super) struct Rows {
    path: PathBuf,
    lines: Lines,
    format: Format,
}

enum Format {
    Csv { header: Vec<String> },
    JsonLines,
}

impl Rows {
    /// Opens a file; a CSV file's header is checked before anything of it is recorded.
    pub(super) fn open(path: &Path, format: Option<ImportFormat>) -> Result<Self, CliError> {
        let unknown = || CliError::argument("--format", "the file's name does not tell: give csv or jsonl");
        let format = format.or_else(|| by_name(path)).ok_or_else(unknown)?;
        let unreadable = |source| CliError::File { path: path.to_owned(), source };
        let mut lines = Lines::open(path).map_err(unreadable)?;
        let format = match format {
            ImportFormat::Jsonl => Format::JsonLines,
            ImportFormat::Csv => {
                let first = records::next(&mut lines).map_err(unreadable)?;
                let refused = |problem: String| CliError::Format { path: path.to_owned(), problem };
                let header =
                    first.map_or_else(|| Ok(StringRecord::new()), |(_, header)| header).map_err(refused)?;
                let header: Vec<_> = header.iter().map(|name| name.trim().to_owned()).collect();
                checked(&header).map_err(refused)?;
                Format::Csv { header }
            }
        };
        Ok(Self { path: path.to_owned(), lines, format })
    }

    /// How far into the file reading has come.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// The next row, `None` after the last. Only a file that cannot be read on is an error.
    pub(super) fn next(&mut self, now: Timestamp) -> Result<Option<Row>, CliError> {
        let read = match &self.format {
            Format::Csv { header } => {
                let record = records::next(&mut self.lines);
                record.map(|record| {
                    record.map(|(line, record)| (line, record.and_then(|record| of_record(&record, header))))
                })
            }
            Format::JsonLines => json_entry(&mut self.lines),
        };
        let read = read.map_err(|source| CliError::File { path: self.path.clone(), source })?;
        Ok(read.map(|(line, entry)| Row { line, states: entry.and_then(|entry| states(&entry, now)) }))
    }
}

fn by_name(path: &Path) -> Option<ImportFormat> {
    let extension = path.extension()?.to_str()?;
    let is = |names: &[&str]| names.iter().any(|name| extension.eq_ignore_ascii_case(name));
    if is(&["csv"]) {
        Some(ImportFormat::Csv)
    } else {
        is(&["jsonl", "ndjson"]).then_some(ImportFormat::Jsonl)
    }
}

fn checked(header: &[String]) -> Result<(), String> {
    let required = field_names(|field| field.is_required);
    if let Some(missing) = required.iter().find(|name| !header.iter().any(|column| column == *name)) {
        return Err(format!("the header lacks the column {missing}; it must have {}", required.join(", ")));
    }
    let known = field_names(|_| true);
    for (index, name) in header.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(format!("the header has an unknown column {name:?}; known are {}", known.join(", ")));
        }
        if header.iter().take(index).any(|earlier| earlier == name) {
            return Err(format!("the header has the column {name} twice"));
        }
    }
    Ok(())
}

fn of_record(record: &StringRecord, header: &[String]) -> Result<AccountEntry, String> {
    if record.len() != header.len() {
        return Err(format!("{} cells under a header of {}", record.len(), header.len()));
    }
    let is_flag =
        |name: &str| entry_fields().any(|field| field.name == name && field.value == FieldValue::Flag);
    let cell = |(name, text): (&String, &str)| {
        let value = match text {
            // Excel writes its booleans in capitals.
            "true" | "TRUE" if is_flag(name) => Value::Bool(true),
            "false" | "FALSE" if is_flag(name) => Value::Bool(false),
            _ => Value::from(text),
        };
        (name.clone(), value)
    };
    let filled: Map<_, _> =
        header.iter().zip(record).filter(|(_, text)| !text.is_empty()).map(cell).collect();
    AccountEntry::of(Value::Object(filled)).map_err(str::to_owned)
}

fn json_entry(lines: &mut Lines) -> std::io::Result<Option<(u64, Result<AccountEntry, String>)>> {
    while let Some(line) = lines.next()? {
        if line.is_cut {
            return Ok(Some((line.number, Err(TOO_LONG.to_owned()))));
        }
        if !line.is_blank() {
            let entry = serde_json::from_slice::<Payload>(&line.text).map_err(|error| without_place(&error));
            return Ok(Some((
                line.number,
                entry.and_then(|Payload(value)| AccountEntry::of(value).map_err(str::to_owned)),
            )));
        }
    }
    Ok(None)
}

/// The line is the file's, not the document's.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or_else(|| text.clone(), |(problem, _)| problem.to_owned())
}

fn states(entry: &AccountEntry, now: Timestamp) -> Result<Vec<AccountUpdate>, String> {
    let updates = entry.updates(EntrySource::Import).map_err(|error| error.to_string())?;
    match updates.last() {
        Some(newest) if is_ahead(newest.entry.balance_at, now) => {
            Err("balance_at: more than 5 minutes ahead".to_owned())
        }
        _ => Ok(updates),
    }
}
