//! The JSON dataset that a local stack starts with, and how it is recorded: by the same writes that
//! production uses.

use crate::sandbox::VaultEntry;
use balance_ingest::{AccountEntry, EntryError, EntrySource};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::asset_row::{self, CatalogueRow, Replacing};
use shared::auth::{GrantClaims, is_api_key, sha256_hex};
use shared::domain::asset::Par;
use shared::domain::moment::MAX_AHEAD;
use shared::domain::{
    AccountUpdate, AgeLimits, Catalogue, ChainAsset, Coverage, CustodyAccount, CustodyAccountId, CustomerId,
    Method, ProviderAccount, ProviderName, Rate, RateSheet, SheetKind, Timestamp, UsdPrice,
};
use shared::store::{ApiKey, RecordError, RegisterError, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use thiserror::Error;

const DEMO: &str = include_str!("../demo.json");

/// Why a dataset was refused.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    File {
        /// Its path.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not JSON of the dataset's shape.
    #[error("{file}: {source}")]
    Shape {
        /// The file's path.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A value is not what its field holds.
    #[error("{path}: {problem}")]
    Value {
        /// Where, such as `accounts[3].currency`.
        path: String,
        /// The fault.
        problem: String,
    },
    /// An account contradicts itself or what is stored.
    #[error("{path}: {source}")]
    Record {
        /// Where.
        path: String,
        /// Why.
        source: RecordError,
    },
    /// A custody account contradicts what is stored.
    #[error("{path}: {source}")]
    Register {
        /// Where.
        path: String,
        /// Why.
        source: RegisterError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A dataset as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dataset {
    /// Turns the rates' age limits off.
    pub rates_never_expire: bool,
    /// Stands for the parameter `UnknownAssets`: `refuse` or `mark`; empty is its default.
    pub unknown_assets: String,
    /// Stands for the parameter `HouseCustomerIds`.
    pub house_customer_ids: Vec<String>,
    /// Stands for the parameter `BookTimeZone`; empty is its default.
    pub book_time_zone: String,
    /// Rows of the catalogue beside the built-in ones.
    pub assets: Vec<CatalogueRow>,
    /// Rate sheets.
    pub rate_sheets: Vec<SheetEntry>,
    /// Accounts with their history.
    pub accounts: Vec<AccountEntry>,
    /// Custody accounts, due for their first sync.
    pub custody_accounts: Vec<CustodyEntry>,
    /// Vaults of the sandbox, by their ids.
    pub vaults: BTreeMap<String, VaultEntry>,
    /// Answers of the sandbox of the BitGo API by `coin/wallet`, as they are written.
    pub bitgo_wallets: BTreeMap<String, Box<RawValue>>,
    /// API keys.
    pub api_keys: Vec<ApiKeyEntry>,
    /// The instant that `now` stands for.
    #[serde(skip)]
    pub start: Timestamp,
    /// Whether this is the demo data, which the sandbox's rates go on from.
    #[serde(skip)]
    pub is_demo: bool,
}

/// One rate sheet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetEntry {
    observed_at: String,
    recorded_at: Option<String>,
    entries: Vec<RateEntry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateEntry {
    currency: String,
    usd: String,
    source: String,
    method: String,
    observed_at: Option<String>,
}

/// One custody account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyEntry {
    id: String,
    customer_id: String,
    provider: String,
    provider_account: String,
    assets: CoverageEntry,
}

/// The word `all`, or a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum CoverageEntry {
    Named(String),
    Listed(Vec<CustodyAssetEntry>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustodyAssetEntry {
    blockchain: String,
    token: String,
}

/// One API key, in the clear: it is hashed before it is stored.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    key: String,
    claims: ClaimsEntry,
    expires_at: Option<String>,
}

impl ApiKeyEntry {
    /// The key itself, which is printed for whoever has started the stack.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl std::fmt::Debug for ApiKeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyEntry").field("claims", &self.claims).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Deserialize)]
struct ClaimsEntry {
    sub: String,
    #[serde(flatten)]
    grants: GrantClaims,
}

impl Dataset {
    /// The demo data, dated relative to its start.
    pub fn demo(start: Timestamp) -> Result<Self, LoadError> {
        Ok(Self { is_demo: true, ..Self::parse(DEMO, "demo.json", start)? })
    }

    /// The dataset in a file.
    pub fn read(path: &Path, start: Timestamp) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| LoadError::File { file: file.clone(), source })?;
        Self::parse(&text, &file, start)
    }

    /// The dataset in a text that came from `file`; an unknown field is refused.
    pub fn parse(text: &str, file: &str, start: Timestamp) -> Result<Self, LoadError> {
        let dataset: Self = serde_json::from_str(text)
            .map_err(|source| LoadError::Shape { file: file.to_owned(), source })?;
        Ok(Self { start, ..dataset })
    }

    /// The parameter `UnknownAssets`.
    #[must_use]
    pub fn unknown_assets(&self) -> &str {
        if self.unknown_assets.is_empty() { "refuse" } else { &self.unknown_assets }
    }

    /// How old a rate may be here.
    #[must_use]
    pub const fn age_limits(&self) -> AgeLimits {
        if self.rates_never_expire { AgeLimits::NONE } else { AgeLimits::STANDARD }
    }

    /// The catalogue with the dataset's own rows.
    pub fn catalogue(&self) -> Result<Catalogue, LoadError> {
        let rows = asset_row::merged(&[], &self.assets, Replacing::Rows);
        let catalogue = rows.and_then(|rows| asset_row::catalogue(&rows));
        catalogue.map_err(|error| LoadError::Value { path: "assets".to_owned(), problem: error.to_string() })
    }

    /// The accounts, parsed, each with its entries, oldest first.
    pub fn accounts(&self, catalogue: &Catalogue) -> Result<Vec<Vec<AccountUpdate>>, LoadError> {
        let accounts =
            parsed(&self.accounts, "accounts", |entry, path| account(entry, path, catalogue, self.start))?;
        distinct(accounts, "accounts", "id", |updates| updates.first().map(|update| update.id))
    }

    /// The rate sheets, parsed.
    pub fn sheets(&self, catalogue: &Catalogue) -> Result<Vec<RateSheet>, LoadError> {
        let sheets = parsed(&self.rate_sheets, "rate_sheets", |entry, path| {
            sheet(entry, path, catalogue, self.start)
        })?;
        distinct(sheets, "rate_sheets", "observed_at", |sheet| (sheet.observed_at, sheet.recorded_at))
    }

    /// The custody accounts, parsed.
    pub fn custody_accounts(&self, catalogue: &Catalogue) -> Result<Vec<CustodyAccount>, LoadError> {
        let account = |entry: &CustodyEntry, path: &str| custody_account(entry, path, catalogue);
        let accounts = parsed(&self.custody_accounts, "custody_accounts", account)?;
        distinct(accounts, "custody_accounts", "id", |account| account.id)
    }

    /// The sandbox's vaults by their ids, with absolute instants.
    pub fn vaults(&self) -> Result<Vec<(String, VaultEntry)>, LoadError> {
        let dated = |(id, vault): (&String, &VaultEntry)| {
            let vault = vault.clone().dated(self.start);
            Ok((id.clone(), value(vault, &format!("vaults.{id}"), "last_transaction_at")?))
        };
        self.vaults.iter().map(dated).collect()
    }

    fn api_keys(&self) -> Result<Vec<ApiKey>, LoadError> {
        let keys = parsed(&self.api_keys, "api_keys", |entry, path| api_key(entry, path, self.start))?;
        distinct(keys, "api_keys", "key", |key| key.sha256.clone())
    }
}

/// Every entry of a list, parsed with its place as the path.
fn parsed<E, T>(
    entries: &[E],
    list: &str,
    parse: impl Fn(&E, &str) -> Result<T, LoadError>,
) -> Result<Vec<T>, LoadError> {
    entries.iter().enumerate().map(|(index, entry)| parse(entry, &format!("{list}[{index}]"))).collect()
}

/// Refuses a list in which two entries have the same key, of which one would silently win.
fn distinct<T, K: Ord>(
    values: Vec<T>,
    list: &str,
    field: &str,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, LoadError> {
    let mut seen = BTreeSet::new();
    match values.iter().position(|entry| !seen.insert(key(entry))) {
        None => Ok(values),
        Some(index) => value(Err("listed twice"), &format!("{list}[{index}]"), field),
    }
}

/// Records the dataset, all of which is checked before any of it is written. What is there already stays:
/// recording is safe to repeat.
pub(crate) async fn load(store: &Store, dataset: &Dataset) -> Result<(), LoadError> {
    let added = store.add_assets(&dataset.assets, Replacing::Rows).await;
    added.map_err(|error| LoadError::Value { path: "assets".to_owned(), problem: error.to_string() })?;
    let catalogue = store.catalogue().await?;
    let sheets = dataset.sheets(&catalogue)?;
    let keys = dataset.api_keys()?;
    let accounts = dataset.accounts(&catalogue)?;
    let now = store.clock().now();
    dataset.vaults()?;
    for (index, account) in dataset.custody_accounts(&catalogue)?.iter().enumerate() {
        let registered = store.register_custody_account(account, now).await;
        registered
            .map_err(|source| LoadError::Register { path: format!("custody_accounts[{index}]"), source })?;
    }
    for sheet in sheets {
        store.put_sheet(&sheet).await?;
    }
    for key in keys {
        store.put_api_key(&key).await?;
    }
    // The first entries of all accounts, then their second ones, and so on: a batch holds an account once.
    let longest = accounts.iter().map(Vec::len).max().unwrap_or_default();
    for age in 0..longest {
        let updates: Vec<AccountUpdate> =
            accounts.iter().filter_map(|updates| updates.get(age).cloned()).collect();
        for (update, outcome) in updates.iter().zip(store.record_many(&updates).await?) {
            outcome.map_err(|source| refused(update, source))?;
        }
    }
    Ok(())
}

fn refused(account: &AccountUpdate, source: RecordError) -> LoadError {
    LoadError::Record { path: format!("account {}", account.id), source }
}

fn value<T, E: std::fmt::Display>(parsed: Result<T, E>, path: &str, field: &str) -> Result<T, LoadError> {
    parsed.map_err(|error| LoadError::Value { path: format!("{path}.{field}"), problem: error.to_string() })
}

fn optional<T, E: std::fmt::Display>(
    text: Option<&String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
    path: &str,
    field: &str,
) -> Result<Option<T>, LoadError> {
    value(text.map(|text| parse(text)).transpose(), path, field)
}

/// The account's entries, oldest first.
fn account(
    entry: &AccountEntry,
    path: &str,
    catalogue: &Catalogue,
    start: Timestamp,
) -> Result<Vec<AccountUpdate>, LoadError> {
    let updates = entry.updates(EntrySource::Dataset { start }, catalogue);
    updates.map_err(|error| match error {
        EntryError::UnknownField { name, known } => LoadError::Value {
            path: format!("{path}.{name}"),
            problem: format!("unknown field; known are {}", known.join(", ")),
        },
        EntryError::Value { field, problem } => LoadError::Value { path: format!("{path}.{field}"), problem },
    })
}

fn sheet(
    entry: &SheetEntry,
    path: &str,
    catalogue: &Catalogue,
    start: Timestamp,
) -> Result<RateSheet, LoadError> {
    let instant = |text: &str| Timestamp::parse_relative(text, start);
    let observed_at = value(instant(&entry.observed_at), path, "observed_at")?;
    let recorded_at =
        optional(entry.recorded_at.as_ref(), instant, path, "recorded_at")?.unwrap_or(observed_at);
    if observed_at > recorded_at.plus(MAX_AHEAD) {
        return value(Err("more than 5 minutes before observed_at"), path, "recorded_at");
    }
    let (mut entries, mut codes) = (BTreeMap::new(), BTreeSet::new());
    for (index, rate) in entry.entries.iter().enumerate() {
        let path = format!("{path}.entries[{index}]");
        let RateEntry { currency, usd, source, method, observed_at: own } = rate;
        let asset = value(catalogue.asset(currency), &path, "currency")?;
        let rate = Rate {
            usd: value(UsdPrice::parse(usd), &path, "usd")?,
            source: source.clone(),
            method: value(Method::parse(method), &path, "method")?,
            observed_at: optional(own.as_ref(), instant, &path, "observed_at")?.unwrap_or(observed_at),
        };
        // A currency is found twice, whichever of its entries may price.
        if !codes.insert(asset) {
            return value(Err("listed twice in one sheet"), &path, "currency");
        }
        // A sheet that is made has no rate at par of an asset whose row does not permit one.
        if rate.method != Method::Par || asset.par() == Par::Allowed {
            entries.insert(asset.code().to_owned(), rate);
        }
    }
    Ok(RateSheet { kind: SheetKind::Complete, observed_at, recorded_at, entries })
}

fn custody_account(
    entry: &CustodyEntry,
    path: &str,
    catalogue: &Catalogue,
) -> Result<CustodyAccount, LoadError> {
    let CustodyEntry { id, customer_id, provider, provider_account, assets } = entry;
    let provider = value(ProviderName::parse(provider), path, "provider")?;
    let coverage = match assets {
        CoverageEntry::Named(name) if name == "all" => Coverage::All,
        CoverageEntry::Named(_) => return value(Err("a list of assets, or \"all\""), path, "assets"),
        CoverageEntry::Listed(assets) => Coverage::Listed(listed(assets, path, catalogue)?),
    };
    Ok(CustodyAccount {
        id: value(CustodyAccountId::parse(id), path, "id")?,
        customer_id: value(CustomerId::parse(customer_id), path, "customer_id")?,
        provider,
        provider_account: value(
            ProviderAccount::parse(provider, provider_account),
            path,
            "provider_account",
        )?,
        positions: BTreeMap::new(),
        coverage,
        unlisted: BTreeMap::new(),
        synced_at: None,
    })
}

fn listed(
    assets: &[CustodyAssetEntry],
    path: &str,
    catalogue: &Catalogue,
) -> Result<BTreeSet<ChainAsset>, LoadError> {
    let mut listed = BTreeSet::new();
    for (index, CustodyAssetEntry { blockchain, token }) in assets.iter().enumerate() {
        let path = format!("{path}.assets[{index}]");
        let chain_asset = value(catalogue.chain_asset(blockchain, token), &path, "token")?;
        if !listed.insert(chain_asset) {
            return value(Err("listed twice"), &path, "token");
        }
    }
    Ok(listed)
}

fn api_key(entry: &ApiKeyEntry, path: &str, start: Timestamp) -> Result<ApiKey, LoadError> {
    let instant = |text: &str| Timestamp::parse_relative(text, start);
    let ApiKeyEntry { key, claims, expires_at } = entry;
    if !is_api_key(key) {
        return value(
            Err("an API key is bk_ and at least 40 characters of A-Z, a-z, 0-9 and _"),
            path,
            "key",
        );
    }
    Ok(ApiKey {
        sha256: sha256_hex(key),
        subject: claims.sub.clone(),
        grants: value(claims.grants.grants(), path, "claims")?,
        expires_at: optional(expires_at.as_ref(), instant, path, "expires_at")?,
        revoked_at: None,
    })
}
