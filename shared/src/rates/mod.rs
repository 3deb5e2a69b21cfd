//! Rates: what sources say an asset is worth, and how one sheet is made of it.
//!
//! A source is an adapter that knows its vendor's document and nothing else; which of several is believed,
//! and when none is, is decided in [`fn@compose`] alone. Where sheets are kept is not known here.

mod compose;
pub mod sources;

pub use compose::{Composition, Disagreement, Rejected, Rules, compose};
pub use sources::{Answers, Sources};

use crate::domain::{Asset, Catalogue, PriceError, Quote, Quotes, SourceName, Timestamp, UsdPrice};
use futures::future::BoxFuture;
use std::collections::btree_map::Entry;
use std::fmt::Debug;
use thiserror::Error;

/// Why a source gave no quotes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// It did not answer, or said not now.
    #[error("the source is unavailable: {0}")]
    Unavailable(String),
    /// It limits our calls: the next run is soon enough.
    #[error("the source limits our calls")]
    Throttled,
    /// It does not take our key, or wants one: an operator must mend the configuration.
    #[error("the source refuses our key: {0}")]
    Credentials(String),
    /// It answered something that is not its document.
    #[error("the source answered nonsense: {0}")]
    Nonsense(String),
}

/// One document's quotes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// At most one per asset.
    pub quotes: Quotes,
    /// Assets of ours that the document names without a usable price, or twice.
    pub unreadable: Vec<Asset>,
}

impl Answer {
    /// Takes in another document of the same source, which speaks of other assets.
    fn extend(&mut self, more: Self) {
        self.quotes.extend(more.quotes);
        self.unreadable.extend(more.unreadable);
    }

    /// Takes in what the document says of one asset. What is said twice, or is no price, is not believed in
    /// any form.
    fn add(&mut self, asset: Asset, price: Result<UsdPrice, PriceError>, observed_at: Timestamp) {
        let is_known_bad = self.unreadable.contains(&asset);
        match (price, self.quotes.entry(asset)) {
            (Ok(usd), Entry::Vacant(place)) if !is_known_bad => {
                place.insert(Quote { usd, observed_at });
            }
            (_, entry) => {
                if let Entry::Occupied(said) = entry {
                    said.remove();
                }
                if !is_known_bad {
                    self.unreadable.push(asset);
                }
            }
        }
    }
}

/// A source of rates.
pub trait Source: Debug + Send + Sync {
    /// The source's name.
    fn name(&self) -> SourceName;
    /// Its current quotes of the catalogue's assets.
    fn quotes<'a>(
        &'a self,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Answer, SourceError>>;
}
