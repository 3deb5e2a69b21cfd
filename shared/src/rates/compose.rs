//! How one sheet is made of what the sources have said: pure, so that every rule of it can be tested as a table.
//!
//! Of each asset the first source in precedence whose quote is young enough is taken. A quote that jumps is not believed, and the
//! asset has no price, until a second source or a later observation agrees with it: a rate that is missing is an error to whoever
//! needs it, a wrong one is a wrong total.

use super::{Answer, SourceError};
use crate::domain::asset::{Market, Par};
use crate::domain::{AgeLimits, Asset, Factor, Method, Quote, QuoteBook, Rate, RateSheet, SourceName, Timestamp, UsdPrice};
use std::collections::{BTreeMap, BTreeSet};

/// How near a second word must be to the first to confirm it.
const AGREEMENT: Factor = Factor::TENTH_MORE;
/// Sources of a major asset that differ by more are reported.
pub const MAX_DISAGREEMENT: Factor = Factor::HUNDREDTH_MORE;
/// Whose word it is that a token is worth its peg.
const PAR: &str = "par";

/// What a quote must be to price an asset.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How old it may be.
    pub limits: AgeLimits,
    /// How far it may be from the last price.
    pub jump_factor: Factor,
}

/// A quote that was not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What it would have priced.
    pub asset: Asset,
    /// Who said so.
    pub source: SourceName,
    /// What was said.
    pub quote: Quote,
    /// What it was compared with.
    pub last: UsdPrice,
}

/// Two sources of one asset, too far apart to be both right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The asset.
    pub asset: Asset,
    /// What each says.
    pub quotes: BTreeMap<SourceName, UsdPrice>,
}

/// One run's sheet and what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// The sheet.
    pub sheet: RateSheet,
    /// What the next run must remember.
    pub book: QuoteBook,
    /// Quotes that were not believed: their assets are not in the sheet.
    pub rejected: Vec<Rejected>,
    /// Major assets on which sources differ.
    pub disagreements: Vec<Disagreement>,
}

/// The sources that price an asset, the first one first.
#[must_use]
pub const fn precedence(asset: Asset) -> &'static [SourceName] {
    match asset.market() {
        Market::Fiat => &[SourceName::Ecb, SourceName::Coinbase],
        Market::Major(_) => &[SourceName::Coinbase, SourceName::CoinGecko],
        Market::Token(_) => &[SourceName::CoinGecko, SourceName::Coinbase],
        Market::None => &[],
    }
}

const fn method(source: SourceName) -> Method {
    match source {
        SourceName::Ecb => Method::Reference,
        SourceName::Coinbase | SourceName::CoinGecko => Method::Market,
    }
}

/// The sheet of `now` from what is remembered, the newest sheet before, and what the sources answered. A source that failed stands
/// by its last answer until that is too old.
#[must_use]
pub fn compose(
    mut book: QuoteBook,
    last: Option<&RateSheet>,
    answers: &BTreeMap<SourceName, Result<Answer, SourceError>>,
    now: Timestamp,
    rules: Rules,
) -> Composition {
    for (source, answer) in answers {
        if let Ok(answer) = answer {
            book.answers.insert(*source, answer.quotes.clone());
        }
    }
    let sheet = RateSheet { observed_at: now, entries: BTreeMap::new() };
    let mut run = Composition { sheet, book, rejected: Vec::new(), disagreements: Vec::new() };
    let assets: BTreeSet<Asset> = run.book.answers.values().flat_map(BTreeMap::keys).copied().collect();
    let (fiat, crypto): (Vec<_>, Vec<_>) = assets.into_iter().partition(|asset| !asset.is_crypto());
    // Money first: what is pegged to it is measured by it.
    for asset in fiat.into_iter().chain(crypto) {
        run.price(asset, last, rules);
    }
    for asset in Asset::crypto().filter(|asset| asset.par() == Par::Allowed) {
        run.price_at_par(asset, rules);
    }
    run
}

impl Composition {
    fn price(&mut self, asset: Asset, last: Option<&RateSheet>, rules: Rules) {
        let now = self.sheet.observed_at;
        let quotes: Vec<(SourceName, Quote)> = precedence(asset)
            .iter()
            .filter_map(|source| Some((*source, *self.book.answers.get(source)?.get(&asset)?)))
            .filter(|(_, quote)| rules.limits.admit(asset, quote.observed_at, now))
            .collect();
        let Some(((source, quote), others)) = quotes.split_first().map(|(first, others)| (*first, others)) else {
            // Nobody speaks of it any more; what was suspected is forgotten with them.
            self.book.suspects.remove(&asset);
            return;
        };
        if matches!(asset.market(), Market::Major(_))
            && others.iter().any(|(_, other)| !other.usd.is_within(MAX_DISAGREEMENT, quote.usd))
        {
            let quotes = quotes.iter().map(|(source, quote)| (*source, quote.usd)).collect();
            self.disagreements.push(Disagreement { asset, quotes });
        }
        match self.compared_with(asset, last, others, rules).filter(|last| !quote.usd.is_within(rules.jump_factor, *last)) {
            Some(last) if !self.is_confirmed(asset, quote, others) => {
                let first_seen = *self.book.suspects.entry(asset).or_insert(quote);
                // An observation that is told again is no newer one.
                if !quote.usd.is_within(AGREEMENT, first_seen.usd) {
                    self.book.suspects.insert(asset, quote);
                }
                self.rejected.push(Rejected { asset, source, quote, last });
            }
            _ => {
                self.book.suspects.remove(&asset);
                self.book.accepted.insert(asset, quote.usd);
                let Quote { usd, observed_at } = quote;
                let rate = Rate { usd, source: source.name().to_owned(), method: method(source), observed_at };
                self.sheet.entries.insert(asset, rate);
            }
        }
    }

    /// What a first quote is held against: the last price, else its peg, else another source.
    fn compared_with(
        &self,
        asset: Asset,
        last: Option<&RateSheet>,
        others: &[(SourceName, Quote)],
        rules: Rules,
    ) -> Option<UsdPrice> {
        let in_last = last.and_then(|sheet| sheet.entries.get(&asset)).map(|rate| rate.usd);
        let accepted = || self.book.accepted.get(&asset).copied();
        let peg = || asset.peg().and_then(|peg| self.peg_price(peg, rules)).map(|rate| rate.usd);
        in_last.or_else(accepted).or_else(peg).or_else(|| others.first().map(|(_, other)| other.usd))
    }

    /// Whether another source agrees, or the same thing was seen before at an earlier time.
    fn is_confirmed(&self, asset: Asset, quote: Quote, others: &[(SourceName, Quote)]) -> bool {
        let agrees = |other: &Quote| other.usd.is_within(AGREEMENT, quote.usd);
        let seen = self.book.suspects.get(&asset).filter(|seen| seen.observed_at < quote.observed_at);
        others.iter().any(|(_, other)| agrees(other)) || seen.is_some_and(agrees)
    }

    fn price_at_par(&mut self, asset: Asset, rules: Rules) {
        let Some(peg) = asset.peg().and_then(|peg| self.peg_price(peg, rules)) else { return };
        let rate = Rate { usd: peg.usd, source: PAR.to_owned(), method: Method::Par, observed_at: self.sheet.observed_at };
        self.sheet.entries.entry(asset).or_insert(rate);
    }

    fn peg_price(&self, peg: Asset, rules: Rules) -> Option<Rate> {
        self.sheet.usable(peg, self.sheet.observed_at, rules.limits).map(std::borrow::Cow::into_owned)
    }
}
