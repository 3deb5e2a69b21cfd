//! A sandbox of the BitGo API: wallets whose answers are set through a control endpoint, byte for byte, so
//! that any answer which the vendor was seen to give can be tried.

use super::{Sandbox, Vendor, answered};
use axum::Json;
use axum::Router;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

/// Where the vendor's API is mounted: `/api/v2/…` follows.
pub(crate) const MOUNT: &str = "/_local/bitgo";
/// The access token that the sandbox knows.
pub(crate) const TOKEN: &str = "ballast-sandbox";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VendorFailure {
    error: &'static str,
    name: &'static str,
    request_id: &'static str,
}

/// The vendor's own failure of a status.
pub(super) fn failure(status: StatusCode) -> Response {
    let (name, error) = match status.as_u16() {
        401 => ("Unauthorized", "unauthorized"),
        403 => ("Forbidden", "missing required permission"),
        404 => ("WalletNotFound", "wallet not found"),
        429 => ("TooManyRequests", "too many requests"),
        500.. => ("InternalServerError", "internal server error"),
        _ => ("Invalid", "bad request"),
    };
    (status, Json(VendorFailure { error, name, request_id: "sandbox" })).into_response()
}

/// The routes under [`MOUNT`].
pub(super) fn routes(sandbox: Sandbox) -> Router {
    let vendor = Router::new()
        .route("/api/v2/{coin}/wallet/{wallet}", get(wallet))
        .layer(from_fn_with_state(sandbox.clone(), guarded))
        .with_state(sandbox);
    Router::new().nest(MOUNT, vendor)
}

/// Counts a call, lets it go wrong if it is to, and checks its token.
async fn guarded(
    State(sandbox): State<Sandbox>,
    OriginalUri(uri): OriginalUri,
    request: Request,
    next: Next,
) -> Response {
    let path = uri.path().trim_start_matches(MOUNT).to_owned();
    if let Some(answer) = answered(&sandbox, Vendor::BitGo, path).await {
        return answer;
    }
    if is_known(request.headers()) { next.run(request).await } else { failure(StatusCode::UNAUTHORIZED) }
}

fn is_known(headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|given| given.to_str().ok());
    given.and_then(|given| given.strip_prefix("Bearer ")) == Some(TOKEN)
}

async fn wallet(State(sandbox): State<Sandbox>, Path((coin, wallet)): Path<(String, String)>) -> Response {
    match sandbox.lock().wallets.get(&format!("{coin}/{wallet}")) {
        Some(answer) => ([(CONTENT_TYPE, "application/json")], answer.clone()).into_response(),
        None => failure(StatusCode::NOT_FOUND),
    }
}
