//! The points of a series that a command asks for.

use crate::arguments::{IntervalArgument, SeriesArguments};
use crate::error::CliError;
use crate::moment::{local_zone, past};
use jiff::SignedDuration;
use shared::domain::{Interval, Timestamp, Zone};

/// How far before its end a series begins unless it says.
const USUAL_RANGE: SignedDuration = SignedDuration::from_hours(30 * 24);

impl From<IntervalArgument> for Interval {
    fn from(argument: IntervalArgument) -> Self {
        match argument {
            IntervalArgument::Hour => Self::Hour,
            IntervalArgument::Day => Self::Day,
            IntervalArgument::Week => Self::Week,
            IntervalArgument::Month => Self::Month,
        }
    }
}

/// A range and its intervals.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) interval: Interval,
    pub(crate) zone: Zone,
    pub(crate) from: Timestamp,
    /// The ends of the intervals, and the end of the range.
    pub(crate) points: Vec<Timestamp>,
}

impl Series {
    /// The series of a command line, which ends at `now` unless it says otherwise.
    pub(crate) fn of(arguments: &SeriesArguments, now: Timestamp) -> Result<Self, CliError> {
        let SeriesArguments { from, to, interval, timezone } = arguments;
        let zone = match timezone {
            Some(name) => Zone::parse(name).map_err(|error| CliError::argument("--timezone", error))?,
            None => local_zone(),
        };
        let instant = |argument, text: &String| past(argument, text, &zone, now).map(|(at, _)| at);
        let to = to.as_ref().map(|text| instant("--to", text)).transpose()?.unwrap_or(now.cut_to_millis());
        let from = from.as_ref().map(|text| instant("--from", text)).transpose()?;
        let from = from.unwrap_or(to.minus(USUAL_RANGE));
        if to <= from {
            return Err(CliError::argument("--to", "not after --from"));
        }
        let interval = Interval::from(*interval);
        let points = interval.points(&zone, from, to).map_err(|error| {
            CliError::argument("--interval", format!("{error}: take a longer one, or a later --from"))
        })?;
        Ok(Self { interval, zone, from, points })
    }
}
