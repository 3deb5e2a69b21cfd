//! `ballast accounts import`: a file of accounts into the store, as events would bring them.
//!
//! The store is its only memory. What is there already is read and not written again, so an import that was
//! cut short is run again, and the same file brings the same end however often. Rows of one account are
//! recorded one after the other.

use super::rejects::Rejects;
use super::rows::Rows;
use crate::Ending;
use crate::arguments::ImportArguments;
use crate::error::CliError;
use crate::output::{Output, fields};
use backon::{ExponentialBuilder, Retryable};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::domain::{AccountId, AccountUpdate, Timestamp};
use shared::store::{Outcome, RecordError, Store, StoreError, UPDATES_AT_ONCE};
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const MAX_RETRIES: usize = 10;
const BAR: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go";

/// The outcome of an import.
#[derive(Debug, Default, Serialize)]
struct Tally {
    rows: u64,
    /// Now the account's newest entry.
    recorded: u64,
    /// In history, below a greater entry.
    superseded: u64,
    /// There already.
    duplicates: u64,
    rejected: u64,
    /// Where the rejected rows are listed, if there are any.
    rejects: Option<PathBuf>,
    seconds: u64,
    rows_per_second: u64,
}

pub(super) async fn run(
    arguments: ImportArguments,
    store: &Store,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let ImportArguments { file, format, rejects } = arguments;
    let mut rows = Rows::open(&file, format)?;
    let mut import = Import { store, tally: Tally::default(), rejects: Rejects::new(&file, rejects)? };
    let length =
        std::fs::metadata(&file).map_err(|source| CliError::File { path: file.clone(), source })?.len();
    let (bar, started, now) = (bar(length), Instant::now(), store.clock().now());
    while import.chunk(&mut rows, now).await? {
        bar.set_position(rows.bytes_read());
        bar.set_message(format!("{} rows, {} rejected", import.tally.rows, import.tally.rejected));
    }
    bar.finish_and_clear();
    let Import { mut tally, rejects, .. } = import;
    tally.rejects = rejects.finish()?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    (tally.seconds, tally.rows_per_second) =
        (milliseconds / 1_000, tally.rows.saturating_mul(1_000) / milliseconds);
    output.document(&tally, printed)?;
    Ok(if tally.rejected == 0 { Ending::Done } else { Ending::InPart })
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
    states: Vec<AccountUpdate>,
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
        let done = self.tally.rows;
        record(self.store, &mut pending)
            .await
            .map_err(|source| CliError::Interrupted { rows: done, source })?;
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

/// Records the rows' states in waves, each of which has an account once. A row ends with its first state that
/// is rejected.
async fn record(store: &Store, pending: &mut [Pending]) -> Result<(), StoreError> {
    let mut left: Vec<(usize, AccountUpdate)> = Vec::new();
    for (index, row) in pending.iter_mut().enumerate() {
        left.extend(std::mem::take(&mut row.states).into_iter().map(|state| (index, state)));
    }
    while !left.is_empty() {
        let mut seen = HashSet::<AccountId>::new();
        let (wave, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, state)| seen.insert(state.id));
        let (indexes, states): (Vec<usize>, Vec<AccountUpdate>) = wave.into_iter().unzip();
        let recorded = (|| wave_recorded(store, &states)).retry(patience()).when(is_passing).await?;
        for ((index, state), outcome) in indexes.into_iter().zip(&states).zip(recorded) {
            if let Some(row) = pending.get_mut(index).filter(|row| row.outcome.is_ok()) {
                row.outcome = outcome
                    .map_err(|reason| format!("{reason} ({})", state.entry.balance_at.to_stored_text()));
            }
        }
        let is_alive =
            |(index, _): &(usize, AccountUpdate)| pending.get(*index).is_some_and(|row| row.outcome.is_ok());
        left = later.into_iter().filter(is_alive).collect();
    }
    Ok(())
}

/// One wave's outcomes. What may pass is an error of the whole, because a wave can be recorded again.
async fn wave_recorded(
    store: &Store,
    states: &[AccountUpdate],
) -> Result<Vec<Result<Outcome, String>>, StoreError> {
    let outcomes = store.record_many(states).await?.into_iter().map(|outcome| match outcome {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(RecordError::Rejected(reason)) => Ok(Err(reason.to_string())),
        Err(RecordError::Store(error)) if is_passing(&error) => Err(error),
        Err(RecordError::Store(error)) => Ok(Err(error.to_string())),
    });
    outcomes.collect()
}

const fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

/// A table that is throttled for a minute or two does not end an import.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(MAX_RETRIES)
        .with_jitter()
}
