//! A configuration as the variables that a function's own process reads it from.

use shared::config::{AuthConfig, Config, SigningKeys, StoreConfig, Tables};

/// The variables, as `Config::from_env` reads them.
pub(crate) fn of(config: &Config) -> Vec<(String, String)> {
    let Config { store, auth, rate_limit_per_minute } = config;
    let StoreConfig { region, endpoint_url, access_key_id, secret_access_key, session_token: _, tables } = store;
    let Tables { accounts, history, rates, access, limits } = tables;
    let AuthConfig { issuer, audience, keys } = auth;
    let keys = match keys {
        SigningKeys::JwksUrl(url) => ("JWT_JWKS_URL", url.clone()),
        SigningKeys::Hs256Secret(secret) => ("JWT_HS256_SECRET", secret.clone()),
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
        ("LIMITS_TABLE", limits.clone()),
        ("JWT_ISSUER", issuer.clone()),
        ("JWT_AUDIENCE", audience.clone()),
        keys,
        ("RATE_LIMIT_PER_MINUTE", rate_limit_per_minute.to_string()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}
