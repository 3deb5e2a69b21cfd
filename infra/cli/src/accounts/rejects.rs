//! The list of rejected rows: one JSON line each, written beside its place and put there at the end.

use crate::error::CliError;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Ends the name of a list that is still being written.
const UNFINISHED: &str = ".part";
/// Ends the name of a list that was given none.
const REJECTS: &str = ".rejects";

/// A row that was not recorded.
#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    reason: &'a str,
}

/// A list being written. Nothing that was there before is touched until it is whole.
pub(super) struct Rejects {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    rows: u64,
}

impl Rejects {
    /// A list at `path`, which must be free, or beside the imported file, where that of an earlier import is
    /// replaced.
    pub(super) fn new(imported: &Path, path: Option<PathBuf>) -> Result<Self, CliError> {
        if path.as_ref().is_some_and(|path| path.symlink_metadata().is_ok()) {
            return Err(CliError::argument("--rejects", "there is something of that name already"));
        }
        let path = path.unwrap_or_else(|| with_suffix(imported, REJECTS));
        let unfinished = with_suffix(&path, UNFINISHED);
        if unfinished
            .canonicalize()
            .is_ok_and(|unfinished| imported.canonicalize().is_ok_and(|imported| imported == unfinished))
        {
            return Err(CliError::argument(
                "--rejects",
                "the list would be written over the file that is imported",
            ));
        }
        let file = File::create(&unfinished)
            .map_err(|source| CliError::File { path: unfinished.clone(), source })?;
        Ok(Self { path, unfinished, file: BufWriter::new(file), rows: 0 })
    }

    pub(super) fn add(&mut self, line: u64, reason: &str) -> Result<(), CliError> {
        self.rows += 1;
        let written =
            serde_json::to_writer(&mut self.file, &Reject { line, reason }).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| CliError::File { path: self.unfinished.clone(), source })
    }

    /// The list's place, if it has rows; an empty one is no list, and takes an earlier one with it.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>, CliError> {
        let finished = self.file.flush().and_then(|()| {
            if self.rows > 0 {
                return std::fs::rename(&self.unfinished, &self.path);
            }
            std::fs::remove_file(&self.unfinished)?;
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        });
        finished.map_err(|source| CliError::File { path: self.path.clone(), source })?;
        Ok((self.rows > 0).then_some(self.path))
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
