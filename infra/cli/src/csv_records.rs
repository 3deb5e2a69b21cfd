//! The records of a CSV file, by RFC 4180 to the letter: a quote opens or closes a whole cell, or is one of
//! two inside it.
//!
//! The first record that is not well-formed ends the reading. A reader that goes on has to guess where the
//! next record begins, and a guess turns a line inside a quoted cell into a balance. Rejected: the `csv`
//! crate's reader, which takes a stray quote for text and every row up to the next quote for one cell; going
//! on at the next line, which reads lines inside cells as rows.

use std::io::{BufRead, Read};
use thiserror::Error;

/// Excel writes it before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// A record keeps at most so many bytes; every row of an account is far shorter. A longer record is read to
/// its end, but not kept.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// A fault after which nothing of a file can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CsvFault {
    #[error("a quote stands inside a cell that did not begin with one")]
    StrayQuote,
    #[error("a quoted cell goes on after its closing quote; inside a quoted cell a quote is written twice")]
    TextAfterQuote,
    #[error("the quote that opens a cell on line {0} is never closed")]
    OpenQuote(u64),
    #[error("a carriage return outside quotes does not end the line")]
    CarriageReturn,
}

/// Why a file cannot be read on.
#[derive(Debug, Error)]
pub(crate) enum CsvError {
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The record that begins on this line is not well-formed.
    #[error("line {line}: {fault}")]
    Malformed { line: u64, fault: CsvFault },
}

/// A well-formed record, and the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvRecord {
    pub(crate) line: u64,
    /// Its cells, or why it cannot be a row.
    pub(crate) cells: Result<Vec<String>, &'static str>,
}

/// Where the reading of a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellState {
    /// Before the first byte of a cell.
    Begun,
    /// In a cell without quotes.
    Plain,
    /// In a quoted cell.
    Quoted,
    /// After a quote in a quoted cell: its end, or the first of two.
    AfterQuote,
    /// After a carriage return outside quotes.
    AfterReturn,
}

/// Reads records one after the other.
pub(crate) struct CsvRecords<R> {
    reader: R,
    delimiter: u8,
    /// The line of the next byte, from 1.
    line: u64,
    bytes: u64,
}

impl<R: BufRead> CsvRecords<R> {
    /// The records of a file, whose first line says which delimiter it has: a comma if there is one, else a
    /// semicolon, else a tab. A byte-order mark before it is passed over.
    pub(crate) fn new(mut reader: R) -> std::io::Result<Self> {
        let mut bytes = 0;
        let start = reader.fill_buf()?;
        let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiters = [b',', b';', b'\t'];
        let delimiter = delimiters.into_iter().find(|delimiter| first_line.contains(delimiter));
        if start.starts_with(BYTE_ORDER_MARK) {
            bytes = BYTE_ORDER_MARK.len();
            reader.consume(bytes);
        }
        let bytes = u64::try_from(bytes).unwrap_or_default();
        Ok(Self { reader, delimiter: delimiter.unwrap_or(b','), line: 1, bytes })
    }

    /// How far into the file reading has come.
    pub(crate) const fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next record that is not blank, `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<CsvRecord>, CsvError> {
        loop {
            let line = self.line;
            let malformed = |fault| CsvError::Malformed { line, fault };
            let mut cells = OpenRecord::default();
            if !self.read(&mut cells)?.map_err(malformed)? {
                return Ok(None);
            }
            if !cells.are_blank() {
                return Ok(Some(CsvRecord { line, cells: cells.decoded() }));
            }
        }
    }

    /// Reads one record; `false` at the end of the file.
    fn read(&mut self, cells: &mut OpenRecord) -> std::io::Result<Result<bool, CsvFault>> {
        let (mut state, mut has_begun, mut opened_on) = (CellState::Begun, false, self.line);
        loop {
            let Some(byte) = self.byte()? else {
                return Ok(match state {
                    CellState::Quoted => Err(CsvFault::OpenQuote(opened_on)),
                    _ => Ok(has_begun),
                });
            };
            has_begun = true;
            state = match (state, byte) {
                (CellState::Quoted, b'"') => CellState::AfterQuote,
                (CellState::Quoted, byte) => cells.push(byte, CellState::Quoted),
                (CellState::AfterQuote, b'"') => cells.push(b'"', CellState::Quoted),
                (_, b'\n') => return Ok(Ok(true)),
                (CellState::AfterReturn, _) => return Ok(Err(CsvFault::CarriageReturn)),
                (_, b'\r') => CellState::AfterReturn,
                (_, byte) if byte == self.delimiter => cells.begin(),
                (CellState::AfterQuote, _) => return Ok(Err(CsvFault::TextAfterQuote)),
                (CellState::Begun, b'"') => {
                    opened_on = self.line;
                    cells.quote()
                }
                (CellState::Plain, b'"') => return Ok(Err(CsvFault::StrayQuote)),
                (CellState::Begun | CellState::Plain, byte) => cells.push(byte, CellState::Plain),
            };
        }
    }

    fn byte(&mut self) -> std::io::Result<Option<u8>> {
        let byte = self.reader.by_ref().bytes().next().transpose()?;
        self.bytes += u64::from(byte.is_some());
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }
}

/// The cells of the record that is being read.
#[derive(Debug)]
struct OpenRecord {
    cells: Vec<Vec<u8>>,
    bytes: usize,
    has_quotes: bool,
}

impl Default for OpenRecord {
    fn default() -> Self {
        Self { cells: vec![Vec::new()], bytes: 0, has_quotes: false }
    }
}

impl OpenRecord {
    fn push(&mut self, byte: u8, then: CellState) -> CellState {
        self.bytes += 1;
        if let Some(cell) = self.cells.last_mut().filter(|_| self.bytes <= MAX_RECORD_BYTES) {
            cell.push(byte);
        }
        then
    }

    fn begin(&mut self) -> CellState {
        self.bytes += 1;
        if self.bytes <= MAX_RECORD_BYTES {
            self.cells.push(Vec::new());
        }
        CellState::Begun
    }

    fn quote(&mut self) -> CellState {
        self.has_quotes = true;
        CellState::Quoted
    }

    fn are_blank(&self) -> bool {
        let is_blank = |cell: &Vec<u8>| cell.iter().all(u8::is_ascii_whitespace);
        !self.has_quotes && self.cells.len() == 1 && self.cells.iter().all(is_blank)
    }

    fn decoded(self) -> Result<Vec<String>, &'static str> {
        if self.bytes > MAX_RECORD_BYTES {
            return Err("the row is longer than 64 KiB");
        }
        let cells = self.cells.into_iter().map(String::from_utf8);
        cells.collect::<Result<_, _>>().map_err(|_| "not UTF-8: save the file as CSV UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    type Read = (Vec<Vec<String>>, Option<CsvFault>);

    /// The records before the first fault, and that fault. Records that cannot be rows are empty ones.
    fn read(bytes: &[u8]) -> Read {
        let mut records = CsvRecords::new(bytes).unwrap();
        let mut all = Vec::new();
        loop {
            match records.next() {
                Ok(Some(record)) => all.push(record.cells.unwrap_or_default()),
                Ok(None) => return (all, None),
                Err(CsvError::Malformed { fault, .. }) => return (all, Some(fault)),
                Err(CsvError::File(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_record_is_delimited_by_its_quotes() {
        struct Case {
            text: &'static str,
            records: &'static [&'static [&'static str]],
            fault: Option<CsvFault>,
        }
        let cases = [
            Case { text: "a,b\n1,2", records: &[&["a", "b"], &["1", "2"]], fault: None },
            Case { text: "a;b\r\n1;2,3\r\n", records: &[&["a", "b"], &["1", "2,3"]], fault: None },
            Case { text: "a\tb\n\"1\t\"\t2\n", records: &[&["a", "b"], &["1\t", "2"]], fault: None },
            Case { text: "a,\n,b\n,,", records: &[&["a", ""], &["", "b"], &["", "", ""]], fault: None },
            Case { text: "\n \na\n\n", records: &[&["a"]], fault: None },
            Case { text: "\"\"\na\n", records: &[&[""], &["a"]], fault: None },
            Case { text: "\"a\"\"b\"", records: &[&["a\"b"]], fault: None },
            Case { text: "\"a\nb\r\nc\rd\",e\n", records: &[&["a\nb\r\nc\rd", "e"]], fault: None },
            Case { text: "a\nb\"\nc", records: &[&["a"]], fault: Some(CsvFault::StrayQuote) },
            Case { text: "a\n\"b\"c\nd", records: &[&["a"]], fault: Some(CsvFault::TextAfterQuote) },
            Case { text: "a\n\"b\" ,c", records: &[&["a"]], fault: Some(CsvFault::TextAfterQuote) },
            Case { text: "a\n\n\"b\nc\n", records: &[&["a"]], fault: Some(CsvFault::OpenQuote(3)) },
            Case { text: "a\rb\n", records: &[], fault: Some(CsvFault::CarriageReturn) },
            Case { text: "a\n\"b\"\r,c\n", records: &[&["a"]], fault: Some(CsvFault::CarriageReturn) },
        ];
        for Case { text, records, fault } in cases {
            let records: Vec<Vec<String>> =
                records.iter().map(|cells| cells.iter().map(|cell| (*cell).to_owned()).collect()).collect();
            assert_eq!(read(text.as_bytes()), (records, fault), "{text:?}");
        }
    }

    #[test]
    fn a_long_record_is_read_to_its_end_and_not_kept() {
        let lines = "x,5000000.00\n".repeat(10_000);
        let text = format!("a,b\n1,\"{lines}\"\n2,3\n");
        let mut records = CsvRecords::new(text.as_bytes()).unwrap();
        let rows: Vec<_> = std::iter::from_fn(|| records.next().unwrap()).collect();
        let lines: Vec<_> = rows.iter().map(|row| (row.line, row.cells.is_ok())).collect();
        assert_eq!(lines, [(1, true), (2, false), (10_003, true)]);
    }

    /// A file, and the records that Python's `csv` module reads of it before its first fault.
    #[derive(Deserialize)]
    struct Reading {
        /// Each byte as the character of that number.
        file: String,
        records: Vec<Vec<String>>,
    }

    /// `tests/fixtures/csv/generate.py` made the files and let Python read them.
    #[test]
    fn every_record_is_one_that_another_reader_finds_in_its_place() {
        let readings: Vec<Reading> =
            serde_json::from_str(include_str!("../../../tests/fixtures/csv/readings.json")).unwrap();
        let mut faults = 0;
        for Reading { file, records } in &readings {
            let bytes: Vec<u8> = file.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
            let (ours, fault) = read(&bytes);
            let theirs = records.iter().filter(|cells| cells.iter().any(|cell| !cell.trim().is_empty()));
            let rows = ours.iter().filter(|cells| cells.iter().any(|cell| !cell.trim().is_empty()));
            let same = rows.clone().zip(theirs.clone()).all(|(ours, theirs)| ours == theirs);
            assert!(same && rows.count() <= theirs.count(), "{file:?}\n{ours:?}\n{records:?}");
            faults += u32::from(fault.is_some());
        }
        assert!(readings.len() >= 300 && (50..250).contains(&faults), "{faults} of {}", readings.len());
    }

    /// The same records by looking for the end of each cell, instead of going byte by byte.
    fn reference(mut rest: &str) -> Vec<Vec<String>> {
        let mut records = Vec::new();
        while !rest.is_empty() {
            let mut cells = Vec::new();
            let is_blank = loop {
                let (cell, after) = match rest.strip_prefix('"') {
                    None => rest.split_at(rest.find([',', '\n']).unwrap_or(rest.len())),
                    Some(quoted) => {
                        let Some(end) = closing_quote(quoted) else { return records };
                        quoted.split_at(end)
                    }
                };
                let is_quoted = rest.starts_with('"');
                let after = if is_quoted { &after[1..] } else { after };
                if !is_quoted && cell.contains('"') || !after.is_empty() && !after.starts_with([',', '\n']) {
                    return records;
                }
                cells.push(cell.replace("\"\"", "\""));
                rest = after.strip_prefix(',').unwrap_or(after);
                if !after.starts_with(',') {
                    rest = rest.strip_prefix('\n').unwrap_or(rest);
                    break !is_quoted && cells.len() == 1 && cells[0].is_empty();
                }
            };
            if !is_blank {
                records.push(cells);
            }
        }
        records
    }

    fn closing_quote(quoted: &str) -> Option<usize> {
        let mut from = 0;
        loop {
            let end = from + quoted[from..].find('"')?;
            if !quoted[end + 1..].starts_with('"') {
                return Some(end);
            }
            from = end + 2;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn records_are_those_of_a_reader_of_another_kind(text in "h,h\n[\",\na1]{0,40}") {
            prop_assert_eq!(read(text.as_bytes()).0, reference(&text), "{:?}", text);
        }
    }
}
