//! Rate sheets, which rate may be used when, and the conversion that proves itself by its receipt.
//!
//! A sheet says what one unit of each asset is worth in US dollars. Where rates come from is not known here.

use super::asset::Par;
use super::price::scale;
use super::{Amount, Asset, Timestamp, TooLarge, UsdPrice};
use ethnum::I256;
use jiff::SignedDuration;
use std::borrow::Cow;
use std::collections::BTreeMap;
use thiserror::Error;

/// A text that is none of the three methods.
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
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Market, Self::Reference, Self::Par];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Reference => "reference",
            Self::Par => "par",
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

/// The worth of every priced asset at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSheet {
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
    /// Fiat money, which has no rates on weekends.
    pub fiat: Option<SignedDuration>,
    /// Crypto assets whose rows have no limit of their own.
    pub crypto: Option<SignedDuration>,
}

impl AgeLimits {
    /// Four days for fiat, an hour for crypto.
    pub const STANDARD: Self =
        Self { fiat: Some(SignedDuration::from_hours(4 * 24)), crypto: Some(SignedDuration::from_hours(1)) };
    /// No limit: for demonstrations on old data.
    pub const NONE: Self = Self { fiat: None, crypto: None };

    /// How far back a sheet can be that still has something to say; `None` is no limit.
    #[must_use]
    pub fn reach(self) -> Option<SignedDuration> {
        self.fiat.zip(self.crypto).map(|(fiat, crypto)| fiat.max(crypto))
    }

    /// Whether a sheet of that time can still have something to say at `at`.
    #[must_use]
    pub fn reaches(self, observed_at: Timestamp, at: Timestamp) -> bool {
        self.reach().is_none_or(|reach| observed_at.age_at(at) <= reach)
    }

    /// Whether what was observed of an asset may still price it at `at`.
    #[must_use]
    pub fn admit(self, asset: Asset, observed_at: Timestamp, at: Timestamp) -> bool {
        let own = || asset.row().quote_hours.map(|hours| SignedDuration::from_hours(hours.into()));
        let limit =
            if asset.is_crypto() { self.crypto.map(|limit| own().unwrap_or(limit)) } else { self.fiat };
        limit.is_none_or(|limit| observed_at.age_at(at) <= limit)
    }
}

impl RateSheet {
    /// The asset's rate if it may price something at `at`: young enough, and at par only where the asset
    /// table permits it.
    ///
    /// The dollar is always 1; a sheet that lists it only adds whose word that is.
    #[must_use]
    pub fn usable(&self, asset: Asset, at: Timestamp, limits: AgeLimits) -> Option<Cow<'_, Rate>> {
        if asset == Asset::USD {
            return Some(Cow::Owned(self.dollar()));
        }
        let rate = self.entries.get(asset.code())?;
        let is_permitted = rate.method != Method::Par || asset.par() == Par::Allowed;
        (limits.admit(asset, rate.observed_at, at) && is_permitted).then_some(Cow::Borrowed(rate))
    }

    fn dollar(&self) -> Rate {
        let defined = || Rate {
            usd: UsdPrice::ONE,
            source: "definition".to_owned(),
            method: Method::Reference,
            observed_at: self.observed_at,
        };
        self.entries
            .get(Asset::USD.code())
            .map_or_else(defined, |listed| Rate { usd: UsdPrice::ONE, ..listed.clone() })
    }
}

/// Everything a conversion needs: the target, the sheet, and the instant from which a rate's age is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'a> {
    /// The currency everything is converted into.
    pub target: Asset,
    /// The sheet of that time; there may be none yet.
    pub sheet: Option<&'a RateSheet>,
    /// The instant of the question.
    pub at: Timestamp,
    /// How old a rate may be.
    pub limits: AgeLimits,
}

impl<'a> Pricing<'a> {
    /// The asset's rate, if the sheet has a usable one.
    #[must_use]
    pub fn rate(&self, asset: Asset) -> Option<Cow<'a, Rate>> {
        self.sheet.and_then(|sheet| sheet.usable(asset, self.at, self.limits))
    }

    /// `units` (10⁻¹⁸) of `asset` in the target's minor unit: `units × usd ÷ usd(target)`, rounded once,
    /// half-even.
    ///
    /// `None` when a rate is needed and missing. Nothing and the target itself need none; the target is only
    /// rounded.
    pub fn convert(&self, asset: Asset, units: I256) -> Result<Option<Amount>, TooLarge> {
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

    #[test]
    fn a_rate_is_usable_within_its_limit_and_where_par_is_allowed() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let asked = at("2026-06-10T12:00:00Z");
        let sheet = |code: &str, method, observed_at: &str| RateSheet {
            observed_at: asked,
            recorded_at: asked,
            entries: [(
                code.to_owned(),
                Rate {
                    usd: UsdPrice::parse("1.1").unwrap(),
                    source: "test".to_owned(),
                    method,
                    observed_at: at(observed_at),
                },
            )]
            .into(),
        };
        let rows = [
            ("EUR", Method::Reference, "2026-06-06T12:00:00Z", AgeLimits::STANDARD, true),
            ("EUR", Method::Reference, "2026-06-06T11:59:59.999999999Z", AgeLimits::STANDARD, false),
            ("EUR", Method::Reference, "2020-01-01T00:00:00Z", AgeLimits::NONE, true),
            ("USDC", Method::Market, "2026-06-10T11:00:00Z", AgeLimits::STANDARD, true),
            ("USDC", Method::Market, "2026-06-10T10:59:59.999999999Z", AgeLimits::STANDARD, false),
            ("eUSD", Method::Par, "2026-06-10T12:00:00Z", AgeLimits::STANDARD, true),
            ("EURR", Method::Par, "2026-06-10T12:00:00Z", AgeLimits::NONE, false),
            ("USDC", Method::Par, "2026-06-10T12:00:00Z", AgeLimits::STANDARD, false),
        ];
        for (code, method, observed_at, limits, expected) in rows {
            let is_usable = sheet(code, method, observed_at)
                .usable(Catalogue::default().asset(code).unwrap(), asked, limits)
                .is_some();
            assert_eq!(is_usable, expected, "{code} {method:?} {observed_at}");
        }
        let sheet = sheet("USD", Method::Reference, "2020-01-01T00:00:00Z");
        let listed = sheet.usable(Asset::USD, asked, AgeLimits::STANDARD).unwrap();
        assert_eq!((listed.usd, listed.source.as_str()), (UsdPrice::ONE, "test"));
    }
}
