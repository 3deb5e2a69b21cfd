//! The weight of a request in its caller's rate limit: one call, and one more for each 500 read units.
//!
//! [`Authenticated`](super::Authenticated) notes the caller when the request is admitted; `observe` charges
//! the rest at the end, when the reads are known.

use crate::domain::Timestamp;
use crate::store::{RateLimiter, usage_so_far};
use std::sync::{Arc, OnceLock};

/// Read units that count as one call more.
const UNITS_PER_CALL: u64 = 500;

/// The caller whose rate limit a request counts in, once one is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Weight(Arc<OnceLock<(RateLimiter, String)>>);

impl Weight {
    /// Notes the caller of an admitted request.
    pub(super) fn of(&self, limiter: RateLimiter, caller: &str) {
        // A request is admitted once.
        let _ = self.0.set((limiter, caller.to_owned()));
    }

    /// Charges the caller with the reads of the request so far.
    pub(super) async fn charge(&self, now: Timestamp) {
        let Some((limiter, caller)) = self.0.get() else { return };
        let (read_units, _) = usage_so_far().units();
        limiter.charge(caller, read_units / UNITS_PER_CALL, now).await;
    }
}
