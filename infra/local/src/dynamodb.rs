//! The embedded DynamoDB, served twice: unguarded to this process at an address nobody knows, and guarded to other tools.
//!
//! Its own server answers any web page that finds it, so the published port is a small proxy that first checks `Host` and
//! `Origin` like every other port of the stack.

use crate::guard;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use dynoxide::{Database, server};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// DynamoDB's own limit for a request.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Opens the database, in memory or as a file in `state`.
pub(crate) fn open(state: Option<&Path>) -> Result<Database, String> {
    let Some(directory) = state else { return Database::memory().map_err(|error| error.to_string()) };
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let file = directory.join("dynamodb.sqlite");
    let path = file.to_str().ok_or_else(|| format!("{} is not a UTF-8 path", file.display()))?;
    Database::new(path).map_err(|error| format!("{path}: {error}"))
}

/// Serves the database to this process and returns its address, a random one of 127.0.0.0/8 where the system allows it.
pub(crate) async fn serve_privately(database: Database, stop: CancellationToken) -> std::io::Result<SocketAddr> {
    let [_, b, c, d, ..] = Uuid::new_v4().into_bytes();
    let listener = match TcpListener::bind((IpAddr::V4(Ipv4Addr::new(127, b, c, d)), 0)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
    };
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(cause) = server::serve_with_shutdown(listener, database, stop.cancelled_owned()).await {
            tracing::error!(cause, "the embedded DynamoDB stopped");
        }
    });
    Ok(address)
}

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    url: String,
}

/// The published port: everything that passes the guard goes on to the private address.
pub(crate) fn proxy(private: SocketAddr) -> Router {
    let proxy = Proxy { client: reqwest::Client::new(), url: format!("http://{private}/") };
    Router::new()
        .fallback(forward)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(from_fn(guard::loopback_only))
        .with_state(proxy)
}

async fn forward(State(proxy): State<Proxy>, method: Method, mut headers: HeaderMap, body: Bytes) -> Response {
    headers.remove(header::HOST);
    headers.remove(header::ORIGIN);
    match proxy.client.request(method, &proxy.url).headers(headers).body(body).send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.without_url().to_string()).into_response(),
    }
}
