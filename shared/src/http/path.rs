//! Paths: which could be routes at all, and their segments.
//!
//! Every segment of ours is made of unreserved characters, so a path that needs decoding or cleaning is none of them, and no
//! layer below has to decode one.

use super::ApiError;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

/// Longest path that could be a route.
const MAX_PATH_BYTES: usize = 1_024;

/// Segments of unreserved characters, none empty, none of dots.
pub(super) fn could_be_route(path: &str) -> bool {
    let is_plain = |segment: &str| segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let is_segment = |segment: &str| is_plain(segment) && !segment.bytes().all(|byte| byte == b'.');
    path.len() <= MAX_PATH_BYTES && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

/// Answers 404 to what only decoding would make a route.
pub(super) async fn literal(request: Request, next: Next) -> Response {
    if could_be_route(request.uri().path()) { next.run(request).await } else { ApiError::NotFound.into_response() }
}

/// The variable segments of a route's path, as texts. A handler that asks for others than its route has is our fault.
#[derive(Debug, Clone)]
pub struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segments = Path::from_request_parts(parts, state).await;
        segments.map(|Path(segments)| Self(segments)).map_err(|error| ApiError::Internal { cause: error.to_string() })
    }
}
