//! The rate limit: calls per caller, route group and clock minute, counted in the store by all instances together.
//!
//! An instance counts by itself and posts its count in batches, so most requests cost no write. One instance alone is exact.
//! With `n` instances, each can admit less than one batch before it learns what the others counted: at most
//! `n × (batch − 1)` calls beyond the limit in a minute, where the batch is a fiftieth of the limit, at least one.
//! A limit below 100 has a batch of one and is exact over all instances. If the counter cannot be reached, callers are
//! admitted: a limiter must not take the system down.

use crate::auth::Caller;
use crate::domain::Timestamp;
use crate::store::Store;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Seconds of a window: one clock minute.
const WINDOW_SECONDS: i64 = 60;
/// A batch is this fraction of the limit.
const BATCHES_PER_LIMIT: u64 = 50;
/// A count is posted after this many seconds even if its batch is not full.
const POST_AFTER_SECONDS: i64 = 2;
/// A counter that does not answer within this is not waited for.
const POST_TIMEOUT: Duration = Duration::from_millis(500);
/// Callers one instance counts at once; beyond, it forgets those of past minutes, and if need be all.
const MAX_CALLERS: usize = 10_000;

/// How the limiter decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Admitted,
    /// Go on: the counter could not be reached.
    AdmittedUncounted,
    /// Come back in so many seconds.
    Refused {
        /// Until the window ends, at least 1.
        retry_after_seconds: i64,
    },
}

/// Counts calls to one group of routes; cheap to clone, with counts that all clones share.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    store: Store,
    group: &'static str,
    per_minute: Option<NonZeroU64>,
    counts: Arc<Mutex<HashMap<String, Count>>>,
}

/// What one instance knows of one caller's minute.
#[derive(Debug, Clone, Copy)]
struct Count {
    window_end: i64,
    /// The sum over all instances when it was last asked for.
    counted: u64,
    /// Admitted here and being posted.
    posting: u64,
    /// Admitted here and not yet posted.
    pending: u64,
    posted_at: i64,
}

/// What to do with a call, decided without the store.
enum Step {
    Refuse,
    Admit,
    Post(u64),
}

impl RateLimiter {
    /// A limiter for a group of routes; 0 per minute is no limit.
    #[must_use]
    pub fn new(store: Store, group: &'static str, per_minute: u64) -> Self {
        Self { store, group, per_minute: NonZeroU64::new(per_minute), counts: Arc::default() }
    }

    /// Counts one call and decides on it.
    pub async fn check(&self, caller: &Caller, now: Timestamp) -> Verdict {
        let Some(limit) = self.per_minute.map(NonZeroU64::get) else { return Verdict::Admitted };
        let (now, window_end) = (now.unix_seconds(), window_end(now));
        let refused = Verdict::Refused { retry_after_seconds: (window_end - now).max(1) };
        let calls = match self.count(&caller.id, limit, now, window_end) {
            Step::Refuse => return refused,
            Step::Admit => return Verdict::Admitted,
            Step::Post(calls) => calls,
        };
        let key = format!("{}#{}", self.group, caller.id);
        let posted = tokio::time::timeout(POST_TIMEOUT, self.store.add_calls(&key, calls, window_end)).await;
        let mut counts = self.lock();
        let count = counts.get_mut(&caller.id).filter(|count| count.window_end == window_end);
        let Ok(Ok(counted)) = posted else {
            if let Some(count) = count {
                count.posting = count.posting.saturating_sub(calls);
                count.pending += calls;
            }
            return Verdict::AdmittedUncounted;
        };
        if let Some(count) = count {
            count.posting = count.posting.saturating_sub(calls);
            count.counted = count.counted.max(counted);
        }
        if counted > limit { refused } else { Verdict::Admitted }
    }

    /// The instance's own part: refuses what it knows to be too much, and says when to post.
    fn count(&self, caller: &str, limit: u64, now: i64, window_end: i64) -> Step {
        let mut counts = self.lock();
        make_room(&mut counts, window_end);
        let fresh = Count { window_end, counted: 0, posting: 0, pending: 0, posted_at: now };
        let count = counts.entry(caller.to_owned()).or_insert(fresh);
        if count.window_end != window_end {
            *count = fresh;
        }
        if count.counted + count.posting + count.pending >= limit {
            return Step::Refuse;
        }
        count.pending += 1;
        let is_due = count.pending >= (limit / BATCHES_PER_LIMIT).max(1) || now - count.posted_at >= POST_AFTER_SECONDS;
        if !is_due {
            return Step::Admit;
        }
        let calls = std::mem::take(&mut count.pending);
        count.posting += calls;
        count.posted_at = now;
        Step::Post(calls)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn window_end(now: Timestamp) -> i64 {
    (now.unix_seconds().div_euclid(WINDOW_SECONDS) + 1) * WINDOW_SECONDS
}

fn make_room(counts: &mut HashMap<String, Count>, window_end: i64) {
    if counts.len() >= MAX_CALLERS {
        counts.retain(|_, count| count.window_end == window_end);
    }
    if counts.len() >= MAX_CALLERS {
        counts.clear();
    }
}
