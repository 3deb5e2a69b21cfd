//! Paths: which could be routes at all, and their segments.
//!
//! A route is what it is literally: a path that needs decoding or cleaning is none, and no layer below has to
//! decode one. A segment that no escape is needed for may still be a malformed id, which is the route's to
//! say.

use super::ApiError;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

/// Longest path that could be a route.
const MAX_PATH_BYTES: usize = 8_192;
/// Characters that a segment may hold unescaped, beside letters and digits (RFC 3986 section 3.3).
const SEGMENT_MARKS: &[u8] = b"-._~!$&'()*+,;=:@";

/// Segments without escapes, none empty, none of dots.
pub(super) fn could_be_route(path: &str) -> bool {
    let is_plain = |segment: &str| {
        segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || SEGMENT_MARKS.contains(&byte))
    };
    let is_segment = |segment: &str| is_plain(segment) && !segment.bytes().all(|byte| byte == b'.');
    path.len() <= MAX_PATH_BYTES && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

/// Answers 404 to what only decoding would make a route.
pub(super) async fn literal(request: Request, next: Next) -> Response {
    if could_be_route(request.uri().path()) {
        next.run(request).await
    } else {
        ApiError::NotFound.into_response()
    }
}

/// The variable segments of a route's path, as texts. A handler that asks for others than its route has is
/// our fault.
#[derive(Debug, Clone)]
pub struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segments = Path::from_request_parts(parts, state).await;
        segments
            .map(|Path(segments)| Self(segments))
            .map_err(|error| ApiError::Internal { cause: error.to_string() })
    }
}
