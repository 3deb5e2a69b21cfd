//! Rate sheets, which rate may be used when, and the conversion that proves itself by its receipt.
//!
//! A sheet says what one unit of each asset is worth in US dollars. Where rates come from is not known here,
//! nor whether a token may be taken to be worth its peg: that is decided when a sheet is made.

use super::legal_rate::LEGAL_SOURCE;
use super::price::scale;
use super::{Amount, Asset, LegalRate, Timestamp, TooLarge, UsdPrice};
use ethnum::I256;
use jiff::SignedDuration;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A text that is none of the four methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a known method")]
pub struct UnknownMethod;

/// How a price came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Traded.
    Market,
    /// Published by an authority.
    Reference,
    /// Taken to be worth its peg.
    Par,
    /// Set by a law. No sheet has such a rate: it is computed when it is read.
    Fixed,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Market, Self::Reference, Self::Par, Self::Fixed];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Reference => "reference",
            Self::Par => "par",
            Self::Fixed => "fixed",
        }
    }

    /// The method of that name.
    pub fn parse(text: &str) -> Result<Self, UnknownMethod> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or(UnknownMethod)
    }
}

/// One entry of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// US dollars per unit.
    pub usd: UsdPrice,
    /// The source of the price.
    pub source: String,
    /// How it came about.
    pub method: Method,
    /// When it was so.
    pub observed_at: Timestamp,
}

/// Which assets a sheet speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetKind {
    /// Every asset: one that the sheet leaves out had no usable price when the sheet was made.
    Complete,
    /// The assets that the sheet names, and no others: rates that were imported or corrected.
    Overlay,
}

/// The worth of assets at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSheet {
    /// Whether the sheet speaks of every asset.
    pub kind: SheetKind,
    /// The sheet's own time, by which it is found.
    pub observed_at: Timestamp,
    /// When it was recorded: questions known at an earlier time are answered without it.
    pub recorded_at: Timestamp,
    /// The entries by the codes of assets. A sheet knows codes alone, so that it can be kept while assets are
    /// added.
    pub entries: BTreeMap<String, Rate>,
}

/// How old an entry may be and still price something; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeLimits {
    /// Market rates of fiat money.
    pub fiat: Option<SignedDuration>,
    /// Reference rates of fiat money: a central bank publishes none on weekends and holidays, and at Easter
    /// there are five days between two.
    pub reference: Option<SignedDuration>,
    /// Crypto assets whose rows have no limit of their own.
    pub crypto: Option<SignedDuration>,
}

impl AgeLimits {
    /// Four days for fiat, six for reference rates of fiat, an hour for crypto.
    pub const STANDARD: Self = Self {
        fiat: Some(SignedDuration::from_hours(4 * 24)),
        reference: Some(SignedDuration::from_hours(6 * 24)),
        crypto: Some(SignedDuration::from_hours(1)),
    };
    /// No limit: for demonstrations on old data.
    pub const NONE: Self = Self { fiat: None, reference: None, crypto: None };

    /// How far back a sheet can be that still has something to say; `None` is no limit. No row of the
    /// catalogue has a longer limit than reference rates have.
    #[must_use]
    pub fn reach(self) -> Option<SignedDuration> {
        let Self { fiat, reference, crypto } = self;
        Some(fiat?.max(reference?).max(crypto?))
    }

    /// Whether a sheet of that time can still have something to say at `at`.
    #[must_use]
    pub fn reaches(self, observed_at: Timestamp, at: Timestamp) -> bool {
        self.reach().is_none_or(|reach| observed_at.age_at(at) <= reach)
    }

    /// Whether what was observed of an asset may still price it at `at`.
    #[must_use]
    pub fn admit(self, asset: Asset, method: Method, observed_at: Timestamp, at: Timestamp) -> bool {
        let own = || asset.row().quote_hours.map(|hours| SignedDuration::from_hours(hours.into()));
        let limit = match (asset.is_crypto(), method) {
            (true, _) => self.crypto.map(|limit| own().unwrap_or(limit)),
            (false, Method::Reference) => self.reference,
            (false, _) => self.fiat,
        };
        limit.is_none_or(|limit| observed_at.age_at(at) <= limit)
    }
}

/// The sheets that speak at one moment: the newest complete one, and the overlays since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RatesInForce {
    /// The newest first. Of two of one instant the later recorded comes first.
    sheets: Vec<RateSheet>,
}

impl RatesInForce {
    /// The rates of sheets, the newest first.
    #[must_use]
    pub const fn of(sheets: Vec<RateSheet>) -> Self {
        Self { sheets }
    }

    /// The newest sheet, unless there is none.
    #[must_use]
    pub fn newest(&self) -> Option<&RateSheet> {
        self.sheets.first()
    }

    /// The newest complete sheet, unless there is none.
    #[must_use]
    pub fn complete(&self) -> Option<&RateSheet> {
        self.sheets.iter().find(|sheet| sheet.kind == SheetKind::Complete)
    }

    /// The codes that some sheet has an entry of.
    #[must_use]
    pub fn codes(&self) -> BTreeSet<&str> {
        self.sheets.iter().flat_map(|sheet| sheet.entries.keys()).map(String::as_str).collect()
    }

    /// The newest entry of an asset, however old.
    #[must_use]
    pub fn entry(&self, asset: Asset) -> Option<&Rate> {
        self.newest_entry(asset, |_| true)
    }

    /// The rate of an asset at `at`: the newest entry within its age limit.
    ///
    /// The dollar is always 1; a sheet that lists it only adds whose word that is. Money that a law replaced
    /// by the euro has its legal rate, whatever a sheet says.
    #[must_use]
    pub fn usable(&self, asset: Asset, at: Timestamp, limits: AgeLimits) -> Option<Cow<'_, Rate>> {
        if asset == Asset::USD {
            return self.dollar().map(Cow::Owned);
        }
        if let Some(legal) = LegalRate::of(asset, at) {
            let euro = self.usable(Asset::EUR, at, limits)?;
            return Some(Cow::Owned(Rate {
                usd: legal.usd(euro.usd)?,
                source: LEGAL_SOURCE.to_owned(),
                method: Method::Fixed,
                observed_at: euro.observed_at,
            }));
        }
        let is_young = |rate: &Rate| limits.admit(asset, rate.method, rate.observed_at, at);
        self.newest_entry(asset, is_young).map(Cow::Borrowed)
    }

    /// Of two entries of one instant that of the later recorded sheet counts: a correction is recorded after
    /// the rate that it corrects. An entry that its source dates ahead of its sheet is of the sheet's time,
    /// or no later overlay could correct it.
    fn newest_entry(&self, asset: Asset, is_eligible: impl Fn(&Rate) -> bool) -> Option<&Rate> {
        let entries = self.sheets.iter().filter_map(|sheet| Some((sheet, sheet.entries.get(asset.code())?)));
        let eligible = entries.filter(|(_, rate)| is_eligible(rate));
        eligible
            .max_by_key(|(sheet, rate)| (rate.observed_at.min(sheet.observed_at), sheet.recorded_at))
            .map(|(_, rate)| rate)
    }

    fn dollar(&self) -> Option<Rate> {
        let defined = || {
            Some(Rate {
                usd: UsdPrice::ONE,
                source: "definition".to_owned(),
                method: Method::Reference,
                observed_at: self.newest()?.observed_at,
            })
        };
        let listed = self.entry(Asset::USD).map(|listed| Rate { usd: UsdPrice::ONE, ..listed.clone() });
        listed.or_else(defined)
    }
}

/// Everything a conversion needs: the target, the rates, and the instant from which a rate's age is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'a> {
    /// The currency everything is converted into.
    pub target: Asset,
    /// The rates of that time; there may be none yet.
    pub rates: &'a RatesInForce,
    /// The instant of the question.
    pub at: Timestamp,
    /// How old a rate may be.
    pub limits: AgeLimits,
}

impl<'a> Pricing<'a> {
    /// The asset's rate, if there is a usable one.
    #[must_use]
    pub fn rate(&self, asset: Asset) -> Option<Cow<'a, Rate>> {
        self.rates.usable(asset, self.at, self.limits)
    }

    /// `units` (10⁻¹⁸) of `asset` in the target's minor unit: `units × usd ÷ usd(target)`, rounded once,
    /// half-even.
    ///
    /// `None` when a rate is needed and missing. Nothing and the target itself need none; the target is only
    /// rounded.
    pub fn convert(&self, asset: Asset, units: I256) -> Result<Option<Amount>, TooLarge> {
        self.convert_wide(asset, units)?.map(Amount::from_wide).transpose()
    }

    /// The same, however many digits the result has.
    pub fn convert_wide(&self, asset: Asset, units: I256) -> Result<Option<I256>, TooLarge> {
        let prices = if asset == self.target || units == I256::ZERO {
            Some((UsdPrice::ONE, UsdPrice::ONE))
        } else {
            self.rate(asset).zip(self.rate(self.target)).map(|(from, to)| (from.usd, to.usd))
        };
        prices.map(|(from, to)| scale(units, from, to, self.target.minor_digits())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Catalogue;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn rate(usd: &str, method: Method, observed_at: &str) -> Rate {
        let usd = UsdPrice::parse(usd).unwrap();
        Rate { usd, source: "test".to_owned(), method, observed_at: at(observed_at) }
    }

    /// A sheet of one asset.
    fn sheet(kind: SheetKind, times: [&str; 2], code: &str, rate: Rate) -> RateSheet {
        let [observed_at, recorded_at] = times.map(at);
        RateSheet { kind, observed_at, recorded_at, entries: [(code.to_owned(), rate)].into() }
    }

    #[test]
    fn a_rate_is_usable_within_its_limit() {
        struct Row {
            code: &'static str,
            method: Method,
            observed_at: &'static str,
            limits: AgeLimits,
            is_usable: bool,
        }
        let row = |code, method, observed_at, limits, is_usable| Row {
            code,
            method,
            observed_at,
            limits,
            is_usable,
        };
        let (standard, none) = (AgeLimits::STANDARD, AgeLimits::NONE);
        let rows = [
            row("EUR", Method::Reference, "2026-06-04T12:00:00Z", standard, true),
            row("EUR", Method::Reference, "2026-06-04T11:59:59.999999999Z", standard, false),
            row("EUR", Method::Market, "2026-06-06T12:00:00Z", standard, true),
            row("EUR", Method::Market, "2026-06-06T11:59:59.999999999Z", standard, false),
            row("EUR", Method::Reference, "2020-01-01T00:00:00Z", none, true),
            row("USDC", Method::Market, "2026-06-10T11:00:00Z", standard, true),
            row("USDC", Method::Market, "2026-06-10T10:59:59.999999999Z", standard, false),
            row("USDC", Method::Reference, "2026-06-10T10:59:59Z", standard, false),
            row("EURC", Method::Market, "2026-06-10T10:59:59Z", standard, false),
            row("EURCV", Method::Market, "2026-06-09T12:00:00Z", standard, true),
            row("EURCV", Method::Market, "2026-06-09T11:59:59Z", standard, false),
            row("eUSD", Method::Par, "2026-06-10T12:00:00Z", standard, true),
        ];
        let asked = "2026-06-10T12:00:00Z";
        for Row { code, method, observed_at, limits, is_usable } in rows {
            let entry = rate("1.1", method, observed_at);
            let rates = RatesInForce::of(vec![sheet(SheetKind::Complete, [asked; 2], code, entry)]);
            let usable = rates.usable(Catalogue::default().asset(code).unwrap(), at(asked), limits);
            assert_eq!(usable.is_some(), is_usable, "{code} {method:?} {observed_at}");
        }
        let dollar = rate("1.1", Method::Reference, "2020-01-01T00:00:00Z");
        let rates = RatesInForce::of(vec![sheet(SheetKind::Complete, [asked; 2], "USD", dollar)]);
        let listed = rates.usable(Asset::USD, at(asked), AgeLimits::STANDARD).unwrap();
        assert_eq!((listed.usd, listed.source.as_str()), (UsdPrice::ONE, "test"));
        assert_eq!(RatesInForce::default().usable(Asset::USD, at(asked), AgeLimits::NONE), None);
    }

    #[test]
    fn of_several_sheets_the_newest_entry_within_its_limit_counts() {
        use SheetKind::{Complete, Overlay};
        let euro = |kind, times: [&str; 2], usd, method, observed_at| {
            sheet(kind, times, "EUR", rate(usd, method, observed_at))
        };
        let noon = "2026-06-10T12:00:00Z";
        let made = euro(Complete, [noon; 2], "1.1", Method::Reference, "2026-06-09T14:00:00Z");
        let later = ["2026-06-10T12:03:00Z", "2026-06-20T08:00:00Z"];
        let rows = [
            ("a sheet alone", vec![made.clone()], Some("1.1")),
            (
                "an overlay that observed it later",
                vec![euro(Overlay, later, "1.2", Method::Market, later[0]), made.clone()],
                Some("1.2"),
            ),
            (
                "a correction of the same instant",
                vec![
                    euro(Overlay, [noon, "2026-06-20T08:00:00Z"], "1.3", Method::Market, noon),
                    euro(Overlay, [noon, "2026-06-19T08:00:00Z"], "1.2", Method::Market, noon),
                    made,
                ],
                Some("1.3"),
            ),
            (
                "the newest is too old by its method, and an older one is not by its own",
                vec![
                    euro(Overlay, ["2026-06-06T00:00:00Z"; 2], "1.2", Method::Market, "2026-06-06T00:00:00Z"),
                    euro(
                        Overlay,
                        ["2026-06-05T14:00:00Z"; 2],
                        "1.1",
                        Method::Reference,
                        "2026-06-05T14:00:00Z",
                    ),
                ],
                Some("1.1"),
            ),
            (
                "a source that dates its rate ahead is no newer than its sheet",
                vec![
                    euro(Overlay, later, "1.2", Method::Market, later[0]),
                    euro(Complete, [noon; 2], "1.1", Method::Reference, "2026-06-10T14:00:00Z"),
                ],
                Some("1.2"),
            ),
            (
                "all are too old",
                vec![euro(
                    Overlay,
                    ["2026-06-01T00:00:00Z"; 2],
                    "1.2",
                    Method::Market,
                    "2026-06-01T00:00:00Z",
                )],
                None,
            ),
        ];
        for (name, sheets, expected) in rows {
            let rates = RatesInForce::of(sheets);
            let usable = rates.usable(Asset::EUR, at("2026-06-10T12:05:00Z"), AgeLimits::STANDARD);
            assert_eq!(
                usable.map(|rate| rate.usd),
                expected.map(|usd| UsdPrice::parse(usd).unwrap()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_replaced_currency_has_its_legal_rate_whatever_a_sheet_says() {
        let kuna = Catalogue::default().asset("HRK").unwrap();
        let rates_at = |instant: &str| {
            let mut sheet =
                sheet(SheetKind::Complete, [instant; 2], "EUR", rate("1.0666", Method::Reference, instant));
            sheet.entries.insert("HRK".to_owned(), rate("0.143", Method::Market, instant));
            let rates = RatesInForce::of(vec![sheet]);
            let rate = rates.usable(kuna, at(instant), AgeLimits::STANDARD).unwrap();
            (rate.usd.to_string(), rate.source.clone(), rate.method)
        };
        let traded = ("0.143".to_owned(), "test".to_owned(), Method::Market);
        assert_eq!(rates_at("2022-12-31T22:59:59Z"), traded);
        let legal = ("0.141562147455040149".to_owned(), "eu".to_owned(), Method::Fixed);
        assert_eq!(rates_at("2022-12-31T23:00:00Z"), legal);
        let without_euro = RatesInForce::of(vec![sheet(
            SheetKind::Complete,
            ["2026-01-01T00:00:00Z"; 2],
            "HRK",
            rate("0.143", Method::Market, "2026-01-01T00:00:00Z"),
        )]);
        assert_eq!(without_euro.usable(kuna, at("2026-01-01T00:00:00Z"), AgeLimits::STANDARD), None);
    }
}
