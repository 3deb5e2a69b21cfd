//! The sources of one deployment, built by configuration and asked all at once.

pub mod coinbase;
pub mod coingecko;
pub mod ecb;
mod read;

use super::{Answer, Source, SourceError};
use crate::config::{RatesConfig, StoreConfig};
use crate::domain::{Catalogue, SourceName, Timestamp};
use crate::secret::Secret;
use coinbase::Coinbase;
use coingecko::CoinGecko;
use ecb::Ecb;
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
        let url = |source| config.base_url(source);
        let key = config.coingecko_api_key.clone().map(|source| Secret::new(source, aws));
        Ok(Self(Arc::new([
            Box::new(Ecb::new(url(SourceName::Ecb))?),
            Box::new(Coinbase::new(url(SourceName::Coinbase))?),
            Box::new(CoinGecko::new(url(SourceName::CoinGecko), config.coingecko_plan, key)?),
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
