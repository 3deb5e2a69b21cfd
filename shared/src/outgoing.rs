//! Calls to other people's servers: a time-out each, no redirects, and no more of a body than is wanted.

use crate::config::is_loopback;
use flate2::read::MultiGzDecoder;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use std::io::Read;
use std::time::Duration;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Begins whatever gzip has compressed, and no JSON, XML or zip archive.
const GZIP: &[u8] = b"\x1F\x8B";
/// Connecting takes a round trip or two; a server that cannot be reached is known soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// One answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body: without a byte-order mark, and not compressed even if the server did so unasked.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the body is a web page: of somebody between the server and us, such as a network that asks for
    /// patience, and no word of the server's.
    #[must_use]
    pub fn is_web_page(&self) -> bool {
        let start = self.body.trim_ascii_start();
        let begins = |with: &str| {
            start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
        };
        begins("<!doctype html") || begins("<html")
    }
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
    let body = if body.starts_with(GZIP) { unzipped(&body, max_bytes)? } else { body };
    let body = body.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(body);
    Ok(Answer { status, headers, body })
}

fn unzipped(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let (mut decoder, mut plain) = (MultiGzDecoder::new(body).take(limit.saturating_add(1)), Vec::new());
    decoder.read_to_end(&mut plain).map_err(|error| format!("the compressed answer is broken: {error}"))?;
    if plain.len() > max_bytes {
        return Err(format!("the answer is longer than {max_bytes} bytes"));
    }
    Ok(plain)
}

fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    std::iter::successors(std::error::Error::source(&error), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
