//! The moment of a question: an instant, and the time by which something was known.

use super::Timestamp;
use jiff::SignedDuration;
use std::ops::Range;

/// How far ahead of the clock an entry's instant may lie when it is recorded: clocks of sources differ.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead of its own `recorded_at` an entry's instant can lie: [`MAX_AHEAD`], and a minute for the
/// difference between the clock that checked it and the one that recorded it.
const KNOWN_AHEAD: SignedDuration = SignedDuration::from_mins(6);

/// A `known_at` is settled after this: from then on a question that is known at it has one answer for ever.
/// An entry that it would show is recorded later only where `DynamoDB` commits a transaction that was given
/// up.
pub const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// As of an instant, known at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// States and rates as they stood then, inclusive.
    pub as_of: Timestamp,
    /// Only what was recorded by then, inclusive; everything if `None`.
    pub known_at: Option<Timestamp>,
}

impl Moment {
    /// As of an instant, with everything that is known.
    #[must_use]
    pub const fn as_of(at: Timestamp) -> Self {
        Self { as_of: at, known_at: None }
    }

    /// The moment that a request asks about: `as_of` unless given is `known_at`, else the time of the
    /// request.
    #[must_use]
    pub fn asked(as_of: Option<Timestamp>, known_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self { as_of: as_of.or(known_at).unwrap_or(now), known_at }
    }

    /// Whether something that was recorded at `recorded_at` counts.
    #[must_use]
    pub fn knows(self, recorded_at: Timestamp) -> bool {
        self.known_at.is_none_or(|known_at| recorded_at <= known_at)
    }

    /// The latest instant that an entry which counts can speak of.
    ///
    /// `as_of` bounds it. So does `known_at`, because no source's entry is recorded more than six minutes
    /// before the instant it speaks of.
    #[must_use]
    pub fn latest(self) -> Timestamp {
        self.known_at.map_or(self.as_of, |known_at| self.as_of.min(known_at.plus(KNOWN_AHEAD)))
    }
}

/// Several instants, each of which a question asks about with the same knowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moments {
    /// Ascending.
    instants: Vec<Timestamp>,
    known_at: Option<Timestamp>,
}

impl Moments {
    /// These instants, in whatever order, known at an instant.
    #[must_use]
    pub fn new(mut instants: Vec<Timestamp>, known_at: Option<Timestamp>) -> Self {
        instants.sort_unstable();
        Self { instants, known_at }
    }

    /// One after the other, the earliest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Moment> + ExactSizeIterator + '_ {
        self.instants.iter().map(|as_of| Moment { as_of: *as_of, known_at: self.known_at })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.instants.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.instants.is_empty()
    }

    /// The moment of that place, counted from the earliest.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Moment> {
        self.instants.get(place).map(|as_of| Moment { as_of: *as_of, known_at: self.known_at })
    }

    /// Those of some places.
    #[must_use]
    pub fn part(&self, places: Range<usize>) -> Self {
        let instants = self.instants.get(places).unwrap_or_default().to_vec();
        Self { instants, known_at: self.known_at }
    }

    /// The place of the first moment at or after an instant.
    #[must_use]
    pub fn place_from(&self, instant: Timestamp) -> usize {
        self.instants.partition_point(|as_of| *as_of < instant)
    }
}

impl From<Moment> for Moments {
    fn from(Moment { as_of, known_at }: Moment) -> Self {
        Self { instants: vec![as_of], known_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_follows_from_what_is() {
        struct Row {
            as_of: Option<Timestamp>,
            known_at: Option<Timestamp>,
            is_as_of: Timestamp,
        }
        let at = |hour: u32| Timestamp::parse(&format!("2026-06-01T{hour:02}:00:00Z")).unwrap();
        let rows = [
            Row { as_of: None, known_at: None, is_as_of: at(12) },
            Row { as_of: Some(at(3)), known_at: None, is_as_of: at(3) },
            Row { as_of: None, known_at: Some(at(5)), is_as_of: at(5) },
            Row { as_of: Some(at(9)), known_at: Some(at(5)), is_as_of: at(9) },
        ];
        for Row { as_of, known_at, is_as_of } in rows {
            assert_eq!(Moment::asked(as_of, known_at, at(12)), Moment { as_of: is_as_of, known_at });
        }
        let moment = Moment { as_of: at(9), known_at: Some(at(5)) };
        assert_eq!(moment.latest(), at(5).plus(SignedDuration::from_mins(6)));
        assert_eq!((moment.knows(at(5)), moment.knows(at(6))), (true, false));
    }
}
