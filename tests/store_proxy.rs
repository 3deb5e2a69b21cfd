//! Stands between a store and the stack's DynamoDB, and can lose an answer after the work was done.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use shared::config::StoreConfig;
use std::future::pending;
use std::sync::{Arc, Mutex};

use crate::harness::App;

/// What becomes of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The call is made and answered.
    Answered,
    /// The call is made; its answer is lost.
    AnswerLost,
    /// The call is not made, and never answered: whoever makes it has ended.
    Held,
}

/// Decides on a call by its operation, such as `TransactWriteItems`, before it is made.
type Decide = Arc<dyn Fn(&str) -> Passage + Send + Sync>;

/// A proxy; the calls that came through it, in their order.
#[derive(Clone)]
pub struct StoreProxy {
    target: String,
    client: reqwest::Client,
    decide: Decide,
    calls: Arc<Mutex<Vec<String>>>,
}

impl StoreProxy {
    /// A proxy in front of the stack's DynamoDB, and the configuration of a store that goes through it.
    pub async fn start(
        app: &App,
        decide: impl Fn(&str) -> Passage + Send + Sync + 'static,
    ) -> (Self, StoreConfig) {
        let proxy = Self {
            target: app.stack.dynamodb_url(),
            client: app.client.clone(),
            decide: Arc::new(decide),
            calls: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        let config = StoreConfig { endpoint_url: Some(url), ..app.stack.config().store.clone() };
        (proxy, config)
    }

    /// The operations that were called.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

async fn pass(State(proxy): State<StoreProxy>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let operation = target.split_once('.').unwrap().1.to_owned();
    proxy.calls.lock().unwrap().push(operation.clone());
    let passage = (proxy.decide)(&operation);
    if passage == Passage::Held {
        pending::<()>().await;
    }
    // The stack answers only requests that are addressed to it.
    headers.remove("host");
    let answer = proxy.client.post(&proxy.target).headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    match passage {
        Passage::Answered => (status, headers, body).into_response(),
        // The date is the stack's all the same: by the machine's, the store's client would find its clock
        // wrong.
        Passage::AnswerLost | Passage::Held => {
            (StatusCode::BAD_GATEWAY, [("date", headers["date"].clone())]).into_response()
        }
    }
}
