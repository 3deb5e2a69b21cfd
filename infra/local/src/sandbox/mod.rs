//! A sandbox of the Fireblocks API: vaults that are set through control endpoints, read by requests signed as
//! the vendor asks. That of the BitGo API beside it is [`bitgo`]'s; both meet the same faults.
//!
//! It answers what the adapter and the vendor's own SDK read: one vault, pages of vaults, transactions. Its
//! credentials are in this repository, known to everybody and good for nothing else.

mod answers;
pub(crate) mod bitgo;
mod faults;
mod signature;
mod vault;

pub use faults::Fault;
pub use vault::{VaultAssetEntry, VaultEntry};

use answers::failure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use shared::clock::Clock;
use signature::Verifier;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the vendor's API is mounted: `/v1/…` follows.
pub const MOUNT: &str = "/_local/fireblocks";
/// The API user that the sandbox knows.
pub const API_KEY: &str = "ballast-sandbox";
/// Its key, which signs requests.
pub const PRIVATE_KEY: &str = include_str!("private-key.pem");

#[derive(Serialize)]
struct Credentials {
    api_key: &'static str,
    private_key: String,
}

/// The credentials as the adapter's secret holds them, the key on one line: files of variables know no other.
#[must_use]
pub fn secret() -> String {
    // Two strings always serialise.
    let private_key = PRIVATE_KEY.lines().filter(|line| !line.starts_with('-')).collect();
    serde_json::to_string(&Credentials { api_key: API_KEY, private_key }).unwrap_or_default()
}

/// The sandbox; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    state: Arc<Mutex<Inner>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Inner {
    vaults: BTreeMap<String, VaultEntry>,
    /// Answers of the BitGo API by coin and wallet, byte for byte.
    wallets: BTreeMap<String, Bytes>,
    fault: Option<Fault>,
    verifier: Verifier,
    /// Calls by path, without the query.
    calls: BTreeMap<String, u32>,
    delay: Duration,
}

impl Sandbox {
    /// A sandbox without vaults, which checks signatures by this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// Sets what a vault holds.
    pub fn set_vault(&self, id: String, vault: VaultEntry) {
        self.lock().vaults.insert(id, vault);
    }

    /// Sets what the BitGo API answers for a wallet, named `coin/wallet`.
    pub fn set_wallet(&self, name: String, answer: Bytes) {
        self.lock().wallets.insert(name, answer);
    }

    /// Sets what goes wrong with the next calls; `None` clears it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// Sets how long every true answer takes.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// How often each path was called, refused calls included, since the last time this was asked.
    #[must_use]
    pub fn take_calls(&self) -> BTreeMap<String, u32> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes of both vendors' APIs.
    pub(crate) fn routes(self) -> Router {
        let bitgo = bitgo::routes(self.clone());
        let vendor = Router::new()
            .route("/v1/vault/accounts/{id}", get(vault))
            .route("/v1/vault/accounts_paged", get(vaults))
            .route("/v1/transactions", get(transactions))
            .layer(from_fn_with_state(self.clone(), guarded))
            .with_state(self);
        Router::new().nest(MOUNT, vendor).merge(bitgo)
    }
}

/// Whose API is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Fireblocks,
    BitGo,
}

/// Counts a call and waits as long as it is to take; the answer in the place of the true one, if it is to go
/// wrong.
async fn answered(sandbox: &Sandbox, vendor: Vendor, path: String) -> Option<Response> {
    let (fault, delay) = {
        let mut inner = sandbox.lock();
        let fault = faults::take(&mut inner.fault, &path);
        *inner.calls.entry(path).or_default() += 1;
        (fault, inner.delay)
    };
    tokio::time::sleep(fault.as_ref().map_or(delay, Fault::delay)).await;
    fault.and_then(|fault| fault.answer(vendor))
}

/// Counts a call, lets it go wrong if it is to, and checks its signature.
async fn guarded(
    State(sandbox): State<Sandbox>,
    OriginalUri(uri): OriginalUri,
    request: Request,
    next: Next,
) -> Response {
    let path = uri.path().trim_start_matches(MOUNT).to_owned();
    if let Some(answer) = answered(&sandbox, Vendor::Fireblocks, path).await {
        return answer;
    }
    let target = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let refused = sandbox.lock().verifier.check(request.headers(), &target, sandbox.clock.now());
    match refused {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn vault(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    match sandbox.lock().vaults.get(&id) {
        Some(vault) => answers::vault(&id, vault).into_response(),
        None => failure(StatusCode::NOT_FOUND, 1004, "Not found"),
    }
}

async fn vaults(State(sandbox): State<Sandbox>, Query(query): Query<HashMap<String, String>>) -> Response {
    answers::page(&sandbox.lock().vaults, &query)
}

async fn transactions(
    State(sandbox): State<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    answers::transactions(&sandbox.lock().vaults, &query)
}
