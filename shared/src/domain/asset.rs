//! The assets that can be held: money and crypto assets, each a row of the catalogue.
//!
//! An [`Asset`] points at its row. Which assets there are is the [`catalogue`](super::catalogue)'s business;
//! prices, networks and icons are not known here.

use super::amount::FRACTION_DIGITS;
use super::catalogue::built_in;
use super::{Amount, ProviderName, decimal};
use ethnum::I256;
use std::cmp::Ordering;

/// Most fraction digits a conversion into a crypto asset is rounded to.
const CRYPTO_MINOR_DIGITS: u32 = 8;
/// Fewest fraction digits of a printed amount, unless the asset has fewer.
const PRINTED_FRACTION_DIGITS: u32 = 2;

/// Whether a sheet may price a token at its peg, labelled `par`, where no market price is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Par {
    /// It may.
    Allowed,
    /// It must not: such an entry leaves the token unpriced.
    Refused,
}

/// Money or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetKind {
    /// Money.
    Fiat,
    /// A crypto asset.
    Crypto,
}

/// Whose quotes price an asset, and in which order; `rates` knows the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// Money: authorities before exchanges.
    Fiat,
    /// Traded everywhere: an exchange's own rate before an index.
    Major,
    /// A token, of which an index by id counts before an exchange, because several tokens share a ticker.
    Token,
}

/// One row of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct AssetRow {
    /// The canonical spelling of the code.
    pub code: &'static str,
    /// Another spelling that is understood, in ASCII.
    pub alias: Option<&'static str>,
    /// The English name.
    pub name: &'static str,
    /// Money or not.
    pub kind: AssetKind,
    /// The issuer, if one company issues it.
    pub issuer: Option<&'static str>,
    /// Digits after the point of its smallest unit, on the chain where they are most.
    pub decimals: u32,
    /// The fiat money of which it promises to be worth one.
    pub peg: Option<&'static str>,
    /// Whether it may be priced at its peg.
    pub par: Par,
    /// How old its quotes may be, in hours; `None` is the limit of all crypto assets.
    pub quote_hours: Option<u32>,
    /// Its id at `CoinGecko`.
    pub coingecko: Option<&'static str>,
    /// Its ticker at Coinbase.
    pub coinbase: Option<&'static str>,
    /// Whether the exchange counts before the index.
    pub exchange_first: bool,
    /// Its ids at custody providers.
    pub custody: &'static [CustodyId],
}

/// A custody provider's own id of an asset on one blockchain.
#[derive(Debug, PartialEq, Eq)]
pub struct CustodyId {
    /// Whose id it is.
    pub provider: ProviderName,
    /// The id.
    pub id: &'static str,
    /// The blockchain's name.
    pub blockchain: &'static str,
    /// Digits of a base unit there, for providers that count in base units.
    pub digits: u32,
}

/// Something an account can hold, compared and ordered by the UTF-8 bytes of its code.
///
/// ```
/// use shared::domain::{Amount, Catalogue};
/// let catalogue = Catalogue::default();
/// let token = catalogue.asset("europ")?;
/// assert_eq!((token.code(), token.is_crypto()), ("EURØP", true));
/// let yen = catalogue.asset("JPY")?;
/// assert_eq!(yen.print(Amount::parse("1000").unwrap()), "1000");
/// # Ok::<(), shared::domain::catalogue::UnknownAsset>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Asset(&'static AssetRow);

impl Asset {
    /// US dollar, the unit of every rate sheet.
    pub const USD: Self = Self(&built_in::FIAT[built_in::USD]);
    /// Euro, which some tokens promise to be worth.
    pub const EUR: Self = Self(&built_in::FIAT[built_in::EUR]);

    /// The asset of a row.
    #[must_use]
    pub const fn of_row(row: &'static AssetRow) -> Self {
        Self(row)
    }

    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static AssetRow {
        self.0
    }

    /// The canonical spelling of the code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0.code
    }

    /// The code in ASCII, for paths: the alias where the code itself is not.
    #[must_use]
    pub fn ascii_code(self) -> &'static str {
        self.0.alias.filter(|_| !self.0.code.is_ascii()).unwrap_or(self.0.code)
    }

    /// Whether it is crypto rather than fiat money.
    #[must_use]
    pub const fn is_crypto(self) -> bool {
        matches!(self.0.kind, AssetKind::Crypto)
    }

    /// Its English name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Its issuer, if one company issues it.
    #[must_use]
    pub const fn issuer(self) -> Option<&'static str> {
        self.0.issuer
    }

    /// The money of which it promises to be worth one, if it does.
    #[must_use]
    pub fn peg(self) -> Option<Self> {
        built_in::fiat(self.0.peg?)
    }

    /// Whether it may be priced at its peg.
    #[must_use]
    pub const fn par(self) -> Par {
        self.0.par
    }

    /// Whose quotes price it.
    #[must_use]
    pub const fn market(self) -> Market {
        match (self.0.kind, self.0.exchange_first) {
            (AssetKind::Fiat, _) => Market::Fiat,
            (AssetKind::Crypto, true) => Market::Major,
            (AssetKind::Crypto, false) => Market::Token,
        }
    }

    /// Digits after the point of its smallest unit.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        self.0.decimals
    }

    /// Whether the amount has more digits after the point than the asset.
    ///
    /// ```
    /// use shared::domain::{Amount, Asset, Catalogue};
    /// let (euro, yen) = (Asset::EUR, Catalogue::default().asset("JPY")?);
    /// assert!(!euro.is_coarser_than(Amount::parse("1.50")?));
    /// assert!(euro.is_coarser_than(Amount::parse("1.234")?));
    /// assert!(yen.is_coarser_than(Amount::parse("1.5")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_coarser_than(self, amount: Amount) -> bool {
        let smallest = 10_i128.pow(FRACTION_DIGITS.saturating_sub(self.decimals()));
        amount.units() % smallest != 0
    }

    /// Digits a conversion into it is rounded to: fiat's minor unit, at most 8 for crypto.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        if self.is_crypto() { self.decimals().min(CRYPTO_MINOR_DIGITS) } else { self.decimals() }
    }

    /// An amount of it as decimal text: at least min(2, decimals) fraction digits, no trailing zeros beyond
    /// them.
    #[must_use]
    pub fn print(self, amount: Amount) -> String {
        let min_fraction = self.decimals().min(PRINTED_FRACTION_DIGITS);
        amount.to_text(usize::try_from(min_fraction).unwrap_or_default())
    }

    /// The same of a sum of any length, in units of 10⁻¹⁸.
    #[must_use]
    pub fn print_wide(self, units: I256) -> String {
        let min_fraction = self.decimals().min(PRINTED_FRACTION_DIGITS);
        decimal::write_wide(units, usize::try_from(min_fraction).unwrap_or_default())
    }
}

impl PartialEq for Asset {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Asset {}

impl PartialOrd for Asset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Asset {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Catalogue;

    fn asset(code: &str) -> Asset {
        Catalogue::default().asset(code).unwrap()
    }

    #[test]
    fn amounts_print_with_the_assets_digits() {
        let rows = [
            ("EUR", "0", "0.00"),
            ("EUR", "1000.5", "1000.50"),
            ("EUR", "0.12345678", "0.12345678"),
            ("JPY", "1000", "1000"),
            ("JPY", "1000.5", "1000.5"),
            ("KWD", "1.5", "1.50"),
            ("BTC", "0", "0.00"),
            ("ETH", "0.000000000000000001", "0.000000000000000001"),
            ("USDC", "-0.1", "-0.10"),
            ("CLP", "-0", "0"),
        ];
        for (code, amount, printed) in rows {
            assert_eq!(asset(code).print(Amount::parse(amount).unwrap()), printed, "{code} {amount}");
        }
    }

    #[test]
    fn conversions_round_to_the_minor_unit() {
        for (code, digits) in [
            ("EUR", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("BTC", 8),
            ("ETH", 8),
            ("USDC", 6),
            ("TRX", 6),
            ("USDT", 8),
        ] {
            assert_eq!(asset(code).minor_digits(), digits, "{code}");
        }
    }

    #[test]
    fn tokens_that_lost_their_peg_are_never_at_par() {
        for code in ["EURR", "USDR"] {
            assert_eq!(asset(code).par(), Par::Refused);
        }
    }
}
