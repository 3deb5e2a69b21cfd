//! Prices in US dollars: exact, positive, and compared, divided and applied without a rounding that is not
//! named.
//!
//! The asset of a price and its source are [`rate`](super::rate)'s business.

use super::decimal::{self, DecimalError};
use super::{Amount, TooLarge};
use ethnum::I256;
use thiserror::Error;

/// Digits before the point of a price.
const PRICE_INTEGER_DIGITS: usize = 10;
/// The first price that does not fit, in units of 10⁻¹⁸.
const PRICE_LIMIT: i128 = 10_000_000_000 * decimal::ONE;
/// Fraction digits of a deviation from a peg: a hundredth of a basis point.
const DEVIATION_DIGITS: u32 = 6;
/// Digits before the point of a factor.
const FACTOR_INTEGER_DIGITS: usize = 3;
/// Significant digits of a receipt's `rate`.
const RATE_SIGNIFICANT_DIGITS: u32 = 28;

/// Why a text is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Not a decimal of at most 10 digits before and 18 after the point.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// Zero or below.
    #[error("not positive")]
    NotPositive,
}

/// A positive price in US dollars per unit, exact to 18 fraction digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsdPrice(i128);

impl UsdPrice {
    /// One dollar, the price of a dollar.
    pub const ONE: Self = Self(decimal::ONE);

    /// Parses a positive decimal of at most 10 digits before and 18 after the point.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        match decimal::parse_units(text, PRICE_INTEGER_DIGITS)? {
            units if units > 0 => Ok(Self(units)),
            _ => Err(PriceError::NotPositive),
        }
    }

    /// The price that a market quotes as `numerator` for `denominator` units: both as JSON writes unsigned
    /// numbers, divided and rounded once, half-even, to 18 fraction digits.
    ///
    /// ```
    /// use shared::domain::UsdPrice;
    /// assert_eq!(UsdPrice::quoted("1.1367", "154.2")?.to_string(), "0.0073715953307393");
    /// # Ok::<(), shared::domain::PriceError>(())
    /// ```
    pub fn quoted(numerator: &str, denominator: &str) -> Result<Self, PriceError> {
        match decimal::quotient_units(numerator, denominator)? {
            units if units <= 0 => Err(PriceError::NotPositive),
            units if units >= PRICE_LIMIT => {
                Err(DecimalError::TooManyIntegerDigits(PRICE_INTEGER_DIGITS).into())
            }
            units => Ok(Self(units)),
        }
    }

    /// Whether this and the other differ by no more than the factor.
    #[must_use]
    pub fn is_within(self, factor: Factor, other: Self) -> bool {
        let (low, high) = (self.0.min(other.0), self.0.max(other.0));
        // 28 and 21 digits: no product leaves 256 bits.
        I256::from(high) * I256::from(decimal::ONE) <= I256::from(low) * I256::from(factor.0)
    }

    /// How far this is from what it promises to be worth: `self ÷ peg − 1`, to six fraction digits,
    /// half-even.
    #[must_use]
    pub fn deviation(self, peg: Self) -> Option<String> {
        let millionths = decimal::power_of_ten(DEVIATION_DIGITS)?;
        let deviation =
            decimal::divide_half_even(I256::from(self.0 - peg.0) * millionths, I256::from(peg.0))?;
        let units = deviation.checked_mul(decimal::power_of_ten(decimal::SCALE - DEVIATION_DIGITS)?)?;
        i128::try_from(units).ok().map(|units| decimal::write_units(units, 0))
    }

    /// `self ÷ other` as decimal text of 28 significant digits, half-even: for the reader, never for
    /// computing.
    #[must_use]
    pub fn ratio_text(self, other: Self) -> Option<String> {
        // Scale the quotient to 28 or 29 digits, then to exactly 28.
        let digits_of = |units: i128| units.checked_ilog10().map_or(0, |log| log + 1);
        let shift = (RATE_SIGNIFICANT_DIGITS + digits_of(other.0)).saturating_sub(digits_of(self.0));
        let limit = decimal::power_of_ten(RATE_SIGNIFICANT_DIGITS)?;
        let scaled = |shift| {
            let numerator = I256::from(self.0).checked_mul(decimal::power_of_ten(shift)?)?;
            decimal::divide_half_even(numerator, I256::from(other.0))
        };
        let wide = scaled(shift)?;
        let (digits, shift) =
            if wide < limit || shift == 0 { (wide, shift) } else { (scaled(shift - 1)?, shift - 1) };
        Some(point_text(&digits.to_string(), usize::try_from(shift).ok()?))
    }
}

/// Puts a decimal point `scale` digits from the right of a positive integer's text and drops trailing zeros.
fn point_text(digits: &str, scale: usize) -> String {
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (integer, fraction) = padded.split_at(padded.len() - scale);
    match fraction.trim_end_matches('0') {
        "" => integer.to_owned(),
        fraction => format!("{integer}.{fraction}"),
    }
}

impl std::fmt::Display for UsdPrice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&decimal::write_units(self.0, 0))
    }
}

/// A text that is no factor above 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a decimal above 1 and below 1000")]
pub struct FactorError;

/// How many times one price may be another: above 1, below 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(i128);

impl Factor {
    /// Twice.
    pub const TWO: Self = Self(2 * decimal::ONE);
    /// Ten per cent more.
    pub const TENTH_MORE: Self = Self(decimal::ONE + decimal::ONE / 10);
    /// One per cent more.
    pub const HUNDREDTH_MORE: Self = Self(decimal::ONE + decimal::ONE / 100);

    /// Parses a decimal above 1 with at most 3 digits before the point.
    pub fn parse(text: &str) -> Result<Self, FactorError> {
        let units = decimal::parse_units(text, FACTOR_INTEGER_DIGITS).map_err(|_| FactorError)?;
        if units > decimal::ONE { Ok(Self(units)) } else { Err(FactorError) }
    }
}

/// `units × from ÷ to`, rounded half-even to `digits` after the point.
pub(super) fn scale(units: I256, from: UsdPrice, to: UsdPrice, digits: u32) -> Result<Amount, TooLarge> {
    let exact = || {
        let step = decimal::power_of_ten(decimal::SCALE.checked_sub(digits)?)?;
        let numerator = units.checked_mul(I256::from(from.0))?;
        let denominator = I256::from(to.0).checked_mul(step)?;
        decimal::divide_half_even(numerator, denominator)?.checked_mul(step)
    };
    exact().ok_or(TooLarge).and_then(Amount::from_wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn price(text: &str) -> UsdPrice {
        UsdPrice::parse(text).unwrap()
    }

    fn half_even(value: &BigRational) -> BigInt {
        let two = BigInt::from(2);
        let floor = value.floor().to_integer();
        let rest = value - BigRational::from(floor.clone());
        let half = BigRational::new(BigInt::from(1), two.clone());
        if rest > half || (rest == half && &floor % two != BigInt::ZERO) { floor + 1 } else { floor }
    }

    /// `units × from ÷ to` in 10⁻ᵈⁱᵍⁱᵗˢ by exact rationals.
    fn oracle(units: &BigInt, from: UsdPrice, to: UsdPrice, digits: u32) -> BigInt {
        let minor = BigInt::from(10).pow(18 - digits);
        half_even(&BigRational::new(units * BigInt::from(from.0), BigInt::from(to.0) * minor))
    }

    fn scaled(units: i128, from: UsdPrice, to: UsdPrice, digits: u32) -> Option<String> {
        scale(I256::from(units), from, to, digits)
            .ok()
            .map(|amount| (amount.units() / 10_i128.pow(18 - digits)).to_string())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn conversion_agrees_with_exact_rationals(
            units in -(10_i128.pow(36) - 1)..10_i128.pow(36), from in 1..10_i128.pow(28), to in 1..10_i128.pow(28), digits in 0_u32..=8,
        ) {
            let (from, to) = (UsdPrice(from), UsdPrice(to));
            let expected = oracle(&BigInt::from(units), from, to, digits);
            let fits = expected.clone().magnitude() < BigInt::from(10).pow(18 + digits).magnitude();
            prop_assert_eq!(scaled(units, from, to, digits), fits.then(|| expected.to_string()));
        }

        #[test]
        fn ties_and_their_neighbours_round_half_even(minor in -10_i128.pow(9)..10_i128.pow(9), nudge in -1_i128..=1, digits in 0_u32..=8) {
            // An amount half a minor unit from two neighbours, and one 10⁻¹⁸ unit to either side of it.
            let step = 10_i128.pow(18 - digits);
            let units = minor * step + step / 2 + nudge;
            let expected = oracle(&BigInt::from(units), UsdPrice::ONE, UsdPrice::ONE, digits);
            prop_assert_eq!(scaled(units, UsdPrice::ONE, UsdPrice::ONE, digits), Some(expected.to_string()));
        }

        #[test]
        fn a_ratio_has_28_significant_digits_rounded_half_even(from in 1..10_i128.pow(28), to in 1..10_i128.pow(28)) {
            let text = UsdPrice(from).ratio_text(UsdPrice(to)).unwrap();
            let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let digits: BigInt = text.replace('.', "").parse().unwrap();
            let significant = digits.to_string().len();
            prop_assert!(significant <= 28, "{}", text);
            // Dropped zeros count as digits: the error is at most half of the 28th.
            let exact = BigRational::new(BigInt::from(from), BigInt::from(to));
            let places = i32::try_from(scale).unwrap() + 28 - i32::try_from(significant).unwrap();
            let unit = if places >= 0 { BigRational::from(BigInt::from(10).pow(places.unsigned_abs())) } else { BigRational::new(BigInt::from(1), BigInt::from(10).pow(places.unsigned_abs())) };
            let ours = BigRational::new(digits, BigInt::from(10).pow(u32::try_from(scale).unwrap()));
            prop_assert_eq!((ours * &unit).to_integer(), half_even(&(exact * unit)));
        }
    }

    #[test]
    fn the_published_ratio_is_reproduced() {
        assert_eq!(price("0.99991").ratio_text(price("1.1353")).unwrap(), "0.8807451774861270148859332335");
        assert_eq!(price("1.1353").ratio_text(price("1.1353")).unwrap(), "1");
        assert_eq!(price("97000.5").ratio_text(price("1")).unwrap(), "97000.5");
        assert_eq!(
            price("9999999999.999999999999999999").ratio_text(price("0.000000000000000001")).unwrap(),
            "9999999999999999999999999999"
        );
        assert_eq!(
            price("0.000000000000000001").ratio_text(price("9999999999.999999999999999999")).unwrap(),
            "0.0000000000000000000000000001"
        );
    }

    #[test]
    fn a_price_is_positive_and_short() {
        for text in ["0", "-1", "0.0", "10000000000.1", "12345678901", "1.0000000000000000001", "1e-7", ""] {
            assert!(UsdPrice::parse(text).is_err(), "{text}");
        }
        assert_eq!(price("1.13530").to_string(), "1.1353");
    }

    #[test]
    fn a_deviation_from_the_peg_is_signed_and_rounded_once() {
        let rows = [
            ("0.99991", "1", "-0.00009"),
            ("1.1353", "1.1353", "0"),
            ("1.1349", "1.1353", "-0.000352"),
            ("1.2", "1", "0.2"),
            ("0.0000005", "1", "-1"),
        ];
        for (usd, peg, expected) in rows {
            assert_eq!(price(usd).deviation(price(peg)).unwrap(), expected, "{usd} of {peg}");
        }
    }

    #[test]
    fn a_factor_is_symmetric_and_inclusive() {
        for (a, b, is_within) in
            [("1", "2", true), ("1", "2.000000000000000001", false), ("9999999999", "0.1", false)]
        {
            assert_eq!(
                (price(a).is_within(Factor::TWO, price(b)), price(b).is_within(Factor::TWO, price(a))),
                (is_within, is_within)
            );
        }
        for text in ["1", "0.5", "-2", "1000", "2x", ""] {
            assert_eq!(Factor::parse(text), Err(FactorError), "{text}");
        }
    }
}
