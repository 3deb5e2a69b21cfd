//! The quotes of sources of rates: the memory from which one run's sheet is made, and the next run's is
//! checked.
//!
//! How a source is asked is not known here, nor which of them is believed.

use super::asset::Market;
use super::{Asset, Catalogue, Factor, Method, RateSheet, Timestamp, UsdPrice};
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

/// The facts of a source.
struct SourceRow {
    /// The name on the wire, in the store and in logs.
    name: &'static str,
    /// How the prices of the source come about.
    method: Method,
    /// The place of the source among those that price money, 0 for the first; `None` if the source is not
    /// asked about money.
    fiat: Option<u8>,
    /// The same for assets that are traded everywhere.
    major: Option<u8>,
    /// The same for other tokens.
    token: Option<u8>,
}

impl SourceName {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Ecb, Self::Coinbase, Self::CoinGecko];

    const fn row(self) -> SourceRow {
        use Method::{Market, Reference};
        match self {
            Self::Ecb => {
                SourceRow { name: "ecb", method: Reference, fiat: Some(0), major: None, token: None }
            }
            Self::Coinbase => {
                SourceRow { name: "coinbase", method: Market, fiat: Some(1), major: Some(0), token: Some(1) }
            }
            Self::CoinGecko => {
                SourceRow { name: "coingecko", method: Market, fiat: None, major: Some(1), token: Some(0) }
            }
        }
    }

    /// The name on the wire, in the store and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// How the prices of the source come about.
    #[must_use]
    pub const fn method(self) -> Method {
        self.row().method
    }

    /// The sources that price an asset of that market, the first one first.
    #[must_use]
    pub fn pricing(market: Market) -> Vec<Self> {
        let place = |source: &Self| match market {
            Market::Fiat => source.row().fiat,
            Market::Major => source.row().major,
            Market::Token => source.row().token,
        };
        let mut sources: Vec<Self> = Self::ALL.into_iter().filter(|source| place(source).is_some()).collect();
        sources.sort_by_key(place);
        sources
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
    /// The source of the quote.
    pub source: SourceName,
    /// The quote.
    pub quote: Quote,
    /// The price that the quote is too far from.
    pub last: UsdPrice,
    /// The run that first heard it.
    pub seen_at: Timestamp,
}

impl Suspect {
    /// Beyond so many times the last price, or below that part of it, no source is believed alone: a code
    /// that an exchange uses for another asset jumps so far, and says the same in every run.
    pub const MAX_LONE_JUMP: Factor = Factor::TEN;

    /// Why the quote is not believed as long as nobody else speaks.
    #[must_use]
    pub fn reason(&self) -> HeldReason {
        if self.quote.usd.is_within(Self::MAX_LONE_JUMP, self.last) {
            HeldReason::SecondWord
        } else {
            HeldReason::OperatorsWord
        }
    }
}

/// Why a quote that jumped is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldReason {
    /// Another source, or the next run, must confirm the quote.
    SecondWord,
    /// Another source or an operator must confirm the quote: the jump is too large for one source alone.
    OperatorsWord,
    /// Another source stands by the last price, and prices the asset.
    Outvoted,
}

impl HeldReason {
    /// A phrase for reports and lists.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SecondWord => "waits for another source or the next run to say the same",
            Self::OperatorsWord => {
                "is more than ten times the last rate or less than a tenth: it waits for another source, or for \
                 `ballast rates accept`"
            }
            Self::Outvoted => "another source stands by the last rate",
        }
    }
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
    /// Prices that an operator has accepted, until a run has priced the asset.
    pub vouched: BTreeMap<Asset, UsdPrice>,
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
