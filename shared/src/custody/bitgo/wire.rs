//! BitGo's JSON: balances are strings of base units (wei, satoshi), whose digits the catalogue knows.

use crate::custody::{Holdings, Placement, ProviderError, place};
use crate::domain::amount::DecimalError;
use crate::domain::{Amount, Catalogue, CustodyAccount, Position};
use crate::entries::Entries;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// One wallet: `GET /api/v2/{coin}/wallet/{walletId}?allTokens=true`.
#[derive(Debug, Clone, Deserialize)]
pub struct Wallet {
    id: String,
    coin: String,
    #[serde(rename = "balanceString", default)]
    balance: Value,
    #[serde(rename = "spendableBalanceString", default)]
    spendable: Value,
    /// An object; `null` or an empty list for a wallet without tokens.
    #[serde(default)]
    tokens: Option<Box<RawValue>>,
}

/// A wallet's own balance, or a token's. Of an asset that the account shows it must be sound.
#[derive(Debug, Clone, Default, Deserialize)]
struct UnitBalance {
    #[serde(rename = "balanceString", default)]
    balance: Value,
    /// Absent where nothing can be locked.
    #[serde(rename = "spendableBalanceString", default)]
    spendable: Value,
}

/// The body of a failure. A member that is no text is passed over, so that the other is still read.
#[derive(Debug, Default, Deserialize)]
pub struct BitGoFailure {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    error: Value,
}

impl BitGoFailure {
    /// The kind of failure and the vendor's own words for the failure; empty where the body has none.
    #[must_use]
    pub fn name_and_words(&self) -> (&str, &str) {
        (self.name.as_str().unwrap_or_default(), self.error.as_str().unwrap_or_default())
    }
}

impl Wallet {
    /// The wallet's holdings.
    pub fn holdings(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
    ) -> Result<Holdings, ProviderError> {
        if format!("{}/{}", self.coin, self.id) != account.provider_account.name() {
            return Err(ProviderError::Nonsense("another wallet than was asked for".to_owned()));
        }
        let own = UnitBalance { balance: self.balance.clone(), spendable: self.spendable.clone() };
        let (mut holdings, mut seen) = (Holdings::default(), BTreeSet::new());
        for (name, balance) in std::iter::once((self.coin.clone(), own)).chain(self.tokens()?) {
            match place(account, &name, catalogue) {
                Placement::Shown(..) if !seen.insert(name.clone()) => {
                    return Err(ProviderError::Nonsense("an asset is told twice".to_owned()));
                }
                Placement::Shown(chain_asset, digits) => {
                    holdings.add(chain_asset, balance.position(&name, digits)?)?;
                }
                Placement::LeftOut(reason) => {
                    holdings.leave_out(&name, balance.balance.as_str().unwrap_or_default(), reason);
                }
            }
        }
        Ok(holdings)
    }

    /// The tokens by name. A token that is no object has no balance. A list with something in it is refused:
    /// read as no tokens, it would turn every token that is held into zero.
    fn tokens(&self) -> Result<Vec<(String, UnitBalance)>, ProviderError> {
        let Some(tokens) = self.tokens.as_ref().map(|tokens| tokens.get()) else { return Ok(Vec::new()) };
        if serde_json::from_str::<[(); 0]>(tokens).is_ok() {
            return Ok(Vec::new());
        }
        let Entries(tokens): Entries<Box<RawValue>> = serde_json::from_str(tokens)
            .map_err(|error| ProviderError::Nonsense(format!("tokens, column {}", error.column())))?;
        let balance = |token: &RawValue| serde_json::from_str(token.get()).unwrap_or_default();
        Ok(tokens.into_iter().map(|(name, token)| (name, balance(&token))).collect())
    }
}

impl UnitBalance {
    fn position(&self, name: &str, digits: u32) -> Result<Position, ProviderError> {
        let amount = |value: &Value| {
            let text = value.as_str().ok_or(DecimalError::Malformed);
            text.and_then(|text| from_base_units(text, digits)).map_err(|fault| {
                ProviderError::Nonsense(format!("an amount of {name} in base units: {fault}"))
            })
        };
        let total = amount(&self.balance)?;
        let available = if self.spendable.is_null() { total } else { amount(&self.spendable)? };
        Position::new(total, available).map_err(ProviderError::nonsense)
    }
}

/// A whole number of base units as an amount; a sign, a point or an exponent is refused.
fn from_base_units(text: &str, digits: u32) -> Result<Amount, DecimalError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let digits = usize::try_from(digits).map_err(|_| DecimalError::Malformed)?;
    let padded = format!("{text:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - digits).ok_or(DecimalError::Malformed)?;
    // Leading zeros are no digits of the amount.
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Amount::parse(&if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}
