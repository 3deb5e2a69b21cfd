//! The configuration of a function: its environment variables, read once at start.
//!
//! It knows names, not meanings: clients and keys are built from it by the modules that use them.

mod book;
mod custody;
mod rates;
mod table;

pub use book::BookConfig;
pub use custody::{
    CustodyConfig, DEFAULT_PROVIDER_CALLS_PER_MINUTE, DEFAULT_PROVIDER_READS_PER_CALLER,
    DEFAULT_SYNC_INTERVAL_SECONDS, ProviderConfig,
};
pub use rates::{CoinGeckoPlan, RatesConfig, base_url_variable};
pub use table::{Table, Tables};

use crate::domain::{UnknownAssets, Zone};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Shortest shared secret for HS256, in bytes (RFC 7518 section 3.2); checked when it is read.
pub const MIN_SECRET_BYTES: usize = 32;

/// Calls a caller may make to one route group in a clock minute unless configured otherwise.
pub const DEFAULT_RATE_LIMIT_PER_MINUTE: u64 = 600;

/// Why the environment is not a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A variable is missing or empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has an unusable value, which is not repeated here.
    #[error("environment variable {0} {1}")]
    Invalid(&'static str, &'static str),
}

/// Where a secret's text is.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Here, as in the local stack.
    Text(SecretString),
    /// In Secrets Manager, by this ARN.
    Arn(String),
}

/// Reads variables by name; an empty one counts as not set.
struct Variables<L>(L);

impl<L: Fn(&'static str) -> Option<String>> Variables<L> {
    fn optional(&self, name: &'static str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    fn number(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        let number = self.optional(name).map(|text| text.parse()).transpose();
        Ok(number.map_err(|_| ConfigError::Invalid(name, "is not a whole number"))?.unwrap_or(default))
    }

    /// A server's base URL, to which nobody else answers.
    fn base_url(&self, name: &'static str, default: &str) -> Result<String, ConfigError> {
        trusted_url(name, self.optional(name).unwrap_or_else(|| default.to_owned()))
    }

    /// A secret that is given as a text, by its ARN, or not at all.
    fn secret(&self, text: &'static str, arn: &'static str) -> Result<Option<SecretSource>, ConfigError> {
        match (self.optional(text), self.optional(arn)) {
            (Some(secret), None) => Ok(Some(SecretSource::Text(SecretString::from(secret)))),
            (None, Some(arn)) => Ok(Some(SecretSource::Arn(arn))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ConfigError::Invalid(text, "is set twice, as a text and as an ARN")),
        }
    }
}

/// How to reach DynamoDB, and Secrets Manager beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The AWS region.
    pub region: String,
    /// Another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
    /// Another endpoint of Secrets Manager than AWS's own.
    pub secrets_endpoint_url: Option<String>,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
    /// The tables.
    pub tables: Tables,
}

impl StoreConfig {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&Variables(|name| std::env::var(name).ok()))
    }

    fn read(variables: &Variables<impl Fn(&'static str) -> Option<String>>) -> Result<Self, ConfigError> {
        let (optional, required) = (|name| variables.optional(name), |name| variables.required(name));
        Ok(Self {
            region: required("AWS_REGION")?,
            endpoint_url: optional("AWS_ENDPOINT_URL_DYNAMODB"),
            secrets_endpoint_url: optional("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            access_key_id: required("AWS_ACCESS_KEY_ID")?,
            secret_access_key: required("AWS_SECRET_ACCESS_KEY")?,
            session_token: optional("AWS_SESSION_TOKEN"),
            tables: Tables::named(|table| required(table.variable()))?,
        })
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("region", &self.region)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// The keys that sign a deployment's tokens: one kind or the other, never both.
#[derive(Debug, Clone)]
pub enum SigningKeys {
    /// Public keys at a URL.
    JwksUrl(String),
    /// A shared secret of at least [`MIN_SECRET_BYTES`].
    Hs256Secret(SecretSource),
}

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// The `client_id` of access tokens without `aud`, as Cognito's are; `None` refuses them.
    pub client_id_audience: Option<String>,
    /// The issuer's names of our claims, by ours.
    pub claim_names: BTreeMap<String, String>,
    /// The keys that sign them.
    pub keys: SigningKeys,
}

impl AuthConfig {
    /// Tokens of this issuer for this audience, whose claims have our names.
    #[must_use]
    pub const fn new(issuer: String, audience: String, keys: SigningKeys) -> Self {
        Self { issuer, audience, client_id_audience: None, claim_names: BTreeMap::new(), keys }
    }
}

/// The configuration of an HTTP function.
#[derive(Debug, Clone)]
pub struct Config {
    /// The store.
    pub store: StoreConfig,
    /// The callers.
    pub auth: AuthConfig,
    /// Calls per caller, route group and clock minute; 0 is no limit.
    pub rate_limit_per_minute: u64,
    /// Whether custody holdings that the catalogue does not name are an error by themselves.
    pub unknown_assets: UnknownAssets,
    /// The zone whose days end with a close.
    pub book_zone: Zone,
    /// The path that a domain or a stage puts before the routes' own.
    pub base_path: BasePath,
}

/// A path that a custom domain or a named stage puts before the routes' own; empty where none does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(String);

impl BasePath {
    /// `v1`, `/v1` and `/v1/` are the same.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let segments = text.trim_matches('/');
        let is_plain = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        match segments {
            "" => Some(Self::default()),
            _ if segments.split('/').all(is_plain) => Some(Self(format!("/{segments}"))),
            _ => None,
        }
    }

    /// A path without it. A path that does not begin with it stays as it is.
    ///
    /// ```
    /// use shared::config::BasePath;
    /// let base_path = BasePath::parse("balances").unwrap();
    /// assert_eq!(base_path.strip("/balances/v2/accounts"), "/v2/accounts");
    /// ```
    #[must_use]
    pub fn strip<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.0).filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables by `lookup`; an empty one counts as not set.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables(lookup);
        let (optional, required) = (|name| variables.optional(name), |name| variables.required(name));
        let store = StoreConfig::read(&variables)?;
        let keys =
            match (optional("JWT_JWKS_URL"), variables.secret("JWT_HS256_SECRET", "JWT_HS256_SECRET_ARN")?) {
                (Some(url), None) => jwks_url(url)?,
                (None, Some(secret)) => SigningKeys::Hs256Secret(secret),
                (Some(_), Some(_)) => {
                    return Err(ConfigError::Invalid(
                        "JWT_JWKS_URL",
                        "is set together with a shared secret; set one",
                    ));
                }
                (None, None) => return Err(ConfigError::Missing("JWT_JWKS_URL")),
            };
        let auth = AuthConfig {
            client_id_audience: optional("JWT_CLIENT_ID_AUDIENCE"),
            claim_names: claim_names(optional("JWT_CLAIMS"))?,
            ..AuthConfig::new(required("JWT_ISSUER")?, required("JWT_AUDIENCE")?, keys)
        };
        let rate_limit_per_minute =
            variables.number("RATE_LIMIT_PER_MINUTE", DEFAULT_RATE_LIMIT_PER_MINUTE)?;
        let unknown_assets = match optional("UNKNOWN_ASSETS") {
            None => UnknownAssets::default(),
            Some(policy) => UnknownAssets::parse(&policy)
                .ok_or(ConfigError::Invalid("UNKNOWN_ASSETS", "is neither refuse nor mark"))?,
        };
        let book_zone = book::zone(&variables)?;
        let base_path = BasePath::parse(&optional("BASE_PATH").unwrap_or_default());
        let base_path = base_path.ok_or(ConfigError::Invalid("BASE_PATH", "is not a path"))?;
        Ok(Self { store, auth, rate_limit_per_minute, unknown_assets, book_zone, base_path })
    }
}

/// `customer_ids=https://ballast.example/customer_ids,permissions=scope`.
fn claim_names(text: Option<String>) -> Result<BTreeMap<String, String>, ConfigError> {
    const OURS: [&str; 4] = ["customer_ids", "organization_ids", "merchant_ids", "permissions"];
    let pair = |pair: &str| {
        let (ours, theirs) =
            pair.split_once('=').filter(|(ours, theirs)| OURS.contains(ours) && !theirs.is_empty())?;
        Some((ours.to_owned(), theirs.to_owned()))
    };
    let text = text.unwrap_or_default();
    let names: Option<BTreeMap<_, _>> =
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(pair).collect();
    names.ok_or(ConfigError::Invalid("JWT_CLAIMS", "is not a list of our claims, each with `=` and its name"))
}

/// Keys fetched in the clear could be anybody's, except from this machine.
fn jwks_url(url: String) -> Result<SigningKeys, ConfigError> {
    trusted_url("JWT_JWKS_URL", url).map(SigningKeys::JwksUrl)
}

fn trusted_url(name: &'static str, url: String) -> Result<String, ConfigError> {
    let is_trusted = url.starts_with("https://") || is_loopback(&url);
    if is_trusted { Ok(url) } else { Err(ConfigError::Invalid(name, "is not an https URL")) }
}

/// Whether a URL is of a port of this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    const LOOPBACK: [&str; 3] = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    LOOPBACK.iter().any(|prefix| url.starts_with(prefix)) && !url.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: [(&str, &str); 13] = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("ACCOUNTS_TABLE", "a"),
        ("HISTORY_TABLE", "h"),
        ("RATES_TABLE", "r"),
        ("ACCESS_TABLE", "x"),
        ("CUSTODY_TABLE", "c"),
        ("LIMITS_TABLE", "l"),
        ("POSITIONS_TABLE", "p"),
        ("JWT_ISSUER", "i"),
        ("JWT_AUDIENCE", "b"),
        ("JWT_JWKS_URL", "https://issuer.example/jwks.json"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let find = |rows: &[(&str, &str)], name: &str| {
            rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned())
        };
        Config::from_lookup(|name| find(changes, name).or_else(|| find(&COMPLETE, name)))
    }

    #[test]
    fn each_required_variable_is_missed_by_name() {
        assert!(read(&[]).is_ok());
        for (name, _) in COMPLETE {
            assert_eq!(read(&[(name, "")]).unwrap_err(), ConfigError::Missing(name));
        }
    }

    #[test]
    fn keys_are_one_of_two_and_published_where_nobody_listens_in() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let rows: [Row<'_>; 8] = [
            (&[("JWT_HS256_SECRET", "a secret")], Some("JWT_JWKS_URL")),
            (&[("JWT_HS256_SECRET_ARN", "arn:aws:secretsmanager:x")], Some("JWT_JWKS_URL")),
            (&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET", "a secret")], None),
            (&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET_ARN", "arn:aws:secretsmanager:x")], None),
            (&[("JWT_JWKS_URL", "http://issuer.example/jwks.json")], Some("JWT_JWKS_URL")),
            (&[("JWT_JWKS_URL", "http://127.0.0.1.example/jwks.json")], Some("JWT_JWKS_URL")),
            (&[("JWT_JWKS_URL", "http://localhost.example:9000/jwks.json")], Some("JWT_JWKS_URL")),
            (&[("JWT_JWKS_URL", "http://127.0.0.1:9000/jwks.json")], None),
        ];
        for (changes, refused) in rows {
            let name = read(changes).err().map(|error| match error {
                ConfigError::Missing(name) | ConfigError::Invalid(name, _) => name,
            });
            assert_eq!(name, refused, "{changes:?}");
        }
    }

    #[test]
    fn the_rate_limit_is_a_whole_number_with_a_default() {
        assert_eq!(read(&[]).unwrap().rate_limit_per_minute, 600);
        assert_eq!(read(&[("RATE_LIMIT_PER_MINUTE", "0")]).unwrap().rate_limit_per_minute, 0);
        for text in ["-1", "many", "1.5"] {
            assert!(
                matches!(
                    read(&[("RATE_LIMIT_PER_MINUTE", text)]),
                    Err(ConfigError::Invalid("RATE_LIMIT_PER_MINUTE", _))
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn a_base_path_is_taken_off_and_nothing_else() {
        for (base, path, expected) in [
            ("", "/v2/accounts", "/v2/accounts"),
            ("balances", "/balances/v2/accounts", "/v2/accounts"),
            ("/a/b/", "/a/b/v2/accounts", "/v2/accounts"),
            ("balances", "/balancesv2/accounts", "/balancesv2/accounts"),
            ("balances", "/balances", "/balances"),
            ("balances", "/v2/accounts", "/v2/accounts"),
        ] {
            let config = read(&[("BASE_PATH", base)]).unwrap();
            assert_eq!(config.base_path.strip(path), expected, "{base} {path}");
        }
        assert_eq!(
            read(&[("BASE_PATH", "a//b")]).unwrap_err(),
            ConfigError::Invalid("BASE_PATH", "is not a path")
        );
    }

    #[test]
    fn an_issuers_names_of_our_claims_are_a_list_of_pairs() {
        let names = |text| read(&[("JWT_CLAIMS", text)]).map(|config| config.auth.claim_names);
        let both = names("customer_ids=https://ballast.example/customer_ids, permissions=scope").unwrap();
        let expected = [("customer_ids", "https://ballast.example/customer_ids"), ("permissions", "scope")];
        assert_eq!(both, expected.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())).into());
        for text in ["customer_ids", "customer_ids=", "customers=x", "permissions=scope;customer_ids=x="] {
            let refused = names(text).is_err();
            assert_eq!(refused, !text.starts_with("permissions"), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config =
            read(&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET", "0123456789abcdef0123456789abcdef")]).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("0123456789abcdef") && !printed.contains("\"secret\""), "{printed}");
    }
}
