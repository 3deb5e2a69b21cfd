//! `ballast rates import`: rates of the past into the store, as overlays over the sheets.
//!
//! The store is the import's only memory: a rate that stands there already is not written again, so an import
//! that was cut short is run again. Nothing is overwritten: a correction is recorded beside the rate that it
//! corrects, and answers known at an earlier time stay as they were.

use super::past_rates::{self, MAX_FILE_BYTES, Overlays, PastRates, Reject};
use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{Output, fields, progress_bar};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use shared::domain::{Rate, RateSheet, Timestamp};
use shared::store::{MAX_OVERLAYS_AT_ONCE, MAX_RATES_AT_ONCE, Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::iter::Peekable;
use std::path::Path;
use std::time::Instant;

/// Instants that are read at once.
const CONCURRENT_READS: usize = 16;
/// Rejects that are shown to a person; a program gets all.
const SHOWN_REJECTS: usize = 20;

/// The outcome of an import.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// Rates in the file.
    rates: usize,
    recorded: usize,
    /// There already.
    duplicates: usize,
    /// Distinct instants of which something was recorded.
    overlays: usize,
    rejected: usize,
    rejects: Vec<Reject>,
    seconds: u64,
}

pub(super) async fn run(
    path: &Path,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    let refused = |problem| CliError::Format { path: path.to_owned(), problem };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(refused("longer than 256 MiB; split it, in any way".to_owned()));
    }
    let read = past_rates::parse(&bytes, &connection.store.catalogue().await?, connection.now());
    record(read.map_err(refused)?, &connection.store, output).await
}

/// Records what a file says, and reports.
pub(super) async fn record(
    PastRates { overlays, rejects }: PastRates,
    store: &Store,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let rates = overlays.values().map(BTreeMap::len).sum();
    let mut tally = Tally { rates, rejected: rejects.len(), rejects, ..Tally::default() };
    let (bar, started) = (progress_bar(u64::try_from(overlays.len()).unwrap_or_default()), Instant::now());
    let mut done = 0_u64;
    let mut left = overlays.into_iter().peekable();
    while left.peek().is_some() {
        let chunk = next_chunk(&mut left);
        let (instants, said) = (chunk.len(), chunk.values().map(BTreeMap::len).sum::<usize>());
        let interrupted = |source| CliError::Interrupted { rows: done, source };
        let new = without_known(chunk, store).await.map_err(interrupted)?;
        let recorded: usize = new.values().map(BTreeMap::len).sum();
        tally.recorded += recorded;
        tally.duplicates += said - recorded;
        tally.overlays += new.len();
        if !new.is_empty() {
            store.put_overlays(new).await.map_err(interrupted)?;
        }
        done += u64::try_from(instants).unwrap_or_default();
        bar.set_position(done);
        bar.set_message(format!("{} rates recorded", tally.recorded));
    }
    bar.finish_and_clear();
    tally.seconds = started.elapsed().as_secs();
    output.document(&tally, printed)?;
    Ok(if tally.rejected == 0 { Ending::Done } else { Ending::InPart })
}

/// As many of the next overlays as one transaction takes, and at least one.
fn next_chunk(left: &mut Peekable<impl Iterator<Item = (Timestamp, BTreeMap<String, Rate>)>>) -> Overlays {
    let (mut chunk, mut rates) = (Overlays::new(), 0);
    while let Some((instant, entries)) = left.next_if(|(_, entries)| {
        chunk.is_empty() || chunk.len() < MAX_OVERLAYS_AT_ONCE && rates + entries.len() <= MAX_RATES_AT_ONCE
    }) {
        rates += entries.len();
        chunk.insert(instant, entries);
    }
    chunk
}

/// The rates that do not stand in the store already.
async fn without_known(overlays: Overlays, store: &Store) -> Result<Overlays, StoreError> {
    let new = |(instant, entries): (Timestamp, BTreeMap<String, Rate>)| async move {
        let sheets = store.sheets_of(instant).await?;
        let is_new = |(code, rate): &(String, Rate)| last_recorded(&sheets, code) != Some(rate);
        Ok::<_, StoreError>((instant, entries.into_iter().filter(is_new).collect::<BTreeMap<_, _>>()))
    };
    let reads = stream::iter(overlays.into_iter().map(new)).buffer_unordered(CONCURRENT_READS);
    let new: Overlays = reads.try_collect().await?;
    Ok(new.into_iter().filter(|(_, entries)| !entries.is_empty()).collect())
}

fn last_recorded<'a>(sheets: &'a [RateSheet], code: &str) -> Option<&'a Rate> {
    sheets.iter().find_map(|sheet| sheet.entries.get(code))
}

fn printed(tally: &Tally) -> String {
    let Tally { rates, recorded, duplicates, overlays, rejected, rejects, seconds } = tally;
    let some = |count: &usize| Some(count.to_string());
    let counts = fields(&[
        ("rates", some(rates)),
        ("recorded", some(recorded)),
        ("there already", some(duplicates)),
        ("instants", some(overlays)),
        ("rejected", some(rejected)),
        ("time", Some(format!("{seconds} s"))),
    ]);
    let shown = rejects.iter().take(SHOWN_REJECTS);
    let mut lines = vec![counts];
    lines.extend(shown.map(|Reject { line, reason }| format!("line {line}: {reason}")));
    if let more @ 1.. = rejects.len().saturating_sub(SHOWN_REJECTS) {
        lines.push(format!("and {more} more; --output json lists all"));
    }
    lines.join("\n")
}
