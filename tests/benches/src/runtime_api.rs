//! The Lambda Runtime API on loopback, as far as a function needs it: one invocation at a time.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What an invocation may take before the function would be stopped.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lambda's own limit for an answer.
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// One function's runtime API.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    events: Sender<String>,
    answers: Receiver<Answer>,
}

/// What the function answered, and when each side of the exchange happened.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) handed_out: Instant,
    pub(crate) answered: Instant,
}

#[derive(Clone)]
struct Shared {
    events: Arc<Mutex<Receiver<String>>>,
    handed_out: Arc<Mutex<Instant>>,
    answers: Sender<Answer>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let (events, waiting_events) = channel(1);
        let (answers, waiting_answers) = channel(1);
        let shared = Shared {
            events: Arc::new(Mutex::new(waiting_events)),
            handed_out: Arc::new(Mutex::new(Instant::now())),
            answers,
        };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(answer))
            .route("/2018-06-01/runtime/init/error", post(answer))
            .layer(DefaultBodyLimit::max(MAX_ANSWER_BYTES))
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, events, answers: waiting_answers })
    }

    /// Hands an event to the function and waits for its answer.
    pub(crate) async fn invoke(&mut self, event: &str) -> Option<Answer> {
        self.events.send(event.to_owned()).await.ok()?;
        tokio::time::timeout(DEADLINE, self.answers.recv()).await.ok().flatten()
    }
}

async fn next(State(shared): State<Shared>) -> impl IntoResponse {
    let Some(event) = shared.events.lock().await.recv().await else {
        // The harness is done with this function and will end it; like Lambda, it does not say so.
        std::future::pending().await
    };
    *shared.handed_out.lock().await = Instant::now();
    let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + DEADLINE;
    let headers = [
        (
            HeaderName::from_static("lambda-runtime-aws-request-id"),
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        ),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline.as_millis().to_string()),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-central-1:123456789012:function:bench".to_owned(),
        ),
    ];
    (headers, event)
}

async fn answer(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let answered = Instant::now();
    let handed_out = *shared.handed_out.lock().await;
    // The harness may have given up on this function; then nobody waits for the answer.
    let _ = shared.answers.send(Answer { body, handed_out, answered }).await;
    StatusCode::ACCEPTED
}
