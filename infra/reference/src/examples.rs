//! Requests worth showing, and what the local stack with its demo data answers them.
//!
//! Nothing of an answer is made up but two things that no two runs share: times that are younger than the stack stand still at
//! [`STILL`], and the request's id is [`REQUEST_ID`].

use crate::ReferenceError;
use local::{Dataset, Options, Stack};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, Response};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::domain::Timestamp;
use shared::http::{ErrorCode, Operation};
use std::time::Duration;

const STILL: &str = "2025-11-20T16:00:00.000Z";
const REQUEST_ID: &str = "c0ffee00-0000-4000-8000-000000000000";
/// The stack is on this machine.
const TIMEOUT: Duration = Duration::from_secs(20);

const ALICE: &str = "0a11ce00-0000-4000-8000-000000000001";
const ORGANIZATION: &str = "org_a0000000-0000-4000-8000-00000000000a";
const MERCHANT: &str = "mrc_a1000000-0000-4000-8000-0000000000a1";
const MERCHANT_ACCOUNT: &str = "acc_8e6fd4ee-6416-5589-91a7-00ec46ef68bc";
const CUSTODY: &str = "550e8400-e29b-41d4-a716-446655440000";
const DATE: &str = "2025-10-15T12:00:00Z";

/// What somebody may see who asks.
const CLAIMS: &str = r#"{"sub": "reference", "permissions": ["PermCustodySync"],
    "customer_ids": ["0a11ce00-0000-4000-8000-000000000001", "0b0b0000-0000-4000-8000-000000000002"],
    "organization_ids": ["org_a0000000-0000-4000-8000-00000000000a"]}"#;
const SEES_ALL: &str = r#"{"sub": "reference", "permissions": ["PermReadAll"]}"#;

/// One request to an operation.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation.
    pub(crate) operation: &'static str,
    /// The example's key in the document.
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// Parameters of the path and of the query.
    pub(crate) values: &'static [(&'static str, &'static str)],
}

const fn request(
    operation: &'static str,
    name: &'static str,
    about: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Request {
    Request { operation, name, about, values }
}

/// What is answered with 200. The first of each operation fills in the page's form.
pub(crate) const REQUESTS: &[Request] = &[
    request(
        "getBalance",
        "byCurrency",
        "What is held, by currency",
        &[("customer_id", ALICE), ("currency", "EUR"), ("stack", "currency")],
    ),
    request(
        "getBalance",
        "withReceipt",
        "Every account in pounds, and the rate it was converted by",
        &[("customer_id", ALICE), ("currency", "EUR"), ("search.currency", "GBP"), ("details", "true")],
    ),
    request("getBalance", "asOf", "As it stood then", &[("customer_id", ALICE), ("currency", "EUR"), ("as_of", DATE)]),
    request(
        "getBalance",
        "partial",
        "Before there were rates: what cannot be converted is named",
        &[("customer_id", ALICE), ("currency", "EUR"), ("as_of", "2025-06-20T00:00:00Z"), ("partial", "true")],
    ),
    request(
        "listAccounts",
        "largestFirst",
        "The largest numbers first",
        &[("search.customer_id", ALICE), ("sort", "-balance"), ("limit", "2")],
    ),
    request(
        "listAccounts",
        "byCurrency",
        "Grouped by currency",
        &[("search.customer_id", ALICE), ("stack", "currency"), ("search.is_crypto", "true"), ("limit", "1")],
    ),
    request("getAssetIcon", "icon", "The icon of USD Coin", &[("code", "USDC")]),
    request(
        "listMerchantBalances",
        "atADate",
        "As they stood then",
        &[("organizationId", ORGANIZATION), ("merchantId", MERCHANT), ("date", DATE)],
    ),
    request(
        "getMerchantBalance",
        "atADate",
        "As it stood then",
        &[("organizationId", ORGANIZATION), ("merchantId", MERCHANT), ("accountId", MERCHANT_ACCOUNT), ("date", DATE)],
    ),
    request("getCustodyBalances", "now", "What the provider says now", &[("accountId", CUSTODY)]),
    request("syncCustodyAccount", "synced", "The provider was asked", &[("accountId", CUSTODY)]),
];

/// One error of each kind that can be had without breaking the stack itself, in this order.
const FAULTS: &[(ErrorCode, &str, &str, Option<&str>)] = &[
    (
        ErrorCode::InvalidRequest,
        "GET",
        "/v2/accounts/balance?customer_id=0a11ce00-0000-4000-8000-000000000001&currency=EUR&search.balance.gt=1e3",
        Some(CLAIMS),
    ),
    (ErrorCode::AuthenticationFailed, "GET", "/v2/accounts", None),
    (
        ErrorCode::InsufficientPermissions,
        "GET",
        "/v2/accounts/balance?customer_id=0ca20100-0000-4000-8000-000000000003&currency=EUR",
        Some(CLAIMS),
    ),
    (ErrorCode::AccountNotFound, "GET", "/custody/accounts/00000000-0000-4000-8000-000000000000/balances", Some(SEES_ALL)),
    (ErrorCode::NotFound, "GET", "/v2/nothing", Some(CLAIMS)),
    (
        ErrorCode::UnpricedAssets,
        "GET",
        "/v2/accounts/balance?customer_id=0a11ce00-0000-4000-8000-000000000001&currency=XAF",
        Some(CLAIMS),
    ),
    // The example of the sync came before it.
    (ErrorCode::RateLimitExceeded, "POST", "/custody/accounts/550e8400-e29b-41d4-a716-446655440000/sync", Some(CLAIMS)),
    (
        ErrorCode::CustodyProviderError,
        "GET",
        "/custody/accounts/550e8400-e29b-41d4-a716-446655440000/balances?max_age=0",
        Some(CLAIMS),
    ),
];

/// The answers, as they are shown.
#[derive(Debug)]
pub(crate) struct Examples {
    /// To [`REQUESTS`], in their order.
    pub(crate) answers: Vec<Box<RawValue>>,
    /// To [`FAULTS`].
    pub(crate) errors: Vec<(ErrorCode, Box<RawValue>)>,
}

/// Starts a stack and asks it everything.
pub(crate) async fn gather(operations: &[Operation]) -> Result<Examples, ReferenceError> {
    let started = Timestamp::now();
    let stack = Stack::start(Options { dataset: Dataset::demo()?, ..Options::default() }).await?;
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let asker = Asker { client, stack, started };
    let mut answers = Vec::new();
    for request in REQUESTS {
        let (method, path) = request.line(operations)?;
        let response = asker.ask(method, &path, Some(CLAIMS)).await?;
        answers.push(asker.shown(&path, response, 200).await?);
    }
    let fault = asker.client.put(asker.url("/_local/custody-faults")).body(r#"{"status": 500}"#);
    fault.send().await?.error_for_status()?;
    let mut errors = Vec::new();
    for (code, method, path, claims) in FAULTS {
        let response = asker.ask(method, path, *claims).await?;
        errors.push((*code, asker.shown(path, response, code.status().as_u16()).await?));
    }
    asker.stack.stop().await;
    Ok(Examples { answers, errors })
}

impl Request {
    /// Its method, and its path with the query.
    fn line(&self, operations: &[Operation]) -> Result<(&'static str, String), ReferenceError> {
        let operation = operations.iter().find(|operation| operation.id == self.operation);
        let operation = operation.ok_or_else(|| ReferenceError::Example(format!("no operation {}", self.operation)))?;
        let (mut path, mut query) = (operation.path.to_owned(), Vec::new());
        for (name, value) in self.values {
            match path.replace(&format!("{{{name}}}"), value) {
                replaced if replaced == path => query.push(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))),
                replaced => path = replaced,
            }
        }
        let mark = if query.is_empty() { "" } else { "?" };
        Ok((operation.method, format!("{path}{mark}{}", query.join("&"))))
    }
}

struct Asker {
    client: Client,
    stack: Stack,
    started: Timestamp,
}

impl Asker {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stack.url())
    }

    async fn ask(&self, method: &str, path: &str, claims: Option<&str>) -> Result<Response, ReferenceError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| ReferenceError::Example(error.to_string()))?;
        let request = self.client.request(method, self.url(path));
        let request = match claims {
            Some(claims) => request.bearer_auth(self.token(claims)?),
            None => request,
        };
        Ok(request.send().await?)
    }

    fn token(&self, claims: &str) -> Result<String, ReferenceError> {
        let claims: Map<String, Value> = serde_json::from_str(claims)?;
        self.stack.token(claims).map_err(|error| ReferenceError::Example(error.to_string()))
    }

    /// The body as an example, a text that is no JSON as a string.
    async fn shown(&self, path: &str, response: Response, expected: u16) -> Result<Box<RawValue>, ReferenceError> {
        let status = response.status().as_u16();
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let body = response.text().await?;
        if status != expected {
            return Err(ReferenceError::Example(format!("{path} is answered {status}: {body}")));
        }
        let body = body.replace(&id, REQUEST_ID);
        let body = body.split('"').map(|part| self.stilled(part)).collect::<Vec<_>>().join("\"");
        Ok(RawValue::from_string(body.clone()).or_else(|_| RawValue::from_string(Value::String(body).to_string()))?)
    }

    fn stilled<'a>(&self, part: &'a str) -> &'a str {
        let is_of_this_run = Timestamp::parse(part).is_ok_and(|at| at >= self.started);
        if is_of_this_run { STILL } else { part }
    }
}
