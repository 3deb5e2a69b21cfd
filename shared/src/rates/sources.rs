//! The sources of one deployment, built by configuration and asked all at once.

use super::coinbase::Coinbase;
use super::coingecko::CoinGecko;
use super::ecb::Ecb;
use super::{Answer, Source, SourceError};
use crate::config::{RatesConfig, StoreConfig};
use crate::domain::{Catalogue, SourceName, Timestamp};
use crate::secret::Secret;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The answer of each source.
pub type Answers = BTreeMap<SourceName, Result<Answer, SourceError>>;

/// Every source; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources(Arc<[Box<dyn Source>; 3]>);

impl Sources {
    /// The configured sources. Nothing is connected and no secret is read yet.
    pub fn new(config: &RatesConfig, aws: &StoreConfig) -> Result<Self, String> {
        let RatesConfig { ecb_base_url, coinbase_base_url, coingecko_base_url, coingecko_plan, .. } = config;
        let secret = |source| Secret::new(source, aws);
        Ok(Self(Arc::new([
            Box::new(Ecb::new(ecb_base_url)?),
            Box::new(Coinbase::new(coinbase_base_url)?),
            Box::new(CoinGecko::new(
                coingecko_base_url,
                *coingecko_plan,
                config.coingecko_api_key.clone().map(secret),
            )?),
        ])))
    }

    /// Asks all at once; one that fails keeps nobody waiting longer than its own time-outs.
    pub async fn ask(&self, catalogue: &Catalogue, now: Timestamp) -> Answers {
        let asked = self
            .0
            .iter()
            .map(|source| async move { (source.name(), source.quotes(catalogue, now).await.and_then(some)) });
        join_all(asked).await.into_iter().collect()
    }
}

/// A document that prices nothing is no answer: what its source said before stands.
fn some(answer: Answer) -> Result<Answer, SourceError> {
    if answer.quotes.is_empty() {
        Err(SourceError::Nonsense("it prices nothing of ours".to_owned()))
    } else {
        Ok(answer)
    }
}
