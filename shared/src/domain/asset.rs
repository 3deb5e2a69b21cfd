//! The assets that can be held: ISO 4217 money and a table of crypto assets.
//!
//! Adding a crypto asset is one row of `CRYPTO`, which also says where a price is to be had. Prices, networks
//! and icons are not known here.

use super::Amount;
use super::amount::FRACTION_DIGITS;
use iso_currency::Currency;
use std::cmp::Ordering;
use thiserror::Error;

/// Most fraction digits a conversion into a crypto asset is rounded to.
const CRYPTO_MINOR_DIGITS: u32 = 8;
/// Fewest fraction digits of a printed amount, unless the asset has fewer.
const PRINTED_FRACTION_DIGITS: u32 = 2;

/// A code that is neither ISO 4217 money nor a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a known asset")]
pub struct UnknownAsset;

/// The worth that a token promises.
#[derive(Debug, Clone, Copy)]
enum Peg {
    /// It floats.
    None,
    /// One US dollar.
    Usd,
    /// One euro.
    Eur,
}

/// Whether a sheet may price a token at its peg, labelled `par`, where no market price is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Par {
    /// It may.
    Allowed,
    /// It must not: such an entry leaves the token unpriced.
    Refused,
}

/// Whose quotes price an asset, and in which order; `rates` knows the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// Money: authorities before exchanges.
    Fiat,
    /// Traded everywhere: an exchange's own rate before an index. `CoinGecko` knows it by this id.
    Major(&'static str),
    /// A token known by its id at `CoinGecko`, because several share a ticker; that index before an exchange.
    Token(&'static str),
    /// No quote of it is known: what exchanges trade under its code is another issuer's.
    None,
}

/// One row of the crypto table.
#[derive(Debug)]
pub struct CryptoAsset {
    code: &'static str,
    /// Another spelling that is understood, for codes that are not ASCII.
    alias: Option<&'static str>,
    name: &'static str,
    issuer: Option<&'static str>,
    decimals: u32,
    peg: Peg,
    par: Par,
    market: Market,
}

const fn coin(code: &'static str, name: &'static str, decimals: u32, id: &'static str) -> CryptoAsset {
    let market = Market::Major(id);
    CryptoAsset { code, alias: None, name, issuer: None, decimals, peg: Peg::None, par: Par::Refused, market }
}

/// A pegged token that is traded, and so never taken to be worth its peg.
const fn token(
    code: &'static str,
    name: &'static str,
    issuer: &'static str,
    peg: Peg,
    decimals: u32,
    market: Market,
) -> CryptoAsset {
    CryptoAsset { code, alias: None, name, issuer: Some(issuer), decimals, peg, par: Par::Refused, market }
}

/// A pegged token without a market of its own.
const fn at_par(code: &'static str, name: &'static str, issuer: &'static str, peg: Peg) -> CryptoAsset {
    CryptoAsset { par: Par::Allowed, ..token(code, name, issuer, peg, 18, Market::None) }
}

/// Every crypto asset. The issuers are the reference's; EURR and USDR lost their pegs and must never be
/// priced at par.
static CRYPTO: &[CryptoAsset] = &[
    coin("BTC", "Bitcoin", 8, "bitcoin"),
    coin("ETH", "Ether", 18, "ethereum"),
    coin("SOL", "Solana", 9, "solana"),
    coin("TRX", "TRON", 6, "tron"),
    coin("BNB", "BNB", 18, "binancecoin"),
    // 6 decimals on Ethereum and Tron, 18 on BSC: the larger keeps every chain's amounts exact.
    token("USDT", "Tether USD", "Tether", Peg::Usd, 18, Market::Major("tether")),
    token("USDC", "USD Coin", "Circle", Peg::Usd, 6, Market::Major("usd-coin")),
    token("EURC", "Euro Coin", "Circle", Peg::Eur, 6, Market::Token("euro-coin")),
    token("EURI", "Eurite", "Banking Circle", Peg::Eur, 18, Market::Token("eurite")),
    at_par("USD1", "USD1", "Crypto.com", Peg::Usd),
    at_par("ENEUR", "ENEUR", "Fiat Republic", Peg::Eur),
    token("EURe", "EURe", "Membrane Finance", Peg::Eur, 18, Market::Token("monerium-eur-money-2")),
    at_par("eUSD", "eUSD", "Membrane Finance", Peg::Usd),
    token("EURD", "EURD", "Quantoz Payments", Peg::Eur, 6, Market::Token("quantoz-eurd")),
    token("EURQ", "EURQ", "Quantoz Payments", Peg::Eur, 6, Market::Token("quantoz-eurq")),
    token("USDQ", "USDQ", "Quantoz Payments", Peg::Usd, 6, Market::Token("quantoz-usdq")),
    CryptoAsset {
        alias: Some("EUROP"),
        ..token("EURØP", "EURØP", "Schuman Financial", Peg::Eur, 6, Market::Token("schuman-europ"))
    },
    token(
        "EURCV",
        "EUR CoinVertible",
        "SG Forge",
        Peg::Eur,
        18,
        Market::Token("societe-generale-forge-eurcv"),
    ),
    token("EURR", "StablR Euro", "StablR", Peg::Eur, 6, Market::Token("stablr-euro")),
    token("USDR", "StablR USD", "StablR", Peg::Usd, 6, Market::Token("stablr-usd")),
    at_par("EURSM", "EURSM", "Stable Mint", Peg::Eur),
];

/// Something an account can hold, compared and ordered by the UTF-8 bytes of its code.
///
/// ```
/// use shared::domain::{Amount, Asset};
/// let token = Asset::parse("europ")?;
/// assert_eq!((token.code(), token.is_crypto()), ("EURØP", true));
/// let yen = Asset::parse("JPY")?;
/// assert_eq!(yen.print(Amount::parse("1000").unwrap()), "1000");
/// # Ok::<(), shared::domain::asset::UnknownAsset>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Asset {
    /// ISO 4217 money.
    Fiat(Currency),
    /// A row of the crypto table.
    Crypto(&'static CryptoAsset),
}

impl Asset {
    /// US dollar, the unit of every rate sheet.
    pub const USD: Self = Self::Fiat(Currency::USD);
    /// Euro, which some tokens promise to be worth.
    pub const EUR: Self = Self::Fiat(Currency::EUR);

    /// Every crypto asset, in the table's order.
    pub fn crypto() -> impl Iterator<Item = Self> {
        CRYPTO.iter().map(Self::Crypto)
    }

    /// Finds an asset by its code or alias, in any case.
    ///
    /// ISO 4217's metals, baskets and test codes have no minor unit and are not money one can hold: unknown.
    pub fn parse(text: &str) -> Result<Self, UnknownAsset> {
        let crypto = CRYPTO.iter().find(|row| {
            is_spelling(text, row.code) || row.alias.is_some_and(|alias| is_spelling(text, alias))
        });
        let fiat = || {
            Currency::from_code(&text.to_ascii_uppercase()).filter(|currency| currency.exponent().is_some())
        };
        crypto.map(Self::Crypto).or_else(|| fiat().map(Self::Fiat)).ok_or(UnknownAsset)
    }

    /// The canonical spelling of the code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Fiat(currency) => currency.code(),
            Self::Crypto(row) => row.code,
        }
    }

    /// The code in ASCII, for paths: the alias where the code itself is not.
    #[must_use]
    pub fn ascii_code(self) -> &'static str {
        match self {
            Self::Crypto(CryptoAsset { alias: Some(alias), .. }) => alias,
            Self::Crypto(_) | Self::Fiat(_) => self.code(),
        }
    }

    /// Whether it is crypto rather than fiat money.
    #[must_use]
    pub const fn is_crypto(self) -> bool {
        matches!(self, Self::Crypto(_))
    }

    /// Its English name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Fiat(currency) => currency.name(),
            Self::Crypto(row) => row.name,
        }
    }

    /// Its issuer, if one company issues it.
    #[must_use]
    pub const fn issuer(self) -> Option<&'static str> {
        match self {
            Self::Fiat(_) => None,
            Self::Crypto(row) => row.issuer,
        }
    }

    /// The money of which it promises to be worth one, if it does.
    #[must_use]
    pub const fn peg(self) -> Option<Self> {
        match self {
            Self::Fiat(_) => None,
            Self::Crypto(row) => match row.peg {
                Peg::None => None,
                Peg::Usd => Some(Self::USD),
                Peg::Eur => Some(Self::EUR),
            },
        }
    }

    /// Whether it may be priced at its peg.
    #[must_use]
    pub const fn par(self) -> Par {
        match self {
            Self::Fiat(_) => Par::Refused,
            Self::Crypto(row) => row.par,
        }
    }

    /// Whose quotes price it.
    #[must_use]
    pub const fn market(self) -> Market {
        match self {
            Self::Fiat(_) => Market::Fiat,
            Self::Crypto(row) => row.market,
        }
    }

    /// Digits after the point of its smallest unit.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match self {
            Self::Fiat(currency) => currency.exponent().map_or(PRINTED_FRACTION_DIGITS, u32::from),
            Self::Crypto(row) => row.decimals,
        }
    }

    /// Whether the amount has more digits after the point than the asset.
    ///
    /// ```
    /// use shared::domain::{Amount, Asset};
    /// let (euro, yen) = (Asset::parse("EUR")?, Asset::parse("JPY")?);
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
}

/// Compares in any case; Ø is the one letter of the table that ASCII folding leaves out.
fn is_spelling(text: &str, code: &str) -> bool {
    text.eq_ignore_ascii_case(code)
        || (text.contains('ø') && text.replace('ø', "Ø").eq_ignore_ascii_case(code))
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

    #[test]
    fn codes_match_in_any_case_and_come_back_canonical() {
        let rows = [
            ("eur", "EUR", false),
            ("EURE", "EURe", true),
            ("Eusd", "eUSD", true),
            ("EURØP", "EURØP", true),
            ("eurøp", "EURØP", true),
            ("Europ", "EURØP", true),
            ("usd1", "USD1", true),
            ("ars", "ARS", false),
            ("btc", "BTC", true),
        ];
        for (text, code, is_crypto) in rows {
            let asset = Asset::parse(text).unwrap();
            assert_eq!((asset.code(), asset.is_crypto()), (code, is_crypto), "{text}");
        }
        for text in
            ["", "EU", "EURO", "XAU", "XXX", "XTS", "DOGE", " EUR", "EUR ", "EURØ", "EUR\u{d8}\u{301}P"]
        {
            assert_eq!(Asset::parse(text), Err(UnknownAsset), "{text:?}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_code_and_shadows_no_money() {
        for row in CRYPTO {
            assert_eq!(Asset::parse(row.code).unwrap().code(), row.code);
            assert!(row.decimals <= 18, "{}", row.code);
            assert!(Currency::from_code(&row.code.to_uppercase()).is_none(), "{}", row.code);
        }
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
            assert_eq!(
                Asset::parse(code).unwrap().print(Amount::parse(amount).unwrap()),
                printed,
                "{code} {amount}"
            );
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
            assert_eq!(Asset::parse(code).unwrap().minor_digits(), digits, "{code}");
        }
    }

    #[test]
    fn tokens_that_lost_their_peg_are_never_at_par() {
        for code in ["EURR", "USDR"] {
            assert_eq!(Asset::parse(code).unwrap().par(), Par::Refused);
        }
    }
}
