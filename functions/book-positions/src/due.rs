//! Which positions are due at an instant: the last day's end, and the last quarter of an hour or hour.

use crate::JobError;
use jiff::SignedDuration;
use shared::domain::moment::SETTLED_AFTER;
use shared::domain::{Timestamp, Zone};
use shared::store::{PositionKey, PositionKind, PositionUnderWay};

/// How long after its instant a close knows what was recorded.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(60);
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// By what a run finds the positions that are due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due<'a> {
    pub(crate) zone: &'a Zone,
    /// Minutes between positions beside the closes.
    pub(crate) position_minutes: Option<u32>,
    pub(crate) now: Timestamp,
}

impl Due<'_> {
    /// The newest positions that can be made: all that they know has settled.
    pub(crate) fn positions(&self) -> Vec<PositionUnderWay> {
        let close = self.close();
        let interim = self
            .interim()
            .filter(|interim| close.is_none_or(|close| close.key.position_at != interim.key.position_at));
        close.into_iter().chain(interim).collect()
    }

    /// The newest close.
    pub(crate) fn close(&self) -> Option<PositionUnderWay> {
        self.zone.last_day_end(self.latest()).map(|at| scheduled(PositionKind::Close, at))
    }

    fn interim(&self) -> Option<PositionUnderWay> {
        let seconds = i64::from(self.position_minutes?) * 60;
        let begin = self.latest().unix_seconds().div_euclid(seconds) * seconds;
        let at = Timestamp::from_unix_milliseconds(begin * 1_000)?.minus(MILLISECOND);
        Some(scheduled(PositionKind::Interim, at))
    }

    /// The latest instant whose position has settled.
    fn latest(&self) -> Timestamp {
        self.now.minus(KNOWN_AFTER).minus(SETTLED_AFTER)
    }

    /// The position that an operator asks for.
    pub(crate) fn asked(&self, as_of: &str, known_at: Option<&str>) -> Result<PositionUnderWay, JobError> {
        let instant = |name: &str, text: &str| {
            let parsed = Timestamp::parse(text).map(Timestamp::cut_to_millis);
            parsed.map_err(|error| JobError::Event(format!("{name} is {error}")))
        };
        let position_at = instant("as_of", as_of)?;
        if position_at > self.now {
            return Err(JobError::Event("as_of is in the future".to_owned()));
        }
        let settled = self.now.minus(SETTLED_AFTER).cut_to_millis();
        let known_at = known_at.map_or(Ok(settled), |text| instant("known_at", text))?;
        if known_at > settled {
            let message = "known_at has not settled: a minute must have passed since";
            return Err(JobError::Event(message.to_owned()));
        }
        let is_close = self.zone.last_day_end(position_at) == Some(position_at);
        let kind = if is_close { PositionKind::Close } else { PositionKind::Interim };
        Ok(PositionUnderWay { key: PositionKey { position_at, known_at }, kind })
    }
}

fn scheduled(kind: PositionKind, position_at: Timestamp) -> PositionUnderWay {
    PositionUnderWay { key: PositionKey { position_at, known_at: position_at.plus(KNOWN_AFTER) }, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_close_is_due_two_minutes_after_the_days_end() {
        struct Row {
            zone: &'static str,
            minutes: Option<u32>,
            now: &'static str,
            due: &'static [&'static str],
        }
        let rows = [
            Row {
                zone: "UTC",
                minutes: None,
                now: "2026-06-02T00:01:59.998Z",
                due: &["2026-05-31T23:59:59.999Z"],
            },
            Row {
                zone: "UTC",
                minutes: None,
                now: "2026-06-02T00:01:59.999Z",
                due: &["2026-06-01T23:59:59.999Z"],
            },
            Row {
                zone: "Europe/Berlin",
                minutes: Some(15),
                now: "2026-06-02T12:20:00Z",
                due: &["2026-06-01T21:59:59.999Z", "2026-06-02T12:14:59.999Z"],
            },
            Row {
                zone: "UTC",
                minutes: Some(60),
                now: "2026-06-02T00:30:00Z",
                due: &["2026-06-01T23:59:59.999Z"],
            },
        ];
        for Row { zone, minutes, now, due } in rows {
            let zone = Zone::parse(zone).unwrap();
            let found = Due { zone: &zone, position_minutes: minutes, now: at(now) }.positions();
            let found: Vec<String> =
                found.iter().map(|position| position.key.position_at.to_millis_text()).collect();
            assert_eq!(found, due, "{now}");
        }
    }

    #[test]
    fn an_asked_position_is_of_the_past_and_knows_what_has_settled() {
        let due = Due { zone: &Zone::UTC, position_minutes: None, now: at("2026-06-02T12:00:00Z") };
        let close = due.asked("2026-06-01T23:59:59.9999Z", None).unwrap();
        assert_eq!(close.kind, PositionKind::Close);
        assert_eq!(close.key.known_at, at("2026-06-02T11:59:00Z"));
        let interim = due.asked("2026-06-01T12:00:00+02:00", Some("2026-06-02T11:59:00Z")).unwrap();
        assert_eq!(
            (interim.kind, interim.key.position_at),
            (PositionKind::Interim, at("2026-06-01T10:00:00Z"))
        );
        for (as_of, known_at) in [
            ("2026-06-02T12:00:00.001Z", None),
            ("yesterday", None),
            ("2026-06-01T12:00:00Z", Some("2026-06-02T11:59:00.001Z")),
            ("2026-06-01T12:00:00Z", Some("now")),
        ] {
            assert!(due.asked(as_of, known_at).is_err(), "{as_of} {known_at:?}");
        }
    }
}
