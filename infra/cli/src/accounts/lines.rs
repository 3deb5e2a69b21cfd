//! A file's lines, bounded and numbered.

use crate::csv_records::BYTE_ORDER_MARK;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// An account with years of history, and then some. A longer line is cut, and no entry by that.
const MAX_LINE_BYTES: u64 = 8 * 1024 * 1024;
/// Why a cut line is rejected.
pub(super) const TOO_LONG: &str = "the line is longer than 8 MiB";

/// One line with its end, and its number from 1.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
    /// It was longer than may be read; the rest of it was passed over.
    pub(super) is_cut: bool,
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        !self.is_cut && self.text.iter().all(u8::is_ascii_whitespace)
    }
}

/// The lines of a file.
pub(super) struct Lines {
    reader: BufReader<File>,
    number: u64,
    bytes: u64,
}

impl Lines {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?), number: 0, bytes: 0 })
    }

    /// How far into the file reading has come.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next line; `None` after the last.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        // The rest of the line is passed over in parts, so that no line of any length takes more memory.
        let (mut rest, mut is_cut) = (Vec::new(), false);
        while !text.ends_with(b"\n") && !rest.ends_with(b"\n") {
            rest.clear();
            match self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut rest)? {
                0 => break,
                more => (read, is_cut) = (read + more, true),
            }
        }
        self.number += 1;
        self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        if self.number == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(text);
        }
        Ok(Some(Line { number: self.number, text, is_cut }))
    }
}
