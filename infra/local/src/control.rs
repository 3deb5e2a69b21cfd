//! The control endpoints under `/_local`: health, tokens, the key set, the sandboxes and the schedules. Their
//! errors have the API's own form.

use crate::issuer::{Issuer, IssuerError};
use crate::market::{Market, Told};
use crate::sandbox::{Fault, Sandbox, VaultEntry};
use crate::schedules::{Report, RunError, Schedules};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use balance_ingest::{Ingest, IngestError, Payload};
use jsonwebtoken::jwk::JwkSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::domain::{SourceName, Timestamp};
use shared::http::{ApiError, Segments};
use shared::query::InvalidParameter;

/// Where functions find the issuer's keys.
pub(crate) const JWKS_PATH: &str = "/_local/jwks.json";
/// Every path of these routes.
pub(crate) const PATHS: &str = "/_local/{*path}";

/// The stack's own word once it is ready.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    /// Whether rates of any age price something here: tools that compute for themselves must know.
    rates_never_expire: bool,
}

impl Health {
    pub(crate) const fn new(rates_never_expire: bool) -> Self {
        Self { status: "ready", rates_never_expire }
    }
}

/// The one control endpoint that stands on every port.
pub(crate) fn health(health: Health) -> Router {
    Router::new().route("/_local/health", get(async move || Json(health)))
}

#[derive(Serialize)]
struct Token {
    token: String,
}

/// The parts of the stack that the endpoints control.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) issuer: Issuer,
    pub(crate) sandbox: Sandbox,
    pub(crate) market: Market,
    pub(crate) schedules: Schedules,
    pub(crate) ingest: Ingest,
    pub(crate) clock: Clock,
}

/// The routes, and the sandboxes beside them.
pub(crate) fn routes(control: Control, status: Health) -> Router {
    let sandboxes = control.sandbox.clone().routes().merge(control.market.clone().routes());
    Router::new()
        .route(JWKS_PATH, get(jwks))
        .route("/_local/tokens", post(token))
        .route("/_local/events", post(event))
        .route("/_local/schedules/{function}", post(schedule))
        .route("/_local/clock", put(clock))
        .route("/_local/custody/{vault}", put(vault))
        .route("/_local/bitgo/{coin}/{wallet}", put(wallet))
        .route("/_local/custody-faults", put(faults))
        .route("/_local/market/{source}", put(market))
        .with_state(control)
        .merge(health(status))
        .merge(sandboxes)
}

/// One delivery from the event bus: what AWS would put into the failure queue is a 422 with the same reason.
async fn event(
    State(control): State<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let rejected = |reason| {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(Rejected { result: "rejected", reason })).into_response()
    };
    let body = body.map_err(|error| InvalidParameter::new("body", error.to_string()))?;
    let event: Payload = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => return Ok(rejected(error.to_string())),
    };
    match control.ingest.invoked(event, control.clock.now()).await {
        Ok(accepted) => Ok(Json(accepted).into_response()),
        Err(IngestError::Malformed(reason) | IngestError::Rejected(reason)) => Ok(rejected(reason)),
        Err(IngestError::Store(error)) => Err(error.into()),
    }
}

#[derive(Serialize)]
struct Rejected {
    result: &'static str,
    reason: String,
}

async fn schedule(
    State(control): State<Control>,
    Segments(function): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Report>, ApiError> {
    let event = body.map_err(|error| InvalidParameter::new("body", error.to_string()))?;
    // Without an event, or with one that says nothing, the function runs as its schedule runs it.
    let report = if matches!(event.trim_ascii(), b"" | b"{}") {
        control.schedules.run(&function).await
    } else {
        control.schedules.invoke(&function, &event).await
    };
    match report {
        None => Err(ApiError::NotFound),
        Some(report) => report.map(Json).map_err(|error| match error {
            RunError::Event(message) => InvalidParameter::new("body", format!("{message}.")).into(),
            RunError::Failed(cause) => ApiError::Internal { cause },
        }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockEntry {
    now: Option<String>,
}

/// Sets the whole stack's clock, from where it goes on; without `now` it is the machine's again.
async fn clock(
    State(control): State<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    let ClockEntry { now } =
        parsed(&body, "{\"now\": an RFC 3339 date-time}, or {} for the machine's clock")?;
    match now {
        None => control.clock.reset(),
        Some(text) => {
            let malformed = |error| InvalidParameter::new("body", format!("`now` is {error}."));
            control.clock.set(Timestamp::parse(&text).map_err(malformed)?);
        }
    }
    Ok(Json(Done { result: "set" }))
}

async fn market(
    State(control): State<Control>,
    Segments(source): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    let source = SourceName::parse(&source).ok_or(ApiError::NotFound)?;
    let told: Told =
        parsed(&body, "{\"quotes\": {name: number or null}, \"status\"}, or {} for the standard quotes")?;
    if let Some(problem) = told.problem() {
        return Err(InvalidParameter::new("body", problem).into());
    }
    control.market.tell(source, told);
    Ok(Json(Done { result: "set" }))
}

async fn vault(
    State(control): State<Control>,
    Segments(id): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    let shape = "{\"assets\": [{\"id\", \"total\", \"available\", \"last_transaction_at\"}]}";
    let vault: VaultEntry = parsed(&body, shape)?;
    let malformed = |error| InvalidParameter::new("body", format!("`last_transaction_at` is {error}."));
    control.sandbox.set_vault(id, vault.dated(control.clock.now()).map_err(malformed)?);
    Ok(Json(Done { result: "set" }))
}

/// The body verbatim is what the sandbox of the BitGo API answers for the wallet.
async fn wallet(
    State(control): State<Control>,
    Segments((coin, wallet)): Segments<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    let answer = body.map_err(|error| InvalidParameter::new("body", error.to_string()))?;
    control.sandbox.set_wallet(format!("{coin}/{wallet}"), answer);
    Ok(Json(Done { result: "set" }))
}

async fn faults(
    State(control): State<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    let shape = "{\"status\", \"delay_ms\", \"body\", \"times\", \"path\"}, or {} to clear";
    if parsed::<Map<String, Value>>(&body, shape)?.is_empty() {
        control.sandbox.set_fault(None);
        return Ok(Json(Done { result: "cleared" }));
    }
    let fault: Fault = parsed(&body, shape)?;
    if !fault.is_sound() {
        return Err(
            InvalidParameter::new("body", "`status` must be a status of HTTP from 200 to 999.").into()
        );
    }
    control.sandbox.set_fault(Some(fault));
    Ok(Json(Done { result: "set" }))
}

#[derive(Serialize)]
struct Done {
    result: &'static str,
}

fn parsed<T: DeserializeOwned>(
    body: &Result<Bytes, BytesRejection>,
    shape: &str,
) -> Result<T, InvalidParameter> {
    let refused =
        |cause: String| InvalidParameter::new("body", format!("The body must be {shape}: {cause}."));
    let body = body.as_ref().map_err(|error| refused(error.to_string()))?;
    // A struct would also take its fields from an array, in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(refused("it is no JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| refused(error.to_string()))
}

async fn jwks(State(Control { issuer, .. }): State<Control>) -> Result<Json<JwkSet>, ApiError> {
    issuer.jwks().map(Json).map_err(|error| internal(&error))
}

async fn token(
    State(Control { issuer, clock, .. }): State<Control>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Token>, ApiError> {
    let claims = body.ok().and_then(|body| claims(&body));
    let claims =
        claims.ok_or_else(|| InvalidParameter::new("body", "The body must be a JSON object of claims."))?;
    let token = issuer.sign(claims, header(query)?, clock.now()).map_err(|error| internal(&error))?;
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
            _ => {
                return Err(InvalidParameter::new(
                    name,
                    "The only parameter is `header`, a percent-encoded JSON object.",
                ));
            }
        };
    }
    Ok(header)
}

fn internal(error: &IssuerError) -> ApiError {
    ApiError::Internal { cause: error.to_string() }
}
