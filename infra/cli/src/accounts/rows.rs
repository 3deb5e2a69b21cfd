//! A file of accounts, row by row: CSV with a header, or JSON Lines. A row that cannot be recorded is a row
//! with a reason; a CSV record that is not well-formed is the last thing that is read.

use super::lines::{Lines, TOO_LONG};
use crate::arguments::ImportFormat;
use crate::csv_records::{CsvError, CsvFault, CsvRecord, CsvRecords};
use crate::error::CliError;
use balance_ingest::field::{FieldValue, entry_fields, field_names};
use balance_ingest::{AccountEntry, EntrySource, Payload, is_ahead};
use serde_json::{Map, Value};
use shared::domain::{AccountUpdate, Catalogue, Timestamp};
use std::fs::File;
use std::io::BufReader;
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
    records: Records,
    /// Read when the import begins: it names the assets of all rows.
    catalogue: Catalogue,
}

enum Records {
    Csv { records: CsvRecords<BufReader<File>>, header: Vec<String> },
    JsonLines(Lines),
}

/// Why no further row can be read.
#[derive(Debug)]
pub(super) enum RowsEnd {
    /// The file failed.
    File(CliError),
    /// The record that begins on this line is not well-formed.
    Malformed { line: u64, fault: CsvFault },
}

impl Rows {
    /// Opens a file; a CSV file's header is checked before anything of it is recorded.
    pub(super) fn open(
        path: &Path,
        format: Option<ImportFormat>,
        catalogue: Catalogue,
    ) -> Result<Self, CliError> {
        let unknown = || CliError::argument("--format", "the file's name does not tell: give csv or jsonl");
        let unreadable = |source| CliError::File { path: path.to_owned(), source };
        let records = match format.or_else(|| by_name(path)).ok_or_else(unknown)? {
            ImportFormat::Jsonl => Records::JsonLines(Lines::open(path).map_err(unreadable)?),
            ImportFormat::Csv => {
                let file = File::open(path).map_err(unreadable)?;
                let mut records = CsvRecords::new(BufReader::new(file)).map_err(unreadable)?;
                let refused = |problem: String| CliError::Format { path: path.to_owned(), problem };
                let first = records.next().map_err(|error| refused(error.to_string()))?;
                let header = header(first).map_err(refused)?;
                Records::Csv { records, header }
            }
        };
        Ok(Self { path: path.to_owned(), records, catalogue })
    }

    /// How far into the file reading has come.
    pub(super) const fn bytes_read(&self) -> u64 {
        match &self.records {
            Records::Csv { records, .. } => records.bytes_read(),
            Records::JsonLines(lines) => lines.bytes_read(),
        }
    }

    /// The next row, `None` after the last.
    pub(super) fn next(&mut self, now: Timestamp) -> Result<Option<Row>, RowsEnd> {
        let file = |source| RowsEnd::File(CliError::File { path: self.path.clone(), source });
        let read = match &mut self.records {
            Records::Csv { records, header } => records
                .next()
                .map_err(|error| match error {
                    CsvError::File(source) => file(source),
                    CsvError::Malformed { line, fault } => RowsEnd::Malformed { line, fault },
                })?
                .map(|CsvRecord { line, cells }| {
                    (line, cells.map_err(str::to_owned).and_then(|cells| of_cells(&cells, header)))
                }),
            Records::JsonLines(lines) => json_entry(lines).map_err(file)?,
        };
        Ok(read.map(|(line, entry)| Row {
            line,
            states: entry.and_then(|entry| states(&entry, &self.catalogue, now)),
        }))
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

/// The columns' names in lower case. Programs that write CSV differ in the case of names and in blanks around
/// them.
fn header(first: Option<CsvRecord>) -> Result<Vec<String>, String> {
    let cells = first.map_or(Ok(Vec::new()), |record| record.cells)?;
    let names: Vec<_> = cells.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    if let Some(advice) = of_a_spreadsheet(&names) {
        return Err(advice.to_owned());
    }
    let required = field_names(|field| field.is_required);
    if let Some(missing) = required.iter().find(|name| !names.iter().any(|column| column == *name)) {
        return Err(format!("the header lacks the column {missing}; it must have {}", required.join(", ")));
    }
    let known = field_names(|_| true);
    for (index, name) in names.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(format!("the header has an unknown column {name:?}; known are {}", known.join(", ")));
        }
        if names.iter().take(index).any(|earlier| earlier == name) {
            return Err(format!("the header has the column {name} twice"));
        }
    }
    Ok(names)
}

/// Advice about two first lines that Excel writes, and that are no header.
fn of_a_spreadsheet(names: &[String]) -> Option<&'static str> {
    let first = names.first()?;
    if first.contains('\0') {
        return Some("the file is UTF-16; save it as CSV UTF-8");
    }
    first.starts_with("sep=").then_some("the first line only names the delimiter; delete that line")
}

fn of_cells(cells: &[String], header: &[String]) -> Result<AccountEntry, String> {
    if cells.len() != header.len() {
        return Err(format!("{} cells under a header of {}", cells.len(), header.len()));
    }
    let is_flag =
        |name: &str| entry_fields().any(|field| field.name == name && field.value == FieldValue::Flag);
    let cell = |(name, text): (&String, &String)| {
        let value = match text.as_str() {
            // Excel writes its booleans in capitals.
            "true" | "TRUE" if is_flag(name) => Value::Bool(true),
            "false" | "FALSE" if is_flag(name) => Value::Bool(false),
            text => Value::from(text),
        };
        (name.clone(), value)
    };
    let filled: Map<_, _> = header.iter().zip(cells).filter(|(_, text)| !text.is_empty()).map(cell).collect();
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

fn states(entry: &AccountEntry, catalogue: &Catalogue, now: Timestamp) -> Result<Vec<AccountUpdate>, String> {
    let updates = entry.updates(EntrySource::Import, catalogue).map_err(|error| error.to_string())?;
    match updates.last() {
        Some(newest) if is_ahead(newest.entry.balance_at, now) => {
            Err("balance_at: more than 5 minutes ahead".to_owned())
        }
        _ => Ok(updates),
    }
}
