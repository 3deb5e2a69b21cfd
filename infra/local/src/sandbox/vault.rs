//! A vault as the control endpoint and a dataset write it.

use serde::Deserialize;
use serde_json::Value;
use shared::domain::Timestamp;

/// What a vault holds.
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
    /// What is free; the total unless given.
    pub available: Option<Value>,
    /// When it last moved: one incoming transaction of that time is answered.
    #[serde(default, deserialize_with = "instant")]
    pub last_transaction_at: Option<Timestamp>,
}

fn instant<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text)).transpose().map_err(serde::de::Error::custom)
}
