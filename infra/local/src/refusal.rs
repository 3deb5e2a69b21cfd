//! How the stack itself refuses: the same shape as the API's errors, without a request behind it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    message: &'a str,
    details: Details,
}

#[derive(Serialize)]
struct Details {}

/// An error of the local stack.
pub(crate) fn refusal(status: StatusCode, error: &str, message: &str) -> Response {
    (status, Json(Body { error, message, details: Details {} })).into_response()
}
