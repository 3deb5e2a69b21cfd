//! The environment of this stack's functions: one list, by which the functions within this process are
//! configured, and which other processes can be given.

use crate::control;
use crate::issuer::{AUDIENCE, ISSUER};
use crate::{market, sandbox};
use shared::config::{BookConfig, Config, ConfigError, CustodyConfig, RatesConfig, Table, base_url_variable};
use shared::domain::SourceName;
use std::net::SocketAddr;

/// The index's key, which its owner may set when the real sources are asked for.
const COINGECKO_API_KEY: &str = "COINGECKO_API_KEY";
const COINGECKO_PLAN: &str = "COINGECKO_PLAN";

/// Settings of the functions that a stack's owner chooses.
#[derive(Debug, Clone)]
pub(crate) struct EdgeSettings<'a> {
    /// Calls per caller, route group and clock minute; 0 is no limit.
    pub(crate) rate_limit: u64,
    /// The parameter `UnknownAssets`.
    pub(crate) unknown_assets: &'a str,
    /// The parameter `BookTimeZone`.
    pub(crate) book_time_zone: &'a str,
    /// The parameter `HouseCustomerIds`.
    pub(crate) house_customer_ids: String,
}

/// Variables with their values.
#[derive(Debug, Clone)]
pub(crate) struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// The environment of a stack that serves DynamoDB and its API at these addresses. The sandboxes are the
    /// custody provider, whose calls nothing limits, and the sources of rates, unless those are `live`.
    pub(crate) fn new(dynamodb: SocketAddr, api: SocketAddr, edge: EdgeSettings<'_>, is_live: bool) -> Self {
        let api = |path: &str| format!("http://{api}{path}");
        let source = |name: SourceName| api(&format!("{}/{}", market::MOUNT, name.name()));
        let store = [
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamodb}")),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ];
        let tables = Table::ALL.map(|table| (table.variable(), table.logical_id().to_owned()));
        let http = [
            ("JWT_ISSUER", ISSUER.to_owned()),
            ("JWT_AUDIENCE", AUDIENCE.to_owned()),
            ("JWT_JWKS_URL", api(control::JWKS_PATH)),
            ("RATE_LIMIT_PER_MINUTE", edge.rate_limit.to_string()),
            ("UNKNOWN_ASSETS", edge.unknown_assets.to_owned()),
        ];
        let book = [
            ("BOOK_TIME_ZONE", edge.book_time_zone.to_owned()),
            ("HOUSE_CUSTOMER_IDS", edge.house_customer_ids),
        ];
        let custody = [
            ("PROVIDER_CALLS_PER_MINUTE", "0".to_owned()),
            ("PROVIDER_READS_PER_CALLER", "0".to_owned()),
            ("FIREBLOCKS_BASE_URL", api(sandbox::MOUNT)),
            ("FIREBLOCKS_SECRET", sandbox::secret()),
            ("BITGO_BASE_URL", api(sandbox::bitgo::MOUNT)),
            ("BITGO_SECRET", sandbox::bitgo::TOKEN.to_owned()),
        ];
        let rates = if is_live {
            let given = |name| Some((name, std::env::var(name).ok()?));
            [COINGECKO_API_KEY, COINGECKO_PLAN].into_iter().filter_map(given).collect()
        } else {
            SourceName::ALL.map(|name| (base_url_variable(name), source(name))).to_vec()
        };
        Self(store.into_iter().chain(tables).chain(http).chain(book).chain(custody).chain(rates).collect())
    }

    /// A variable's value, as a process's own environment would have it.
    fn value(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| self.value(name))
    }

    pub(crate) fn custody(&self) -> Result<CustodyConfig, ConfigError> {
        CustodyConfig::from_lookup(|name| self.value(name))
    }

    pub(crate) fn book(&self) -> Result<BookConfig, ConfigError> {
        BookConfig::from_lookup(|name| self.value(name))
    }

    pub(crate) fn rates(&self) -> Result<RatesConfig, ConfigError> {
        RatesConfig::from_lookup(|name| self.value(name))
    }

    /// Every variable with its value.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}
