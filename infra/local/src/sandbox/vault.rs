//! A vault as the control endpoint and a dataset write it.

use serde::Deserialize;
use serde_json::Value;
use shared::domain::Timestamp;
use shared::domain::time::TimestampError;

/// The holdings of a vault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultEntry {
    /// Its wallets.
    pub assets: Vec<VaultAssetEntry>,
}

/// One wallet. Amounts are answered as they are written here, nonsense included: that is what a sandbox is
/// for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultAssetEntry {
    /// The vendor's asset id, such as `USDT_ERC20`.
    pub id: String,
    /// Everything, a decimal string unless nonsense is wanted.
    pub total: Value,
    /// The amount that can be moved; the total unless given.
    pub available: Option<Value>,
    /// When it last moved, as an instant or relative to when the vault is set: one incoming transaction of
    /// that time is answered.
    pub last_transaction_at: Option<String>,
}

impl VaultEntry {
    /// The vault with its relative instants counted from `start`.
    pub fn dated(mut self, start: Timestamp) -> Result<Self, TimestampError> {
        for asset in &mut self.assets {
            let text = asset.last_transaction_at.as_deref();
            let at = text.map(|text| Timestamp::parse_relative(text, start)).transpose()?;
            asset.last_transaction_at = at.map(Timestamp::to_stored_text);
        }
        Ok(self)
    }
}

impl VaultAssetEntry {
    /// When it last moved, if it has.
    pub(super) fn moved_at(&self) -> Option<Timestamp> {
        self.last_transaction_at.as_deref().and_then(|text| Timestamp::parse(text).ok())
    }
}
