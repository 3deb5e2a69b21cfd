//! Where secrets come from: Secrets Manager in a deployment, the environment in the local stack.
//!
//! They are read when they are first needed and again after a while, so that a rotated secret is found
//! without a deployment.

use crate::config::{SecretSource, StoreConfig};
use crate::domain::Timestamp;
use crate::store::https_client;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Mutex;

/// How long an instance believes a secret it has read.
const TTL: SignedDuration = SignedDuration::from_mins(15);
/// How long it goes on believing while the secret cannot be read again, and when it tries once more.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// Beyond this a secret counts as unreadable; what needs it has 10 s in all.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A secret that cannot be read, and why. The text names no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the secret cannot be read: {0}")]
pub struct SecretError(String);

/// A secret's current text, cached; cheap to clone.
#[derive(Debug, Clone)]
pub struct Secret {
    source: SecretSource,
    client: Client,
    read: Arc<Mutex<Option<Read>>>,
}

#[derive(Debug, Clone)]
struct Read {
    text: SecretString,
    at: Timestamp,
    good_until: Timestamp,
}

impl Secret {
    /// The secret of that source; nothing is read yet.
    #[must_use]
    pub fn new(source: SecretSource, aws: &StoreConfig) -> Self {
        Self { source, client: client(aws), read: Arc::default() }
    }

    /// The text, read at most a quarter of an hour ago, or a day while it cannot be read again. Who waits for
    /// a read shares it.
    pub async fn text(&self, now: Timestamp) -> Result<SecretString, SecretError> {
        let mut read = self.read.lock().await;
        // A clock that was set back makes nothing younger than it is.
        if let Some(known) =
            read.as_ref().filter(|known| now < known.good_until && known.at.age_at(now) > -TTL)
        {
            return Ok(known.text.clone());
        }
        match self.fetch().await {
            Ok(text) => Ok(read.insert(Read { text, at: now, good_until: now.plus(TTL) }).text.clone()),
            Err(error) => {
                let known = read
                    .as_mut()
                    .filter(|known| known.at.age_at(now).abs() < MAX_AGE)
                    .ok_or_else(|| error.clone())?;
                tracing::warn!(%error, "a secret could not be read again; the one that was read before serves on");
                known.good_until = now.plus(RETRY_AFTER);
                Ok(known.text.clone())
            }
        }
    }

    /// Forgets what was read, because a server has refused it: the secret may have been rotated.
    pub async fn forget(&self) {
        *self.read.lock().await = None;
    }

    async fn fetch(&self) -> Result<SecretString, SecretError> {
        match &self.source {
            SecretSource::Text(text) => Ok(SecretString::from(text.expose_secret())),
            SecretSource::Arn(arn) => {
                let answer = self.client.get_secret_value().secret_id(arn).send().await;
                let answer = answer.map_err(|error| {
                    let code = error
                        .as_service_error()
                        .and_then(aws_sdk_secretsmanager::error::ProvideErrorMetadata::code);
                    SecretError(code.unwrap_or("no answer").to_owned())
                })?;
                answer
                    .secret_string
                    .map(SecretString::from)
                    .ok_or_else(|| SecretError("it is no text".to_owned()))
            }
        }
    }
}

/// A client of Secrets Manager with the process's own credentials, configured by hand as the store's is.
fn client(aws: &StoreConfig) -> Client {
    let StoreConfig {
        region,
        access_key_id,
        secret_access_key,
        session_token,
        secrets_endpoint_url,
        endpoint_url: _,
        tables: _,
    } = aws;
    let credentials =
        Credentials::new(access_key_id, secret_access_key, session_token.clone(), None, "environment");
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(credentials)
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
        .http_client(https_client());
    config.set_endpoint_url(secrets_endpoint_url.clone());
    Client::from_conf(config.build())
}
