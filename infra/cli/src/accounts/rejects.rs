//! The list of rejected rows: one JSON line each, written when the import has ended.
//!
//! A list never takes the place of anything: it is created new, and a link at its place is not followed.
//! Until the end it is in memory, some 100 bytes a row, so that an import that is killed leaves nothing
//! behind and can be run again.

use crate::error::CliError;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Ends the name of a list that was given none.
const REJECTS: &str = ".rejects";
/// Ends the name of a list that is being written: a list under its own name is whole.
const UNFINISHED: &str = ".part";

/// A row that was not recorded.
#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    reason: &'a str,
}

/// The rejected rows of an import.
pub(super) struct Rejects {
    path: PathBuf,
    unfinished: PathBuf,
    lines: Vec<u8>,
}

impl Rejects {
    /// An empty list for `path`, or for a file beside the imported one. It is refused if anything stands at
    /// its places, before anything is imported.
    pub(super) fn new(imported: &Path, path: Option<PathBuf>) -> Result<Self, CliError> {
        let path = path.unwrap_or_else(|| with_suffix(imported, REJECTS));
        let unfinished = with_suffix(&path, UNFINISHED);
        for place in [&path, &unfinished] {
            // The metadata of a link is its own, whatever it points at.
            if place.symlink_metadata().is_ok() {
                let problem = format!(
                    "{} is there already; move it away, or give another place with --rejects FILE",
                    place.display()
                );
                return Err(CliError::argument("--rejects", problem));
            }
        }
        Ok(Self { path, unfinished, lines: Vec::new() })
    }

    pub(super) fn add(&mut self, line: u64, reason: &str) -> Result<(), CliError> {
        let written = serde_json::to_writer(&mut self.lines, &Reject { line, reason });
        written.map_err(|error| self.failed(error.into()))?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Writes the list, if it has rows, and says where.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, CliError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&self.unfinished);
        file.and_then(|mut file| file.write_all(&self.lines))
            .and_then(|()| std::fs::rename(&self.unfinished, &self.path))
            .map_err(|error| self.failed(error))?;
        Ok(Some(self.path))
    }

    fn failed(&self, source: std::io::Error) -> CliError {
        CliError::File { path: self.unfinished.clone(), source }
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
