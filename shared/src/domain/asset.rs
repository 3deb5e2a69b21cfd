//! What can be held: ISO 4217 money and a table of crypto assets.
//!
//! Adding a crypto asset is one row of `CRYPTO`. Rates, networks and icons are not known here.

use super::Amount;
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

/// What a token promises to be worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peg {
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
}

const fn coin(code: &'static str, name: &'static str, decimals: u32) -> CryptoAsset {
    CryptoAsset { code, alias: None, name, issuer: None, decimals, peg: Peg::None, par: Par::Refused }
}

const fn token(code: &'static str, name: &'static str, issuer: &'static str, peg: Peg, decimals: u32, par: Par) -> CryptoAsset {
    CryptoAsset { code, alias: None, name, issuer: Some(issuer), decimals, peg, par }
}

/// Every crypto asset. The issuers are the reference's; EURR and USDR lost their pegs and must never be priced at par.
static CRYPTO: &[CryptoAsset] = &[
    coin("BTC", "Bitcoin", 8),
    coin("ETH", "Ether", 18),
    coin("SOL", "Solana", 9),
    coin("TRX", "TRON", 6),
    coin("BNB", "BNB", 18),
    // 6 decimals on Ethereum and Tron, 18 on BSC: the larger keeps every chain's amounts exact.
    token("USDT", "Tether USD", "Tether", Peg::Usd, 18, Par::Refused),
    token("USDC", "USD Coin", "Circle", Peg::Usd, 6, Par::Refused),
    token("EURC", "Euro Coin", "Circle", Peg::Eur, 6, Par::Refused),
    token("EURI", "Eurite", "Banking Circle", Peg::Eur, 18, Par::Refused),
    token("USD1", "USD1", "Crypto.com", Peg::Usd, 18, Par::Allowed),
    token("ENEUR", "ENEUR", "Fiat Republic", Peg::Eur, 18, Par::Allowed),
    token("EURe", "EURe", "Membrane Finance", Peg::Eur, 18, Par::Refused),
    token("eUSD", "eUSD", "Membrane Finance", Peg::Usd, 18, Par::Allowed),
    token("EURD", "EURD", "Quantoz Payments", Peg::Eur, 6, Par::Refused),
    token("EURQ", "EURQ", "Quantoz Payments", Peg::Eur, 6, Par::Refused),
    token("USDQ", "USDQ", "Quantoz Payments", Peg::Usd, 6, Par::Refused),
    CryptoAsset { alias: Some("EUROP"), ..token("EURØP", "EURØP", "Schuman Financial", Peg::Eur, 6, Par::Refused) },
    token("EURCV", "EUR CoinVertible", "SG Forge", Peg::Eur, 18, Par::Refused),
    token("EURR", "StablR Euro", "StablR", Peg::Eur, 6, Par::Refused),
    token("USDR", "StablR USD", "StablR", Peg::Usd, 6, Par::Refused),
    token("EURSM", "EURSM", "Stable Mint", Peg::Eur, 18, Par::Allowed),
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

    /// Finds an asset by its code or alias, in any case.
    ///
    /// ISO 4217's metals, baskets and test codes have no minor unit and are not money one can hold: unknown.
    pub fn parse(text: &str) -> Result<Self, UnknownAsset> {
        let crypto =
            CRYPTO.iter().find(|row| is_spelling(text, row.code) || row.alias.is_some_and(|alias| is_spelling(text, alias)));
        let fiat = || Currency::from_code(&text.to_ascii_uppercase()).filter(|currency| currency.exponent().is_some());
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

    /// Who issues it, if one company does.
    #[must_use]
    pub const fn issuer(self) -> Option<&'static str> {
        match self {
            Self::Fiat(_) => None,
            Self::Crypto(row) => row.issuer,
        }
    }

    /// What it promises to be worth.
    #[must_use]
    pub const fn peg(self) -> Peg {
        match self {
            Self::Fiat(_) => Peg::None,
            Self::Crypto(row) => row.peg,
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

    /// Digits after the point of its smallest unit.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match self {
            Self::Fiat(currency) => currency.exponent().map_or(PRINTED_FRACTION_DIGITS, u32::from),
            Self::Crypto(row) => row.decimals,
        }
    }

    /// Digits a conversion into it is rounded to: fiat's minor unit, at most 8 for crypto.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        if self.is_crypto() { self.decimals().min(CRYPTO_MINOR_DIGITS) } else { self.decimals() }
    }

    /// An amount of it as decimal text: at least min(2, decimals) fraction digits, no trailing zeros beyond them.
    #[must_use]
    pub fn print(self, amount: Amount) -> String {
        let min_fraction = self.decimals().min(PRINTED_FRACTION_DIGITS);
        amount.to_text(usize::try_from(min_fraction).unwrap_or_default())
    }
}

/// Compares in any case; Ø is the one letter of the table that ASCII folding leaves out.
fn is_spelling(text: &str, code: &str) -> bool {
    text.eq_ignore_ascii_case(code) || (text.contains('ø') && text.replace('ø', "Ø").eq_ignore_ascii_case(code))
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
        for text in ["", "EU", "EURO", "XAU", "XXX", "XTS", "DOGE", " EUR", "EUR ", "EURØ", "EUR\u{d8}\u{301}P"] {
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
            assert_eq!(Asset::parse(code).unwrap().print(Amount::parse(amount).unwrap()), printed, "{code} {amount}");
        }
    }

    #[test]
    fn conversions_round_to_the_minor_unit() {
        for (code, digits) in
            [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("BTC", 8), ("ETH", 8), ("USDC", 6), ("TRX", 6), ("USDT", 8)]
        {
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
