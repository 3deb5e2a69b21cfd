//! Where rates come from, and which jump of one is not believed at once.

use super::{ConfigError, SecretSource, Variables};
use crate::domain::{Factor, SourceName};
use std::collections::BTreeMap;

/// The variable that names another server of a source than the vendor's own.
#[must_use]
pub const fn base_url_variable(source: SourceName) -> &'static str {
    match source {
        SourceName::Ecb => "ECB_BASE_URL",
        SourceName::Coinbase => "COINBASE_BASE_URL",
        SourceName::CoinGecko => "COINGECKO_BASE_URL",
    }
}

/// The vendor's own server.
const fn vendors_base_url(source: SourceName, plan: CoinGeckoPlan) -> &'static str {
    match (source, plan) {
        (SourceName::Ecb, _) => "https://www.ecb.europa.eu",
        (SourceName::Coinbase, _) => "https://api.coinbase.com",
        (SourceName::CoinGecko, CoinGeckoPlan::Demo) => "https://api.coingecko.com",
        (SourceName::CoinGecko, CoinGeckoPlan::Pro) => "https://pro-api.coingecko.com",
    }
}

/// A plan of `CoinGecko`'s: each has its own server and its own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoinGeckoPlan {
    /// Free, with a key or without one.
    Demo,
    /// Paid for.
    Pro,
}

impl CoinGeckoPlan {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "demo" => Some(Self::Demo),
            "pro" => Some(Self::Pro),
            _ => None,
        }
    }

    /// The header that carries a key of the plan.
    #[must_use]
    pub const fn key_header(self) -> &'static str {
        match self {
            Self::Demo => "x-cg-demo-api-key",
            Self::Pro => "x-cg-pro-api-key",
        }
    }
}

/// The configuration of the rate feed beside the store's.
#[derive(Debug, Clone)]
pub struct RatesConfig {
    base_urls: BTreeMap<SourceName, String>,
    /// The plan that the key of the index belongs to.
    pub coingecko_plan: CoinGeckoPlan,
    /// An API key of the index; it answers a few calls a minute without one.
    pub coingecko_api_key: Option<SecretSource>,
    /// A rate that is more than so many times the last one, or less than that part of it, needs a second
    /// word.
    pub jump_factor: Factor,
}

impl RatesConfig {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// The server that a source is asked at.
    #[must_use]
    pub fn base_url(&self, source: SourceName) -> &str {
        self.base_urls.get(&source).map_or("", String::as_str)
    }

    /// Reads variables by `lookup`; an empty one counts as not set.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables(lookup);
        let jump_factor = variables.optional("RATE_JUMP_FACTOR").map(|text| Factor::parse(&text)).transpose();
        let plan = variables.optional("COINGECKO_PLAN").map(|text| CoinGeckoPlan::parse(&text));
        let coingecko_plan = plan
            .unwrap_or(Some(CoinGeckoPlan::Demo))
            .ok_or(ConfigError::Invalid("COINGECKO_PLAN", "is neither demo nor pro"))?;
        let base_url = |source| {
            let url = variables.base_url(base_url_variable(source), vendors_base_url(source, coingecko_plan));
            Ok((source, url?))
        };
        Ok(Self {
            base_urls: SourceName::ALL.into_iter().map(base_url).collect::<Result<_, _>>()?,
            coingecko_plan,
            coingecko_api_key: variables.secret("COINGECKO_API_KEY", "COINGECKO_API_KEY_ARN")?,
            jump_factor: jump_factor
                .map_err(|_| {
                    ConfigError::Invalid("RATE_JUMP_FACTOR", "is not a decimal above 1 and below 1000")
                })?
                .unwrap_or(Factor::TWO),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<RatesConfig, ConfigError> {
        RatesConfig::from_lookup(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn everything_has_a_default_and_nonsense_is_named() {
        let standard = read("", "").unwrap();
        assert_eq!((standard.jump_factor, standard.coingecko_api_key.is_none()), (Factor::TWO, true));
        assert_eq!(read("RATE_JUMP_FACTOR", "1.5").unwrap().jump_factor, Factor::parse("1.5").unwrap());
        let pro = read("COINGECKO_PLAN", "pro").unwrap();
        assert_eq!(
            (pro.base_url(SourceName::CoinGecko), pro.coingecko_plan.key_header()),
            ("https://pro-api.coingecko.com", "x-cg-pro-api-key")
        );
        for (name, value) in [
            ("RATE_JUMP_FACTOR", "1"),
            ("COINGECKO_PLAN", "Pro"),
            ("ECB_BASE_URL", "http://ecb.example"),
            ("COINBASE_BASE_URL", "x"),
        ] {
            assert!(
                matches!(read(name, value), Err(ConfigError::Invalid(refused, _)) if refused == name),
                "{name}"
            );
        }
        let printed = format!("{:?}", read("COINGECKO_API_KEY", "a key").unwrap());
        assert!(!printed.contains("a key"), "{printed}");
    }
}
