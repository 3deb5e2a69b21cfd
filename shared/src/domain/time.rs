//! One instant: RFC 3339 in with any offset, fixed-width in the store, milliseconds out.
//!
//! [`Timestamp::of_machine`] alone reads a clock, and `clock` alone calls it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use thiserror::Error;

/// A text that is not an RFC 3339 date-time with an offset and at most 9 fraction digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an RFC 3339 date-time")]
pub struct TimestampError;

/// The Unix time at which year 0000 begins.
const YEAR_ZERO_SECONDS: i64 = -62_167_219_200;

/// An instant with nanoseconds, from year 0 to 9999.
///
/// ```
/// use shared::domain::Timestamp;
/// let at = Timestamp::parse("2025-04-16T17:30:25.1234+02:00")?;
/// assert_eq!(at.to_millis_text(), "2025-04-16T15:30:25.123Z");
/// assert_eq!(at.to_stored_text(), "2025-04-16T15:30:25.123400000Z");
/// # Ok::<(), shared::domain::time::TimestampError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(jiff::Timestamp);

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant)
    }
}

impl Timestamp {
    /// The latest there is.
    pub const LATEST: Self = Self(jiff::Timestamp::MAX);

    /// The machine's clock. Everybody but `clock` takes the time as a parameter.
    #[must_use]
    pub fn of_machine() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// The instant cut to whole milliseconds, never rounded into the future.
    ///
    /// ```
    /// use shared::domain::Timestamp;
    /// let at = Timestamp::parse("2025-04-16T15:30:25.123999Z")?;
    /// assert_eq!(at.cut_to_millis(), Timestamp::parse("2025-04-16T15:30:25.123Z")?);
    /// # Ok::<(), shared::domain::time::TimestampError>(())
    /// ```
    #[must_use]
    pub fn cut_to_millis(self) -> Self {
        let beyond = self.0.as_nanosecond().rem_euclid(1_000_000);
        let beyond = SignedDuration::from_nanos(i64::try_from(beyond).unwrap_or_default());
        Self(self.0.checked_sub(beyond).unwrap_or(self.0))
    }

    /// Parses `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM|±HHMM)`, in either case.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        // jiff reads Temporal's superset (spaces, bracketed zones, commas), so the shape is checked first.
        if !has_rfc3339_shape(text) {
            return Err(TimestampError);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        // An offset can carry year 0000 below zero, where fixed-width text no longer sorts by time.
        if instant.as_second() < YEAR_ZERO_SECONDS { Err(TimestampError) } else { Ok(Self(instant)) }
    }

    /// Parses an instant, or one relative to `start`: `now`, or `now`, a sign, a whole number and `s`, `m`,
    /// `h` or `d`. Datasets use it, so that a demonstration never looks old.
    ///
    /// ```
    /// use shared::domain::Timestamp;
    /// let start = Timestamp::parse("2026-06-10T12:00:00Z")?;
    /// let three_days_ago = Timestamp::parse("2026-06-07T12:00:00Z")?;
    /// assert_eq!(Timestamp::parse_relative("now-3d", start)?, three_days_ago);
    /// # Ok::<(), shared::domain::time::TimestampError>(())
    /// ```
    pub fn parse_relative(text: &str, start: Self) -> Result<Self, TimestampError> {
        let Some(offset) = text.strip_prefix("now") else { return Self::parse(text) };
        if offset.is_empty() {
            return Ok(start);
        }
        let (number, unit) = offset.split_at_checked(offset.len() - 1).ok_or(TimestampError)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(TimestampError),
        };
        let is_signed = number.starts_with(['+', '-']);
        let number: i32 = number.parse().ok().filter(|_| is_signed).ok_or(TimestampError)?;
        let offset = SignedDuration::from_secs(i64::from(number) * seconds);
        let instant = start.0.checked_add(offset).map_err(|_| TimestampError)?;
        // The store's text has no year below 0, and `parse` takes none either.
        Self::parse(&format!("{instant:.9}"))
    }

    /// The text for the wire: UTC with milliseconds, cut, never rounded into the future.
    #[must_use]
    pub fn to_millis_text(self) -> String {
        format!("{:.3}", self.0)
    }

    /// The text for the store: UTC with nine fraction digits, so that texts sort as instants do.
    #[must_use]
    pub fn to_stored_text(self) -> String {
        format!("{:.9}", self.0)
    }

    /// The text of an HTTP `Date` (RFC 9110 section 5.6.7): whole seconds, cut.
    ///
    /// ```
    /// use shared::domain::Timestamp;
    /// let at = Timestamp::parse("2026-11-26T00:20:40.9Z")?;
    /// assert_eq!(at.to_http_date(), "Thu, 26 Nov 2026 00:20:40 GMT");
    /// # Ok::<(), shared::domain::time::TimestampError>(())
    /// ```
    #[must_use]
    pub fn to_http_date(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// The date and the time of day on the clocks of a zone.
    pub(super) fn in_zone(self, zone: &TimeZone) -> Zoned {
        self.0.to_zoned(zone.clone())
    }

    /// The calendar year in UTC.
    #[must_use]
    pub fn utc_year(self) -> i16 {
        self.in_zone(&TimeZone::UTC).year()
    }

    /// Whole seconds since 1970, for expiry times.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// How long before `later` this was; negative if it was after it.
    #[must_use]
    pub fn age_at(self, later: Self) -> SignedDuration {
        later.0.duration_since(self.0)
    }

    /// The instant `duration` later, or the latest there is.
    #[must_use]
    pub fn plus(self, duration: SignedDuration) -> Self {
        Self(self.0.checked_add(duration).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The instant `milliseconds` after 1970 began, if there is one.
    #[must_use]
    pub fn from_unix_milliseconds(milliseconds: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(milliseconds)
            .ok()
            .filter(|at| *at >= jiff::Timestamp::UNIX_EPOCH)
            .map(Self)
    }

    /// Whole milliseconds since 1970, cut.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The instant `duration` earlier, or the earliest there is.
    #[must_use]
    pub fn minus(self, duration: SignedDuration) -> Self {
        Self(self.0.checked_sub(duration).unwrap_or(jiff::Timestamp::MIN))
    }
}

fn has_rfc3339_shape(text: &str) -> bool {
    const SECONDS: &str = "dddd-dd-ddTdd:dd:dd";
    let Some((head, tail)) = text.split_at_checked(SECONDS.len()) else { return false };
    let offset = tail
        .strip_prefix('.')
        .map_or(tail, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let fraction_digits = tail.len() - offset.len();
    follows(head, SECONDS)
        && (tail.starts_with('.') == (2..=10).contains(&fraction_digits))
        && (offset.eq_ignore_ascii_case("z")
            || (offset.starts_with(['+', '-']) && offset.get(1..).is_some_and(is_offset)))
}

/// Hours to 23 and minutes to 59; jiff reads hours to 25. Some generated clients leave the colon out.
fn is_offset(text: &str) -> bool {
    let parts = if text.contains(':') { text.split_once(':') } else { text.split_at_checked(2) };
    parts.is_some_and(|(hours, minutes)| {
        follows(hours, "dd") && follows(minutes, "dd") && hours <= "23" && minutes <= "59"
    })
}

/// Whether `text` has a digit for every `d` of the pattern and otherwise the pattern's characters, in either
/// case.
fn follows(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            _ => byte.eq_ignore_ascii_case(&expected),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_rfc3339_parses() {
        let good = [
            ("2025-04-16T15:30:25Z", "2025-04-16T15:30:25.000000000Z"),
            ("2025-04-16t15:30:25z", "2025-04-16T15:30:25.000000000Z"),
            ("2025-04-16T15:30:25.1-00:30", "2025-04-16T16:00:25.100000000Z"),
            ("2025-04-16T15:30:25.123456789+05:45", "2025-04-16T09:45:25.123456789Z"),
            ("2025-04-16T15:30:25+0200", "2025-04-16T13:30:25.000000000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000000Z"),
        ];
        for (text, stored) in good {
            assert_eq!(Timestamp::parse(text).unwrap().to_stored_text(), stored, "{text}");
        }
        let bad = [
            "",
            "2025-04-16",
            "2025-04-16T15:30:25",
            "2025-04-16 15:30:25Z",
            "2025-04-16T15:30Z",
            "2025-04-16T15:30:25.Z",
            "2025-04-16T15:30:25.1234567891Z",
            "2025-04-16T15:30:25,5Z",
            "2025-04-16T15:30:25+2400",
            "2025-04-16T15:30:25+020",
            "2025-04-16T15:30:25+02",
            "2025-04-16T15:30:25+24:00",
            "2025-04-16T15:30:25+02:60",
            "2025-04-16T15:30:25Z[UTC]",
            "2025-02-30T00:00:00Z",
            "2025-04-16T25:00:00Z",
            "20250416T153025Z",
            "1744817425",
            "+002025-04-16T15:30:25Z",
            "0000-01-01T00:00:00+01:00",
            "2025-04-16T15:30:25 02:00",
            "2025-04-16T15:30:25.5.5Z",
            "é025-04-16T15:30:25Z",
        ];
        for text in bad {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text:?}");
        }
    }

    #[test]
    fn an_instant_may_be_relative_to_a_start() {
        let start = Timestamp::parse("2026-06-10T12:00:00Z").unwrap();
        let rows = [
            ("now", Some("2026-06-10T12:00:00Z")),
            ("now-90s", Some("2026-06-10T11:58:30Z")),
            ("now+5m", Some("2026-06-10T12:05:00Z")),
            ("now-2h", Some("2026-06-10T10:00:00Z")),
            ("now-90d", Some("2026-03-12T12:00:00Z")),
            ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z")),
            ("now3d", None),
            ("now-3", None),
            ("now-d", None),
            ("now-3w", None),
            ("now-é", None),
            ("now-2147483647d", None),
            ("now+3000000d", None),
            ("now-800000d", None),
            ("now - 3d", None),
            ("Now", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|text| Timestamp::parse(text).unwrap());
            assert_eq!(Timestamp::parse_relative(text, start).ok(), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn stored_text_sorts_as_time_and_parses_back(a in 0_i64..253_000_000_000, b in 0_i64..253_000_000_000, nanos in 0_i32..1_000_000_000) {
            let at = |second| Timestamp(jiff::Timestamp::new(second, nanos).unwrap());
            prop_assert_eq!(at(a).cmp(&at(b)), at(a).to_stored_text().cmp(&at(b).to_stored_text()));
            prop_assert_eq!(Timestamp::parse(&at(a).to_stored_text()), Ok(at(a)));
        }
    }
}
