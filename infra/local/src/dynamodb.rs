//! The embedded DynamoDB, for the functions and for other tools.
//!
//! The engine comes with a server of its own, which answers any web page that finds its port. This one speaks
//! the same protocol behind the stack's guard, and there is no other way in.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::clock::Clock;
use std::fs::File;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// DynamoDB's own limit for a request.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// The header that names the operation, after this prefix.
const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// An open database, and the lock on its directory while it is.
#[derive(Clone)]
pub(crate) struct Embedded {
    database: Database,
    _lock: Option<Arc<File>>,
}

/// Opens the database, in memory or as a file in `state`.
pub(crate) fn open(state: Option<&Path>) -> Result<Embedded, String> {
    let Some(directory) = state else {
        return Ok(Embedded {
            database: Database::memory().map_err(|error| error.to_string())?,
            _lock: None,
        });
    };
    let at = |path: &Path, cause: String| format!("{}: {cause}", path.display());
    std::fs::create_dir_all(directory).map_err(|error| at(directory, error.to_string()))?;
    let lock = File::create(directory.join("lock")).map_err(|error| at(directory, error.to_string()))?;
    lock.try_lock().map_err(|_| at(directory, "another local stack uses this directory".to_owned()))?;
    let file = directory.join("dynamodb.sqlite");
    let path = file.to_str().ok_or_else(|| at(&file, "not a UTF-8 path".to_owned()))?;
    let database = Database::new(path).map_err(|error| at(&file, error.to_string()))?;
    Ok(Embedded { database, _lock: Some(Arc::new(lock)) })
}

/// The DynamoDB protocol (JSON 1.0) over the database.
///
/// Answers are dated by the stack's clock, as `DynamoDB`'s are by its own.
pub(crate) fn routes(embedded: Embedded, clock: Clock) -> Router {
    Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(map_response(move |response| ready(dated(response, &clock))))
        .with_state(embedded)
}

fn dated(mut response: Response, clock: &Clock) -> Response {
    if let Ok(date) = HeaderValue::from_str(&clock.now().to_http_date()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// Whether a request is of this protocol.
pub(crate) fn is_target(headers: &HeaderMap) -> bool {
    headers
        .get(TARGET)
        .and_then(|target| target.to_str().ok())
        .is_some_and(|target| target.starts_with(TARGET_PREFIX))
}

async fn answer(State(embedded): State<Embedded>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or_default().to_owned();
    // The engine's calls block. On a thread of their own they hold up no other request.
    let work = spawn_blocking(move || dispatch(&embedded.database, &operation, &body));
    let answer =
        work.await.unwrap_or_else(|fault| Err(DynoxideError::InternalServerError(fault.to_string())));
    let (status, body) = match answer {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => {
            (StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
    };
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| database.batch_write_item(request)),
        "CreateTable" => call(body, |request| database.create_table(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "DeleteTable" => call(body, |request| database.delete_table(request)),
        "DescribeTable" => call(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        "ExecuteStatement" => call(body, |request| database.execute_statement(request)),
        "GetItem" => call(body, |request| database.get_item(request)),
        "ListTables" => call(body, |request| database.list_tables(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
        "UpdateItem" => call(body, |request| database.update_item(request)),
        "UpdateTable" => call(body, |request| database.update_table(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        _ => Err(DynoxideError::ValidationException(format!(
            "the local stack does not serve the operation '{operation}'"
        ))),
    }
}

fn call<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
    serde_json::to_string(&operation(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
