//! What a function is told by its environment, read once at start.
//!
//! It knows names, not meanings: clients and keys are built from it by the modules that use them.

use jiff::SignedDuration;
use secrecy::SecretString;
use std::fmt;
use thiserror::Error;

/// Shortest shared secret for HS256, in bytes (RFC 7518 section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// Calls a caller may make to one route group in a clock minute unless configured otherwise.
pub const DEFAULT_RATE_LIMIT_PER_MINUTE: u64 = 600;

/// Calls to one custody provider in a clock minute unless configured otherwise; BitGo's own default is 360.
pub const DEFAULT_PROVIDER_CALLS_PER_MINUTE: u64 = 300;
/// Times in a clock minute that one caller may make a provider be asked unless configured otherwise.
pub const DEFAULT_PROVIDER_READS_PER_CALLER: u64 = 60;
/// Seconds between two scheduled syncs of an account unless configured otherwise.
pub const DEFAULT_SYNC_INTERVAL_SECONDS: u64 = 900;

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

/// How to reach a custody provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its API.
    pub base_url: String,
    /// What we are known by there.
    pub secret: SecretSource,
}

/// What custody functions need beyond the store.
#[derive(Debug, Clone)]
pub struct CustodyConfig {
    /// Fireblocks, if it is used.
    pub fireblocks: Option<ProviderConfig>,
    /// More of its asset ids: `ID=BLOCKCHAIN:TOKEN`, separated by commas.
    pub fireblocks_assets: String,
    /// BitGo, if it is used.
    pub bitgo: Option<ProviderConfig>,
    /// Another endpoint of Secrets Manager than AWS's own.
    pub secrets_endpoint_url: Option<String>,
    /// Calls to one provider in a clock minute, over all instances; 0 is no limit.
    pub provider_calls_per_minute: u64,
    /// Times in a clock minute that one caller may make a provider be asked; 0 is no limit.
    pub provider_reads_per_caller: u64,
    /// Seconds between two scheduled syncs of an account.
    pub sync_interval_seconds: u64,
}

impl CustodyConfig {
    /// How far apart an account's scheduled syncs are.
    #[must_use]
    pub fn sync_interval(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.sync_interval_seconds).unwrap_or(i64::MAX))
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables by `lookup`; an empty one counts as not set.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name| lookup(name).filter(|value| !value.is_empty());
        let number = |name, default| match optional(name) {
            Some(text) => text.parse().map_err(|_| ConfigError::Invalid(name, "is not a whole number")),
            None => Ok(default),
        };
        let provider = |url_name, default_url: &str, secret_name, arn_name| {
            let secret = match (optional(secret_name), optional(arn_name)) {
                (Some(text), None) => SecretSource::Text(SecretString::from(text)),
                (None, Some(arn)) => SecretSource::Arn(arn),
                (None, None) => return Ok(None),
                (Some(_), Some(_)) => return Err(ConfigError::Invalid(secret_name, "is set twice, as a text and as an ARN")),
            };
            let base_url = optional(url_name).unwrap_or_else(|| default_url.to_owned());
            Ok(Some(ProviderConfig { base_url: trusted_url(url_name, base_url)?, secret }))
        };
        Ok(Self {
            fireblocks: provider(
                "FIREBLOCKS_BASE_URL",
                "https://api.fireblocks.io",
                "FIREBLOCKS_SECRET",
                "FIREBLOCKS_SECRET_ARN",
            )?,
            fireblocks_assets: optional("FIREBLOCKS_ASSETS").unwrap_or_default(),
            bitgo: provider("BITGO_BASE_URL", "https://app.bitgo.com", "BITGO_SECRET", "BITGO_SECRET_ARN")?,
            secrets_endpoint_url: optional("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            provider_calls_per_minute: number("PROVIDER_CALLS_PER_MINUTE", DEFAULT_PROVIDER_CALLS_PER_MINUTE)?,
            provider_reads_per_caller: number("PROVIDER_READS_PER_CALLER", DEFAULT_PROVIDER_READS_PER_CALLER)?,
            sync_interval_seconds: number("SYNC_INTERVAL_SECONDS", DEFAULT_SYNC_INTERVAL_SECONDS)?,
        })
    }
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// One item per account.
    pub accounts: String,
    /// Every balance an account ever had.
    pub history: String,
    /// One item per rate sheet.
    pub rates: String,
    /// API keys and the cached JWKS.
    pub access: String,
    /// One item per custody account.
    pub custody: String,
    /// Rate-limit counters.
    pub limits: String,
}

/// How to reach DynamoDB.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The AWS region.
    pub region: String,
    /// Another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
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
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: &impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name| lookup(name).filter(|value| !value.is_empty());
        let required = |name| optional(name).ok_or(ConfigError::Missing(name));
        Ok(Self {
            region: required("AWS_REGION")?,
            endpoint_url: optional("AWS_ENDPOINT_URL_DYNAMODB"),
            access_key_id: required("AWS_ACCESS_KEY_ID")?,
            secret_access_key: required("AWS_SECRET_ACCESS_KEY")?,
            session_token: optional("AWS_SESSION_TOKEN"),
            tables: Tables {
                accounts: required("ACCOUNTS_TABLE")?,
                history: required("HISTORY_TABLE")?,
                rates: required("RATES_TABLE")?,
                access: required("ACCESS_TABLE")?,
                custody: required("CUSTODY_TABLE")?,
                limits: required("LIMITS_TABLE")?,
            },
        })
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").field("region", &self.region).field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// What signs a deployment's tokens: one or the other, never both.
#[derive(Clone, PartialEq, Eq)]
pub enum SigningKeys {
    /// Public keys at a URL.
    JwksUrl(String),
    /// A shared secret of at least [`MIN_SECRET_BYTES`].
    Hs256Secret(String),
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JwksUrl(url) => f.debug_tuple("JwksUrl").field(url).finish(),
            Self::Hs256Secret(_) => f.write_str("Hs256Secret(…)"),
        }
    }
}

/// Whose tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// What signs them.
    pub keys: SigningKeys,
}

/// What every HTTP function needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The store.
    pub store: StoreConfig,
    /// The callers.
    pub auth: AuthConfig,
    /// Calls per caller, route group and clock minute; 0 is no limit.
    pub rate_limit_per_minute: u64,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables by `lookup`; an empty one counts as not set.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name| lookup(name).filter(|value| !value.is_empty());
        let required = |name| optional(name).ok_or(ConfigError::Missing(name));
        let store = StoreConfig::from_lookup(&lookup)?;
        let keys = match (optional("JWT_JWKS_URL"), optional("JWT_HS256_SECRET")) {
            (Some(url), None) => jwks_url(url)?,
            (None, Some(secret)) if secret.len() >= MIN_SECRET_BYTES => SigningKeys::Hs256Secret(secret),
            (None, Some(_)) => return Err(ConfigError::Invalid("JWT_HS256_SECRET", "is shorter than 32 bytes")),
            (Some(_), Some(_)) => {
                return Err(ConfigError::Invalid("JWT_HS256_SECRET", "is set together with JWT_JWKS_URL; set one"));
            }
            (None, None) => return Err(ConfigError::Missing("JWT_JWKS_URL")),
        };
        let auth = AuthConfig { issuer: required("JWT_ISSUER")?, audience: required("JWT_AUDIENCE")?, keys };
        let rate_limit = optional("RATE_LIMIT_PER_MINUTE").map(|text| text.parse()).transpose();
        let rate_limit = rate_limit.map_err(|_| ConfigError::Invalid("RATE_LIMIT_PER_MINUTE", "is not a whole number"))?;
        Ok(Self { store, auth, rate_limit_per_minute: rate_limit.unwrap_or(DEFAULT_RATE_LIMIT_PER_MINUTE) })
    }
}

/// Keys fetched in the clear could be anybody's, except from this machine.
fn jwks_url(url: String) -> Result<SigningKeys, ConfigError> {
    trusted_url("JWT_JWKS_URL", url).map(SigningKeys::JwksUrl)
}

fn trusted_url(name: &'static str, url: String) -> Result<String, ConfigError> {
    let is_trusted = url.starts_with("https://") || is_loopback(&url);
    if is_trusted { Ok(url) } else { Err(ConfigError::Invalid(name, "is not an https URL")) }
}

/// Whether a URL is of a port of 127.0.0.1.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    url.starts_with("http://127.0.0.1:") && !url.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: [(&str, &str); 12] = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("ACCOUNTS_TABLE", "a"),
        ("HISTORY_TABLE", "h"),
        ("RATES_TABLE", "r"),
        ("ACCESS_TABLE", "x"),
        ("CUSTODY_TABLE", "c"),
        ("LIMITS_TABLE", "l"),
        ("JWT_ISSUER", "i"),
        ("JWT_AUDIENCE", "b"),
        ("JWT_JWKS_URL", "https://issuer.example/jwks.json"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let find = |rows: &[(&str, &str)], name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned());
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
    fn keys_are_one_of_two_and_strong_enough() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let rows: [Row<'_>; 6] = [
            (&[("JWT_HS256_SECRET", "0123456789abcdef0123456789abcdef")], Some("JWT_HS256_SECRET")),
            (&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET", "0123456789abcdef0123456789abcdef")], None),
            (&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET", "0123456789abcdef0123456789abcde")], Some("JWT_HS256_SECRET")),
            (&[("JWT_JWKS_URL", "http://issuer.example/jwks.json")], Some("JWT_JWKS_URL")),
            (&[("JWT_JWKS_URL", "http://127.0.0.1.example/jwks.json")], Some("JWT_JWKS_URL")),
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
                matches!(read(&[("RATE_LIMIT_PER_MINUTE", text)]), Err(ConfigError::Invalid("RATE_LIMIT_PER_MINUTE", _))),
                "{text}"
            );
        }
    }

    fn custody(rows: &[(&str, &str)]) -> Result<CustodyConfig, ConfigError> {
        CustodyConfig::from_lookup(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()))
    }

    #[test]
    fn a_custody_provider_is_used_when_it_has_a_secret_of_one_kind() {
        let none = custody(&[]).unwrap();
        assert!(none.fireblocks.is_none() && none.bitgo.is_none());
        assert_eq!((none.provider_calls_per_minute, none.sync_interval()), (300, SignedDuration::from_mins(15)));
        let both = custody(&[("FIREBLOCKS_SECRET_ARN", "arn:aws:secretsmanager:x"), ("BITGO_SECRET", "token")]).unwrap();
        let urls = [both.fireblocks, both.bitgo].map(|provider| provider.unwrap().base_url);
        assert_eq!(urls, ["https://api.fireblocks.io", "https://app.bitgo.com"]);
        let refused: [(&[(&str, &str)], &str); 4] = [
            (&[("FIREBLOCKS_SECRET", "x"), ("FIREBLOCKS_SECRET_ARN", "arn")], "FIREBLOCKS_SECRET"),
            (&[("BITGO_SECRET", "x"), ("BITGO_BASE_URL", "http://app.bitgo.com")], "BITGO_BASE_URL"),
            (&[("SYNC_INTERVAL_SECONDS", "often")], "SYNC_INTERVAL_SECONDS"),
            (&[("PROVIDER_CALLS_PER_MINUTE", "-1")], "PROVIDER_CALLS_PER_MINUTE"),
        ];
        for (rows, name) in refused {
            assert!(matches!(custody(rows), Err(ConfigError::Invalid(refused, _)) if refused == name), "{rows:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = read(&[("JWT_JWKS_URL", ""), ("JWT_HS256_SECRET", "0123456789abcdef0123456789abcdef")]).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("0123456789abcdef") && !printed.contains("\"secret\""), "{printed}");
        let printed = format!("{:?}", custody(&[("BITGO_SECRET", "a token")]).unwrap());
        assert!(!printed.contains("a token"), "{printed}");
    }
}
