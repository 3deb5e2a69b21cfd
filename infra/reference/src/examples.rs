//! The answers of a local stack with its demo data to the requests worth showing.
//!
//! The stack's clock stands still at [`NOON`], so that every run gets the same answers. Nothing of them is
//! made up but the request's id, which is [`STILL_ID`].

use crate::ReferenceError;
use crate::openapi::{Example, InOrder};
use crate::requests::{self, CLAIMS, FAULTS, Fault, REQUESTS};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Uri;
use axum::routing::get;
use jiff::SignedDuration;
use local::{Dataset, Options, Stack};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::domain::{AgeLimits, Amount, Asset, CustodyAccountId, Gap, Pricing, RatesInForce, Timestamp};
use shared::http::{self, AmountForm, ApiError, ErrorCode, MAX_BODY_BYTES, Operation, REQUEST_ID};
use std::collections::BTreeMap;
use std::time::Duration;
use tower::ServiceExt;

const NOON: &str = "2026-06-01T12:00:00Z";
/// Closes of the book that the examples show.
const CLOSES: [&str; 2] = ["2026-05-30T23:59:59.999Z", "2026-05-31T23:59:59.999Z"];
const STILL_ID: &str = "c0ffee00-0000-4000-8000-000000000000";
/// The stack is on this machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The answers, as they are shown.
#[derive(Debug)]
pub(crate) struct Examples {
    answers: Vec<(&'static requests::Request, Box<RawValue>)>,
    faults: Vec<Failed>,
}

impl Examples {
    /// The operation's answers with 200.
    pub(crate) fn answers_of(&self, operation: &str) -> InOrder<Example> {
        let answers = self.answers.iter().filter(|(request, _)| request.operation == operation);
        InOrder(answers.map(|(request, answer)| (request.name, here(request.about, answer))).collect())
    }

    /// An error of the operation that is worded by the request.
    pub(crate) fn fault_of(&self, code: ErrorCode, operation: &str) -> Option<Example> {
        let fault = self.faults.iter().find(|fault| fault.code == code && fault.operation == operation);
        fault.filter(|_| !is_common(code)).map(|fault| here(code.about(), &fault.body))
    }

    /// Errors that read the same whatever was asked.
    pub(crate) fn common_faults(&self) -> InOrder<Example> {
        let common = self.faults.iter().filter(|fault| is_common(fault.code));
        InOrder(common.map(|fault| (fault.code.name(), here(fault.code.about(), &fault.body))).collect())
    }

    /// Whether one of them is shown.
    pub(crate) fn has_common(&self, code: ErrorCode) -> bool {
        is_common(code) && self.faults.iter().any(|fault| fault.code == code)
    }
}

#[derive(Debug)]
struct Failed {
    code: ErrorCode,
    operation: &'static str,
    body: Box<RawValue>,
}

/// Whether the error reads the same whatever was asked.
const fn is_common(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::InvalidRequest | ErrorCode::UnpricedAssets | ErrorCode::IncompleteBalance)
}

fn here(summary: &'static str, value: &RawValue) -> Example {
    Example::Here { summary, value: value.to_owned() }
}

/// Starts a stack and asks it everything.
pub(crate) async fn gather(operations: &[Operation]) -> Result<Examples, ReferenceError> {
    let noon = Timestamp::parse(NOON).map_err(|error| ReferenceError::Example(error.to_string()))?;
    let (dataset, clock) = (Dataset::demo(noon)?, Clock::stopped_at(noon));
    let stack = Stack::start(Options { dataset, clock, ..Options::default() }).await?;
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let asker = Asker { client, stack };
    // The demo's custody accounts were synced a few milliseconds after noon, and every run another few.
    asker.stack.clock().stop_at(noon.plus(SignedDuration::from_secs(1)));
    for close in CLOSES {
        let made = asker.client.post(asker.url("/_local/schedules/book-positions"));
        made.body(format!(r#"{{"as_of": "{close}"}}"#)).send().await?.error_for_status()?;
    }
    let (mut answers, mut faults) = (Vec::new(), Vec::new());
    for request in REQUESTS {
        let (method, path) = line(operations, request.operation, request.values)?;
        answers.push((request, asker.ask(method, &path, Some(CLAIMS), StatusCode::OK).await?));
    }
    // The stored custody balances are older than a moment now, so the provider is asked.
    asker.stack.clock().stop_at(noon.plus(SignedDuration::from_secs(2)));
    let provider = asker.client.put(asker.url("/_local/custody-faults")).body(r#"{"status": 500}"#);
    provider.send().await?.error_for_status()?;
    for Fault { code, operation, values, claims } in FAULTS {
        let (method, path) = line(operations, operation, values)?;
        let body = asker.ask(method, &path, *claims, code.status()).await?;
        faults.push(Failed { code: *code, operation, body });
    }
    for (operation, error) in unaskable() {
        faults.push(Failed { code: error.code(), operation, body: worded(error).await? });
    }
    asker.stack.stop().await;
    Ok(Examples { answers, faults })
}

/// Errors that no request brings about while the stack and its data are sound, each with an operation that
/// declares it.
fn unaskable() -> [(&'static str, ApiError); 5] {
    let rates = RatesInForce::default();
    let pricing =
        Pricing { target: Asset::USD, rates: &rates, at: Timestamp::default(), limits: AgeLimits::STANDARD };
    let lacking = |gap| ApiError::incomplete(&[gap], pricing, &BTreeMap::new(), AmountForm::default());
    let unpriced = lacking(Gap::Unpriced { asset: Asset::EUR, balance: Amount::ZERO });
    let unsynced = lacking(Gap::Unsynced(CustodyAccountId::from(uuid::Uuid::nil())));
    [
        ("getCustodyBalances", unpriced),
        ("getBalanceHistory", unsynced.clone().at(Timestamp::default())),
        ("getBalance", unsynced),
        ("getBalance", ApiError::Internal { cause: String::new() }),
        ("getBalance", ApiError::ServiceUnavailable { cause: String::new() }),
    ]
}

/// The error as the layers around every route word it.
async fn worded(error: ApiError) -> Result<Box<RawValue>, ReferenceError> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/example");
    let routes = Router::new().route("/example", get(async move || Err::<(), _>(error.clone())));
    let Ok(response) = http::service(routes, Clock::system()).oneshot(request).await;
    let id = text(response.headers(), REQUEST_ID)?;
    let body = to_bytes(response.into_body(), MAX_BODY_BYTES)
        .await
        .map_err(|error| ReferenceError::Example(error.to_string()))?;
    Ok(RawValue::from_string(String::from_utf8_lossy(&body).replace(&id, STILL_ID))?)
}

/// The method of an operation, and its path with these values in it and in its query.
fn line(
    operations: &[Operation],
    id: &str,
    values: &[(&str, &str)],
) -> Result<(&'static str, String), ReferenceError> {
    let operation = operations.iter().find(|operation| operation.id == id);
    let operation =
        operation.ok_or_else(|| ReferenceError::Example(format!("there is no operation {id}")))?;
    let (mut path, mut query) = (operation.path.to_owned(), Vec::new());
    for (name, value) in values {
        match path.replace(&format!("{{{name}}}"), value) {
            replaced if replaced == path => {
                query.push(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
            replaced => path = replaced,
        }
    }
    let mark = if query.is_empty() { "" } else { "?" };
    Ok((operation.method, format!("{path}{mark}{}", query.join("&"))))
}

struct Asker {
    client: Client,
    stack: Stack,
}

impl Asker {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stack.url())
    }

    /// The answer as it is shown: JSON as it is, another text as a string.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        claims: Option<&str>,
        expected: StatusCode,
    ) -> Result<Box<RawValue>, ReferenceError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|error| ReferenceError::Example(error.to_string()))?;
        let mut request = self.client.request(method, self.url(path));
        if let Some(claims) = claims {
            request = request.bearer_auth(self.token(claims)?);
        }
        let response = request.send().await?;
        let (status, id) = (response.status(), text(response.headers(), REQUEST_ID)?);
        let is_json = text(response.headers(), CONTENT_TYPE.as_str())? == "application/json";
        let body = response.text().await?;
        if status != expected {
            return Err(ReferenceError::Example(format!("{path} is answered {status}: {body}")));
        }
        let body = body.replace(&id, STILL_ID);
        Ok(RawValue::from_string(if is_json { body } else { Value::String(body).to_string() })?)
    }

    fn token(&self, claims: &str) -> Result<String, ReferenceError> {
        let claims: Map<String, Value> = serde_json::from_str(claims)?;
        self.stack.token(claims).map_err(|error| ReferenceError::Example(error.to_string()))
    }
}

fn text(headers: &HeaderMap, header: &str) -> Result<String, ReferenceError> {
    let value = headers.get(header).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or_else(|| ReferenceError::Example(format!("an answer has no {header}")))
}
