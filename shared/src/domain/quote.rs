//! The quotes of sources of rates: the memory from which one run's sheet is made, and the next run's is
//! checked.
//!
//! How a source is asked is not known here, nor which of them is believed.

use super::{Asset, Catalogue, RateSheet, Timestamp, UsdPrice};
use std::collections::BTreeMap;

/// A source of rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceName {
    /// The European Central Bank's daily reference rates.
    Ecb,
    /// An exchange.
    Coinbase,
    /// An index of many exchanges.
    CoinGecko,
}

impl SourceName {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Ecb, Self::Coinbase, Self::CoinGecko];

    /// The name on the wire, in the store and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecb => "ecb",
            Self::Coinbase => "coinbase",
            Self::CoinGecko => "coingecko",
        }
    }

    /// The source of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == text)
    }
}

/// The worth of one unit of an asset, by one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// US dollars per unit.
    pub usd: UsdPrice,
    /// When it was so.
    pub observed_at: Timestamp,
}

/// A quote too far from the last price to be believed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// The quote.
    pub quote: Quote,
    /// The run that first heard it.
    pub seen_at: Timestamp,
}

/// Quotes by asset.
pub type Quotes = BTreeMap<Asset, Quote>;

/// The last quotes of the sources, and the prices that followed from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuoteBook {
    /// The last quote of each asset by each source.
    pub answers: BTreeMap<SourceName, Quotes>,
    /// The last price of each asset that went into a sheet.
    pub accepted: BTreeMap<Asset, UsdPrice>,
    /// Quotes that are not believed until they are confirmed.
    pub suspects: BTreeMap<Asset, Suspect>,
}

impl QuoteBook {
    /// A book that knows no more than a sheet does: its entries of sources that are asked are those sources'
    /// last answers.
    #[must_use]
    pub fn of_sheet(sheet: &RateSheet, catalogue: &Catalogue) -> Self {
        let mut book = Self::default();
        for (code, rate) in &sheet.entries {
            let Ok(asset) = catalogue.asset(code) else { continue };
            book.accepted.insert(asset, rate.usd);
            if let Some(source) = SourceName::parse(&rate.source) {
                let quote = Quote { usd: rate.usd, observed_at: rate.observed_at };
                book.answers.entry(source).or_default().insert(asset, quote);
            }
        }
        book
    }
}
