//! One call to a provider: within the budget, tried again while that can help, and its failures sorted.

use super::ProviderError;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::outgoing::{self, Answer};
use crate::store::{RateLimiter, RateVerdict};
use backon::{ExponentialBuilder, Retryable};
use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One attempt, its body included. Three of them and the pauses fit the 10 s of a whole read.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// A page of 500 vaults with dozens of assets each.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// An allotment is renewed with every scheduled run.
const ALLOTMENT_SECONDS: i64 = 60;
const MAX_RETRIES: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A provider that asks for a longer pause is not waited for.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Calls that this process may still make to a provider, whatever the budget of all allows: as many as it
/// wants, but during a sweep that shares the budget with others.
#[derive(Debug)]
pub struct Allotment(AtomicU64);

/// Lifts the limits of some allotments when the sweep that they were set for has ended.
#[derive(Debug)]
pub(super) struct SweepAllotment<'a>(pub(super) &'a [Arc<Allotment>]);

impl Drop for SweepAllotment<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|allotment| allotment.renew(u64::MAX));
    }
}

impl Default for Allotment {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Allotment {
    /// Starts anew with so many calls.
    pub fn renew(&self, calls: u64) {
        self.0.store(calls, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        let less = |left: u64| if left == u64::MAX { Some(left) } else { left.checked_sub(1) };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// How calls are made to one provider: with a budget that all instances share.
#[derive(Debug, Clone)]
pub struct Budget {
    limiter: RateLimiter,
    /// Whose credentials the budget belongs to.
    key: &'static str,
    allotment: Arc<Allotment>,
    clock: Clock,
}

impl Budget {
    /// The budget of one provider's credentials.
    #[must_use]
    pub const fn new(
        limiter: RateLimiter,
        key: &'static str,
        allotment: Arc<Allotment>,
        clock: Clock,
    ) -> Self {
        Self { limiter, key, allotment, clock }
    }

    /// The clock by which calls are counted, signed and given up.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn draw(&self) -> Result<(), ProviderError> {
        if !self.allotment.take() {
            return Err(ProviderError::OverBudget { retry_after_seconds: ALLOTMENT_SECONDS });
        }
        let verdict = self.limiter.check(self.key, self.now()).await;
        within(verdict).map_err(|retry_after_seconds| ProviderError::OverBudget { retry_after_seconds })
    }
}

/// Whether a budget allows it; if not, in how many seconds. What could not be counted is allowed, and an
/// alarm is told.
pub(super) fn within(verdict: RateVerdict) -> Result<(), i64> {
    match verdict {
        RateVerdict::Admitted => Ok(()),
        RateVerdict::AdmittedUncounted => {
            tracing::warn!(limiter = "unreachable", "a budget was not counted");
            Ok(())
        }
        RateVerdict::Refused { retry_after_seconds } => Err(retry_after_seconds),
    }
}

/// Sends what `request` builds (anew for each attempt) until its answer is a success and a `T`, or trying
/// again cannot help.
///
/// `refusal` sorts an answer of the provider that is no success.
pub(super) async fn get<T: DeserializeOwned>(
    budget: &Budget,
    request: impl Fn() -> Result<RequestBuilder, ProviderError>,
    refusal: impl Fn(&Answer) -> ProviderError,
) -> Result<(T, HeaderMap), ProviderError> {
    let attempt = || async {
        budget.draw().await?;
        let answer =
            outgoing::send(request()?, MAX_ANSWER_BYTES).await.map_err(ProviderError::Unavailable)?;
        match answer.status {
            200 => Ok((parse(&answer)?, answer.headers)),
            429 => Err(ProviderError::Throttled { retry_after: retry_after(&answer) }),
            // A success of another kind has not, or not all, of what was asked.
            201..300 | 408 | 500.. => Err(ProviderError::Unavailable(format!("status {}", answer.status))),
            // Somebody between the provider and us: nothing that it says is about the account.
            _ if is_page(&answer) => {
                Err(ProviderError::Unavailable(format!("status {}, a web page", answer.status)))
            }
            _ => Err(refusal(&answer)),
        }
    };
    let pauses =
        ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(MAX_RETRIES).with_jitter();
    attempt.retry(pauses).when(is_passing).adjust(pause).await
}

fn is_page(answer: &Answer) -> bool {
    answer.body.trim_ascii_start().starts_with(b"<")
}

/// A body that is no JSON is somebody else's page, or cut: another try may bring the real one. JSON of
/// another shape is meant.
fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|error| match error.classify() {
        Category::Data => ProviderError::Nonsense(format!("line {} column {}", error.line(), error.column())),
        Category::Io | Category::Syntax | Category::Eof => {
            ProviderError::Unavailable("the body is not JSON, or cut".to_owned())
        }
    })
}

const fn is_passing(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unavailable(_) | ProviderError::Throttled { .. })
}

/// The provider's own pause, if it names one that can be waited for; `None` ends the attempts.
fn pause(error: &ProviderError, planned: Option<Duration>) -> Option<Duration> {
    match error {
        ProviderError::Throttled { retry_after: Some(asked) } if *asked > MAX_PAUSE => None,
        ProviderError::Throttled { retry_after: Some(asked) } => planned.map(|planned| planned.max(*asked)),
        _ => planned,
    }
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
