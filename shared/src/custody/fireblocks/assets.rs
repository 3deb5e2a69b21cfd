//! What Fireblocks' asset ids stand for. A deployment adds rows by configuration; no row is ever guessed.

use crate::domain::ChainAsset;
use std::collections::BTreeMap;
use thiserror::Error;

/// Ids seen in the vendor's workspaces, with the blockchain and the asset. USDC on Polygon has two contracts,
/// the native one and the bridged one: both are that chain's USDC, and are added up.
const KNOWN: [(&str, &str, &str); 14] = [
    ("BTC", "BTC", "BTC"),
    ("ETH", "ETH", "ETH"),
    ("TRX", "TRX", "TRX"),
    ("SOL", "SOL", "SOL"),
    ("BNB_BSC", "BSC", "BNB"),
    ("USDT_ERC20", "ETH", "USDT"),
    ("TRX_USDT_S2UZ", "TRX", "USDT"),
    ("USDT_BSC", "BSC", "USDT"),
    ("USDT_POLYGON", "POLYGON", "USDT"),
    ("SOL_USDT_EWAY", "SOL", "USDT"),
    ("USDC", "ETH", "USDC"),
    ("USDC_POLYGON", "POLYGON", "USDC"),
    ("USDC_POLYGON_NXTB", "POLYGON", "USDC"),
    ("SOL_USDC_PTHX", "SOL", "USDC"),
];

/// A row of configuration that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a list of ID=BLOCKCHAIN:TOKEN, separated by commas")]
pub struct AssetIdsError;

/// The table of asset ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetIds {
    rows: BTreeMap<String, ChainAsset>,
}

impl AssetIds {
    /// The known ids and `more`: `ID=BLOCKCHAIN:TOKEN` separated by commas, where a row replaces a known one.
    pub fn parse(more: &str) -> Result<Self, AssetIdsError> {
        let known = KNOWN
            .iter()
            .map(|(id, blockchain, token)| ((*id).to_owned(), ChainAsset::parse(blockchain, token)));
        let more = more.split(',').map(str::trim).filter(|row| !row.is_empty()).map(row);
        let more =
            more.collect::<Result<Vec<_>, _>>()?.into_iter().map(|(id, chain_asset)| (id, Ok(chain_asset)));
        let rows = known.chain(more).map(|(id, chain_asset)| {
            chain_asset.map(|chain_asset| (id, chain_asset)).map_err(|_| AssetIdsError)
        });
        Ok(Self { rows: rows.collect::<Result<_, _>>()? })
    }

    /// What an id stands for.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ChainAsset> {
        self.rows.get(id)
    }

    /// The ids of some assets, in order of id.
    #[must_use]
    pub fn of(&self, assets: &[ChainAsset]) -> Vec<&str> {
        self.rows
            .iter()
            .filter(|(_, chain_asset)| assets.contains(chain_asset))
            .map(|(id, _)| id.as_str())
            .collect()
    }
}

fn row(text: &str) -> Result<(String, ChainAsset), AssetIdsError> {
    let (id, chain_asset) = text.split_once('=').ok_or(AssetIdsError)?;
    let (blockchain, token) = chain_asset.split_once(':').ok_or(AssetIdsError)?;
    let is_id = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let chain_asset = ChainAsset::parse(blockchain, token).map_err(|_| AssetIdsError)?;
    if is_id { Ok((id.to_owned(), chain_asset)) } else { Err(AssetIdsError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_looked_up_and_never_taken_apart() {
        let ids = AssetIds::parse("EURC_ETH=ETH:EURC, USDC=SOL:USDC").unwrap();
        let named = |id: &str| {
            ids.get(id)
                .map(|chain_asset| format!("{}:{}", chain_asset.blockchain.name(), chain_asset.asset.code()))
        };
        for (id, expected) in [
            ("TRX_USDT_S2UZ", Some("TRX:USDT")),
            ("EURC_ETH", Some("ETH:EURC")),
            ("USDC", Some("SOL:USDC")),
            ("USDT_AVAX", None),
            ("usdt_erc20", None),
        ] {
            assert_eq!(named(id).as_deref(), expected, "{id}");
        }
        let polygon = ChainAsset::parse("POLYGON", "USDC").unwrap();
        assert_eq!(ids.of(&[polygon]), ["USDC_POLYGON", "USDC_POLYGON_NXTB"]);
        for text in ["X", "X=ETH", "=ETH:USDT", "X=ETH:DOGE", "X=ETH:EUR", "a b=ETH:USDT"] {
            assert_eq!(AssetIds::parse(text), Err(AssetIdsError), "{text}");
        }
    }
}
