//! The Lambda runtime around a function's routes, behind a guard.
//!
//! `lambda_http` builds a URI from API Gateway's already decoded path, its query and the caller's `Host`, and
//! panics or reroutes where that is no URI. The guard leaves it nothing to stumble over: what no route of
//! ours needs is dropped from the event, and a path that could not be a route becomes one that is none. So
//! every event, however hostile, is answered by the routes themselves, with their bodies and log lines. An
//! event that is no JSON of an HTTP API is refused by the runtime, and the process lives on.

use super::params::MAX_QUERY_BYTES;
use super::path::could_be_route;
use crate::clock::Clock;
use crate::config::BasePath;
use axum::Router;
use axum::http::header::HOST;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent, Service};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use std::convert::Infallible;
use tower::ServiceExt;

/// A path that no function routes.
const NO_ROUTE: &str = "/-";
/// Characters that may not stand raw in a URI's query (RFC 3986 section 3.4).
const NOT_IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Answers API Gateway's events until the runtime ends the process.
pub async fn serve(routes: Router, clock: Clock, base_path: BasePath) -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(handler(routes, clock, base_path)).await
}

/// The routes as a handler of Lambda events, guard included.
#[must_use]
pub fn handler(
    routes: Router,
    clock: Clock,
    base_path: BasePath,
) -> impl Service<LambdaEvent<LambdaRequest>, Response: Serialize, Error = Infallible, Future: Send> + Clone {
    Adapter::from(super::service(routes, clock)).map_request(move |LambdaEvent { payload, context }| {
        LambdaEvent { payload: harmless(payload, &base_path), context }
    })
}

fn harmless(request: LambdaRequest, base_path: &BasePath) -> LambdaRequest {
    match request {
        LambdaRequest::ApiGatewayV2(event) => LambdaRequest::ApiGatewayV2(harmless_event(event, base_path)),
        // The adapter is built for HTTP APIs alone and reads every event as one.
        other => other,
    }
}

fn harmless_event(mut event: ApiGatewayV2httpRequest, base_path: &BasePath) -> ApiGatewayV2httpRequest {
    let path = event.raw_path.take().unwrap_or_default();
    let path = Some(base_path.strip(&path)).filter(|path| could_be_route(path));
    event.raw_path = Some(path.unwrap_or(NO_ROUTE).to_owned());
    event.raw_query_string = event.raw_query_string.map(|query| harmless_query(&query));
    // No route of ours reads a body, a host or a stage.
    event.body = None;
    event.is_base64_encoded = false;
    event.headers.remove(HOST);
    event.request_context.domain_name = None;
    event.request_context.stage = None;
    event
}

/// Escapes what cannot stand in a URI; the parameters are decoded once, by their own parser. One that is too
/// long stays too long.
fn harmless_query(query: &str) -> String {
    let end = query.char_indices().map(|(at, _)| at).find(|at| *at > MAX_QUERY_BYTES).unwrap_or(query.len());
    utf8_percent_encode(query.get(..end).unwrap_or_default(), NOT_IN_QUERY).to_string()
}
