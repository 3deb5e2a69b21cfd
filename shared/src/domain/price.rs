//! Prices in US dollars: exact, positive, and compared, divided and applied without a rounding that is not
//! named.
//!
//! A price and a factor are [`Decimal`]s: whatever a price can have, 10 digits before the point and 18 after
//! it, fits the 28 digits of one. What is longer is computed in 256-bit integers, because a `Decimal` rounds
//! silently: quotients to 18 digits, conversions, and the ratio that a receipt shows. The asset of a price
//! and the source of a price are [`rate`](super::rate)'s business.

use super::TooLarge;
use super::decimal::{self, DecimalError, PlainDecimal};
use ethnum::I256;
use rust_decimal::Decimal;
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
pub struct UsdPrice(Decimal);

impl UsdPrice {
    /// One dollar, the price of a dollar.
    pub const ONE: Self = Self(Decimal::ONE);

    /// Parses a positive decimal of at most 10 digits before and 18 after the point.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let price = parse_decimal(text, PRICE_INTEGER_DIGITS)?;
        if price > Decimal::ZERO { Ok(Self(price)) } else { Err(PriceError::NotPositive) }
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
        match quotient_units(quoted_number(numerator)?, quoted_number(denominator)?)? {
            units if units <= 0 => Err(PriceError::NotPositive),
            units if units >= PRICE_LIMIT => {
                Err(DecimalError::TooManyIntegerDigits(PRICE_INTEGER_DIGITS).into())
            }
            units => Ok(Self(Decimal::from_i128_with_scale(units, decimal::SCALE))),
        }
    }

    /// The price in units of 10⁻¹⁸.
    fn units(self) -> i128 {
        let mut price = self.0;
        // 28 digits fit, so nothing is rounded.
        price.rescale(decimal::SCALE);
        price.mantissa()
    }

    /// Whether this and the other differ by no more than the factor.
    #[must_use]
    pub fn is_within(self, factor: Factor, other: Self) -> bool {
        let (low, high) = (self.0.min(other.0), self.0.max(other.0));
        low.checked_mul(factor.0).is_none_or(|most| high <= most)
    }

    /// How far this is from what it promises to be worth: `self ÷ peg − 1`, to six fraction digits,
    /// half-even.
    #[must_use]
    pub fn deviation(self, peg: Self) -> Option<String> {
        let deviation = self.0.checked_sub(peg.0)?.checked_div(peg.0)?;
        Some(deviation.round_dp(DEVIATION_DIGITS).normalize().to_string())
    }

    /// `self ÷ other` as decimal text of 28 significant digits, half-even: for the reader, never for
    /// computing.
    #[must_use]
    pub fn ratio_text(self, other: Self) -> Option<String> {
        // Scale the quotient to 28 or 29 digits, then to exactly 28.
        let digits_of = |units: i128| units.checked_ilog10().map_or(0, |log| log + 1);
        let (from, to) = (self.units(), other.units());
        let shift = (RATE_SIGNIFICANT_DIGITS + digits_of(to)).saturating_sub(digits_of(from));
        let limit = decimal::power_of_ten(RATE_SIGNIFICANT_DIGITS)?;
        let scaled = |shift| {
            let numerator = I256::from(from).checked_mul(decimal::power_of_ten(shift)?)?;
            decimal::divide_half_even(numerator, I256::from(to))
        };
        let wide = scaled(shift)?;
        let (digits, shift) =
            if wide < limit || shift == 0 { (wide, shift) } else { (scaled(shift - 1)?, shift - 1) };
        Some(point_text(&digits.to_string(), usize::try_from(shift).ok()?))
    }
}

/// A plain decimal that fits a [`Decimal`] with all digits.
fn parse_decimal(text: &str, integer_digits: usize) -> Result<Decimal, DecimalError> {
    let PlainDecimal { is_negative, integer, fraction } = PlainDecimal::read(text, integer_digits)?;
    let sign = if is_negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let plain = format!("{sign}{integer}{point}{fraction}");
    Decimal::from_str_exact(&plain).map_err(|_| DecimalError::TooManyDigits)
}

/// An unsigned number as JSON writes it, exponents included. What has more digits than any market quotes is
/// refused.
fn quoted_number(text: &str) -> Result<Decimal, DecimalError> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if exponent.parse::<i32>().is_err() || !is_number(integer) || !is_number(fraction) {
        return Err(DecimalError::Malformed);
    }
    let number = if mantissa.len() == text.len() {
        Decimal::from_str_exact(text)
    } else {
        Decimal::from_scientific(text)
    };
    number.map_err(|_| DecimalError::TooManyDigits)
}

/// `numerator ÷ denominator` in units of 10⁻¹⁸, rounded once, half-even. A `Decimal` would round the quotient
/// to 28 digits first.
fn quotient_units(numerator: Decimal, denominator: Decimal) -> Result<i128, DecimalError> {
    let scaled = |number: Decimal, digits: u32| {
        I256::from(number.mantissa()).checked_mul(decimal::power_of_ten(digits)?)
    };
    let units = || {
        let divided = decimal::divide_half_even(
            scaled(numerator, decimal::SCALE + denominator.scale())?,
            scaled(denominator, numerator.scale())?,
        );
        i128::try_from(divided?).ok()
    };
    units().ok_or(DecimalError::TooManyDigits)
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
        self.0.normalize().fmt(f)
    }
}

/// A text that is no factor above 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a decimal above 1 and below 1000")]
pub struct FactorError;

/// How many times one price may be another: above 1, below 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(Decimal);

impl Factor {
    /// Twice.
    pub const TWO: Self = Self(Decimal::TWO);
    /// Ten times.
    pub const TEN: Self = Self(Decimal::TEN);
    /// Ten per cent more.
    pub const TENTH_MORE: Self = Self(Decimal::from_parts(11, 0, 0, false, 1));
    /// One per cent more.
    pub const HUNDREDTH_MORE: Self = Self(Decimal::from_parts(101, 0, 0, false, 2));

    /// Parses a decimal above 1 with at most 3 digits before the point.
    pub fn parse(text: &str) -> Result<Self, FactorError> {
        let factor = parse_decimal(text, FACTOR_INTEGER_DIGITS).map_err(|_| FactorError)?;
        if factor > Decimal::ONE { Ok(Self(factor)) } else { Err(FactorError) }
    }
}

/// `units × from ÷ to`, rounded half-even to `digits` after the point.
pub(super) fn scale(units: I256, from: UsdPrice, to: UsdPrice, digits: u32) -> Result<I256, TooLarge> {
    let exact = || {
        let step = decimal::power_of_ten(decimal::SCALE.checked_sub(digits)?)?;
        let numerator = units.checked_mul(I256::from(from.units()))?;
        let denominator = I256::from(to.units()).checked_mul(step)?;
        decimal::divide_half_even(numerator, denominator)?.checked_mul(step)
    };
    exact().ok_or(TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Amount;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn price(text: &str) -> UsdPrice {
        UsdPrice::parse(text).unwrap()
    }

    fn of_units(units: i128) -> UsdPrice {
        UsdPrice(Decimal::from_i128_with_scale(units, 18))
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
        half_even(&BigRational::new(units * BigInt::from(from.units()), BigInt::from(to.units()) * minor))
    }

    fn scaled(units: i128, from: UsdPrice, to: UsdPrice, digits: u32) -> Option<String> {
        scale(I256::from(units), from, to, digits)
            .and_then(Amount::from_wide)
            .ok()
            .map(|amount| (amount.units() / 10_i128.pow(18 - digits)).to_string())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn conversion_agrees_with_exact_rationals(
            units in -(10_i128.pow(36) - 1)..10_i128.pow(36), from in 1..10_i128.pow(28), to in 1..10_i128.pow(28), digits in 0_u32..=8,
        ) {
            let (from, to) = (of_units(from), of_units(to));
            let expected = oracle(&BigInt::from(units), from, to, digits);
            let fits = expected.clone().magnitude() < BigInt::from(10).pow(18 + digits).magnitude();
            prop_assert_eq!(scaled(units, from, to, digits), fits.then(|| expected.to_string()));
        }

        #[test]
        fn prices_parse_and_print_as_integers_do(units in 1..10_i128.pow(28)) {
            let text = decimal::write_units(units, 0);
            let price = UsdPrice::parse(&text).unwrap();
            prop_assert_eq!((price.units(), price.to_string()), (units, text));
            prop_assert_eq!(price, of_units(units));
        }

        #[test]
        fn prices_compare_as_integers_do(one in 1..10_i128.pow(12), other in 1..10_i128.pow(12), factor in 1_001_i128..999_999, scale in 0_u32..=16) {
            // Prices of 12 digits and factors of 6: no product has more than a `Decimal` holds.
            let step = 10_i128.pow(scale);
            let (one, other) = (one * step, other * step);
            let expected = one.max(other).checked_mul(1_000).unwrap() <= one.min(other).checked_mul(factor).unwrap();
            let factor = Factor::parse(&decimal::write_units(factor * 10_i128.pow(15), 0)).unwrap();
            prop_assert_eq!(of_units(one).is_within(factor, of_units(other)), expected);
        }

        #[test]
        fn deviations_are_those_of_integers(price in 1..10_i128.pow(22), peg in 10_i128.pow(15)..10_i128.pow(20)) {
            let millionths = BigRational::new(BigInt::from(price - peg) * 1_000_000, BigInt::from(peg));
            let units: i128 = half_even(&millionths).try_into().unwrap();
            let expected = decimal::write_units(units * 10_i128.pow(12), 0);
            prop_assert_eq!(of_units(price).deviation(of_units(peg)), Some(expected));
        }

        #[test]
        fn quotes_divide_as_rationals_do(numerator in 1..10_i128.pow(24), up in 0_u32..=20, denominator in 1..10_i128.pow(24), down in 0_u32..=20) {
            let text = |digits: i128, scale: u32| Decimal::from_i128_with_scale(digits, scale).to_string();
            let ten = |power: u32| BigInt::from(10).pow(power);
            let exact = BigRational::new(BigInt::from(numerator) * ten(down) * ten(18), BigInt::from(denominator) * ten(up));
            let expected = half_even(&exact);
            let quoted = UsdPrice::quoted(&text(numerator, up), &text(denominator, down));
            match quoted {
                Ok(price) => prop_assert_eq!(BigInt::from(price.units()), expected),
                Err(PriceError::NotPositive) => prop_assert_eq!(expected, BigInt::ZERO),
                Err(PriceError::Decimal(_)) => prop_assert!(expected >= ten(28)),
            }
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
            let text = of_units(from).ratio_text(of_units(to)).unwrap();
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
    fn quoted_numbers_divide_to_eighteen_places() {
        let rows = [
            ("1", "3", Ok("0.333333333333333333")),
            ("2", "3", Ok("0.666666666666666667")),
            ("0.9998", "1", Ok("0.9998")),
            ("9.998e-1", "1.0", Ok("0.9998")),
            ("1E+2", "1e2", Ok("1")),
            ("113E-2", "1", Ok("1.13")),
            ("1.1353", "1.1353", Ok("1")),
            ("0.0000000000000000015", "1", Ok("0.000000000000000002")),
            ("0.0000000000000000005", "1", Err(PriceError::NotPositive)),
            ("0", "1", Err(PriceError::NotPositive)),
            ("1", "0", Err(DecimalError::TooManyDigits.into())),
            ("1", "0.00000000000000000000000000001", Err(DecimalError::TooManyDigits.into())),
            ("1e999", "1", Err(DecimalError::TooManyDigits.into())),
            ("123456789012345678901234567890", "1", Err(DecimalError::TooManyDigits.into())),
            ("12345678901", "1", Err(DecimalError::TooManyIntegerDigits(10).into())),
            ("1e99999999999", "1", Err(DecimalError::Malformed.into())),
            ("-1", "1", Err(DecimalError::Malformed.into())),
            ("+1", "1", Err(DecimalError::Malformed.into())),
            ("1.", "1", Err(DecimalError::Malformed.into())),
            (".5", "1", Err(DecimalError::Malformed.into())),
            ("1_000", "1", Err(DecimalError::Malformed.into())),
            ("1,5", "1", Err(DecimalError::Malformed.into())),
            ("NaN", "1", Err(DecimalError::Malformed.into())),
            ("", "1", Err(DecimalError::Malformed.into())),
            ("1e", "1", Err(DecimalError::Malformed.into())),
        ];
        for (numerator, denominator, expected) in rows {
            let quoted = UsdPrice::quoted(numerator, denominator).map(|price| price.to_string());
            assert_eq!(quoted, expected.map(str::to_owned), "{numerator} / {denominator}");
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
