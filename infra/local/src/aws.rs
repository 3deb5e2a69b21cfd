//! The endpoint of AWS's own tools: the DynamoDB protocol, and the calls by which Lambda functions are
//! invoked, on one endpoint.

use crate::schedules::Schedules;
use crate::{control, dynamodb};
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use shared::clock::Clock;
use tower::ServiceExt;

/// Where a function is invoked, as Lambda's API has it.
const INVOCATIONS: &str = "/2015-03-31/functions/{function}/invocations";
const INVOCATIONS_PREFIX: &str = "/2015-03-31/functions/";
const INVOCATIONS_SUFFIX: &str = "/invocations";
/// Set when the function ran and failed; the body says why.
const FUNCTION_ERROR: &str = "x-amz-function-error";
const ERROR_TYPE: &str = "x-amzn-errortype";

/// The endpoint's routes, control endpoints aside.
pub(crate) fn routes(
    embedded: dynamodb::Embedded,
    schedules: Schedules,
    health: control::Health,
    clock: Clock,
) -> Router {
    let lambda = Router::new().route(INVOCATIONS, post(invoke)).with_state(schedules);
    dynamodb::routes(embedded, clock).merge(lambda).merge(control::health(health))
}

/// Lets tools that were given the API's URL find this endpoint there too.
pub(crate) async fn beside(State(aws): State<Router>, request: Request, next: Next) -> Response {
    let (path, is_post) = (request.uri().path(), request.method() == Method::POST);
    let is_invocation = path.starts_with(INVOCATIONS_PREFIX) && path.ends_with(INVOCATIONS_SUFFIX);
    let is_for_aws = is_post && (is_invocation || (path == "/" && dynamodb::is_target(request.headers())));
    if is_for_aws { aws.oneshot(request).await.into_response() } else { next.run(request).await }
}

#[derive(Serialize)]
struct Failure {
    #[serde(rename = "errorMessage")]
    message: String,
    #[serde(rename = "errorType")]
    kind: &'static str,
}

/// Runs a scheduled function now. Locally it goes by its binary's name, after whatever a stack's name puts
/// before it.
async fn invoke(State(schedules): State<Schedules>, Path(function): Path<String>, event: Bytes) -> Response {
    match schedules.invoke(&function, &event).await {
        None => {
            let refused = Failure {
                message: format!("Function not found: {function}"),
                kind: "ResourceNotFoundException",
            };
            (StatusCode::NOT_FOUND, [(ERROR_TYPE, refused.kind)], Json(refused)).into_response()
        }
        Some(Ok(report)) => Json(report).into_response(),
        Some(Err(message)) => {
            ([(FUNCTION_ERROR, "Unhandled")], Json(Failure { message: message.to_string(), kind: "Error" }))
                .into_response()
        }
    }
}
