//! HTTP around the functions: what every route shares, and the one place that knows status codes.
//!
//! A function brings a router of its routes; [`service`] puts the fallbacks and layers around it, the same
//! under Lambda and locally. Outermost first: `observe` (request id, clock, log line, error bodies), panics,
//! then entity tags and compression.

mod code;
mod error;
mod gap;
mod gate;
mod incomplete;
mod number;
mod observe;
mod operation;
mod params;
mod path;
mod receipt;
mod reply;
pub mod schema;
mod serve;
mod warm;
mod weight;

pub use code::ErrorCode;
pub use error::{ApiError, ErrorBody, Narrowing, Needed};
pub use gap::{GapBody, GapsBody};
pub use gate::{API_KEY, Authenticated, Gate};
pub use number::{AMOUNTS, AmountForm, Number};
pub use observe::{Deadline, REQUEST_ID, RequestTime};
pub use operation::{Answer, Operation};
pub use params::{no_parameters, pairs};
pub use path::Segments;
pub use receipt::RateReceipt;
pub use reply::{KNOWN_AT, MAX_BODY_BYTES, image, json, json_of_now, known_at};
pub use serve::{handler, serve};
pub use warm::warm;

use crate::clock::Clock;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

/// The routes with everything around them: 404 and 405 bodies, literal paths, panics, tags, compression,
/// request ids and the log line.
pub fn service(routes: Router, clock: Clock) -> Router {
    routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn(path::literal))
        .layer(from_fn(reply::finish))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(clock, observe::observe))
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // A panic on another thread, or before the hook was set, leaves nothing to take.
    let cause = crate::telemetry::take_panic().unwrap_or_else(|| "panic".to_owned());
    ApiError::Internal { cause }.into_response()
}
