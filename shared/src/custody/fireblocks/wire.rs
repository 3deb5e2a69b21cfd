//! Fireblocks' JSON, as far as it matters: liberal in what it passes over, strict in what becomes a number.

use super::assets::AssetIds;
use crate::custody::{Holdings, ProviderError};
use crate::domain::{Amount, ChainAsset, CustodyAccount, Position, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// One vault: `GET /v1/vault/accounts/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub struct Vault {
    id: String,
    assets: Vec<Asset>,
}

/// One wallet of a vault. Amounts are decimal strings, which is asked only of assets that an account lists;
/// other members vary in type and are not looked at.
#[derive(Debug, Clone, Deserialize)]
struct Asset {
    id: String,
    #[serde(default)]
    total: Value,
    #[serde(default)]
    available: Value,
}

/// A page of vaults: `GET /v1/vault/accounts_paged`. Each vault is read for itself, so that one we do not
/// know spoils no other.
#[derive(Debug, Deserialize)]
pub struct VaultPage {
    accounts: Vec<Box<RawValue>>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Paging {
    after: Option<String>,
}

#[derive(Deserialize)]
struct VaultId {
    id: String,
}

/// One transaction: `GET /v1/transactions`.
#[derive(Debug, Clone, Deserialize)]
pub struct Transaction {
    #[serde(rename = "assetId")]
    asset_id: String,
    #[serde(rename = "createdAt")]
    created_at: i64,
    #[serde(default)]
    status: String,
}

/// The body of a failure.
#[derive(Debug, Default, Deserialize)]
pub struct Failure {
    /// The vendor's code.
    pub code: Option<i64>,
}

/// Transactions of these moved nothing.
const UNMOVED: [&str; 4] = ["CANCELLED", "REJECTED", "BLOCKED", "FAILED"];

impl Vault {
    /// What the vault holds of what the account lists. An amount that cannot be meant, or an asset told
    /// twice, makes the account's answer nonsense: half of it could not be trusted either. What is not listed
    /// is counted and not looked at.
    pub fn holdings(&self, account: &CustodyAccount, ids: &AssetIds) -> Result<Holdings, ProviderError> {
        if self.id != account.provider_account.name() {
            return Err(ProviderError::Nonsense("another vault than was asked for".to_owned()));
        }
        let (mut holdings, mut told) = (Holdings::default(), BTreeSet::new());
        for asset in &self.assets {
            let Some(chain_asset) =
                ids.get(&asset.id).filter(|chain_asset| account.positions.contains_key(chain_asset))
            else {
                holdings.unlisted += 1;
                continue;
            };
            if !told.insert(&asset.id) {
                return Err(ProviderError::Nonsense("an asset is told twice".to_owned()));
            }
            add(&mut holdings.positions, chain_asset, asset.position()?)?;
        }
        Ok(holdings)
    }
}

impl Asset {
    fn position(&self) -> Result<Position, ProviderError> {
        let amount = |value: &Value| value.as_str().and_then(|text| Amount::parse(text).ok());
        let amounts = amount(&self.total).zip(amount(&self.available));
        let (total, available) =
            amounts.ok_or_else(|| ProviderError::Nonsense("an amount is no decimal".to_owned()))?;
        Position::new(total, available).map_err(|error| ProviderError::Nonsense(error.to_string()))
    }
}

/// Two ids can stand for one asset; their amounts are added up.
fn add(
    positions: &mut BTreeMap<ChainAsset, Position>,
    chain_asset: &ChainAsset,
    more: Position,
) -> Result<(), ProviderError> {
    let known = positions.get(chain_asset).copied().unwrap_or_default();
    let sum = |left: Amount, right: Amount| Amount::from_wide(left.wide() + right.wide());
    let sums = sum(known.balance(), more.balance())
        .and_then(|total| Ok((total, sum(known.available(), more.available())?)));
    let (total, available) = sums.map_err(|error| ProviderError::Nonsense(error.to_string()))?;
    let position =
        Position::new(total, available).map_err(|error| ProviderError::Nonsense(error.to_string()))?;
    positions.insert(chain_asset.clone(), position);
    Ok(())
}

impl VaultPage {
    /// The cursor of the next page, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.paging.after.clone().filter(|after| super::is_token(after))
    }

    /// Those of its vaults that are wanted, by id, each readable or not.
    pub fn wanted(
        &self,
        is_wanted: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (String, Result<Vault, ProviderError>)> {
        let named = self
            .accounts
            .iter()
            .filter_map(|vault| Some((serde_json::from_str::<VaultId>(vault.get()).ok()?.id, vault)));
        named.filter(move |(id, _)| is_wanted(id)).map(|(id, vault)| {
            let unreadable = |error: serde_json::Error| {
                ProviderError::Nonsense(format!("a vault, column {}", error.column()))
            };
            (id, serde_json::from_str(vault.get()).map_err(unreadable))
        })
    }
}

impl Transaction {
    /// What it moved and when, if it moved anything we know.
    #[must_use]
    pub fn moved(&self, ids: &AssetIds) -> Option<(ChainAsset, Timestamp)> {
        let chain_asset = ids.get(&self.asset_id).filter(|_| !UNMOVED.contains(&self.status.as_str()))?;
        Some((chain_asset.clone(), Timestamp::from_unix_milliseconds(self.created_at)?))
    }
}
