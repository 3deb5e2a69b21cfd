//! How the guard refuses, in the form of the API's errors: no function ever sees such a request.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::http::REQUEST_ID;
use uuid::Uuid;

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    request_id: &'a str,
}

/// A refusal of a known code.
pub(crate) fn refusal(status: StatusCode, error: &str, message: &str) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let body = Json(Body { error, message, details: Details { request_id: &request_id } });
    (status, [(REQUEST_ID, request_id.clone())], body).into_response()
}
