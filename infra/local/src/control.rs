//! The control endpoints under `/_local`: health, tokens and the key set.

use crate::issuer::Issuer;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::Timestamp;

/// Where functions find the issuer's keys.
pub(crate) const JWKS_PATH: &str = "/_local/jwks.json";

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

/// The routes.
pub(crate) fn routes(issuer: Issuer) -> Router {
    Router::new()
        .route("/_local/health", get(async || Json(Health { status: "ready" })))
        .route(JWKS_PATH, get(jwks))
        .route("/_local/tokens", post(token))
        .with_state(issuer)
}

async fn jwks(State(issuer): State<Issuer>) -> Response {
    match issuer.jwks() {
        Ok(jwks) => Json(jwks).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn token(State(issuer): State<Issuer>, RawQuery(query): RawQuery, body: String) -> Response {
    let Some(claims) = object(&body) else {
        return refused(StatusCode::BAD_REQUEST, "The body must be a JSON object of claims.");
    };
    let Some(header) = header(query) else {
        return refused(StatusCode::BAD_REQUEST, "The only parameter is `header`, a percent-encoded JSON object.");
    };
    match issuer.sign(claims, header, Timestamp::now()) {
        Ok(token) => Json(Token { token }).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(if text.trim().is_empty() { "{}" } else { text }).ok()
}

fn header(query: Option<String>) -> Option<Map<String, Value>> {
    let pairs = shared::http::pairs(query).ok()?;
    match pairs.as_slice() {
        [] => Some(Map::new()),
        [(name, value)] if name == "header" => object(value),
        _ => None,
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    let error = if status.is_server_error() { "internal_error" } else { "invalid_request" };
    crate::refusal::refusal(status, error, message)
}
