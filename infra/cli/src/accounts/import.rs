//! `ballast accounts import`: a file of accounts into the store, as events would bring them.
//!
//! The store is its only memory. What is there already is read and passed over, so an import that was cut short is run again, and
//! the same file brings the same end however often.

use super::rows::Rows;
use crate::Ending;
use crate::arguments::ImportArguments;
use crate::error::CliError;
use crate::output::{Output, fields};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::domain::{Account, AccountId, Timestamp};
use shared::store::{Outcome, RecordError, Store, StoreError, UPDATES_AT_ONCE};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const BAR: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go";

/// What became of the file.
#[derive(Debug, Default, Serialize)]
struct Tally {
    rows: u64,
    /// Now the account's latest balance.
    recorded: u64,
    /// Older than the latest; history has it.
    superseded: u64,
    /// There already.
    duplicates: u64,
    rejected: u64,
    /// Where the rejected rows are listed, if there are any.
    rejects: Option<PathBuf>,
    seconds: u64,
    rows_per_second: u64,
}

/// A row that was not recorded.
#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    reason: &'a str,
}

pub(super) async fn run(
    arguments: ImportArguments,
    store: &Store,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let ImportArguments { file, format, rejects } = arguments;
    let mut rows = Rows::open(&file, format)?;
    let rejects = rejects.unwrap_or_else(|| with_suffix(&file, ".rejects"));
    let mut import = Import { store, tally: Tally::default(), rejects: Rejects::new(rejects)? };
    let length = std::fs::metadata(&file).map_err(|source| CliError::File { path: file.clone(), source })?.len();
    let (bar, started, now) = (bar(length), Instant::now(), Timestamp::now());
    while import.chunk(&mut rows, now).await? {
        bar.set_position(rows.bytes_read());
        bar.set_message(format!("{} rows, {} rejected", import.tally.rows, import.tally.rejected));
    }
    bar.finish_and_clear();
    let Import { mut tally, rejects, .. } = import;
    tally.rejects = rejects.finish()?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    (tally.seconds, tally.rows_per_second) = (milliseconds / 1_000, tally.rows.saturating_mul(1_000) / milliseconds);
    output.document(&tally, printed)?;
    Ok(if tally.rejected == 0 { Ending::Done } else { Ending::InPart })
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Shown where stderr is a terminal, and nowhere else.
fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

fn printed(tally: &Tally) -> String {
    let Tally { rows, recorded, superseded, duplicates, rejected, rejects, seconds, rows_per_second } = tally;
    let some = |count: &u64| Some(count.to_string());
    fields(&[
        ("rows", some(rows)),
        ("recorded", some(recorded)),
        ("superseded", some(superseded)),
        ("there already", some(duplicates)),
        ("rejected", some(rejected)),
        ("rejects", rejects.as_ref().map(|path| path.display().to_string())),
        ("time", Some(format!("{seconds} s, {rows_per_second} rows per second"))),
    ])
}

/// One import under way.
struct Import<'a> {
    store: &'a Store,
    tally: Tally,
    rejects: Rejects,
}

/// A row while its states are being recorded: the outcome of the last that was, which is its latest.
struct Pending {
    line: u64,
    states: Vec<Account>,
    outcome: Result<Outcome, String>,
}

impl Import<'_> {
    /// Records the file's next rows; `false` after the last.
    async fn chunk(&mut self, rows: &mut Rows, now: Timestamp) -> Result<bool, CliError> {
        let mut pending = Vec::new();
        let mut states = 0;
        while states < UPDATES_AT_ONCE {
            let Some(row) = rows.next(now)? else { break };
            let (read, outcome) = match row.states {
                Ok(read) => (read, Ok(Outcome::Duplicate)),
                Err(reason) => (Vec::new(), Err(reason)),
            };
            states += read.len().max(1);
            pending.push(Pending { line: row.line, states: read, outcome });
        }
        if pending.is_empty() {
            return Ok(false);
        }
        record(self.store, &mut pending).await?;
        for Pending { line, outcome, .. } in pending {
            self.tally.rows += 1;
            match outcome {
                Ok(Outcome::Recorded) => self.tally.recorded += 1,
                Ok(Outcome::Superseded) => self.tally.superseded += 1,
                Ok(Outcome::Duplicate) => self.tally.duplicates += 1,
                Err(reason) => {
                    self.tally.rejected += 1;
                    self.rejects.add(line, &reason)?;
                }
            }
        }
        Ok(true)
    }
}

/// Records the rows' states in waves, each of which has an account once.
async fn record(store: &Store, pending: &mut [Pending]) -> Result<(), StoreError> {
    let mut left: Vec<(usize, Account)> = Vec::new();
    for (index, row) in pending.iter_mut().enumerate() {
        left.extend(std::mem::take(&mut row.states).into_iter().map(|state| (index, state)));
    }
    while !left.is_empty() {
        let mut seen = HashSet::<AccountId>::new();
        let (wave, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, state)| seen.insert(state.id));
        left = later;
        let (indexes, states): (Vec<usize>, Vec<Account>) = wave.into_iter().unzip();
        for (index, outcome) in indexes.into_iter().zip(store.record_many(&states).await?) {
            let outcome = match outcome {
                Ok(outcome) => Ok(outcome),
                Err(RecordError::Rejected(reason)) => Err(reason.to_string()),
                Err(RecordError::Store(error)) => return Err(error),
            };
            if let Some(row) = pending.get_mut(index).filter(|row| row.outcome.is_ok()) {
                row.outcome = outcome;
            }
        }
    }
    Ok(())
}

/// The file of rejected rows, which exists only if there are any.
struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// Those of an earlier run are no longer true.
    fn new(path: PathBuf) -> Result<Self, CliError> {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(CliError::File { path, source }),
            _ => Ok(Self { path, file: None }),
        }
    }

    fn add(&mut self, line: u64, reason: &str) -> Result<(), CliError> {
        let failed = |source| CliError::File { path: self.path.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path).map_err(failed)?)),
        };
        serde_json::to_writer(&mut *file, &Reject { line, reason }).map_err(std::io::Error::from).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)
    }

    fn finish(self) -> Result<Option<PathBuf>, CliError> {
        let Self { path, file } = self;
        let Some(mut file) = file else { return Ok(None) };
        file.flush().map_err(|source| CliError::File { path: path.clone(), source })?;
        Ok(Some(path))
    }
}
