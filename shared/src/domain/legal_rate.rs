//! Money that a law replaced by the euro: from the changeover on, the law says what it is worth.
//!
//! The rates are those of Council Regulation (EC) No 2866/98 and its amendments, units per euro. They are
//! computed when they are read and stand in no sheet, so that no source can say anything else. Before its
//! changeover a currency has the rate of the sheets.

use super::{Asset, Timestamp, UsdPrice};
use jiff::SignedDuration;

/// How far Brussels is ahead of UTC at new year.
const WINTER_IN_BRUSSELS: SignedDuration = SignedDuration::from_hours(1);
/// Whose word a legal rate is.
pub const LEGAL_SOURCE: &str = "eu";

/// The rate of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegalRate {
    code: &'static str,
    units_per_euro: &'static str,
    /// The changeover: 1 January of this year, 00:00 in Brussels.
    year: i16,
}

const fn replaced(code: &'static str, units_per_euro: &'static str, year: i16) -> LegalRate {
    LegalRate { code, units_per_euro, year }
}

/// Ordered by code, because lookups search by the code.
const RATES: [LegalRate; 21] = [
    replaced("ATS", "13.7603", 1999),
    replaced("BEF", "40.3399", 1999),
    replaced("BGN", "1.95583", 2026),
    replaced("CYP", "0.585274", 2008),
    replaced("DEM", "1.95583", 1999),
    replaced("EEK", "15.6466", 2011),
    replaced("ESP", "166.386", 1999),
    replaced("FIM", "5.94573", 1999),
    replaced("FRF", "6.55957", 1999),
    replaced("GRD", "340.750", 2001),
    replaced("HRK", "7.53450", 2023),
    replaced("IEP", "0.787564", 1999),
    replaced("ITL", "1936.27", 1999),
    replaced("LTL", "3.45280", 2015),
    replaced("LUF", "40.3399", 1999),
    replaced("LVL", "0.702804", 2014),
    replaced("MTL", "0.429300", 2008),
    replaced("NLG", "2.20371", 1999),
    replaced("PTE", "200.482", 1999),
    replaced("SIT", "239.640", 2007),
    replaced("SKK", "30.1260", 2009),
];

impl LegalRate {
    /// The legal rate that an asset has at `at`, if it has one by then.
    #[must_use]
    pub fn of(asset: Asset, at: Timestamp) -> Option<Self> {
        if asset.is_crypto() {
            return None;
        }
        let place = RATES.binary_search_by(|rate| rate.code.cmp(asset.code())).ok()?;
        RATES.get(place).copied().filter(|rate| at.plus(WINTER_IN_BRUSSELS).utc_year() >= rate.year)
    }

    /// Dollars per unit: those of a euro, divided by the legal rate and rounded half-even to 18 digits.
    #[must_use]
    pub fn usd(self, euro: UsdPrice) -> Option<UsdPrice> {
        UsdPrice::quoted(&euro.to_string(), self.units_per_euro).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Catalogue;

    fn rate(code: &str, at: &str) -> Option<&'static str> {
        let asset = Catalogue::default().asset(code).unwrap();
        LegalRate::of(asset, Timestamp::parse(at).unwrap()).map(|rate| rate.units_per_euro)
    }

    #[test]
    fn a_currency_has_its_legal_rate_from_midnight_in_brussels() {
        for LegalRate { code, units_per_euro, year } in RATES {
            let before = format!("{}-12-31T22:59:59.999999999Z", year - 1);
            let from = format!("{}-12-31T23:00:00Z", year - 1);
            assert_eq!(rate(code, &before), None, "{code}");
            assert_eq!(rate(code, &from), Some(units_per_euro), "{code}");
        }
        for code in ["EUR", "USD", "GBP", "USDC"] {
            assert_eq!(rate(code, "2026-06-01T00:00:00Z"), None, "{code}");
        }
    }

    #[test]
    fn rates_are_ordered_by_code() {
        assert!(RATES.is_sorted_by(|one, next| one.code < next.code));
    }

    #[test]
    fn kuna_are_worth_a_thousand_euro_by_law() {
        let kuna = Catalogue::default().asset("HRK").unwrap();
        let legal = LegalRate::of(kuna, Timestamp::parse("2026-06-01T00:00:00Z").unwrap()).unwrap();
        let usd = legal.usd(UsdPrice::parse("1.1353").unwrap()).unwrap();
        // 1.1353 ÷ 7.5345 = 0.15068020439312495852…
        assert_eq!(usd.to_string(), "0.150680204393124959");
    }
}
