//! One call to a source, tried again once where that can help.

use crate::outgoing;
use crate::rates::SourceError;
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
///
/// `refusal` reads the vendor's own error body, whatever status it comes with; `None` leaves the answer to
/// its status.
pub(super) async fn document(
    request: impl Fn() -> RequestBuilder,
    refusal: impl Fn(&[u8]) -> Option<SourceError>,
) -> Result<Vec<u8>, SourceError> {
    let attempt = || async {
        let answer = outgoing::send(request().header(USER_AGENT, AGENT), MAX_DOCUMENT_BYTES).await;
        let answer = answer.map_err(SourceError::Unavailable)?;
        let status = answer.status;
        if let Some(refusal) = refusal(&answer.body) {
            return Err(refusal);
        }
        match status {
            429 => Err(SourceError::Throttled),
            _ if answer.is_web_page() => {
                Err(SourceError::Unavailable(format!("status {status}, a web page")))
            }
            200 => Ok(answer.body),
            408 | 500.. => Err(SourceError::Unavailable(format!("status {status}"))),
            _ => Err(SourceError::Nonsense(format!("status {status}"))),
        }
    };
    let pauses = ConstantBuilder::default().with_delay(PAUSE).with_max_times(RETRIES);
    attempt.retry(pauses).when(|error| matches!(error, SourceError::Unavailable(_))).await
}
