//! The process's clock, checked by the `Date` of `DynamoDB`'s answers: a process whose clock is wrong writes
//! nothing.
//!
//! `recorded_at` and the time of requests come from the process's own clock, and answers can be had again
//! only if these clocks agree. `Date` has whole seconds, and an answer takes time, so one answer only bounds
//! the difference. A clock counts as wrong when the whole range is beyond [`MAX_OFF`]. Rejected: to go by
//! `Date` itself, whose seconds are too coarse to order entries.

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
use std::sync::{Arc, Mutex, PoisonError};
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

/// How far the store's clock is ahead of ours, as one answer bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Difference {
    at_least: SignedDuration,
    at_most: SignedDuration,
}

impl Difference {
    /// The answer was dated between when its request was sent and when it came, within the second of its
    /// `Date`. `None` if our clock was set meanwhile.
    fn of_answer(date: Timestamp, sent_at: Timestamp, came_at: Timestamp) -> Option<Self> {
        let (at_least, at_most) = (came_at.age_at(date), sent_at.age_at(date) + DATE_PRECISION);
        (at_least <= at_most).then_some(Self { at_least, at_most })
    }

    fn middle(self) -> SignedDuration {
        (self.at_least + self.at_most) / 2
    }

    fn wrong_clock(self) -> Option<WrongClock> {
        let is_wrong = self.at_least > MAX_OFF || self.at_most < -MAX_OFF;
        is_wrong.then(|| WrongClock { seconds: -self.middle().as_secs() })
    }
}

/// Compares each answer's `Date` with the clock, and stops writes while the last comparison was bad.
#[derive(Debug, Clone)]
pub(super) struct ClockCheck {
    clock: Clock,
    last: Arc<Mutex<Option<Difference>>>,
}

impl ClockCheck {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// Moves the clock to the store's if it is wrong, and says by how much it was off.
    pub(super) fn follow(&self) -> Option<WrongClock> {
        let difference = self.last.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let wrong = difference.wrong_clock()?;
        self.clock.advance(difference.middle());
        Some(wrong)
    }

    fn wrong_clock(&self) -> Option<WrongClock> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.and_then(Difference::wrong_clock)
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

    /// Every write of a balance follows a read within milliseconds, so the last comparison is a fresh one.
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
            let difference = Difference::of_answer(date, sent_at, self.clock.now());
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = difference;
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
            let wrong = Difference::of_answer(date, at(sent), at(came)).and_then(Difference::wrong_clock);
            assert_eq!(wrong.map(|wrong| wrong.seconds), off, "{sent} {came}");
        }
        assert_eq!(parse_date("yesterday"), None);
    }
}
