//! A read's answer on its way out: size limit, entity tag, 304, gzip.
//!
//! The tag is a hash of the body, so the work of the answer is done before a 304 is given: a caller who lost
//! the right to see it gets the 403, not a 304.

use super::{ApiError, Narrowing};
use crate::domain::Timestamp;
use aws_lc_rs::digest;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::Write;

/// Largest body before compression: escaping and base64 eat the rest of Lambda's 6 MB.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Longest body as the JSON string that Lambda's answer holds it in, of at most 6 MB with its headers. A body
/// of many quotes is escaped to twice its length.
const MAX_ESCAPED_BYTES: usize = 5_500_000;
/// Bodies up to this are not worth compressing.
const MIN_GZIP_BYTES: usize = 1024;
/// Bytes of the body's SHA-256 that make its tag.
const TAG_BYTES: usize = 16;
/// Ends the tag of a compressed body.
const GZIP_SUFFIX: &str = "-gzip";

/// The tag of an answer whose body says more than it was asked, such as the time of asking.
#[derive(Debug, Clone)]
struct WeakTag(String);

/// A 200 with a JSON body of at most [`MAX_BODY_BYTES`], and of [`MAX_ESCAPED_BYTES`] as a JSON string. Both
/// limits hold whether the client takes gzip or not, so that the same request has the same answer.
pub fn json(body: &impl Serialize, narrowing: Narrowing) -> Result<Response, ApiError> {
    let bytes = bytes(body)?;
    if bytes.len() > MAX_BODY_BYTES || escaped_length(&bytes) > MAX_ESCAPED_BYTES {
        return Err(ApiError::body_too_large(narrowing));
    }
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response())
}

/// The length of a JSON text as a JSON string. A JSON text has no control characters but as escapes.
fn escaped_length(text: &[u8]) -> usize {
    text.len() + text.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// As [`json`], for a body that names the time of the request: its tag is weak and made of `timeless`, the
/// body without it.
pub fn json_of_now(
    body: &impl Serialize,
    timeless: &impl Serialize,
    narrowing: Narrowing,
) -> Result<Response, ApiError> {
    let mut response = json(body, narrowing)?;
    response.extensions_mut().insert(WeakTag(tag(&bytes(timeless)?)));
    Ok(response)
}

/// The header that says what to ask with as `known_at` to have this answer again, but for entries that were
/// recorded while it was made.
pub const KNOWN_AT: &str = "x-known-at";

/// The answer with its `X-Known-At`, the time of the request.
#[must_use]
pub fn known_at(mut response: Response, now: Timestamp) -> Response {
    // A printed instant is always a header's value.
    if let Ok(value) = HeaderValue::from_str(&now.to_millis_text()) {
        response.headers_mut().insert(KNOWN_AT, value);
    }
    response
}

/// An SVG image that anybody may see and keep for a day.
#[must_use]
pub fn image(svg: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, svg).into_response()
}

fn bytes(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|error| ApiError::Internal { cause: error.to_string() })
}

/// Gives a successful read its tag, and its body only if the caller does not have it already.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (known_tags, accepts_gzip) =
        (text(request.headers(), IF_NONE_MATCH.as_str()), accepts_gzip(request.headers()));
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    tagged(response, &known_tags, accepts_gzip)
        .await
        .unwrap_or_else(|cause| ApiError::Internal { cause }.into_response())
}

async fn tagged(response: Response, known_tags: &str, accepts_gzip: bool) -> Result<Response, String> {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| error.to_string())?;
    let (weak, tag) = match head.extensions.remove::<WeakTag>() {
        Some(WeakTag(tag)) => ("W/", tag),
        None => ("", tag(&body)),
    };
    let is_compressed = accepts_gzip && body.len() > MIN_GZIP_BYTES;
    let suffix = if is_compressed { GZIP_SUFFIX } else { "" };
    let sent_tag =
        HeaderValue::from_str(&format!("{weak}\"{tag}{suffix}\"")).map_err(|error| error.to_string())?;
    head.headers.insert(ETAG, sent_tag);
    // An answer that brings its own policy is public, whoever asks.
    if head.headers.contains_key(CACHE_CONTROL) {
        head.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    } else {
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        head.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding, Authorization, X-Api-Key"));
    }
    head.headers.remove(CONTENT_LENGTH);
    if matches(known_tags, &tag) {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(CONTENT_TYPE);
        return Ok(Response::from_parts(head, Body::empty()));
    }
    if !is_compressed {
        return Ok(Response::from_parts(head, Body::from(body)));
    }
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let compressed = gzip(&body).map_err(|error| error.to_string())?;
    Ok(Response::from_parts(head, Body::from(compressed)))
}

fn tag(body: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, body);
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..TAG_BYTES).unwrap_or_default())
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// Weak comparison (RFC 9110 section 8.8.3.2), and the compressed body's tag stands for the same answer.
fn matches(known_tags: &str, tag: &str) -> bool {
    let mut known =
        known_tags.split(',').map(str::trim).map(|known| known.strip_prefix("W/").unwrap_or(known));
    known.any(|known| {
        let opaque = known.strip_prefix('"').and_then(|known| known.strip_suffix('"'));
        known == "*" || opaque.is_some_and(|opaque| opaque.strip_suffix(GZIP_SUFFIX).unwrap_or(opaque) == tag)
    })
}

/// Whether gzip is acceptable (RFC 9110 section 12.5.3): named, or covered by `*`, and not with a weight of
/// zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let weight_of = |coding: &str| {
        let accepted = text(headers, ACCEPT_ENCODING.as_str());
        let entry = accepted.split(',').find(|entry| {
            entry.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(coding))
        });
        entry.map(|entry| !entry.split(';').skip(1).any(is_zero_weight))
    };
    weight_of("gzip").or_else(|| weight_of("*")).unwrap_or(false)
}

fn is_zero_weight(parameter: &str) -> bool {
    let weight = parameter.trim().split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| {
        weight.trim().trim_start_matches('0').trim_start_matches('.').trim_matches('0').is_empty()
    })
}

/// All lines of a list header as one.
fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_negotiated_by_the_rules() {
        let rows = [
            ("gzip", true),
            ("GZIP", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("deflate, *;q=0.1", true),
            ("gzip; q=1.0", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("x-gzip2", false),
        ];
        for (accepted, expected) in rows {
            let headers = [(ACCEPT_ENCODING, HeaderValue::from_static(accepted))].into_iter().collect();
            assert_eq!(accepts_gzip(&headers), expected, "{accepted}");
        }
    }

    #[test]
    fn a_known_tag_is_recognised_in_every_spelling() {
        let rows = [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"abc-gzip\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("", false),
            ("abc", false),
            ("\"ab\"", false),
            ("\"abc-br\"", false),
        ];
        for (known, expected) in rows {
            assert_eq!(matches(known, "abc"), expected, "{known}");
        }
    }
}
