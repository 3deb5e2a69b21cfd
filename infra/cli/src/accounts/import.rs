//! `ballast accounts import`: a file of accounts into the store, as events would bring them.
//!
//! The store is its only memory. What is there already is read and not written again, so an import that was
//! cut short is run again, and the same file brings the same end however often. Rows of one account are
//! recorded one after the other.

use super::rejects::Rejects;
use super::rows::{Row, Rows, RowsEnd};
use crate::Ending;
use crate::arguments::ImportArguments;
use crate::error::CliError;
use crate::output::{Output, fields, progress_bar};
use backon::{ExponentialBuilder, Retryable};
use serde::Serialize;
use shared::domain::{AccountId, AccountState, AccountUpdate, Timestamp};
use shared::store::{Outcome, RecordError, Store, StoreError, UPDATES_AT_ONCE};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const MAX_RETRIES: usize = 10;

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
    /// Rows with an amount that has more digits after the point than its currency: `1.234` EUR is often a
    /// thousand with a point. They are recorded as they are.
    more_digits_than_currency: u64,
    /// The first of these rows.
    first_line_with_more_digits: Option<u64>,
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
    let mut rows = Rows::open(&file, format, store.catalogue().await?)?;
    let rejects = Rejects::new(&file, rejects)?;
    let mut import = Import { store, file: &file, tally: Tally::default(), rejects };
    let length =
        std::fs::metadata(&file).map_err(|source| CliError::File { path: file.clone(), source })?.len();
    let (bar, started, now) = (progress_bar(length), Instant::now(), store.clock().now());
    let end = loop {
        match import.chunk(&mut rows, now).await {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
        bar.set_position(rows.bytes_read());
        bar.set_message(format!("{} rows, {} rejected", import.tally.rows, import.tally.rejected));
    };
    bar.finish_and_clear();
    // However the import ended, the rows before its end are told of.
    let Import { mut tally, rejects, .. } = import;
    tally.rejects = rejects.finish()?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    tally.seconds = milliseconds / 1_000;
    tally.rows_per_second = tally.rows.saturating_mul(1_000) / milliseconds;
    output.document(&tally, printed)?;
    end.map(|()| if tally.rejected == 0 { Ending::Done } else { Ending::InPart })
}

fn printed(tally: &Tally) -> String {
    let Tally {
        rows,
        recorded,
        superseded,
        duplicates,
        rejected,
        more_digits_than_currency,
        first_line_with_more_digits,
        rejects,
        seconds,
        rows_per_second,
    } = tally;
    let some = |count: &u64| Some(count.to_string());
    let more_digits = |line: u64| format!("{more_digits_than_currency} rows, the first on line {line}");
    fields(&[
        ("rows", some(rows)),
        ("recorded", some(recorded)),
        ("superseded", some(superseded)),
        ("there already", some(duplicates)),
        ("rejected", some(rejected)),
        ("more digits than the currency has", first_line_with_more_digits.map(more_digits)),
        ("rejects", rejects.as_ref().map(|path| path.display().to_string())),
        ("time", Some(format!("{seconds} s, {rows_per_second} rows per second"))),
    ])
}

/// One import under way.
struct Import<'a> {
    store: &'a Store,
    file: &'a Path,
    tally: Tally,
    rejects: Rejects,
}

/// A row while its states are being recorded: the outcome of the last that was, which is its latest.
struct Pending {
    line: u64,
    has_more_digits: bool,
    states: Vec<AccountUpdate>,
    outcome: Result<Outcome, String>,
}

impl Import<'_> {
    /// Records the file's next rows; `false` after the last. Where the file cannot be read on, the rows
    /// before that are recorded first.
    async fn chunk(&mut self, rows: &mut Rows, now: Timestamp) -> Result<bool, CliError> {
        let (mut pending, mut states, mut end) = (Vec::new(), 0, None);
        while states < UPDATES_AT_ONCE {
            match rows.next(now) {
                Ok(Some(row)) => {
                    let row = Pending::new(row);
                    states += row.states.len().max(1);
                    pending.push(row);
                }
                Ok(None) => break,
                Err(cause) => {
                    end = Some(cause);
                    break;
                }
            }
        }
        let is_last = pending.is_empty();
        let done = self.tally.rows;
        record(self.store, &mut pending)
            .await
            .map_err(|source| CliError::Interrupted { rows: done, source })?;
        for row in pending {
            self.count(row)?;
        }
        match end {
            None => Ok(!is_last),
            Some(RowsEnd::File(error)) => Err(error),
            Some(RowsEnd::Malformed { line, fault }) => {
                let (path, rows) = (self.file.to_owned(), self.tally.rows);
                Err(CliError::Malformed { path, line, fault: fault.to_string(), rows })
            }
        }
    }

    fn count(&mut self, row: Pending) -> Result<(), CliError> {
        let tally = &mut self.tally;
        tally.rows += 1;
        if row.has_more_digits && row.outcome.is_ok() {
            tally.more_digits_than_currency += 1;
            tally.first_line_with_more_digits.get_or_insert(row.line);
        }
        match row.outcome {
            Ok(Outcome::Recorded) => tally.recorded += 1,
            Ok(Outcome::Superseded) => tally.superseded += 1,
            Ok(Outcome::Duplicate) => tally.duplicates += 1,
            Err(reason) => {
                tally.rejected += 1;
                self.rejects.add(row.line, &reason)?;
            }
        }
        Ok(())
    }
}

impl Pending {
    fn new(row: Row) -> Self {
        let Row { line, states } = row;
        let has_more_digits = states.iter().flatten().any(|state| {
            let AccountState { balance, available, .. } = state.state;
            [balance, available].into_iter().any(|amount| state.asset.is_coarser_than(amount))
        });
        match states {
            Ok(states) => Self { line, has_more_digits, states, outcome: Ok(Outcome::Duplicate) },
            Err(reason) => Self { line, has_more_digits, states: Vec::new(), outcome: Err(reason) },
        }
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
        let mut accounts = HashSet::<AccountId>::new();
        let (wave, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(_, state)| accounts.insert(state.id));
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
