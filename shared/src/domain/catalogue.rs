//! The catalogue: which assets are known, by which codes, and what custody providers call them.
//!
//! The built-in rows are static tables that the build script makes of `assets.json`. A deployment's own rows
//! stand above them. Where those are kept is the store's business, and how a row is written is
//! `asset_row`'s.

use super::asset::AssetRow;
use super::{Asset, Blockchain, ChainAsset, ProviderName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use thiserror::Error;

/// The rows that every deployment has.
pub(super) mod built_in {
    use super::Asset;
    use crate::domain::ProviderName;
    use crate::domain::asset::{AssetKind, AssetRow, CustodyId, Par};

    include!(concat!(env!("OUT_DIR"), "/assets.rs"));

    /// The money of that code, in upper case.
    pub(in crate::domain) fn fiat(code: &str) -> Option<Asset> {
        found(&FIAT, code)
    }

    /// The crypto asset of that code in its canonical spelling.
    pub(super) fn crypto(code: &str) -> Option<Asset> {
        found(&CRYPTO, code)
    }

    fn found(rows: &'static [AssetRow], code: &str) -> Option<Asset> {
        let index = rows.binary_search_by(|row| row.code.cmp(code)).ok()?;
        rows.get(index).map(Asset::of_row)
    }
}

/// A code that no row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnknownAsset {
    /// Neither in this spelling nor in another.
    #[error("not a known asset")]
    Code,
    /// A fiat code in mixed case: whoever writes `GBp` means pence.
    #[error(
        "a fiat code in mixed case, such as GBp for pence: write it in capitals, and the amount in its main unit"
    )]
    MixedCase,
}

/// A provider's id of an asset, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderAsset {
    /// It stands for this.
    Named {
        /// The asset and its blockchain.
        chain_asset: ChainAsset,
        /// Digits of a base unit.
        digits: u32,
    },
    /// The deployment ignores it: spam, or nothing of worth.
    Ignored,
}

/// Provider's ids, each with what it stands for.
type ProviderAssets = HashMap<(ProviderName, String), ProviderAsset>;

/// The known assets: the built-in ones and a deployment's own; cheap to clone.
///
/// ```
/// use shared::domain::Catalogue;
/// let catalogue = Catalogue::default();
/// assert_eq!(catalogue.asset("eur")?.code(), "EUR");
/// assert_eq!(catalogue.asset("EURE")?.code(), "EURe");
/// assert!(catalogue.asset("GBp").is_err());
/// # Ok::<(), shared::domain::catalogue::UnknownAsset>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<OwnRows>);

/// A deployment's own rows.
#[derive(Debug, Default)]
struct OwnRows {
    /// By the folded code.
    assets: BTreeMap<String, Asset>,
    /// Folded aliases with the folded codes.
    aliases: BTreeMap<String, String>,
    ignored: BTreeSet<(ProviderName, String)>,
    /// Made at the first look-up: only what reads custody providers needs it.
    provider_assets: OnceLock<ProviderAssets>,
}

impl Catalogue {
    /// The built-in rows under these of a deployment. A row replaces a built-in one of its code.
    #[must_use]
    pub fn new(assets: impl IntoIterator<Item = Asset>, ignored: BTreeSet<(ProviderName, String)>) -> Self {
        let assets: BTreeMap<_, _> = assets.into_iter().map(|asset| (folded(asset.code()), asset)).collect();
        let alias = |(code, asset): (&String, &Asset)| Some((folded(asset.row().alias?), code.clone()));
        let aliases = assets.iter().filter_map(alias).collect();
        Self(Arc::new(OwnRows { assets, aliases, ignored, provider_assets: OnceLock::new() }))
    }

    /// Finds an asset by its code or alias, in any case. Fiat codes are upper or lower case throughout.
    pub fn asset(&self, text: &str) -> Result<Asset, UnknownAsset> {
        // The stored spelling, which nearly every look-up has.
        if self.0.assets.is_empty()
            && let Some(asset) = built_in::fiat(text).or_else(|| built_in::crypto(text))
        {
            return Ok(asset);
        }
        let code = folded(text);
        let own = self.0.assets.get(self.0.aliases.get(&code).unwrap_or(&code));
        if let Some(own) = own {
            return Ok(*own);
        }
        if let Some(money) = built_in::fiat(&text.to_ascii_uppercase()) {
            let is_one_case = text == money.code() || text.bytes().all(|byte| byte.is_ascii_lowercase());
            return if is_one_case { Ok(money) } else { Err(UnknownAsset::MixedCase) };
        }
        let is_meant =
            |row: &&AssetRow| folded(row.code) == code || row.alias.map(folded).as_ref() == Some(&code);
        let row =
            built_in::crypto(text).or_else(|| built_in::CRYPTO.iter().find(is_meant).map(Asset::of_row));
        row.filter(|asset| !self.replaces(*asset)).ok_or(UnknownAsset::Code)
    }

    /// Whether a row of the deployment's own stands for a built-in one.
    fn replaces(&self, built_in: Asset) -> bool {
        self.0.assets.contains_key(&folded(built_in.code()))
    }

    /// Every crypto asset.
    pub fn crypto(&self) -> impl Iterator<Item = Asset> {
        let built_in = built_in::CRYPTO.iter().map(Asset::of_row);
        self.0.assets.values().copied().chain(built_in.filter(|asset| !self.replaces(*asset)))
    }

    /// The money of that code in upper case.
    #[must_use]
    pub fn money(code: &str) -> Option<Asset> {
        built_in::fiat(code)
    }

    /// All money.
    pub fn fiat() -> impl Iterator<Item = Asset> {
        built_in::FIAT.iter().map(Asset::of_row)
    }

    /// The asset on a blockchain; it must be crypto.
    pub fn chain_asset(&self, blockchain: &str, token: &str) -> Result<ChainAsset, ChainAssetError> {
        let blockchain = Blockchain::parse(blockchain).map_err(|_| ChainAssetError)?;
        let asset = self.asset(token).ok().filter(|asset| asset.is_crypto()).ok_or(ChainAssetError)?;
        Ok(ChainAsset { blockchain, asset })
    }

    /// The asset that a provider's id stands for; `None` if no row says so.
    #[must_use]
    pub fn provider_asset(&self, provider: ProviderName, id: &str) -> Option<&ProviderAsset> {
        self.provider_assets().get(&(provider, id.to_owned()))
    }

    /// The provider's ids of an asset on a blockchain, in order: a bridged and a native token are two ids.
    #[must_use]
    pub fn provider_ids(&self, provider: ProviderName, wanted: &ChainAsset) -> Vec<&'static str> {
        let row = self.asset(wanted.asset.code()).map_or(wanted.asset.row(), Asset::row);
        let ids = row.custody.iter().filter(|own| own.provider == provider);
        let mut ids: Vec<_> =
            ids.filter(|own| own.blockchain == wanted.blockchain.name()).map(|own| own.id).collect();
        ids.sort_unstable();
        ids
    }

    fn provider_assets(&self) -> &ProviderAssets {
        self.0.provider_assets.get_or_init(|| {
            let named = self.crypto().flat_map(|asset| {
                let named = move |own: &'static super::asset::CustodyId| {
                    let blockchain = Blockchain::parse(own.blockchain).ok()?;
                    let chain_asset = ChainAsset { blockchain, asset };
                    let digits = own.digits;
                    Some(((own.provider, own.id.to_owned()), ProviderAsset::Named { chain_asset, digits }))
                };
                asset.row().custody.iter().filter_map(named)
            });
            let ignored = self.0.ignored.iter().map(|id| (id.clone(), ProviderAsset::Ignored));
            named.chain(ignored).collect()
        })
    }
}

/// A text that is no asset on a blockchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a blockchain and a crypto asset on it")]
pub struct ChainAssetError;

/// A code in the one spelling by which all its spellings are compared. Ø is the one letter of codes that
/// ASCII folding leaves out.
pub(crate) fn folded(code: &str) -> String {
    code.to_ascii_uppercase().replace('ø', "Ø")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_match_in_any_case_and_come_back_canonical() {
        let rows = [
            ("eur", "EUR", false),
            ("EURE", "EURe", true),
            ("Eusd", "eUSD", true),
            ("EURØP", "EURØP", true),
            ("eurøp", "EURØP", true),
            ("Europ", "EURØP", true),
            ("usd1", "USD1", true),
            ("ars", "ARS", false),
            ("btc", "BTC", true),
            ("wSTETH", "wstETH", true),
        ];
        let catalogue = Catalogue::default();
        for (text, code, is_crypto) in rows {
            let asset = catalogue.asset(text).unwrap();
            assert_eq!((asset.code(), asset.is_crypto()), (code, is_crypto), "{text}");
        }
        for text in ["", "EU", "EURO", "XAU", "XXX", "XTS", "NOPE", " EUR", "EUR ", "EURØ", "EURØ\u{301}P"]
        {
            assert_eq!(catalogue.asset(text), Err(UnknownAsset::Code), "{text:?}");
        }
        for text in ["GBp", "Eur", "eUr", "ZAc".replace('c', "r").as_str()] {
            assert_eq!(catalogue.asset(text), Err(UnknownAsset::MixedCase), "{text:?}");
        }
    }

    #[test]
    fn every_built_in_row_is_found_by_its_own_code_and_alone() {
        let catalogue = Catalogue::default();
        let mut codes = BTreeSet::new();
        let all: Vec<Asset> = Catalogue::fiat().chain(catalogue.crypto()).collect();
        for asset in &all {
            assert_eq!(catalogue.asset(asset.code()).unwrap().code(), asset.code());
            assert!(asset.decimals() <= 18, "{}", asset.code());
            for spelling in [Some(asset.code()), asset.row().alias].into_iter().flatten() {
                assert!(codes.insert(folded(spelling)), "{spelling} is there twice");
            }
        }
        let (crypto, ids) = (catalogue.crypto().count(), catalogue.provider_assets().len());
        assert!(crypto >= 100, "{crypto} crypto assets");
        let listed: usize = catalogue.crypto().map(|asset| asset.row().custody.len()).sum();
        assert_eq!(ids, listed, "a provider's id stands in two rows");
    }

    #[test]
    fn tokens_that_lost_their_peg_are_never_at_par() {
        for code in ["EURR", "USDR"] {
            let asset = Catalogue::default().asset(code).unwrap();
            assert_eq!(asset.par(), super::super::asset::Par::Refused);
        }
    }
}
