//! Rows of the catalogue as operators write them, checked and made into assets.
//!
//! A row that was once read stays in memory for the life of the process, and equal rows are one: reading the
//! catalogue again costs nothing while it does not change.

mod json;

pub use json::AssetRowJson;

use crate::domain::asset::{AssetKind, AssetRow, CustodyId, Par};
use crate::domain::catalogue::folded;
use crate::domain::{Asset, Blockchain, Catalogue, ProviderName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Fewest and most characters of a code.
const CODE_CHARACTERS: std::ops::RangeInclusive<usize> = 2..=20;
const MAX_NAME_CHARACTERS: usize = 100;
const MAX_ID_CHARACTERS: usize = 128;
const MAX_DECIMALS: u32 = 18;
/// Digits of a base unit: NEAR counts in 24.
const MAX_BASE_UNIT_DIGITS: u32 = 36;
const MAX_QUOTE_HOURS: u32 = 96;
/// Tokens that lost their peg: no row of a deployment's may price them at par.
const NEVER_AT_PAR: [&str; 2] = ["EURR", "USDR"];
/// The sources of prices that a row can have an id at.
const PRICE_SOURCES: [&str; 2] = ["coingecko", "coinbase"];

impl From<Asset> for AssetRowJson {
    fn from(asset: Asset) -> Self {
        let AssetRow {
            code,
            alias,
            name,
            kind: _,
            issuer,
            decimals,
            peg,
            par,
            quote_hours,
            coingecko,
            coinbase,
            exchange_first,
            custody,
        } = *asset.row();
        let prices = [("coingecko", coingecko), ("coinbase", coinbase)];
        let prices = prices.into_iter().filter_map(|(source, id)| Some((source.to_owned(), id?.to_owned())));
        let mut ids = BTreeMap::<String, BTreeMap<String, String>>::new();
        for CustodyId { provider, id, blockchain, digits } in custody {
            let place =
                if *digits == decimals { (*blockchain).to_owned() } else { format!("{blockchain}/{digits}") };
            ids.entry(provider.name().to_owned()).or_default().insert((*id).to_owned(), place);
        }
        Self {
            code: code.to_owned(),
            alias: alias.map(str::to_owned),
            name: name.to_owned(),
            issuer: issuer.map(str::to_owned),
            decimals,
            peg: peg.map(str::to_owned),
            par: par == Par::Allowed,
            quote_hours,
            prices: prices.collect(),
            exchange_first,
            custody: ids,
        }
    }
}

/// A row of a deployment's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogueRow {
    /// An asset.
    Asset(Box<AssetRowJson>),
    /// A provider's id that stands for nothing of worth.
    Ignored {
        /// Whose id.
        provider: ProviderName,
        /// The id.
        id: String,
    },
}

/// The two forms of a row in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoredRow {
    provider_asset: String,
    ignore: bool,
}

impl<'de> Deserialize<'de> for CatalogueRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.get("provider_asset").is_none() {
            return serde_json::from_value(value)
                .map(|row| Self::Asset(Box::new(row)))
                .map_err(Error::custom);
        }
        let IgnoredRow { provider_asset, ignore } = serde_json::from_value(value).map_err(Error::custom)?;
        if !ignore {
            return Err(Error::custom("ignore: must be true"));
        }
        Self::ignored(&provider_asset).map_err(Error::custom)
    }
}

impl Serialize for CatalogueRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Asset(row) => row.serialize(serializer),
            Self::Ignored { .. } => {
                IgnoredRow { provider_asset: self.name(), ignore: true }.serialize(serializer)
            }
        }
    }
}

impl CatalogueRow {
    /// The row that ignores `provider:id`.
    pub fn ignored(provider_asset: &str) -> Result<Self, RowError> {
        let fault = || RowError::new("provider_asset", "must be a provider, a colon and its id of an asset");
        let (provider, id) = provider_asset.split_once(':').ok_or_else(fault)?;
        let provider = ProviderName::parse(provider).map_err(|_| fault())?;
        if is_id(id) { Ok(Self::Ignored { provider, id: id.to_owned() }) } else { Err(fault()) }
    }

    /// The code, or the provider and its id.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Asset(row) => row.code.clone(),
            Self::Ignored { provider, id } => format!("{}:{id}", provider.name()),
        }
    }
}

/// A row that the catalogue cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct RowError {
    /// The field at fault.
    pub field: &'static str,
    /// The fault.
    pub problem: String,
}

impl RowError {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// A row that was refused, by its place among those given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}: {error}")]
pub struct RefusedRow {
    /// The row's name.
    pub name: String,
    /// The fault.
    pub error: RowError,
}

/// May rows replace others?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing {
    /// Only free codes are taken; the same row again changes nothing.
    Nothing,
    /// A row replaces the whole row of its code, a built-in one too.
    Rows,
}

/// The rows of a deployment with `added` among them.
pub fn merged(
    own: &[CatalogueRow],
    added: &[CatalogueRow],
    replacing: Replacing,
) -> Result<Vec<CatalogueRow>, RefusedRow> {
    let mut rows = own.to_vec();
    for row in added {
        let refused = |error| RefusedRow { name: row.name(), error };
        if rows.contains(row) {
            continue;
        }
        if let CatalogueRow::Asset(asset) = row {
            check(asset).map_err(refused)?;
            check_change(asset, &catalogue(&rows)?, replacing).map_err(refused)?;
        }
        rows.retain(|other| !is_replaced(other, row));
        rows.push(row.clone());
        check_spellings(&rows).map_err(refused)?;
        check_ids(&rows).map_err(refused)?;
    }
    Ok(rows)
}

/// The catalogue of a deployment's rows. Rows that a newer release of the built-in file has overtaken stay in
/// force: they stand above it.
pub fn catalogue(rows: &[CatalogueRow]) -> Result<Catalogue, RefusedRow> {
    let mut assets = Vec::new();
    let mut ignored = BTreeSet::new();
    for row in rows {
        match row {
            CatalogueRow::Asset(json) => {
                let refused = |error| RefusedRow { name: row.name(), error };
                check(json).map_err(refused)?;
                assets.push(interned(json).map_err(refused)?);
            }
            CatalogueRow::Ignored { provider, id } => {
                ignored.insert((*provider, id.clone()));
            }
        }
    }
    Ok(Catalogue::new(assets, ignored))
}

fn is_replaced(other: &CatalogueRow, by: &CatalogueRow) -> bool {
    match (other, by) {
        (CatalogueRow::Asset(other), CatalogueRow::Asset(row)) => folded(&other.code) == folded(&row.code),
        _ => false,
    }
}

/// Whether each field of a row is of its form.
fn check(row: &AssetRowJson) -> Result<(), RowError> {
    let AssetRowJson {
        code,
        alias,
        name,
        issuer,
        decimals,
        peg,
        par,
        quote_hours,
        prices,
        exchange_first: _,
        custody,
    } = row;
    for (field, spelling) in [("code", Some(code)), ("alias", alias.as_ref())] {
        if spelling.is_some_and(|spelling| !is_code(spelling)) {
            let form = "must be 2 to 20 letters, digits, Ø and . _ -, and begin with a letter or a digit";
            return Err(RowError::new(field, form));
        }
    }
    // A path is ASCII, and the icon of an asset has its code in the path.
    if !code.is_ascii() && !alias.as_ref().is_some_and(|alias| alias.is_ascii()) {
        return Err(RowError::new("alias", "must be ASCII for a code that is not"));
    }
    for (field, text) in [("name", Some(name)), ("issuer", issuer.as_ref())] {
        if text.is_some_and(|text| !is_name(text)) {
            return Err(RowError::new(
                field,
                "must be 1 to 100 characters, none of them a control character",
            ));
        }
    }
    if *decimals > MAX_DECIMALS {
        return Err(RowError::new("decimals", "must be at most 18"));
    }
    let peg_is_money = |peg: &String| Catalogue::default().asset(peg).is_ok_and(|peg| !peg.is_crypto());
    if peg.as_ref().is_some_and(|peg| !peg_is_money(peg)) {
        return Err(RowError::new("peg", "must be the code of money"));
    }
    if *par && peg.is_none() {
        return Err(RowError::new("par", "needs a peg"));
    }
    if *par && NEVER_AT_PAR.contains(&folded(code).as_str()) {
        return Err(RowError::new("par", "this token lost its peg and is never priced at it"));
    }
    if quote_hours.is_some_and(|hours| !(1..=MAX_QUOTE_HOURS).contains(&hours)) {
        return Err(RowError::new("quote_hours", "must be 1 to 96"));
    }
    for (source, id) in prices {
        if !PRICE_SOURCES.contains(&source.as_str()) {
            return Err(RowError::new(
                "prices",
                format!("{source} is no source: {}", PRICE_SOURCES.join(" or ")),
            ));
        }
        if !is_price_id(id) {
            return Err(RowError::new(
                "prices",
                format!("the id at {source} must be 1 to 128 of [A-Za-z0-9._-]"),
            ));
        }
    }
    for (provider, ids) in custody {
        let owner = ProviderName::parse(provider)
            .map_err(|error| RowError::new("custody", format!("{provider}: {error}")))?;
        for (id, value) in ids {
            custody_id(row, owner, id, value)?;
        }
    }
    Ok(())
}

fn custody_id(
    row: &AssetRowJson,
    provider: ProviderName,
    id: &str,
    value: &str,
) -> Result<(ProviderName, String, Blockchain, u32), RowError> {
    if !is_id(id) {
        return Err(RowError::new("custody", "an id must be 1 to 128 visible ASCII characters"));
    }
    let fault =
        || RowError::new("custody", format!("{id}: must be a blockchain, or one with digits (BSC/18)"));
    let (chain, digits) = row.chain_and_digits(value).ok_or_else(fault)?;
    let blockchain = Blockchain::parse(chain).map_err(|_| fault())?;
    if blockchain.name() != chain || digits > MAX_BASE_UNIT_DIGITS {
        return Err(fault());
    }
    Ok((provider, id.to_owned(), blockchain, digits))
}

/// Whether a row may come into the catalogue as it is.
fn check_change(row: &AssetRowJson, catalogue: &Catalogue, replacing: Replacing) -> Result<(), RowError> {
    let Some(before) = [Some(&row.code), row.alias.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|spelling| catalogue.asset(&folded(spelling)).ok())
    else {
        return Ok(());
    };
    let is_same_code = folded(before.code()) == folded(&row.code);
    if replacing == Replacing::Nothing || !is_same_code || !before.is_crypto() {
        return Err(RowError::new("code", format!("is taken by {} ({})", before.code(), before.name())));
    }
    if before.decimals() != row.decimals {
        return Err(RowError::new("decimals", format!("are {} and never change", before.decimals())));
    }
    if before.row().peg != row.peg.as_deref() {
        let peg = before.row().peg.unwrap_or("none");
        return Err(RowError::new("peg", format!("is {peg} and never changes")));
    }
    Ok(())
}

/// Whether no two assets have one spelling, the built-in ones included.
fn check_spellings(rows: &[CatalogueRow]) -> Result<(), RowError> {
    let catalogue = catalogue(rows).map_err(|refused| refused.error)?;
    let mut taken = BTreeMap::new();
    for asset in Catalogue::fiat().chain(catalogue.crypto()) {
        for spelling in
            BTreeSet::from([folded(asset.code()), folded(asset.row().alias.unwrap_or(asset.code()))])
        {
            if let Some(other) = taken.insert(spelling.clone(), asset) {
                return Err(RowError::new("alias", format!("{spelling} is taken by {}", other.code())));
            }
        }
    }
    Ok(())
}

/// Whether each provider's id stands in one row.
fn check_ids(rows: &[CatalogueRow]) -> Result<(), RowError> {
    let catalogue = catalogue(rows).map_err(|refused| refused.error)?;
    let mut taken: BTreeMap<(ProviderName, String), &str> = BTreeMap::new();
    for asset in catalogue.crypto() {
        for own in asset.row().custody {
            if let Some(other) = taken.insert((own.provider, own.id.to_owned()), asset.code()) {
                let problem = format!("{}:{} stands for {other} already", own.provider.name(), own.id);
                return Err(RowError::new("custody", problem));
            }
        }
    }
    for row in rows {
        if let CatalogueRow::Ignored { provider, id } = row
            && let Some(other) = taken.get(&(*provider, id.clone()))
        {
            return Err(RowError::new("provider_asset", format!("stands for {other}")));
        }
    }
    Ok(())
}

/// The asset of a row: always the same for the same row.
fn interned(json: &AssetRowJson) -> Result<Asset, RowError> {
    static INTERNED: Mutex<BTreeMap<String, Asset>> = Mutex::new(BTreeMap::new());
    let key = serde_json::to_string(json).map_err(|error| RowError::new("code", error.to_string()))?;
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = interned.get(&key) {
        return Ok(*known);
    }
    let asset = Asset::of_row(Box::leak(Box::new(row(json)?)));
    interned.insert(key, asset);
    Ok(asset)
}

fn row(json: &AssetRowJson) -> Result<AssetRow, RowError> {
    let mut custody = Vec::new();
    for (provider, ids) in &json.custody {
        let provider =
            ProviderName::parse(provider).map_err(|error| RowError::new("custody", error.to_string()))?;
        for (id, value) in ids {
            let (provider, id, blockchain, digits) = custody_id(json, provider, id, value)?;
            custody.push(CustodyId {
                provider,
                id: leaked(&id),
                blockchain: leaked(blockchain.name()),
                digits,
            });
        }
    }
    let optional = |text: Option<&String>| text.map(|text| leaked(text));
    Ok(AssetRow {
        code: leaked(&json.code),
        alias: optional(json.alias.as_ref()),
        name: leaked(&json.name),
        kind: AssetKind::Crypto,
        issuer: optional(json.issuer.as_ref()),
        decimals: json.decimals,
        peg: optional(json.peg.as_ref()),
        par: if json.par { Par::Allowed } else { Par::Refused },
        quote_hours: json.quote_hours,
        coingecko: optional(json.prices.get("coingecko")),
        coinbase: optional(json.prices.get("coinbase")),
        exchange_first: json.exchange_first,
        custody: Box::leak(custody.into_boxed_slice()),
    })
}

fn leaked(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn is_code(text: &str) -> bool {
    let is_inner =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, 'Ø' | '.' | '_' | '-');
    CODE_CHARACTERS.contains(&text.chars().count())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(is_inner)
}

fn is_name(text: &str) -> bool {
    let characters = text.chars().count();
    (1..=MAX_NAME_CHARACTERS).contains(&characters) && !text.chars().any(char::is_control)
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARACTERS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_price_id(text: &str) -> bool {
    (1..=MAX_ID_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
