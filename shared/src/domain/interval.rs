//! Intervals of a time zone, and the instants at which they end.
//!
//! An interval ends with its last millisecond, such as 23:59:59.999, so that whatever happened within it
//! counts. The zones are compiled in, because Lambda's machines have no zone files; their rules are then
//! those of the build.

use super::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan, Zoned};
use thiserror::Error;

/// Most points of a series.
pub const MAX_POINTS: usize = 400;
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// How long the intervals of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interval {
    /// From a full hour of the local clock to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// A text that names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a time zone: a name such as Europe/Berlin or UTC")]
pub struct ZoneError;

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// More than [`MAX_POINTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {MAX_POINTS} points")]
pub struct TooManyPoints;

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that name, in any case.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(name).map_err(|_| ZoneError)?;
        if zone.is_unknown() { Err(ZoneError) } else { Ok(Self(zone)) }
    }

    /// Its name as the database spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The last millisecond of a day, `YYYY-MM-DD`; `None` for any other text.
    ///
    /// ```
    /// use shared::domain::{Timestamp, Zone};
    /// let end = Zone::parse("Europe/Berlin")?.end_of_day("2026-11-24");
    /// assert_eq!(end, Some(Timestamp::parse("2026-11-24T22:59:59.999Z").unwrap()));
    /// # Ok::<(), shared::domain::interval::ZoneError>(())
    /// ```
    #[must_use]
    pub fn end_of_day(&self, date: &str) -> Option<Timestamp> {
        let parsed: Date = date.parse().ok()?;
        // jiff also reads a date without hyphens, and one with a time.
        if parsed.to_string() == date { self.end_before(parsed.tomorrow().ok()?) } else { None }
    }

    /// The date that the zone's calendars show, `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> String {
        at.in_zone(&self.0).date().to_string()
    }

    /// The end of the last day that has ended by an instant, inclusive.
    #[must_use]
    pub fn last_day_end(&self, at: Timestamp) -> Option<Timestamp> {
        self.end_before(at.plus(MILLISECOND).in_zone(&self.0).date())
    }

    /// The millisecond before a date begins.
    fn end_before(&self, date: Date) -> Option<Timestamp> {
        // Where midnight is skipped the day begins later, and where there are two it begins with the first.
        let start = date.to_zoned(self.0.clone()).ok()?;
        Some(Timestamp::from(start.timestamp()).minus(MILLISECOND))
    }
}

impl Interval {
    /// Every interval, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The interval of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.name() == text)
    }

    /// The last millisecond of every interval that lies after `from` and at or before `to`, ascending.
    ///
    /// ```
    /// use shared::domain::{Interval, Timestamp, Zone};
    /// let [from, to] = ["2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z"].map(|at| Timestamp::parse(at).unwrap());
    /// let days = Interval::Day.ends(&Zone::parse("Europe/Berlin")?, from, to).unwrap();
    /// let days: Vec<String> = days.into_iter().map(Timestamp::to_millis_text).collect();
    /// assert_eq!(days, ["2026-03-28T22:59:59.999Z", "2026-03-29T21:59:59.999Z"]);
    /// # Ok::<(), shared::domain::interval::ZoneError>(())
    /// ```
    pub fn ends(self, zone: &Zone, from: Timestamp, to: Timestamp) -> Result<Vec<Timestamp>, TooManyPoints> {
        let start = from.in_zone(&zone.0);
        let mut ends = Vec::new();
        let mut add = |end: Timestamp| {
            // A day that a zone has skipped ends with the day before.
            let is_new = end > from && ends.last() != Some(&end);
            if is_new {
                ends.push(end);
            }
            if ends.len() > MAX_POINTS { Err(TooManyPoints) } else { Ok(()) }
        };
        match self {
            Self::Hour => {
                let mut hour = start;
                while let Some(next) = next_hour(&hour)
                    && let end = Timestamp::from(next.timestamp()).minus(MILLISECOND)
                    && end <= to
                {
                    add(end)?;
                    hour = next;
                }
            }
            Self::Day | Self::Week | Self::Month => {
                let mut date = start.date();
                while let Some(next) = self.next_date(date)
                    && let Some(end) = zone.end_before(next)
                    && end <= to
                {
                    add(end)?;
                    date = next;
                }
            }
        }
        Ok(ends)
    }

    /// The points of a series: the ends of the intervals, and `to` itself unless it is one of them.
    pub fn points(
        self,
        zone: &Zone,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Timestamp>, TooManyPoints> {
        let mut points = self.ends(zone, from, to)?;
        if points.last() != Some(&to) {
            points.push(to);
        }
        if points.len() > MAX_POINTS { Err(TooManyPoints) } else { Ok(points) }
    }

    /// The first date of the next interval.
    fn next_date(self, date: Date) -> Option<Date> {
        match self {
            Self::Hour | Self::Day => date.tomorrow().ok(),
            Self::Week => date.nth_weekday(1, Weekday::Monday).ok(),
            Self::Month => date.first_of_month().checked_add(1.month()).ok(),
        }
    }
}

/// The next full hour of the local clock.
///
/// Where the clock is set within the hour, and then shows another hour, that instant ends the hour.
fn next_hour(at: &Zoned) -> Option<Zoned> {
    let gone =
        SignedDuration::new(i64::from(at.minute()) * 60 + i64::from(at.second()), at.subsec_nanosecond());
    let next = at.checked_add(SignedDuration::from_hours(1) - gone).ok()?;
    let change = at.time_zone().following(at.timestamp()).next();
    match change.map(|change| change.timestamp().to_zoned(at.time_zone().clone())) {
        Some(changed) if changed < next && changed.hour() == at.hour() => next_hour(&changed),
        Some(changed) if changed < next => Some(changed),
        _ => Some(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn intervals_end_with_the_local_clock() {
        struct Row {
            name: &'static str,
            zone: &'static str,
            interval: Interval,
            from: &'static str,
            to: &'static str,
            ends: &'static [&'static str],
        }
        let rows = [
            Row {
                name: "an end at `from` is not after it, one at `to` counts",
                zone: "UTC",
                interval: Interval::Day,
                from: "2026-01-01T23:59:59.999Z",
                to: "2026-01-03T23:59:59.999Z",
                ends: &["2026-01-02T23:59:59.999Z", "2026-01-03T23:59:59.999Z"],
            },
            Row {
                name: "an hour is skipped in spring",
                zone: "Europe/Berlin",
                interval: Interval::Hour,
                from: "2026-03-29T00:10:00Z",
                to: "2026-03-29T02:00:00Z",
                ends: &["2026-03-29T00:59:59.999Z", "2026-03-29T01:59:59.999Z"],
            },
            Row {
                name: "an hour comes twice in autumn",
                zone: "Europe/Berlin",
                interval: Interval::Hour,
                from: "2026-10-25T00:00:00Z",
                to: "2026-10-25T02:30:00Z",
                ends: &["2026-10-25T00:59:59.999Z", "2026-10-25T01:59:59.999Z"],
            },
            Row {
                name: "a zone that is half an hour beside the full hour",
                zone: "Asia/Kolkata",
                interval: Interval::Hour,
                from: "2026-01-01T00:00:00Z",
                to: "2026-01-01T02:00:00Z",
                ends: &["2026-01-01T00:29:59.999Z", "2026-01-01T01:29:59.999Z"],
            },
            Row {
                name: "half an hour is skipped",
                zone: "Australia/Lord_Howe",
                interval: Interval::Hour,
                from: "2026-10-03T15:00:00Z",
                to: "2026-10-03T16:30:00Z",
                ends: &["2026-10-03T15:29:59.999Z", "2026-10-03T15:59:59.999Z"],
            },
            Row {
                name: "midnight is skipped",
                zone: "America/Sao_Paulo",
                interval: Interval::Day,
                from: "2018-11-03T12:00:00Z",
                to: "2018-11-06T00:00:00Z",
                ends: &["2018-11-04T02:59:59.999Z", "2018-11-05T01:59:59.999Z"],
            },
            Row {
                name: "a whole day is skipped",
                zone: "Pacific/Apia",
                interval: Interval::Day,
                from: "2011-12-29T12:00:00Z",
                to: "2012-01-01T12:00:00Z",
                ends: &["2011-12-30T09:59:59.999Z", "2011-12-31T09:59:59.999Z", "2012-01-01T09:59:59.999Z"],
            },
            Row {
                name: "weeks end on Sunday",
                zone: "America/New_York",
                interval: Interval::Week,
                from: "2026-10-26T12:00:00Z",
                to: "2026-11-09T04:59:59.999Z",
                ends: &["2026-11-02T04:59:59.999Z", "2026-11-09T04:59:59.999Z"],
            },
            Row {
                name: "months",
                zone: "Europe/London",
                interval: Interval::Month,
                from: "2024-01-31T00:00:00Z",
                to: "2024-04-30T22:59:59.999Z",
                ends: &[
                    "2024-01-31T23:59:59.999Z",
                    "2024-02-29T23:59:59.999Z",
                    "2024-03-31T22:59:59.999Z",
                    "2024-04-30T22:59:59.999Z",
                ],
            },
        ];
        for Row { name, zone, interval, from, to, ends } in rows {
            let found = interval.ends(&Zone::parse(zone).unwrap(), at(from), at(to)).unwrap();
            let found: Vec<String> = found.into_iter().map(Timestamp::to_millis_text).collect();
            assert_eq!(found, ends, "{name}");
        }
    }

    #[test]
    fn a_series_has_at_most_four_hundred_points() {
        let from = at("2026-01-01T00:00:00Z");
        let hours =
            |hours| Interval::Hour.ends(&Zone::UTC, from, from.plus(SignedDuration::from_hours(hours)));
        assert_eq!(hours(400).unwrap().len(), 400);
        assert_eq!(hours(401), Err(TooManyPoints));
        let ages = Interval::Hour.ends(&Zone::UTC, at("0000-01-01T00:00:00Z"), at("9999-12-30T00:00:00Z"));
        assert_eq!(ages, Err(TooManyPoints));
        let last = Interval::Month.ends(&Zone::UTC, at("9999-11-01T00:00:00Z"), at("9999-12-30T00:00:00Z"));
        assert_eq!(last.unwrap().len(), 1);
    }

    #[test]
    fn zones_have_names_and_days() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::UTC.name(), "UTC");
        for text in ["", "Mars/Olympus", "+02:00", "CEST-1", "Etc/Unknown", "../etc/passwd"] {
            assert_eq!(Zone::parse(text), Err(ZoneError), "{text}");
        }
        for text in ["2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00:00", "yesterday", ""] {
            assert_eq!(Zone::UTC.end_of_day(text), None, "{text}");
        }
    }

    const ZONES: [&str; 6] = [
        "UTC",
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Every millisecond before which and at which the local clock shows another interval is an end.
        #[test]
        fn an_end_is_where_the_local_clock_shows_another_interval(
            zone in 0_usize..ZONES.len(), interval in 0_usize..3, second in 1_262_304_000_i64..1_893_456_000,
        ) {
            let (zone, interval) = (Zone::parse(ZONES[zone]).unwrap(), Interval::ALL[interval + 1]);
            let from = Timestamp::from(jiff::Timestamp::from_second(second).unwrap());
            let to = from.plus(SignedDuration::from_hours(24 * 40));
            let shown = |at: Timestamp| {
                let date = at.in_zone(&zone.0).date();
                match interval {
                    Interval::Hour | Interval::Day => date,
                    Interval::Week => {
                        let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                        date.checked_sub(since_monday.days()).unwrap()
                    }
                    Interval::Month => date.first_of_month(),
                }
            };
            let ends = interval.ends(&zone, from, to).unwrap();
            prop_assert!(ends.is_sorted_by(|left, right| left < right));
            for end in &ends {
                prop_assert!(from < *end && *end <= to);
                prop_assert_ne!(shown(*end), shown(end.plus(MILLISECOND)));
            }
            // Between two ends the interval does not change.
            let starts = std::iter::once(from).chain(ends.iter().map(|end| end.plus(MILLISECOND)));
            for (start, end) in starts.zip(ends.iter().copied().chain([to])) {
                prop_assert!(start > end || shown(start) == shown(end));
            }
        }
    }
}
