//! The DynamoDB client: configured by hand, because the default provider chain and the system's trust store
//! are a quarter of a cold start.

use super::clock_check::ClockCheck;
use super::usage::Meter;
use crate::config::StoreConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::{Client, config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use std::time::Duration;

/// The five roots of Amazon Trust Services, from <https://www.amazontrust.com/repository/>: narrower than the
/// system's store.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-trust-services.pem");

/// A healthy table answers in single-digit milliseconds; beyond these something is wrong and the caller
/// should know.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
/// The first attempt and two retries, all within [`OPERATION_TIMEOUT`].
const MAX_ATTEMPTS: u32 = 3;
/// Retries start this far apart, so that three attempts take milliseconds where a table is merely busy.
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);

pub(super) fn new(config: &StoreConfig, clock_check: ClockCheck) -> Client {
    let StoreConfig {
        region,
        endpoint_url,
        access_key_id,
        secret_access_key,
        session_token,
        secrets_endpoint_url: _,
        tables: _,
    } = config;
    let credentials =
        Credentials::new(access_key_id, secret_access_key, session_token.clone(), None, "environment");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut builder = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(credentials)
        .timeout_config(timeouts)
        .retry_config(
            RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(INITIAL_BACKOFF),
        )
        .http_client(https_client());
    builder.set_endpoint_url(endpoint_url.clone());
    observed(builder, clock_check)
}

/// A client whose calls are metered and whose answers check the clock.
pub(super) fn observed(config: config::Builder, clock_check: ClockCheck) -> Client {
    Client::from_conf(config.interceptor(Meter).interceptor(clock_check).build())
}

/// An HTTPS client for AWS's own services, which trusts Amazon's roots alone.
#[must_use]
pub fn https_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_https(),
        // The roots are part of the binary, and a test parses them; without them the system's store serves.
        Err(_) => Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https(),
    }
}
