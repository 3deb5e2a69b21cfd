//! The HTTP API as the template routes it: each path to its function, everything else to the default one.
//!
//! A function that the template does not route to cannot be reached here either.

use crate::control;
use crate::template::{Route, TemplateError, routes};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodRouter, RouterIntoService, any_service};
use shared::clock::Clock;
use shared::http;
use std::collections::HashMap;
use tower::ServiceExt;

/// Every function's routes by the name of its binary, and beside them the control endpoints, all by one
/// clock.
pub(crate) fn gateway(
    functions: HashMap<&'static str, Router>,
    control: Router,
    clock: &Clock,
) -> Result<Router, TemplateError> {
    let services: HashMap<_, RouterIntoService<Body>> = functions
        .into_iter()
        .map(|(name, routes)| (name, http::service(routes, clock.clone()).into_service()))
        .collect();
    let mut gateway =
        Router::new().route(control::PATHS, service_of(http::service(control, clock.clone()).into_service()));
    for Route { function, path, method: _ } in routes()? {
        let missing = || TemplateError::NotLiteral { resource: function.clone(), property: "Binary" };
        let service = services.get(function.as_str()).cloned().ok_or_else(missing)?;
        gateway = match path {
            Some(path) => gateway.route(&path, service_of(service)),
            None => gateway.fallback_service(service),
        };
    }
    Ok(gateway)
}

fn service_of(service: RouterIntoService<Body>) -> MethodRouter {
    any_service(service.map_request(unrouted))
}

/// A function sees a request that nobody has routed yet, as behind the real gateway: a router leaves its
/// path's segments and more.
fn unrouted(mut request: Request) -> Request {
    request.extensions_mut().clear();
    request
}
