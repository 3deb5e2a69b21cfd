//! Reads ahead at a start, while Lambda still gives the process its full CPU.

use std::time::Duration;
use tokio::time::timeout;

/// How long a start waits for the store; Lambda gives a start 10 s in all.
const WARM_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs a start's reads, which log their own failures. A store that hangs is not waited for: the first
/// request will try again, and can answer for itself.
pub async fn warm(reads: impl Future) {
    if timeout(WARM_TIMEOUT, reads).await.is_err() {
        tracing::warn!("the store did not answer at start");
    }
}
