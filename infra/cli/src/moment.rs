//! The moment that a command asks about: an instant, or a day of the local calendar.
//!
//! `--as-of` may name a day. `--known-at` may not: an answer is had again with the exact instant at which it
//! was given, and the end of a day is no such instant.

use crate::error::CliError;
use jiff::tz::TimeZone;
use shared::domain::{Moment, Timestamp, Zone};

/// An example of each form that a moment may have.
const INSTANT: &str = "an RFC 3339 date-time such as 2026-04-16T15:30:25Z";
const INSTANT_OR_DAY: &str = "an RFC 3339 date-time such as 2026-04-16T15:30:25Z, a date such as 2026-04-16 \
                              (its end), or yesterday";

/// The moment of `--as-of` and `--known-at`, and what it means in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) moment: Moment,
    /// Which day's end `--as-of` means, if it names a day.
    pub(crate) day: Option<String>,
}

impl Asked {
    /// The instant in words.
    pub(crate) fn at(&self) -> String {
        let at = self.moment.as_of.to_millis_text();
        self.day.as_ref().map_or_else(|| at.clone(), |day| format!("{at}, the end of {day}"))
    }
}

/// The zone of this machine; UTC where it has none of a name.
pub(crate) fn local_zone() -> Zone {
    TimeZone::system().iana_name().and_then(|name| Zone::parse(name).ok()).unwrap_or(Zone::UTC)
}

/// The moment of `--as-of`, which may name a day of the zone, and `--known-at`, which is an instant. Neither
/// may lie in the future.
pub(crate) fn moment(
    as_of: Option<&str>,
    known_at: Option<&str>,
    zone: &Zone,
    now: Timestamp,
) -> Result<Asked, CliError> {
    let as_of = as_of.map(|text| past("--as-of", text, zone, now)).transpose()?;
    let known_at = known_at.map(|text| known(text, now)).transpose()?;
    let day = as_of.as_ref().and_then(|(_, day)| day.clone());
    let as_of = as_of.map(|(at, _)| at);
    Ok(Asked { moment: Moment::asked(as_of, known_at, now), day })
}

/// An instant of the past, and the day whose end it is if the text names one.
pub(crate) fn past(
    argument: &'static str,
    text: &str,
    zone: &Zone,
    now: Timestamp,
) -> Result<(Timestamp, Option<String>), CliError> {
    let day_end = if text == "yesterday" { zone.last_day_end(now) } else { zone.end_of_day(text) };
    let (at, day) = if let Some(end) = day_end {
        (end, Some(format!("{} in {}", zone.date(end), zone.name())))
    } else {
        let malformed = |_| CliError::argument(argument, format!("{text:?} is not {INSTANT_OR_DAY}"));
        (Timestamp::parse(text).map_err(malformed)?.cut_to_millis(), None)
    };
    if at > now {
        let problem =
            day.map_or_else(|| "in the future".to_owned(), |day| format!("the end of {day} has yet to come"));
        return Err(CliError::argument(argument, problem));
    }
    Ok((at, day))
}

/// The instant of `--known-at`, which must not lie in the future.
pub(crate) fn known(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    let refused = |problem: String| CliError::argument("--known-at", problem);
    let at = Timestamp::parse(text).map_err(|_| refused(format!("{text:?} is not {INSTANT}")))?;
    let at = at.cut_to_millis();
    if at > now { Err(refused("in the future".to_owned())) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_end_in_the_zone() {
        struct Row {
            text: &'static str,
            at: Option<&'static str>,
            words: &'static str,
        }
        let zone = Zone::parse("America/New_York").unwrap();
        let now = Timestamp::parse("2026-11-25T03:00:00Z").unwrap();
        let rows = [
            Row { text: "2026-11-24T12:00:00+01:00", at: Some("2026-11-24T11:00:00Z"), words: "" },
            Row {
                text: "2026-11-23",
                at: Some("2026-11-24T04:59:59.999Z"),
                words: "2026-11-23 in America/New_York",
            },
            Row {
                text: "yesterday",
                at: Some("2026-11-24T04:59:59.999Z"),
                words: "2026-11-23 in America/New_York",
            },
            Row { text: "2026-11-24", at: None, words: "has yet to come" },
            Row { text: "2026-11-25T03:00:01Z", at: None, words: "in the future" },
            Row { text: "today", at: None, words: "2026-04-16" },
            Row { text: "24.11.2026", at: None, words: "yesterday" },
        ];
        for Row { text, at, words } in rows {
            let found = past("--as-of", text, &zone, now);
            match at {
                Some(at) => {
                    let (instant, day) = found.unwrap();
                    assert_eq!(
                        (instant, day.unwrap_or_default().as_str()),
                        (Timestamp::parse(at).unwrap(), words)
                    );
                }
                None => assert!(found.unwrap_err().to_string().contains(words), "{text}"),
            }
        }
    }

    #[test]
    fn a_time_of_knowledge_is_an_instant_and_no_day() {
        let now = Timestamp::parse("2026-11-25T03:00:00Z").unwrap();
        let rows = [
            ("2026-11-24T12:00:00+01:00", Ok("2026-11-24T11:00:00.000Z")),
            ("2026-11-25T03:00:01Z", Err("--known-at: in the future")),
            ("2026-11-23", Err("is not an RFC 3339 date-time such as 2026-04-16T15:30:25Z")),
            ("yesterday", Err("is not an RFC 3339 date-time such as 2026-04-16T15:30:25Z")),
        ];
        for (text, expected) in rows {
            match (known(text, now), expected) {
                (Ok(at), Ok(expected)) => assert_eq!(at.to_millis_text(), expected),
                (Err(error), Err(words)) => assert!(error.to_string().ends_with(words), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
