//! The cost of a request or a run, as its one log line says it: time, what the store charged, and whether it
//! paid for the start of its process.

use crate::store::{READ_BUDGET, Usage, measured, measured_within};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Whether this process has worked before: who asks first pays for its start.
static HAS_STARTED: AtomicBool = AtomicBool::new(false);

/// The cost of one piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// How long it took.
    pub latency_ms: u64,
    /// Whether it was this process's first.
    pub cold_start: bool,
    /// Calls to DynamoDB.
    pub store_calls: u64,
    /// Capacity units read.
    pub read_units: u64,
    /// Capacity units written.
    pub write_units: u64,
}

/// Does some work and says what it cost. Work that it hands to other tasks is not counted.
pub async fn costed<T>(work: impl Future<Output = T>) -> (T, Cost) {
    cost_of(measured(work)).await
}

/// The same within the read budget of a request.
pub async fn costed_within_budget<T>(work: impl Future<Output = T>) -> (T, Cost) {
    cost_of(measured_within(READ_BUDGET, work)).await
}

async fn cost_of<T>(work: impl Future<Output = (T, Usage)>) -> (T, Cost) {
    let started = Instant::now();
    let (done, usage) = work.await;
    let (read_units, write_units) = usage.units();
    let cost = Cost {
        latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        cold_start: !HAS_STARTED.swap(true, Ordering::Relaxed),
        store_calls: usage.calls,
        read_units,
        write_units,
    };
    (done, cost)
}

/// A log line of `tracing`'s at a level: what is said, and what it cost.
///
/// ```
/// # async fn count() {
/// let (count, cost) = shared::cost::costed(async { 3 }).await;
/// shared::cost::costed_line!(info, cost, "counted", count);
/// # }
/// ```
#[macro_export]
macro_rules! costed_line {
    ($level:ident, $cost:expr, $message:literal, $($said:tt)+) => {{
        let $crate::cost::Cost { latency_ms, cold_start, store_calls, read_units, write_units } = $cost;
        ::tracing::$level!($($said)+, latency_ms, cold_start, store_calls, read_units, write_units, $message)
    }};
}

pub use costed_line;
