//! The vendor's JSON, as its documents have it.

use super::vault::{VaultAssetEntry, VaultEntry};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use shared::domain::{Amount, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// The vendor's page sizes.
const MAX_PAGE: usize = 500;
const DEFAULT_PAGE: usize = 200;

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    code: i64,
}

pub(super) fn failure(status: StatusCode, code: i64, message: &str) -> Response {
    (status, Json(Failure { message, code })).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vault<'a> {
    id: &'a str,
    name: String,
    #[serde(rename = "hiddenOnUI")]
    hidden_on_ui: bool,
    auto_fuel: bool,
    tags: [(); 0],
    assets: Vec<VaultAsset<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VaultAsset<'a> {
    id: &'a str,
    total: &'a Value,
    balance: &'a Value,
    available: &'a Value,
    pending: &'static str,
    frozen: &'static str,
    locked_amount: String,
    block_height: &'static str,
    block_hash: &'static str,
}

#[derive(Serialize)]
struct Page<'a> {
    accounts: Vec<Vault<'a>>,
    paging: Paging,
}

#[derive(Serialize)]
struct Paging {
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transaction<'a> {
    id: String,
    asset_id: &'a str,
    created_at: i64,
    last_updated: i64,
    status: &'static str,
    source: Peer<'a>,
    destination: Peer<'a>,
}

#[derive(Serialize)]
struct Peer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
}

fn shown<'a>(id: &'a str, vault: &'a VaultEntry) -> Vault<'a> {
    let assets = vault.assets.iter().map(asset).collect();
    Vault { id, name: format!("Vault {id}"), hidden_on_ui: false, auto_fuel: false, tags: [], assets }
}

fn asset(entry: &VaultAssetEntry) -> VaultAsset<'_> {
    let VaultAssetEntry { id, total, available, last_transaction_at: _ } = entry;
    let available = available.as_ref().unwrap_or(total);
    VaultAsset {
        id,
        total,
        balance: total,
        available,
        pending: "0",
        frozen: "0",
        locked_amount: locked(total, available).unwrap_or_else(|| "0".to_owned()),
        block_height: "",
        block_hash: "",
    }
}

fn locked(total: &Value, available: &Value) -> Option<String> {
    let amount = |value: &Value| Amount::parse(value.as_str()?).ok();
    Amount::from_wide(amount(total)?.wide() - amount(available)?.wide()).ok().map(|locked| locked.to_string())
}

pub(super) fn vault(id: &str, vault: &VaultEntry) -> Response {
    Json(shown(id, vault)).into_response()
}

/// Vaults in the order of their ids, so many to a page.
pub(super) fn page(vaults: &BTreeMap<String, VaultEntry>, query: &HashMap<String, String>) -> Response {
    let limit = query.get("limit").map_or(Some(DEFAULT_PAGE), |limit| limit.parse().ok());
    let Some(limit) = limit.filter(|limit| (1..=MAX_PAGE).contains(limit)) else {
        return failure(StatusCode::BAD_REQUEST, 1000, "limit must be from 1 to 500");
    };
    let after = query.get("after");
    let mut rest = vaults.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
    let accounts: Vec<_> = rest.by_ref().take(limit).map(|(id, vault)| shown(id, vault)).collect();
    let after = rest.next().and(accounts.last()).map(|last| last.id.to_owned());
    Json(Page { accounts, paging: Paging { after } }).into_response()
}

/// One incoming transaction of every asset that has ever moved.
pub(super) fn transactions(
    vaults: &BTreeMap<String, VaultEntry>,
    query: &HashMap<String, String>,
) -> Response {
    let text = |name: &str| query.get(name).map(String::as_str);
    let after = text("after").and_then(|after| after.parse().ok()).unwrap_or(i64::MIN);
    let wanted: Vec<&str> = text("assets").map(|assets| assets.split(',').collect()).unwrap_or_default();
    let Some((id, vault)) = text("destId").and_then(|id| vaults.get_key_value(id)) else {
        return Json(Vec::<Transaction<'_>>::new()).into_response();
    };
    let moved = |entry: &VaultAssetEntry| entry.moved_at().map(Timestamp::unix_milliseconds);
    let assets = vault.assets.iter().filter(|entry| wanted.is_empty() || wanted.contains(&entry.id.as_str()));
    let mut sorted: Vec<_> =
        assets.filter_map(|entry| Some((moved(entry).filter(|at| *at >= after)?, entry))).collect();
    sorted.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let transactions = sorted.into_iter().map(|(at, entry)| Transaction {
        id: format!("{id}-{}-{at}", entry.id),
        asset_id: &entry.id,
        created_at: at,
        last_updated: at,
        status: "COMPLETED",
        source: Peer { kind: "UNKNOWN", id: "" },
        destination: Peer { kind: "VAULT_ACCOUNT", id },
    });
    Json(transactions.collect::<Vec<_>>()).into_response()
}
