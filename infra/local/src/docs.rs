//! The API's reference page, `docs/` of the repository, with a token that fits the dataset.

use crate::dataset::{Dataset, LoadError};
use crate::issuer::Issuer;
use crate::refusal::refusal;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::domain::Timestamp;
use std::collections::BTreeSet;

/// Ids of one kind in the token, which has to fit a header.
const MAX_IDS: usize = 40;

const INDEX: &str = include_str!("../../../docs/index.html");

/// The files beside the page, by their names and types.
const FILES: [(&str, &str, &str); 5] = [
    ("/docs/openapi.json", "application/json", include_str!("../../../docs/openapi.json")),
    ("/docs/page.js", "text/javascript", include_str!("../../../docs/page.js")),
    ("/docs/page.css", "text/css", include_str!("../../../docs/page.css")),
    (
        "/docs/vendor/swagger-ui/swagger-ui-bundle.js",
        "text/javascript",
        include_str!("../../../docs/vendor/swagger-ui/swagger-ui-bundle.js"),
    ),
    (
        "/docs/vendor/swagger-ui/swagger-ui.css",
        "text/css",
        include_str!("../../../docs/vendor/swagger-ui/swagger-ui.css"),
    ),
];

/// The page and its files. What differs from the hosted page is only its settings: where requests go, a token
/// with these claims, and whether the ids of the document's examples are there.
pub(crate) fn routes(issuer: Issuer, clock: Clock, claims: Map<String, Value>, is_demo: bool) -> Router {
    // The page also stands where its files are not beside it.
    let index = INDEX.replace("<head>", "<head>\n  <base href=\"/docs/\">");
    let page = file("text/html; charset=utf-8", index);
    let settings = get(async move || settings(&issuer, clock.now(), claims.clone(), is_demo));
    let routes = Router::new()
        .route("/docs", page.clone())
        .route("/docs/", page)
        .route("/docs/settings.json", settings);
    let routes =
        FILES.into_iter().fold(routes, |routes, (path, kind, text)| routes.route(path, file(kind, text)));
    routes.route(
        "/docs/{*path}",
        get(async || refusal(StatusCode::NOT_FOUND, "not_found", "There is no such file.")),
    )
}

/// A file that the next start may have another version of.
fn file(kind: &'static str, text: impl IntoResponse + Clone + Send + Sync + 'static) -> MethodRouter {
    get(async move || ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    api: &'static str,
    token: String,
    is_demo: bool,
}

fn settings(issuer: &Issuer, now: Timestamp, claims: Map<String, Value>, is_demo: bool) -> Response {
    match issuer.sign(claims, Map::new(), now) {
        Ok(token) => {
            ([(CACHE_CONTROL, "no-store")], Json(Settings { api: "/", token, is_demo })).into_response()
        }
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", &error.to_string()),
    }
}

/// Claims that see what the dataset brings, as far as one token can.
pub(crate) fn claims(dataset: &Dataset) -> Result<Map<String, Value>, LoadError> {
    let catalogue = dataset.catalogue()?;
    let (accounts, custody) = (dataset.accounts(&catalogue)?, dataset.custody_accounts(&catalogue)?);
    let states = || accounts.iter().flatten();
    let customers =
        states().map(|state| state.customer_id).chain(custody.iter().map(|account| account.customer_id));
    let customers: BTreeSet<_> = customers.collect();
    let organizations: BTreeSet<_> =
        states().filter_map(|state| state.scope.organization_id.as_ref()).collect();
    let customers: Vec<_> = customers.into_iter().take(MAX_IDS).map(|id| id.to_string()).collect();
    let organizations: Vec<_> = organizations.into_iter().take(MAX_IDS).map(ToString::to_string).collect();
    let claims = [
        ("sub", Value::from("docs")),
        ("customer_ids", customers.into()),
        ("organization_ids", organizations.into()),
        ("permissions", vec!["PermCustodySync", "PermReadBook"].into()),
    ];
    Ok(claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
