//! What requests to the store consume: a proxy that asks DynamoDB for the figure and adds it up.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// The proxy's URL and its running sum.
#[derive(Clone)]
pub(crate) struct Capacity {
    pub(crate) url: String,
    sum: Arc<Mutex<Usage>>,
    target: String,
    client: reqwest::Client,
}

/// Calls and capacity units of the store.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) calls: u32,
    pub(crate) read: f64,
    pub(crate) write: f64,
}

impl Capacity {
    pub(crate) async fn start(target: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let capacity = Self { url, sum: Arc::default(), target, client: reqwest::Client::new() };
        let routes = Router::new().fallback(forward).with_state(capacity.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(capacity)
    }

    /// The sum since the last time it was taken.
    pub(crate) fn take(&self) -> Usage {
        std::mem::take(&mut self.sum.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn forward(State(capacity): State<Capacity>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let is_write = target.contains("Update") || target.contains("Put") || target.contains("TransactWrite");
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    let answer =
        capacity.client.post(&capacity.target).headers(headers).body(request.to_string()).send().await;
    let Ok(answer) = answer else { return axum::http::StatusCode::BAD_GATEWAY.into_response() };
    let status = answer.status();
    let mut answer: Value =
        serde_json::from_slice(&answer.bytes().await.unwrap_or_default()).unwrap_or_default();
    let consumed =
        answer.as_object_mut().and_then(|answer| answer.remove("ConsumedCapacity")).unwrap_or_default();
    let mut sum = capacity.sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.calls += 1;
    // One table, or one entry for each table of a transaction.
    let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed]);
    let units: f64 = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
    if is_write {
        sum.write += units;
    } else {
        sum.read += units;
    }
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string()).into_response()
}
