//! Calls to other people's servers: a time-out each, no redirects, and no more of a body than is wanted.

use crate::config::is_loopback;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use std::time::Duration;

/// Connecting takes a round trip or two; a server that cannot be reached is known soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// One answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// A client for the server of `base_url`, whose calls, bodies included, end within `timeout`.
pub fn client(timeout: Duration, base_url: &str) -> Result<Client, String> {
    let builder =
        Client::builder().timeout(timeout).connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none());
    // This machine is never reached through a proxy.
    let builder = if is_loopback(base_url) { builder.no_proxy() } else { builder };
    builder.build().map_err(without_url)
}

/// Sends a request and reads at most `max_bytes` of its answer. The error is for a log: it names no URL.
pub async fn send(request: RequestBuilder, max_bytes: usize) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(without_url)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(without_url)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(format!("the answer is longer than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    std::iter::successors(std::error::Error::source(&error), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
