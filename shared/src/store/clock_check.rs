//! The process's clock, checked by the `Date` of `DynamoDB`'s answers: a process whose clock is wrong writes
//! nothing.
//!
//! `recorded_at` and the time of requests come from the process's own clock, and answers can be had again
//! only if these clocks agree. `Date` has whole seconds, and an answer takes time, so one answer only bounds
//! the difference, to a range of a second and more. A clock counts as wrong when the whole range is beyond
//! [`MAX_OFF`]: one that is off by more than two seconds and less than three is found out by some answers and
//! not by others. Rejected: to go by `Date` itself, whose seconds are too coarse to order entries.
//!
//! The command line runs on machines whose clocks nobody keeps. Its clock follows the store's instead.

use super::StoreError;
use crate::clock::Clock;
use crate::domain::Timestamp;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
    BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_smithy_types::date_time::Format;
use jiff::SignedDuration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// How far the process's clock may be off the store's.
const MAX_OFF: SignedDuration = SignedDuration::from_secs(2);
/// The part of a time that a `Date` leaves out.
const DATE_PRECISION: SignedDuration = SignedDuration::from_secs(1);

/// A clock that is off by more than [`MAX_OFF`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this process's clock is {} s off the store's (ahead, if positive); nothing is written", .seconds)]
pub struct WrongClock {
    /// How far the clock is ahead of the store's, in seconds; negative if it is behind.
    pub seconds: i64,
}

/// How far our clock is ahead of the store's, as one answer bounds it; negative if it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lead {
    at_least: SignedDuration,
    at_most: SignedDuration,
}

impl Lead {
    /// The answer was dated between when its request was sent and when it came, within the second of its
    /// `Date`. `None` if our clock was set meanwhile.
    fn of_answer(date: Timestamp, sent_at: Timestamp, came_at: Timestamp) -> Option<Self> {
        let (at_least, at_most) = (date.age_at(sent_at) - DATE_PRECISION, date.age_at(came_at));
        (at_least <= at_most).then_some(Self { at_least, at_most })
    }

    fn middle(self) -> SignedDuration {
        (self.at_least + self.at_most) / 2
    }

    fn is_beyond(self, limit: SignedDuration) -> bool {
        self.at_least > limit || self.at_most < -limit
    }

    fn wrong_clock(self) -> Option<WrongClock> {
        self.is_beyond(MAX_OFF).then(|| WrongClock { seconds: self.middle().as_secs() })
    }
}

/// Compares each answer's `Date` with the clock, and stops writes while the last comparison was bad.
#[derive(Debug, Clone)]
pub(super) struct ClockCheck {
    clock: Clock,
    last: Arc<Mutex<Option<Lead>>>,
    /// Whether a clock that is found to be wrong is set right.
    is_following: Arc<AtomicBool>,
}

impl ClockCheck {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::default(), is_following: Arc::default() }
    }

    /// Lets the clock go by the store's from now on, and says by how much it was off if it was wrong.
    ///
    /// If the last answer proves any difference at all, the clock is set by it, because a difference of two
    /// to three seconds is not proven by every answer, and would otherwise stop a later write.
    pub(super) fn follow(&self) -> Option<WrongClock> {
        self.is_following.store(true, Ordering::Relaxed);
        let lead = self.last().take().filter(|lead| lead.is_beyond(SignedDuration::ZERO))?;
        self.clock.advance(-lead.middle());
        lead.wrong_clock()
    }

    fn wrong_clock(&self) -> Option<WrongClock> {
        self.last().and_then(Lead::wrong_clock)
    }

    fn compared(&self, lead: Option<Lead>) {
        let wrong = lead.filter(|lead| lead.wrong_clock().is_some());
        if let Some(lead) = wrong.filter(|_| self.is_following.load(Ordering::Relaxed)) {
            self.clock.advance(-lead.middle());
            *self.last() = None;
        } else {
            *self.last() = lead;
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Lead>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the request of an attempt was sent.
#[derive(Debug, Clone, Copy)]
struct SentAt(Timestamp);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

impl Intercept for ClockCheck {
    fn name(&self) -> &'static str {
        "ClockCheck"
    }

    /// A write of an event follows a read within milliseconds, so the last comparison is a fresh one. A
    /// sync's write can follow the last comparison by the length of a provider's answer.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let is_write = input.downcast_ref::<PutItemInput>().is_some()
            || input.downcast_ref::<UpdateItemInput>().is_some()
            || input.downcast_ref::<TransactWriteItemsInput>().is_some();
        match self.wrong_clock().filter(|_| is_write) {
            Some(wrong) => Err(wrong.into()),
            None => Ok(()),
        }
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(SentAt(self.clock.now()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(parse_date);
        if let (Some(date), Some(SentAt(sent_at))) = (date, bag.load::<SentAt>().copied()) {
            self.compared(Lead::of_answer(date, sent_at, self.clock.now()));
        }
        Ok(())
    }
}

/// The date of an answer; one that cannot be read is passed over.
fn parse_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    Timestamp::from_unix_milliseconds(date.to_millis().ok()?)
}

impl From<WrongClock> for StoreError {
    fn from(wrong: WrongClock) -> Self {
        Self::WrongClock(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_only_where_an_answer_proves_it() {
        struct Case {
            sent: &'static str,
            came: &'static str,
            off: Option<i64>,
        }
        let at = |time: &str| Timestamp::parse(&format!("2026-06-01T{time}Z")).unwrap();
        let date = parse_date("Mon, 01 Jun 2026 12:00:00 GMT").unwrap();
        assert_eq!(date, at("12:00:00"));
        let cases = [
            Case { sent: "12:00:00.400", came: "12:00:00.450", off: None },
            // The answer may have been dated 12:00:00.999, and the clock be 2 s behind.
            Case { sent: "11:59:58.900", came: "11:59:59", off: None },
            Case { sent: "11:59:57.800", came: "11:59:57.900", off: Some(-2) },
            Case { sent: "12:00:02.900", came: "12:00:03", off: None },
            Case { sent: "12:00:03.100", came: "12:00:03.200", off: Some(2) },
            // An answer that took long proves less.
            Case { sent: "12:00:00", came: "12:00:05", off: None },
            Case { sent: "13:00:00.500", came: "13:00:00.500", off: Some(3_600) },
            Case { sent: "11:00:00.500", came: "11:00:00.500", off: Some(-3_600) },
            // The clock was set back by an hour while the answer was under way.
            Case { sent: "13:00:00.200", came: "12:00:00.300", off: None },
        ];
        for Case { sent, came, off } in cases {
            let wrong = Lead::of_answer(date, at(sent), at(came)).and_then(Lead::wrong_clock);
            assert_eq!(wrong.map(|wrong| wrong.seconds), off, "{sent} {came}");
        }
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn a_clock_that_follows_is_set_by_what_an_answer_proves() {
        let at = |time: &str| Timestamp::parse(&format!("2026-06-01T{time}Z")).unwrap();
        let date = at("12:00:00");
        for (ours, then) in
            [("12:00:02.4", "12:00:00.5"), ("11:59:58", "12:00:00.5"), ("12:00:00.4", "12:00:00.4")]
        {
            let check = ClockCheck::new(Clock::stopped_at(at(ours)));
            check.compared(Lead::of_answer(date, at(ours), at(ours)));
            check.follow();
            assert_eq!(check.clock.now(), at(then), "{ours}");
            // A machine's clock that steps later on is followed too, and no write is refused.
            check.clock.advance(SignedDuration::from_hours(1));
            let now = check.clock.now();
            check.compared(Lead::of_answer(date, now, now));
            assert_eq!((check.clock.now(), check.wrong_clock()), (at("12:00:00.5"), None), "{ours}");
        }
    }
}
