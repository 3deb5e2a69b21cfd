//! The adapters of one deployment, built by configuration.

use super::bitgo::BitGo;
use super::call::{Allotment, Budget, SweepAllotment};
use super::fireblocks::Fireblocks;
use super::{Provider, ProviderError};
use crate::config::{CustodyConfig, StoreConfig};
use crate::domain::ProviderName;
use crate::secret::Secret;
use crate::store::{RateLimiter, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counts calls to a provider, over all functions and instances.
const BUDGET_GROUP: &str = "provider";

/// Providers by name; cheap to clone.
#[derive(Debug, Clone)]
pub struct Providers {
    adapters: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// One for each provider.
    allotments: Vec<Arc<Allotment>>,
    /// Calls to each provider in a minute, over all instances; 0 is no limit.
    calls_per_minute: u64,
}

impl Providers {
    /// The configured adapters. Nothing is connected and no secret is read yet.
    pub fn new(config: &CustodyConfig, aws: &StoreConfig, store: &Store) -> Result<Self, String> {
        let CustodyConfig { fireblocks, bitgo, provider_calls_per_minute, .. } = config;
        let limiter = RateLimiter::new(store.clone(), BUDGET_GROUP, *provider_calls_per_minute);
        let mut allotments = Vec::new();
        let mut adapters = BTreeMap::<ProviderName, Arc<dyn Provider>>::new();
        let mut budget = |provider: ProviderName| {
            let allotment = Arc::<Allotment>::default();
            allotments.push(Arc::clone(&allotment));
            Budget::new(limiter.clone(), provider.name(), allotment, store.clock().clone())
        };
        if let Some(config) = fireblocks {
            let secret = Secret::new(config.secret.clone(), aws);
            let adapter = Fireblocks::new(config.base_url.clone(), secret, budget(ProviderName::Fireblocks));
            adapters.insert(ProviderName::Fireblocks, Arc::new(adapter.map_err(|error| error.to_string())?));
        }
        if let Some(config) = bitgo {
            let secret = Secret::new(config.secret.clone(), aws);
            let adapter = BitGo::new(config.base_url.clone(), secret, budget(ProviderName::BitGo));
            adapters.insert(ProviderName::BitGo, Arc::new(adapter.map_err(|error| error.to_string())?));
        }
        Ok(Self { adapters, allotments, calls_per_minute: *provider_calls_per_minute })
    }

    /// Allots this process one of `parts` of a minute's calls to each provider until the allotment is
    /// dropped, so that runs that sweep side by side share them evenly.
    #[must_use]
    pub(super) fn allot_part(&self, parts: u32) -> SweepAllotment<'_> {
        let calls = match self.calls_per_minute {
            0 => u64::MAX,
            calls => (calls / u64::from(parts.max(1))).max(1),
        };
        self.allotments.iter().for_each(|allotment| allotment.renew(calls));
        SweepAllotment(&self.allotments)
    }

    pub(super) fn get(&self, name: ProviderName) -> Result<&Arc<dyn Provider>, ProviderError> {
        let missing = || ProviderError::Ours(format!("{} is not configured", name.name()));
        self.adapters.get(&name).ok_or_else(missing)
    }
}
