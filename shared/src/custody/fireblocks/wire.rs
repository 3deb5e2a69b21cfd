//! Fireblocks' JSON, as far as it matters: liberal in what it passes over, strict in what becomes a number.

use crate::custody::{Holdings, Placement, ProviderError, place};
use crate::domain::{Amount, Catalogue, ChainAsset, CustodyAccount, Position, ProviderAsset, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// One vault: `GET /v1/vault/accounts/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub struct Vault {
    id: String,
    assets: Vec<VaultAsset>,
}

/// One wallet of a vault. Amounts are decimal strings, which is asked only of assets that an account shows;
/// other members vary in type and are not looked at.
#[derive(Debug, Clone, Deserialize)]
struct VaultAsset {
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

/// One transaction: `GET /v1/transactions`. No member is always there: a raw signature has no asset. The
/// members are read only of a transaction that could have moved an asset which the account shows, so that one
/// transaction in an unknown shape hides none of the others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Transaction {
    asset_id: Value,
    created_at: Value,
    status: Value,
    operation: Value,
    /// Deprecated by the vendor for `amountInfo`; older transactions have this alone.
    amount: Value,
    amount_info: Value,
}

/// The body of a failure. A member of another type is passed over, so that the other is still read.
#[derive(Debug, Default, Deserialize)]
pub struct FireblocksFailure {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Value,
}

impl FireblocksFailure {
    /// The vendor's code, if the body has one.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.code.as_i64().or_else(|| self.code.as_str()?.parse().ok())
    }

    /// The vendor's own words; empty where the body has none.
    #[must_use]
    pub fn words(&self) -> &str {
        self.message.as_str().unwrap_or_default()
    }
}

/// The status of a transaction that has moved something. A transaction without a status is taken for one.
const COMPLETED: &str = "COMPLETED";
/// Operations that sign or prepare and move nothing.
const UNMOVING: [&str; 3] = ["TYPED_MESSAGE", "RAW", "ENABLE_ASSET"];
/// Operations that move something if they have an amount.
const PERHAPS_MOVING: [&str; 3] = ["CONTRACT_CALL", "PROGRAM_CALL", "APPROVE"];

impl Vault {
    /// The vault's holdings. An amount of an asset that the account shows must be sound, and be there once:
    /// half of an answer could not be trusted either. Other amounts are noted as they are written.
    pub fn holdings(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
    ) -> Result<Holdings, ProviderError> {
        if self.id != account.provider_account.name() {
            return Err(ProviderError::Nonsense("another vault than was asked for".to_owned()));
        }
        let (mut holdings, mut seen) = (Holdings::default(), BTreeSet::new());
        for asset in &self.assets {
            match place(account, &asset.id, catalogue) {
                Placement::Shown(..) if !seen.insert(&asset.id) => {
                    return Err(ProviderError::Nonsense("an asset is told twice".to_owned()));
                }
                Placement::Shown(chain_asset, _) => holdings.add(chain_asset, asset.position()?)?,
                Placement::LeftOut(reason) => {
                    holdings.leave_out(&asset.id, asset.total.as_str().unwrap_or_default(), reason);
                }
            }
        }
        Ok(holdings)
    }
}

impl VaultAsset {
    fn position(&self) -> Result<Position, ProviderError> {
        let amount = |value: &Value| value.as_str().and_then(|text| Amount::parse(text).ok());
        let amounts = amount(&self.total).zip(amount(&self.available));
        let (total, available) = amounts
            .ok_or_else(|| ProviderError::Nonsense(format!("an amount of {} is no decimal", self.id)))?;
        Position::new(total, available).map_err(ProviderError::nonsense)
    }
}

impl VaultPage {
    /// The cursor of the next page, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.paging.after.clone().filter(|after| !after.is_empty())
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
    /// The asset that it moved, and when, if the catalogue names the asset.
    #[must_use]
    pub fn moved<'a>(
        &self,
        account: &CustodyAccount,
        catalogue: &'a Catalogue,
    ) -> Option<(&'a ChainAsset, Timestamp)> {
        let asset_id = self.asset_id.as_str()?;
        let Some(ProviderAsset::Named { chain_asset, .. }) =
            catalogue.provider_asset(account.provider, asset_id)
        else {
            return None;
        };
        if !self.has_moved() {
            return None;
        }
        Some((chain_asset, Timestamp::from_unix_milliseconds(self.created_at.as_i64()?)?))
    }

    fn has_moved(&self) -> bool {
        let text = |member: &Value| member.as_str().unwrap_or_default().to_owned();
        let (status, operation) = (text(&self.status), text(&self.operation));
        let is_completed = status.is_empty() || status == COMPLETED;
        // A number or its text: an amount is asked only whether it is zero.
        let is_positive = |amount: &Value| amount.to_string().bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        let has_amount =
            || [Some(&self.amount), self.amount_info.get("amount")].into_iter().flatten().any(is_positive);
        is_completed
            && !UNMOVING.contains(&operation.as_str())
            && (!PERHAPS_MOVING.contains(&operation.as_str()) || has_amount())
    }
}

/// The cursor in the header `next-page`, which is a URL by the vendor's own document and a bare cursor
/// elsewhere.
#[must_use]
pub fn cursor(next_page: &str) -> Option<String> {
    let encoded = match next_page.split_once("next=") {
        Some((_, rest)) => rest.split('&').next().unwrap_or_default(),
        None => return Some(next_page.to_owned()).filter(|cursor| !cursor.is_empty()),
    };
    let cursor = percent_encoding::percent_decode_str(encoded).decode_utf8().ok()?;
    Some(cursor.into_owned()).filter(|cursor| !cursor.is_empty())
}
