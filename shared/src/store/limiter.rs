//! The rate limit: calls per caller, route group and clock minute, counted in the store by all instances
//! together.
//!
//! An instance counts by itself and posts its count in batches, so most calls cost no write. One instance
//! alone is exact. With `n` instances, each can admit less than one batch before it learns what the others
//! counted: at most `n × (batch − 1)` calls beyond the limit in a minute, where the batch is a fiftieth of
//! the limit, at least one. A limit below 100 has a batch of one and is exact over all instances.
//!
//! A request that reads much weighs more than one call. Its reads are known at its end, so it is charged
//! then.
//!
//! A limiter must not take the system down: while the counter cannot be reached, every instance limits by its
//! own count alone. A batch whose outcome is unknown is not posted again, because it may have been counted:
//! callers are given the doubt.

use super::Store;
use crate::domain::Timestamp;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Seconds of a window: one clock minute.
const WINDOW_SECONDS: i64 = 60;
/// A batch is this fraction of the limit.
const BATCHES_PER_LIMIT: u64 = 50;
/// After this many seconds a quarter of a batch is posted too, so that other instances learn of a slow
/// caller.
const POST_AFTER_SECONDS: i64 = 2;
/// A counter that does not answer within this is not waited for.
const POST_TIMEOUT: Duration = Duration::from_millis(500);
/// Callers one instance counts at once; beyond, it forgets those of past minutes, then those it has posted,
/// and at last all.
const MAX_CALLERS: usize = 10_000;

/// How the limiter decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateVerdict {
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

/// One instance's knowledge of one caller's minute.
#[derive(Debug, Clone, Copy)]
struct Count {
    window_end: i64,
    /// Admitted here.
    own: u64,
    /// Of those, posted, whether or not the outcome is known.
    posted: u64,
    /// Admitted by others, when the counter last answered.
    others: u64,
    /// A post is under way.
    is_posting: bool,
    posted_at: i64,
}

/// The first decision on a call, without the store.
enum LocalDecision {
    Refuse,
    Admit,
    /// Admit if the counter agrees.
    Post(Batch),
}

/// Calls that are to be posted.
struct Batch {
    calls: u64,
    /// All that this instance has posted then.
    posted: u64,
    /// The end of the minute that they count in.
    window_end: i64,
}

impl RateLimiter {
    /// A limiter for a group of routes; 0 per minute is no limit.
    #[must_use]
    pub fn new(store: Store, group: &'static str, per_minute: u64) -> Self {
        Self { store, group, per_minute: NonZeroU64::new(per_minute), counts: Arc::default() }
    }

    /// Counts one call and decides on it.
    pub async fn check(&self, caller: &str, now: Timestamp) -> RateVerdict {
        let Some(limit) = self.per_minute.map(NonZeroU64::get) else { return RateVerdict::Admitted };
        let retry_after_seconds = (window_end(now) - now.unix_seconds()).max(1);
        let refused = RateVerdict::Refused { retry_after_seconds };
        match self.count(caller, limit, now) {
            LocalDecision::Refuse => refused,
            LocalDecision::Admit => RateVerdict::Admitted,
            LocalDecision::Post(batch) => match self.post(caller, batch).await {
                Some(counted) if counted > limit => refused,
                Some(_) => RateVerdict::Admitted,
                None => RateVerdict::AdmittedUncounted,
            },
        }
    }

    /// Counts further calls, for an admitted one that turned out to weigh as much. They are never refused,
    /// but the caller's next call may be.
    pub async fn charge(&self, caller: &str, calls: u64, now: Timestamp) {
        let Some(limit) = self.per_minute.map(NonZeroU64::get).filter(|_| calls > 0) else { return };
        let batch = self.with_count(caller, now, |count| {
            count.own += calls;
            count.batch(limit, now)
        });
        if let Some(batch) = batch {
            self.post(caller, batch).await;
        }
    }

    /// Posts a batch, and returns the sum of all instances unless the counter could not be reached.
    async fn post(&self, caller: &str, batch: Batch) -> Option<u64> {
        let Batch { calls, posted, window_end } = batch;
        let mut post = Post { limiter: self, caller, window_end, others: None };
        let key = format!("{}#{}", self.group, caller);
        let answer = tokio::time::timeout(POST_TIMEOUT, self.store.add_calls(&key, calls, window_end)).await;
        let counted = answer.ok()?.ok()?;
        post.others = Some(counted.saturating_sub(posted));
        Some(counted)
    }

    /// The instance's own part: refuses a call that it knows to be one too many, and says when to post.
    fn count(&self, caller: &str, limit: u64, now: Timestamp) -> LocalDecision {
        self.with_count(caller, now, |count| {
            if count.own + count.others >= limit {
                return LocalDecision::Refuse;
            }
            count.own += 1;
            count.batch(limit, now).map_or(LocalDecision::Admit, LocalDecision::Post)
        })
    }

    /// Looks at the caller's count of this minute.
    fn with_count<T>(&self, caller: &str, now: Timestamp, look: impl FnOnce(&mut Count) -> T) -> T {
        let window_end = window_end(now);
        let mut counts = self.lock();
        if !counts.contains_key(caller) {
            make_room(&mut counts, window_end);
        }
        let posted_at = now.unix_seconds();
        let fresh = Count { window_end, own: 0, posted: 0, others: 0, is_posting: false, posted_at };
        let count = counts.entry(caller.to_owned()).or_insert(fresh);
        // A call of the minute before that comes late counts in the new one. A count of a later minute than
        // the next is of a clock that has been set back.
        let is_late = count.window_end == window_end + WINDOW_SECONDS;
        if count.window_end != window_end && !is_late {
            *count = fresh;
        }
        look(count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// The calls that are not posted yet, if they are due: a whole batch, or a quarter of one after a while.
    fn batch(&mut self, limit: u64, now: Timestamp) -> Option<Batch> {
        let (batch, now) = ((limit / BATCHES_PER_LIMIT).max(1), now.unix_seconds());
        let calls = self.own - self.posted;
        let is_due =
            calls >= batch || (now - self.posted_at >= POST_AFTER_SECONDS && calls >= batch.div_ceil(4));
        if self.is_posting || !is_due {
            return None;
        }
        (self.posted, self.is_posting, self.posted_at) = (self.own, true, now);
        Some(Batch { calls, posted: self.posted, window_end: self.window_end })
    }
}

/// A post under way; its end is noted however it ends, a caller who hangs up included.
struct Post<'a> {
    limiter: &'a RateLimiter,
    caller: &'a str,
    window_end: i64,
    others: Option<u64>,
}

impl Drop for Post<'_> {
    fn drop(&mut self) {
        let mut counts = self.limiter.lock();
        if let Some(count) = counts.get_mut(self.caller).filter(|count| count.window_end == self.window_end) {
            count.is_posting = false;
            count.others = count.others.max(self.others.unwrap_or_default());
        }
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
        counts.retain(|_, count| count.is_posting || count.posted < count.own);
    }
    if counts.len() >= MAX_CALLERS {
        counts.clear();
    }
}
