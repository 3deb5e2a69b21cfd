//! Answers of the custody vendors as they really look, read by the adapters over HTTP: each has the right
//! holdings, or the right kind of error.
//!
//! The shapes are in `fixtures/vendors`, which `generate.py` writes.

use crate::harness::chain_asset;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use shared::clock::Clock;
use shared::config::{SecretSource, StoreConfig, Tables};
use shared::custody::bitgo::BitGo;
use shared::custody::fireblocks::Fireblocks;
use shared::custody::{Budget, Holdings, Provider, ProviderError};
use shared::domain::{
    Amount, Catalogue, ChainAsset, Coverage, CustodyAccount, ProviderAccount, ProviderName, Timestamp,
};
use shared::secret::Secret;
use shared::store::{RateLimiter, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

const FIREBLOCKS: &str = include_str!("fixtures/vendors/fireblocks.json");
const BITGO: &str = include_str!("fixtures/vendors/bitgo.json");
/// The instant from which the fixtures count days back, in milliseconds.
const NOW_MS: i64 = 1_764_000_000_000;
const DAY_MS: i64 = 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    name: String,
    #[serde(rename = "source")]
    _source: String,
    covers: Value,
    status: u16,
    body: Value,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    transactions: Vec<TransactionPage>,
    #[serde(default)]
    last_days_ago: Option<i64>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionPage {
    status: u16,
    body: Value,
    /// The header that names the next page, and the cursor that is to be sent for it.
    next_page: Option<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Expected {
    Error { error: String },
    Holdings { held: BTreeMap<String, [String; 2]>, unlisted: BTreeMap<String, String> },
}

fn body(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pair(text: &str) -> ChainAsset {
    let (blockchain, token) = text.split_once(':').unwrap();
    chain_asset(blockchain, token)
}

fn account(provider: ProviderName, shape: &Shape) -> CustodyAccount {
    let name = match provider {
        ProviderName::Fireblocks => "12",
        ProviderName::BitGo => shape.account.as_deref().unwrap_or("eth/59cd72485007a239fb00282ed480da1f"),
    };
    let coverage = match &shape.covers {
        Value::Array(pairs) => {
            Coverage::Listed(pairs.iter().map(|text| pair(text.as_str().unwrap())).collect())
        }
        _ => Coverage::All,
    };
    CustodyAccount {
        id: Uuid::nil().into(),
        customer_id: Uuid::nil().into(),
        provider,
        provider_account: ProviderAccount::parse(provider, name).unwrap(),
        coverage,
        positions: BTreeMap::new(),
        unlisted: BTreeMap::new(),
        synced_at: None,
    }
}

/// The adapter of a provider at `url`, with a budget without limit: the store is never asked.
fn adapter(provider: ProviderName, url: &str) -> Box<dyn Provider> {
    let aws = StoreConfig {
        region: "eu-central-1".to_owned(),
        endpoint_url: Some("http://127.0.0.1:9".to_owned()),
        secrets_endpoint_url: None,
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
        tables: Tables::by_logical_id(),
    };
    let limiter = RateLimiter::new(Store::new(&aws, Clock::system()), "provider", 0);
    let budget = Budget::new(limiter, provider.name(), Arc::default(), Clock::system());
    match provider {
        ProviderName::Fireblocks => {
            let secret = Secret::new(SecretSource::Text(local::sandbox::secret().into()), &aws);
            Box::new(Fireblocks::new(url.to_owned(), secret, budget).unwrap())
        }
        ProviderName::BitGo => {
            let secret = Secret::new(SecretSource::Text("token".into()), &aws);
            Box::new(BitGo::new(url.to_owned(), secret, budget).unwrap())
        }
    }
}

/// A server that answers as all shapes of a vendor do, each under its number.
async fn vendor(shapes: Arc<Vec<Shape>>) -> String {
    let answer = async move |Query(query): Query<HashMap<String, String>>, uri: Uri| {
        let (number, path) = uri.path().trim_start_matches('/').split_once('/').unwrap();
        let shape = &shapes[number.parse::<usize>().unwrap()];
        if path != "v1/transactions" {
            return reply(shape.status, &shape.body, None);
        }
        // A page after the first is the one whose cursor an earlier page names.
        let asked = query.get("next");
        let page = match asked {
            None => shape.transactions.first(),
            Some(_) => {
                let before = shape.transactions.iter().position(|page| page.next.as_ref() == asked);
                before.and_then(|before| shape.transactions.get(before + 1))
            }
        };
        page.map_or_else(
            || StatusCode::NOT_FOUND.into_response(),
            |page| reply(page.status, &page.body, page.next_page.as_deref()),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    url
}

fn reply(status: u16, value: &Value, next_page: Option<&str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let mut reply = (status, [("content-type", "application/json")], body(value)).into_response();
    if let Some(next_page) = next_page {
        reply.headers_mut().insert("next-page", HeaderValue::from_str(next_page).unwrap());
    }
    reply
}

const fn kind(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Credentials(_) => "credentials",
        ProviderError::UnknownAccount(_) => "unknown account",
        ProviderError::Ours(_) => "ours",
        ProviderError::Throttled { .. } => "throttled",
        ProviderError::Unavailable(_) => "unavailable",
        ProviderError::Nonsense(_) => "nonsense",
        ProviderError::NotReached => "not reached",
        ProviderError::OverBudget { .. } => "over budget",
    }
}

/// The difference between a reading and what is expected of it, if there is one.
fn difference(shape: &Shape, read: &Result<Holdings, ProviderError>) -> Option<String> {
    match (&shape.expect, read) {
        (Expected::Error { error }, Err(cause)) if error == kind(cause) => None,
        (Expected::Holdings { held, unlisted }, Ok(holdings)) => {
            let amount = |text: &str| Amount::parse(text).unwrap();
            let expected: BTreeMap<_, _> = held
                .iter()
                .map(|(name, [total, available])| (pair(name), (amount(total), amount(available))))
                .collect();
            let read: BTreeMap<_, _> = holdings
                .positions
                .iter()
                .filter(|(_, position)| position.balance() != Amount::ZERO)
                .map(|(asset, position)| (asset.clone(), (position.balance(), position.available())))
                .collect();
            let left_out: BTreeMap<_, _> =
                holdings.unlisted.iter().map(|(id, holding)| (id.clone(), holding.balance.clone())).collect();
            (read != expected || left_out != *unlisted).then(|| format!("{holdings:?}"))
        }
        (_, read) => Some(format!("{read:?}")),
    }
}

async fn check(provider: ProviderName, shape: &Shape, url: String) -> Option<String> {
    let (adapter, catalogue) = (adapter(provider, &url), Catalogue::default());
    let account = account(provider, shape);
    let deadline = Instant::now() + Duration::from_secs(10);
    let read = adapter.holdings(std::slice::from_ref(&account), &catalogue, deadline).await.remove(0);
    if let Some(difference) = difference(shape, &read) {
        return Some(format!("{}: {difference}", shape.name));
    }
    if shape.transactions.is_empty() {
        return None;
    }
    let asset = pair("ETH:USDT");
    let since = Timestamp::from_unix_milliseconds(NOW_MS - 90 * DAY_MS).unwrap();
    let moves = adapter.last_transactions(&account, std::slice::from_ref(&asset), &catalogue, since).await;
    let last = moves.ok().and_then(|moves| moves.get(&asset).copied());
    let expected =
        shape.last_days_ago.and_then(|days| Timestamp::from_unix_milliseconds(NOW_MS - days * DAY_MS));
    (last != expected).then(|| format!("{}: last transaction {last:?}", shape.name))
}

async fn check_all(provider: ProviderName, shapes: &str) {
    let shapes: Arc<Vec<Shape>> = Arc::new(serde_json::from_str(shapes).unwrap());
    assert!(shapes.len() >= 40, "{} shapes", shapes.len());
    let url = vendor(Arc::clone(&shapes)).await;
    let checks =
        shapes.iter().enumerate().map(|(number, shape)| check(provider, shape, format!("{url}/{number}")));
    let differences: Vec<String> = join_all(checks).await.into_iter().flatten().collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[tokio::test]
async fn fireblocks_answers_are_read_as_they_are_meant() {
    check_all(ProviderName::Fireblocks, FIREBLOCKS).await;
}

#[tokio::test]
async fn bitgos_answers_are_read_as_they_are_meant() {
    check_all(ProviderName::BitGo, BITGO).await;
}
