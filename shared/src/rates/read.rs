//! One call to a source, tried again once where that can help.

use super::SourceError;
use crate::outgoing;
use backon::{ConstantBuilder, Retryable};
use reqwest::header::USER_AGENT;
use reqwest::{Client, RequestBuilder};
use std::time::Duration;

/// One attempt, its body included; two and the pause fit the run's time with ease.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest document, the exchange's, has some 20 KB.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
const RETRIES: usize = 1;
const PAUSE: Duration = Duration::from_millis(300);
/// Some servers answer nobody who does not say who they are.
const AGENT: &str = concat!("ballast/", env!("CARGO_PKG_VERSION"));

pub(super) fn client(base_url: &str) -> Result<Client, String> {
    outgoing::client(CALL_TIMEOUT, base_url)
}

/// The document that `request` (built anew for each attempt) is answered with.
pub(super) async fn document(request: impl Fn() -> RequestBuilder) -> Result<Vec<u8>, SourceError> {
    let attempt = || async {
        let answer = outgoing::send(request().header(USER_AGENT, AGENT), MAX_DOCUMENT_BYTES).await;
        let answer = answer.map_err(SourceError::Unavailable)?;
        match answer.status {
            200 => Ok(answer.body),
            429 => Err(SourceError::Throttled),
            500.. => Err(SourceError::Unavailable(format!("status {}", answer.status))),
            _ => Err(SourceError::Nonsense(format!("status {}", answer.status))),
        }
    };
    let pauses = ConstantBuilder::default().with_delay(PAUSE).with_max_times(RETRIES);
    attempt.retry(pauses).when(|error| matches!(error, SourceError::Unavailable(_))).await
}
