//! An exact amount of one asset.
//!
//! An amount does not know its asset: how many digits to print is [`Asset::print`](super::Asset::print)'s
//! business.

use super::decimal;
use ethnum::I256;
use thiserror::Error;

/// Digits before the point of an amount.
pub const INTEGER_DIGITS: usize = 18;
/// Digits after the point of an amount.
pub const FRACTION_DIGITS: u32 = decimal::SCALE;
/// The first count of units that does not fit: 10³⁶.
const LIMIT: i128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;

/// A sum or conversion that has more than 18 digits before the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the amount has more than {INTEGER_DIGITS} digits before the point")]
pub struct TooLarge;

/// A decimal with at most 18 digits before and 18 after the point, as an integer of 10⁻¹⁸ units; negative is
/// an overdraft.
///
/// ```
/// use shared::domain::Amount;
/// let amount = Amount::parse("-1000.50")?;
/// assert_eq!(amount.units(), -1_000_500_000_000_000_000_000);
/// assert_eq!(amount.to_string(), "-1000.5");
/// assert!(Amount::parse("1e3").is_err());
/// # Ok::<(), shared::domain::amount::DecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i128);

pub use super::decimal::DecimalError;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Parses an optional `-`, at most 18 digits and optionally a point and at most 18 digits.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        decimal::parse_units(text, INTEGER_DIGITS).map(Self)
    }

    /// The amount of `units` × 10⁻¹⁸.
    pub fn from_units(units: i128) -> Result<Self, TooLarge> {
        if -LIMIT < units && units < LIMIT { Ok(Self(units)) } else { Err(TooLarge) }
    }

    /// A 256-bit sum, narrowed where it fits.
    pub fn from_wide(units: I256) -> Result<Self, TooLarge> {
        i128::try_from(units).map_err(|_| TooLarge).and_then(Self::from_units)
    }

    /// The amount in units of 10⁻¹⁸.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The amount as a 256-bit integer of 10⁻¹⁸ units, for sums of any length.
    #[must_use]
    pub fn wide(self) -> I256 {
        I256::from(self.0)
    }

    /// The decimal text with at least `min_fraction` digits after the point and no trailing zeros beyond
    /// them.
    #[must_use]
    pub fn to_text(self, min_fraction: usize) -> String {
        decimal::write_units(self.0, min_fraction)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_eighteen_integer_digits_both_ways() {
        assert_eq!(Amount::from_units(LIMIT), Err(TooLarge));
        assert_eq!(Amount::from_units(-LIMIT), Err(TooLarge));
        let largest = Amount::from_units(LIMIT - 1).unwrap();
        assert_eq!(largest.to_string(), "999999999999999999.999999999999999999");
        assert_eq!(Amount::from_wide(largest.wide() + I256::ONE), Err(TooLarge));
        assert_eq!(Amount::from_wide(I256::MIN), Err(TooLarge));
    }
}
