//! The outermost layer: one id, one clock reading and one log line per request.

use super::error::{self, ApiError};
use super::weight::Weight;
use crate::clock::Clock;
use crate::cost::{costed_line, costed_within_budget};
use crate::domain::Timestamp;
use crate::telemetry::REQUEST_SPAN;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lambda_http::RequestExt;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

/// The header that every response carries.
pub const REQUEST_ID: &str = "x-request-id";
/// A request that takes longer is given up, before Lambda (20 s) or the gateway (30 s) would answer it in
/// their words.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Any other method is the caller's invention and not worth a line's space.
const STANDARD_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The request's one clock reading.
#[derive(Debug, Clone, Copy)]
pub struct RequestTime(pub Timestamp);

impl<S: Sync> FromRequestParts<S> for RequestTime {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        noted(parts)
    }
}

/// When the request is given up: work that would not be done by then is not begun.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        noted(parts)
    }
}

/// A fact that [`observe`] has noted of the request.
fn noted<T: Copy + Send + Sync + 'static>(parts: &Parts) -> Result<T, ApiError> {
    let missing = || ApiError::Internal { cause: "a request came past `observe`".to_owned() };
    parts.extensions.get().copied().ok_or_else(missing)
}

/// Runs the request in a span of its own, renders its error, and logs its line.
pub(super) async fn observe(State(clock): State<Clock>, mut request: Request, next: Next) -> Response {
    let request_id = request_id(&request);
    let (now, weight) = (clock.now(), Weight::default());
    request.extensions_mut().insert(RequestTime(now));
    request.extensions_mut().insert(weight.clone());
    request.extensions_mut().insert(Deadline(Instant::now() + REQUEST_TIMEOUT));
    let span = span(&request, &request_id);
    // Boxed, because the runtime's futures nest around it.
    let work = costed_within_budget(Box::pin(async {
        let response = timeout(REQUEST_TIMEOUT, next.run(request)).await;
        weight.charge(now).await;
        response
    }));
    let (response, cost) = work.instrument(span.clone()).await;
    let late = |_| {
        ApiError::ServiceUnavailable { cause: format!("no answer within {REQUEST_TIMEOUT:?}") }
            .into_response()
    };
    let response = response.unwrap_or_else(late);
    let (mut response, error) = error::render(response, &request_id);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let (error, cause) =
        (error.as_ref().map(|error| error.code().name()), error.as_ref().and_then(ApiError::cause));
    span.in_scope(|| {
        if status >= 500 {
            costed_line!(error, cost, "request failed", status, server_errors = 1, error, cause);
        } else {
            costed_line!(info, cost, "request", status, server_errors = 0, error, cause);
        }
    });
    response
}

/// Lambda's id where there is one, so that our lines and its reports agree.
fn request_id(request: &Request) -> String {
    let lambda = request.lambda_context_ref().map(|context| context.request_id.clone());
    lambda.filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string())
}

fn span(request: &Request, request_id: &str) -> Span {
    // The route's pattern, not the path: paths can carry ids, and junk paths are the caller's words.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let method =
        if STANDARD_METHODS.contains(request.method()) { request.method().as_str() } else { "other" };
    tracing::info_span!(
        REQUEST_SPAN,
        request_id,
        method,
        route,
        caller = field::Empty,
        limiter = field::Empty
    )
}
