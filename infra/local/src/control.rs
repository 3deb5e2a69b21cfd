//! The control endpoints under `/_local`: health, tokens and the key set. Their errors have the API's own form.

use crate::issuer::{Issuer, IssuerError};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::Timestamp;
use shared::http::ApiError;
use shared::query::InvalidParameter;

/// Where functions find the issuer's keys.
pub(crate) const JWKS_PATH: &str = "/_local/jwks.json";
/// Every path of these routes.
pub(crate) const PATHS: &str = "/_local/{*path}";

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

async fn jwks(State(issuer): State<Issuer>) -> Result<Json<JwkSet>, ApiError> {
    issuer.jwks().map(Json).map_err(|error| internal(&error))
}

async fn token(
    State(issuer): State<Issuer>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Token>, ApiError> {
    let claims = body.ok().and_then(|body| claims(&body));
    let claims = claims.ok_or_else(|| InvalidParameter::new("body", "The body must be a JSON object of claims."))?;
    let token = issuer.sign(claims, header(query)?, Timestamp::now()).map_err(|error| internal(&error))?;
    Ok(Json(Token { token }))
}

fn claims(body: &[u8]) -> Option<Map<String, Value>> {
    if body.is_empty() { Some(Map::new()) } else { serde_json::from_slice(body).ok() }
}

fn header(query: Option<String>) -> Result<Map<String, Value>, InvalidParameter> {
    let mut header = Map::new();
    for (name, value) in shared::http::pairs(query)? {
        header = match serde_json::from_str(&value) {
            Ok(fields) if name == "header" => fields,
            _ => return Err(InvalidParameter::new(name, "The only parameter is `header`, a percent-encoded JSON object.")),
        };
    }
    Ok(header)
}

fn internal(error: &IssuerError) -> ApiError {
    ApiError::Internal { cause: error.to_string() }
}
