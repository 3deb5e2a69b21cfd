//! Decimal text to integers of 10⁻¹⁸ and back, and the one rounding rule: half-even, once.
//!
//! The meaning of a number is not known here: [`Amount`](super::Amount) and [`UsdPrice`](super::UsdPrice) set
//! the limits.

use ethnum::I256;
use thiserror::Error;

/// Fraction digits kept of every number: 18, the most any asset has.
pub(super) const SCALE: u32 = 18;
/// The same for lengths of texts.
const FRACTION: usize = 18;
/// Units in one: 10¹⁸.
pub(super) const ONE: i128 = 1_000_000_000_000_000_000;

/// Why a text is not a decimal within its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Not an optional `-`, digits, and optionally `.` and digits.
    #[error("not a decimal number")]
    Malformed,
    /// More digits before the point than its kind of number has.
    #[error("more than {0} digits before the point")]
    TooManyIntegerDigits(usize),
    /// More digits after the point than any number has here.
    #[error("more than {SCALE} digits after the point")]
    TooManyFractionDigits,
    /// More digits than any market quotes.
    #[error("too many digits")]
    TooManyDigits,
}

/// The digits of a plain decimal, `-?digits[.digits]`, before and after the point.
///
/// Zeros at the end of the fraction are no digits, as spreadsheets and databases pad numbers with them.
pub(super) struct PlainDecimal<'a> {
    pub(super) is_negative: bool,
    pub(super) integer: &'a str,
    pub(super) fraction: &'a str,
}

impl<'a> PlainDecimal<'a> {
    /// Reads a text with at most `integer_digits` before the point and [`SCALE`] after it. Exponents, signs
    /// other than a leading `-`, spaces and separators are refused.
    pub(super) fn read(text: &'a str, integer_digits: usize) -> Result<Self, DecimalError> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(integer) || !all_digits(fraction) {
            return Err(DecimalError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if integer.len() > integer_digits {
            return Err(DecimalError::TooManyIntegerDigits(integer_digits));
        }
        if u32::try_from(fraction.len()).unwrap_or(u32::MAX) > SCALE {
            return Err(DecimalError::TooManyFractionDigits);
        }
        Ok(Self { is_negative, integer, fraction })
    }
}

/// Parses a [`PlainDecimal`] to units of 10⁻¹⁸. `-0` is `0`.
pub(super) fn parse_units(text: &str, integer_digits: usize) -> Result<i128, DecimalError> {
    let PlainDecimal { is_negative, integer, fraction } = PlainDecimal::read(text, integer_digits)?;
    // At most 18 + 18 digits stand here, and an i128 holds 38.
    let units = integer
        .bytes()
        .chain(
            fraction.bytes().chain(std::iter::repeat(b'0')).take(usize::try_from(SCALE).unwrap_or_default()),
        )
        .fold(0_i128, |units, digit| units * 10 + i128::from(digit - b'0'));
    Ok(if is_negative { -units } else { units })
}

/// Writes units of 10⁻¹⁸ with no trailing zeros beyond `min_fraction` digits.
pub(super) fn write_units(units: i128, min_fraction: usize) -> String {
    written(units < 0, &units.unsigned_abs().to_string(), min_fraction)
}

/// The same of a sum of any length.
pub(super) fn write_wide(units: I256, min_fraction: usize) -> String {
    written(units < I256::ZERO, &units.unsigned_abs().to_string(), min_fraction)
}

fn written(is_negative: bool, magnitude: &str, min_fraction: usize) -> String {
    let sign = if is_negative { "-" } else { "" };
    let digits = format!("{magnitude:0>19}");
    let (integer, fraction) = digits.split_at(digits.len() - FRACTION);
    let significant = fraction.trim_end_matches('0').len().max(min_fraction);
    match fraction.get(..significant) {
        Some(kept) if !kept.is_empty() => format!("{sign}{integer}.{kept}"),
        _ => format!("{sign}{integer}"),
    }
}

/// `numerator ÷ denominator` to the nearest integer, a tie to the even one. `None` if the denominator is not
/// positive.
pub(super) fn divide_half_even(numerator: I256, denominator: I256) -> Option<I256> {
    if denominator <= I256::ZERO {
        return None;
    }
    let quotient = numerator.checked_div_euclid(denominator)?;
    let remainder = numerator.checked_rem_euclid(denominator)?;
    let is_odd = quotient.checked_rem_euclid(I256::new(2))? == I256::ONE;
    // The remainder is in 0..denominator: compare it with what is left, so that doubling cannot overflow.
    let rest = denominator - remainder;
    let round_up = remainder > rest || (remainder == rest && is_odd);
    if round_up { quotient.checked_add(I256::ONE) } else { Some(quotient) }
}

/// 10 to the `exponent`, if it fits 255 bits (76 digits).
pub(super) fn power_of_ten(exponent: u32) -> Option<I256> {
    I256::new(10).checked_pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn i256(text: &str) -> I256 {
        text.parse().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn print_then_parse_is_the_same_number(units in -(10_i128.pow(36) - 1)..10_i128.pow(36), min in 0_usize..=2) {
            let text = write_units(units, min);
            prop_assert_eq!(parse_units(&text, 18), Ok(units));
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            prop_assert!(fraction.len() >= min);
            prop_assert!(fraction.len() == min || !fraction.ends_with('0'));
        }

        #[test]
        fn division_agrees_with_big_integers(n in any::<i128>(), m in any::<i128>(), d in 1_i128..) {
            // The definition of half-even on 2n/d, in a library that shares no code with ours.
            let numerator = BigInt::from(n) * BigInt::from(m);
            let denominator = BigInt::from(d);
            let floor = {
                let truncated = &numerator / &denominator;
                if numerator < BigInt::ZERO && &truncated * &denominator != numerator { truncated - 1 } else { truncated }
            };
            let twice_rest = (&numerator - &floor * &denominator) * 2;
            let odd = &floor % 2 != BigInt::ZERO;
            let up = twice_rest > denominator || (twice_rest == denominator && odd);
            let expected = if up { floor + 1 } else { floor };
            let ours = divide_half_even(i256(&numerator.to_string()), i256(&d.to_string())).unwrap();
            prop_assert_eq!(ours.to_string(), expected.to_string());
        }

        #[test]
        fn nothing_but_plain_decimals_parses(text in "\\PC{0,40}") {
            let plain = text.strip_prefix('-').unwrap_or(&text);
            let shape = plain.split_once('.').map_or_else(|| vec![plain], |(a, b)| vec![a, b]);
            let is_decimal = shape.iter().all(|part| !part.is_empty() && part.len() <= 18 && part.bytes().all(|b| b.is_ascii_digit()));
            prop_assert_eq!(parse_units(&text, 18).is_ok(), is_decimal);
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        let rows =
            [(5, 0), (15, 2), (25, 2), (-5, 0), (-15, -2), (-25, -2), (4, 0), (6, 1), (-4, 0), (-6, -1)];
        for (numerator, expected) in rows {
            assert_eq!(
                divide_half_even(I256::new(numerator), I256::new(10)),
                Some(I256::new(expected)),
                "{numerator}/10"
            );
        }
        assert_eq!(divide_half_even(I256::ONE, I256::ZERO), None);
    }

    #[test]
    fn a_text_that_is_not_a_decimal_says_why() {
        use DecimalError::{Malformed, TooManyFractionDigits, TooManyIntegerDigits};
        let rows = [
            ("", Malformed),
            ("-", Malformed),
            (".", Malformed),
            ("1.", Malformed),
            (".5", Malformed),
            ("+1", Malformed),
            ("1e3", Malformed),
            ("1_000", Malformed),
            (" 1", Malformed),
            ("--1", Malformed),
            ("1.2.3", Malformed),
            ("١", Malformed),
            ("NaN", Malformed),
            ("0x10", Malformed),
            ("1,5", Malformed),
            ("1.-5", Malformed),
            ("1234567890123456789", TooManyIntegerDigits(18)),
            ("0.1234567890123456789", TooManyFractionDigits),
        ];
        for (text, error) in rows {
            assert_eq!(parse_units(text, 18), Err(error), "{text:?}");
        }
        assert_eq!(parse_units("-0", 18), Ok(0));
        assert_eq!(parse_units("1.5000000000000000000", 18), Ok(ONE + ONE / 2));
        assert_eq!(parse_units(&format!("-0.{}", "0".repeat(1_000)), 18), Ok(0));
        assert_eq!(parse_units("-0.000000000000000001", 18), Ok(-1));
        assert_eq!(parse_units("999999999999999999.999999999999999999", 18), Ok(10_i128.pow(36) - 1));
    }
}
