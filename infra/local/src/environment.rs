//! A configuration as the variables that a function's own process reads it from.

use secrecy::ExposeSecret;
use shared::config::{
    AuthConfig, Config, CustodyConfig, ProviderConfig, RatesConfig, SecretSource, SigningKeys, StoreConfig,
    Tables,
};

/// The variables, as `Config::from_env` reads them.
pub(crate) fn of(config: &Config, custody: &CustodyConfig, feed: &RatesConfig) -> Vec<(String, String)> {
    let Config { store, auth, rate_limit_per_minute } = config;
    let StoreConfig {
        region,
        endpoint_url,
        access_key_id,
        secret_access_key,
        session_token: _,
        secrets_endpoint_url: _,
        tables,
    } = store;
    let Tables { accounts, history, rates, access, custody: custody_table, limits } = tables;
    let AuthConfig { issuer, audience, keys } = auth;
    let keys = match keys {
        SigningKeys::JwksUrl(url) => ("JWT_JWKS_URL", url.clone()),
        SigningKeys::Hs256Secret(source) => secret(source, "JWT_HS256_SECRET", "JWT_HS256_SECRET_ARN"),
    };
    let variables = [
        ("AWS_REGION", region.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint_url.clone().unwrap_or_default()),
        ("AWS_ACCESS_KEY_ID", access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", secret_access_key.clone()),
        ("ACCOUNTS_TABLE", accounts.clone()),
        ("HISTORY_TABLE", history.clone()),
        ("RATES_TABLE", rates.clone()),
        ("ACCESS_TABLE", access.clone()),
        ("CUSTODY_TABLE", custody_table.clone()),
        ("LIMITS_TABLE", limits.clone()),
        ("JWT_ISSUER", issuer.clone()),
        ("JWT_AUDIENCE", audience.clone()),
        keys,
        ("RATE_LIMIT_PER_MINUTE", rate_limit_per_minute.to_string()),
    ];
    variables
        .into_iter()
        .chain(of_custody(custody))
        .chain(of_rates(feed))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn secret(source: &SecretSource, text: &'static str, arn: &'static str) -> (&'static str, String) {
    match source {
        SecretSource::Text(secret) => (text, secret.expose_secret().to_owned()),
        SecretSource::Arn(at) => (arn, at.clone()),
    }
}

fn of_custody(config: &CustodyConfig) -> Vec<(&'static str, String)> {
    let CustodyConfig {
        fireblocks,
        fireblocks_assets: _,
        bitgo: _,
        provider_calls_per_minute,
        provider_reads_per_caller,
        sync_interval_seconds,
    } = config;
    let limits = [
        ("PROVIDER_CALLS_PER_MINUTE", provider_calls_per_minute.to_string()),
        ("PROVIDER_READS_PER_CALLER", provider_reads_per_caller.to_string()),
        ("SYNC_INTERVAL_SECONDS", sync_interval_seconds.to_string()),
    ];
    let fireblocks = fireblocks.iter().flat_map(|ProviderConfig { base_url, secret: source }| {
        [
            ("FIREBLOCKS_BASE_URL", base_url.clone()),
            secret(source, "FIREBLOCKS_SECRET", "FIREBLOCKS_SECRET_ARN"),
        ]
    });
    limits.into_iter().chain(fireblocks).collect()
}

fn of_rates(config: &RatesConfig) -> [(&'static str, String); 3] {
    let RatesConfig {
        ecb_base_url,
        coinbase_base_url,
        coingecko_base_url,
        coingecko_api_key: _,
        jump_factor: _,
    } = config;
    [
        ("ECB_BASE_URL", ecb_base_url.clone()),
        ("COINBASE_BASE_URL", coinbase_base_url.clone()),
        ("COINGECKO_BASE_URL", coingecko_base_url.clone()),
    ]
}
