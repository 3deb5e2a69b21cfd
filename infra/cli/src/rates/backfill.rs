//! `ballast rates backfill`: the history file of a source, fetched and imported.

use super::import;
use super::past_rates::{self, MAX_FILE_BYTES, PastRates};
use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use shared::domain::Timestamp;
use shared::outgoing;
use shared::rates::sources::ecb;
use std::io::Write;
use std::time::Duration;

/// The file has some 600 KB.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(super) async fn run(
    from: &str,
    to: Option<&str>,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let day = |argument, text| {
        ecb::published_at(text).map_err(|_| CliError::argument(argument, "not a day like 2026-09-24"))
    };
    let first = day("--from", from)?;
    let last = to.map_or(Ok(connection.now()), |to| day("--to", to))?;
    if last < first {
        return Err(match to {
            Some(_) => CliError::argument("--to", "before --from"),
            None => CliError::argument("--from", "the rates of that day are not published yet"),
        });
    }
    let url = format!("{}{}", connection.ecb_base_url()?, ecb::HISTORY_PATH);
    let file = fetched(&url).await.map_err(|problem| CliError::Connection(format!("{url}: {problem}")))?;
    let read = past_rates::parse(&file, &connection.store.catalogue().await?, connection.now());
    let PastRates { mut overlays, rejects } =
        read.map_err(|problem| CliError::Connection(format!("{url}: {problem}")))?;
    overlays.retain(|at: &Timestamp, _| (first..=last).contains(at));
    import::record(PastRates { overlays, rejects }, &connection.store, output).await
}

async fn fetched(url: &str) -> Result<Vec<u8>, String> {
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let answer = outgoing::send(outgoing::client(TIMEOUT, url)?.get(url), limit).await?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("status {}", answer.status)) }
}
