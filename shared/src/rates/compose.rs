//! How one sheet is made of what the sources have said: pure, so that every rule of it can be tested as a
//! table.
//!
//! Of each asset the first source in precedence is taken whose quote is young enough until the sheet after
//! next. A quote that jumps is not believed, and the asset has no price, until a second source or the next
//! run agrees with it; beyond ten times the last price, until a second source or an operator does. A rate
//! that is missing is an error to whoever needs it, a wrong one is a wrong total.

use super::{Answer, SourceError};
use crate::domain::asset::{Market, Par};
use crate::domain::{
    AgeLimits, Asset, Catalogue, Factor, HeldReason, Method, Quote, QuoteBook, Rate, RateSheet, RatesInForce,
    SheetKind, SourceName, Suspect, Timestamp, UsdPrice,
};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// How near a second word must be to the first to confirm it.
const AGREEMENT: Factor = Factor::TENTH_MORE;
/// A run so soon after the one that first heard of a jump is the same run, delivered twice, and not the next.
const SECOND_LOOK: SignedDuration = SignedDuration::from_mins(1);
/// Sources of a major asset that differ by more are reported.
const MAX_DISAGREEMENT: Factor = Factor::HUNDREDTH_MORE;
/// The time until the sheet after next, and until readers have it: two intervals of five minutes, and the
/// run. A sheet that is late once is bridged so.
const UNTIL_SHEET_AFTER_NEXT: SignedDuration = SignedDuration::from_mins(11);
/// Whose word it is that a token is worth its peg.
const PAR: &str = "par";

/// The rules by which a quote prices an asset.
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
    /// The asset it would have priced.
    pub asset: Asset,
    /// Its source.
    pub source: SourceName,
    /// The quote.
    pub quote: Quote,
    /// The price it was compared with.
    pub last: UsdPrice,
    /// Why the quote was not believed.
    pub reason: HeldReason,
}

/// Two sources of one asset, too far apart to be both right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The asset.
    pub asset: Asset,
    /// Each source's price.
    pub quotes: BTreeMap<SourceName, UsdPrice>,
}

/// A source and what it says.
type Said = (SourceName, Quote);

/// The decision on the first source's quote.
enum Verdict {
    /// It prices the asset.
    Believed,
    /// Another prices it.
    Outvoted(Said),
    /// Nothing does.
    Doubted,
}

/// One run's sheet and what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// The sheet.
    pub sheet: RateSheet,
    /// The book that the next run begins with.
    pub book: QuoteBook,
    /// Quotes that were not believed: their assets have no price, or another source's.
    pub rejected: Vec<Rejected>,
    /// Major assets on which sources differ.
    pub disagreements: Vec<Disagreement>,
}

/// The sheet of `now` from what is remembered, the rates in force before, and what the sources answered. A
/// source that failed stands by its last answer until that is too old.
#[must_use]
pub fn compose(
    mut book: QuoteBook,
    last: &RatesInForce,
    answers: &BTreeMap<SourceName, Result<Answer, SourceError>>,
    catalogue: &Catalogue,
    now: Timestamp,
    rules: Rules,
) -> Composition {
    let heard: BTreeSet<SourceName> =
        answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(source, _)| *source).collect();
    for (source, answer) in answers {
        // An asset that an answer leaves out or garbles keeps its last quote until that is too old.
        book.answers
            .entry(*source)
            .or_default()
            .extend(answer.iter().flat_map(|answer| answer.quotes.clone()));
    }
    let sheet =
        RateSheet { kind: SheetKind::Complete, observed_at: now, recorded_at: now, entries: BTreeMap::new() };
    let mut run = Composition { sheet, book, rejected: Vec::new(), disagreements: Vec::new() };
    let assets: BTreeSet<Asset> = run.book.answers.values().flat_map(BTreeMap::keys).copied().collect();
    let (fiat, crypto): (Vec<_>, Vec<_>) = assets.into_iter().partition(|asset| !asset.is_crypto());
    // Money first: what is pegged to it is measured by it.
    for asset in fiat.into_iter().chain(crypto) {
        run.price(asset, last, &heard, rules);
    }
    for asset in catalogue.crypto().filter(|asset| asset.par() == Par::Allowed) {
        run.price_at_par(asset, rules);
    }
    run
}

impl Composition {
    fn price(&mut self, asset: Asset, last: &RatesInForce, heard: &BTreeSet<SourceName>, rules: Rules) {
        let quotes = self.young_quotes(asset, rules);
        let Some(((source, quote), others)) = quotes.split_first().map(|(first, others)| (*first, others))
        else {
            // Nobody quotes the asset any more. An old suspicion, or an old word of an operator's, must not
            // decide about a later quote.
            self.book.suspects.remove(&asset);
            self.book.vouched.remove(&asset);
            return;
        };
        self.report_disagreement(asset, &quotes);
        let last = self.compared_with(asset, last, others, rules);
        match self.verdict(asset, quote, others, last, heard.contains(&source), rules) {
            Verdict::Believed => {
                self.book.suspects.remove(&asset);
                self.accept(asset, source, quote);
            }
            Verdict::Outvoted((other, its)) => {
                self.reject(asset, source, quote, last, Some(HeldReason::Outvoted));
                self.accept(asset, other, its);
            }
            Verdict::Doubted => self.reject(asset, source, quote, last, None),
        }
    }

    /// The quotes of an asset that are young enough, the first source in precedence first. A quote that would
    /// become too old before the sheet after next comes after those that would not: readers use this sheet
    /// until then.
    fn young_quotes(&self, asset: Asset, rules: Rules) -> Vec<Said> {
        let said = |source| Some((source, *self.book.answers.get(&source)?.get(&asset)?));
        let is_young =
            |(source, quote): &Said, at| rules.limits.admit(asset, source.method(), quote.observed_at, at);
        let now = self.sheet.observed_at;
        let young = SourceName::pricing(asset.market()).into_iter().filter_map(said);
        let young = young.filter(|said| is_young(said, now));
        let (mut lasting, passing): (Vec<_>, Vec<_>) =
            young.partition(|said| is_young(said, now.plus(UNTIL_SHEET_AFTER_NEXT)));
        lasting.extend(passing);
        lasting
    }

    fn report_disagreement(&mut self, asset: Asset, quotes: &[Said]) {
        let differs = |pair: &[Said]| matches!(pair, [one, other] if !one.1.usd.is_within(MAX_DISAGREEMENT, other.1.usd));
        if asset.market() == Market::Major && quotes.windows(2).any(differs) {
            let quotes = quotes.iter().map(|(source, quote)| (*source, quote.usd)).collect();
            self.disagreements.push(Disagreement { asset, quotes });
        }
    }

    /// Whether the first quote may price. A jump needs a second word: another source's, an operator's, or, if
    /// it is not too large for that, the same source's in the next run.
    ///
    /// A source that tells the same observation again is outvoted by another that stands by the last price,
    /// and believed where nobody else speaks. What a source said before it failed is no word of this run's.
    fn verdict(
        &self,
        asset: Asset,
        quote: Quote,
        others: &[Said],
        last: Option<UsdPrice>,
        is_heard: bool,
        rules: Rules,
    ) -> Verdict {
        let Some(last) = last.filter(|last| !quote.usd.is_within(rules.jump_factor, *last)) else {
            return Verdict::Believed;
        };
        let agrees = |price: &UsdPrice| price.is_within(AGREEMENT, quote.usd);
        if others.iter().any(|(_, other)| agrees(&other.usd))
            || self.book.vouched.get(&asset).is_some_and(agrees)
        {
            return Verdict::Believed;
        }
        let may_stand_alone = is_heard && quote.usd.is_within(Suspect::MAX_LONE_JUMP, last);
        let is_next = |seen: &&Suspect| seen.seen_at.age_at(self.sheet.observed_at) >= SECOND_LOOK;
        let seen = self
            .book
            .suspects
            .get(&asset)
            .filter(|seen| seen.quote.usd.is_within(AGREEMENT, quote.usd))
            .filter(is_next);
        let Some(seen) = seen else { return Verdict::Doubted };
        if may_stand_alone && quote.observed_at > seen.quote.observed_at {
            return Verdict::Believed;
        }
        let stands_by_last = others.iter().find(|(_, other)| other.usd.is_within(rules.jump_factor, last));
        match stands_by_last {
            Some(other) => Verdict::Outvoted(*other),
            None if may_stand_alone => Verdict::Believed,
            None => Verdict::Doubted,
        }
    }

    fn accept(&mut self, asset: Asset, source: SourceName, Quote { usd, observed_at }: Quote) {
        self.book.accepted.insert(asset, usd);
        self.book.vouched.remove(&asset);
        let rate = Rate { usd, source: source.name().to_owned(), method: source.method(), observed_at };
        self.sheet.entries.insert(asset.code().to_owned(), rate);
    }

    fn reject(
        &mut self,
        asset: Asset,
        source: SourceName,
        quote: Quote,
        last: Option<UsdPrice>,
        reason: Option<HeldReason>,
    ) {
        // Without a price to compare with nothing is a jump.
        let Some(last) = last else { return };
        let suspect = Suspect { source, quote, last, seen_at: self.sheet.observed_at };
        let known = self.book.suspects.entry(asset).or_insert(suspect);
        // Of the same thing the first hearing counts; another jump begins anew.
        if !known.quote.usd.is_within(AGREEMENT, quote.usd) {
            *known = suspect;
        }
        let reason = reason.unwrap_or_else(|| suspect.reason());
        self.rejected.push(Rejected { asset, source, quote, last, reason });
    }

    /// The price that a first quote is compared with: the last price, else its peg, else another source.
    fn compared_with(
        &self,
        asset: Asset,
        last: &RatesInForce,
        others: &[Said],
        rules: Rules,
    ) -> Option<UsdPrice> {
        let in_last = last.entry(asset).map(|rate| rate.usd);
        let accepted = || self.book.accepted.get(&asset).copied();
        let peg = || asset.peg().and_then(|peg| self.peg_price(peg, rules));
        in_last.or_else(accepted).or_else(peg).or_else(|| others.first().map(|(_, other)| other.usd))
    }

    fn price_at_par(&mut self, asset: Asset, rules: Rules) {
        let Some(usd) = asset.peg().and_then(|peg| self.peg_price(peg, rules)) else { return };
        let observed_at = self.sheet.observed_at;
        let rate = Rate { usd, source: PAR.to_owned(), method: Method::Par, observed_at };
        self.sheet.entries.entry(asset.code().to_owned()).or_insert(rate);
    }

    fn peg_price(&self, peg: Asset, rules: Rules) -> Option<UsdPrice> {
        if peg == Asset::USD {
            return Some(UsdPrice::ONE);
        }
        let is_young =
            |rate: &&Rate| rules.limits.admit(peg, rate.method, rate.observed_at, self.sheet.observed_at);
        self.sheet.entries.get(peg.code()).filter(is_young).map(|rate| rate.usd)
    }
}
