//! The one clock of a process: the time of requests, of what is recorded, and of tokens.
//!
//! Code below the edge takes the time, or this clock, as a parameter; only the time of a log line is always
//! the machine's. The local stack sets its clock to another instant, tests stop it, and the command line
//! moves it to the store's; so the clock is a value rather than a function.
//!
//! Whether the clock is right is not known here: `store` compares it with the `Date` of `DynamoDB`'s answers.

use crate::domain::Timestamp;
use jiff::SignedDuration;
use std::sync::{Arc, Mutex, PoisonError};

/// A clock; all clones are one and are set together.
///
/// ```
/// use shared::clock::Clock;
/// use shared::domain::Timestamp;
/// let noon = Timestamp::parse("2026-06-01T12:00:00Z")?;
/// let clock = Clock::stopped_at(noon);
/// assert_eq!(clock.now(), noon);
/// # Ok::<(), shared::domain::time::TimestampError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock {
    hands: Arc<Mutex<Hands>>,
}

/// How the clock differs from the machine's.
#[derive(Debug, Clone, Copy, Default)]
enum Hands {
    /// Not at all.
    #[default]
    Machine,
    /// It runs on, ahead of the machine's by this much (behind it, if negative).
    Ahead(SignedDuration),
    /// It stands still.
    Stopped(Timestamp),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is set, for documents and tests that must come out the same.
    #[must_use]
    pub fn stopped_at(at: Timestamp) -> Self {
        let clock = Self::default();
        clock.stop_at(at);
        clock
    }

    /// Lets the clock stand still at an instant.
    pub fn stop_at(&self, at: Timestamp) {
        self.turn(Hands::Stopped(at));
    }

    /// The time, in whole milliseconds.
    ///
    /// Milliseconds are what answers print. An instant that a caller was told, `X-Known-At` for example, can
    /// so be given back without losing what was recorded within the same millisecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = match *self.hands() {
            Hands::Machine => Timestamp::of_machine(),
            Hands::Ahead(by) => Timestamp::of_machine().plus(by),
            Hands::Stopped(at) => at,
        };
        now.cut_to_millis()
    }

    /// Lets the clock go on from `now`.
    pub fn set(&self, now: Timestamp) {
        self.turn(Hands::Ahead(Timestamp::of_machine().age_at(now)));
    }

    /// Lets the clock go on from where it is, moved by so much.
    pub fn advance(&self, by: SignedDuration) {
        self.set(self.now().plus(by));
    }

    /// Makes it the machine's clock again.
    pub fn reset(&self) {
        self.turn(Hands::Machine);
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, hands: Hands) {
        *self.hands() = hands;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_clock_that_is_set_runs_on_and_its_clones_with_it() {
        let clock = Clock::system();
        let clone = clock.clone();
        clock.set(at("2030-01-01T00:00:00Z"));
        let read = clone.now();
        assert!(at("2030-01-01T00:00:00Z") <= read && read < at("2030-01-01T00:01:00Z"), "{read:?}");
        clone.advance(SignedDuration::from_hours(1));
        assert!(clock.now() >= at("2030-01-01T01:00:00Z"));
        clock.reset();
        assert!(clock.now().age_at(Timestamp::of_machine()) < SignedDuration::from_mins(1));
    }

    #[test]
    fn a_stopped_clock_stands_and_is_read_in_whole_milliseconds() {
        let clock = Clock::stopped_at(at("2026-06-01T12:00:00.123999999Z"));
        assert_eq!([clock.now(), clock.now()], [at("2026-06-01T12:00:00.123Z"); 2]);
    }
}
