//! How custody is kept: which providers, within which budgets, how often.

use super::{ConfigError, SecretSource, Variables};
use jiff::SignedDuration;

/// Calls to one custody provider in a clock minute unless configured otherwise; BitGo's own default is 360.
pub const DEFAULT_PROVIDER_CALLS_PER_MINUTE: u64 = 300;
/// Times in a clock minute that one caller may make a provider be asked unless configured otherwise.
pub const DEFAULT_PROVIDER_READS_PER_CALLER: u64 = 60;
/// Seconds between two scheduled syncs of an account unless configured otherwise.
pub const DEFAULT_SYNC_INTERVAL_SECONDS: u64 = 900;

/// How to reach a custody provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its API.
    pub base_url: String,
    /// The credentials that we are known by there.
    pub secret: SecretSource,
}

/// The configuration of custody functions, beside the store's.
#[derive(Debug, Clone)]
pub struct CustodyConfig {
    /// Fireblocks, if it is used.
    pub fireblocks: Option<ProviderConfig>,
    /// BitGo, if it is used.
    pub bitgo: Option<ProviderConfig>,
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
        let variables = Variables(lookup);
        let provider = |url_name, default_url: &str, secret_name, arn_name| {
            let Some(secret) = variables.secret(secret_name, arn_name)? else { return Ok(None) };
            Ok(Some(ProviderConfig { base_url: variables.base_url(url_name, default_url)?, secret }))
        };
        Ok(Self {
            fireblocks: provider(
                "FIREBLOCKS_BASE_URL",
                "https://api.fireblocks.io",
                "FIREBLOCKS_SECRET",
                "FIREBLOCKS_SECRET_ARN",
            )?,
            bitgo: provider("BITGO_BASE_URL", "https://app.bitgo.com", "BITGO_SECRET", "BITGO_SECRET_ARN")?,
            provider_calls_per_minute: variables
                .number("PROVIDER_CALLS_PER_MINUTE", DEFAULT_PROVIDER_CALLS_PER_MINUTE)?,
            provider_reads_per_caller: variables
                .number("PROVIDER_READS_PER_CALLER", DEFAULT_PROVIDER_READS_PER_CALLER)?,
            sync_interval_seconds: variables
                .number("SYNC_INTERVAL_SECONDS", DEFAULT_SYNC_INTERVAL_SECONDS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custody(rows: &[(&str, &str)]) -> Result<CustodyConfig, ConfigError> {
        CustodyConfig::from_lookup(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()))
    }

    #[test]
    fn a_custody_provider_is_used_when_it_has_a_secret_of_one_kind() {
        let none = custody(&[]).unwrap();
        assert!(none.fireblocks.is_none() && none.bitgo.is_none());
        assert_eq!(
            (none.provider_calls_per_minute, none.sync_interval()),
            (300, SignedDuration::from_mins(15))
        );
        let both =
            custody(&[("FIREBLOCKS_SECRET_ARN", "arn:aws:secretsmanager:x"), ("BITGO_SECRET", "token")])
                .unwrap();
        let urls = [both.fireblocks, both.bitgo].map(|provider| provider.unwrap().base_url);
        assert_eq!(urls, ["https://api.fireblocks.io", "https://app.bitgo.com"]);
        let refused: [(&[(&str, &str)], &str); 4] = [
            (&[("FIREBLOCKS_SECRET", "x"), ("FIREBLOCKS_SECRET_ARN", "arn")], "FIREBLOCKS_SECRET"),
            (&[("BITGO_SECRET", "x"), ("BITGO_BASE_URL", "http://app.bitgo.com")], "BITGO_BASE_URL"),
            (&[("SYNC_INTERVAL_SECONDS", "often")], "SYNC_INTERVAL_SECONDS"),
            (&[("PROVIDER_CALLS_PER_MINUTE", "-1")], "PROVIDER_CALLS_PER_MINUTE"),
        ];
        for (rows, name) in refused {
            assert!(
                matches!(custody(rows), Err(ConfigError::Invalid(refused, _)) if refused == name),
                "{rows:?}"
            );
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = format!("{:?}", custody(&[("BITGO_SECRET", "a token")]).unwrap());
        assert!(!printed.contains("a token"), "{printed}");
    }
}
