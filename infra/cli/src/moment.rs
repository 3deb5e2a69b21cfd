//! The moment that a command asks about.

use crate::error::CliError;
use shared::domain::{Moment, Timestamp};

/// The moment of `--as-of` and `--known-at`, neither of which may lie in the future.
pub(crate) fn moment(
    as_of: Option<&str>,
    known_at: Option<&str>,
    now: Timestamp,
) -> Result<Moment, CliError> {
    let as_of = past("--as-of", as_of, now)?;
    let known_at = past("--known-at", known_at, now)?;
    Ok(Moment::asked(as_of, known_at, now))
}

fn past(argument: &'static str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, CliError> {
    let parsed = text.map(|text| Timestamp::parse(text).map_err(|error| CliError::argument(argument, error)));
    match parsed.transpose()?.map(Timestamp::cut_to_millis) {
        Some(at) if at > now => Err(CliError::argument(argument, "in the future")),
        at => Ok(at),
    }
}
