//! BitGo's JSON: balances are strings of base units (wei, satoshi), which a table turns into amounts.

use crate::custody::{Holdings, ProviderError};
use crate::domain::amount::DecimalError;
use crate::domain::{Amount, ChainAsset, CustodyAccount, Position};
use crate::entries::Entries;
use serde::Deserialize;

/// Coins and tokens as BitGo names them, with the blockchain, the asset and the digits of a base unit on that
/// chain.
const KNOWN: [(&str, &str, &str, usize); 13] = [
    ("btc", "BTC", "BTC", 8),
    ("eth", "ETH", "ETH", 18),
    ("usdt", "ETH", "USDT", 6),
    ("usdc", "ETH", "USDC", 6),
    ("trx", "TRX", "TRX", 6),
    ("trx:usdt", "TRX", "USDT", 6),
    ("sol", "SOL", "SOL", 9),
    ("sol:usdt", "SOL", "USDT", 6),
    ("sol:usdc", "SOL", "USDC", 6),
    ("bsc", "BSC", "BNB", 18),
    ("bsc:usdt", "BSC", "USDT", 18),
    ("polygon:usdt", "POLYGON", "USDT", 6),
    ("polygon:usdc", "POLYGON", "USDC", 6),
];

/// One wallet: `GET /api/v2/{coin}/wallet/{walletId}?allTokens=true`.
#[derive(Debug, Clone, Deserialize)]
pub struct Wallet {
    id: String,
    coin: String,
    #[serde(flatten)]
    own: Balance,
    #[serde(default)]
    tokens: Entries<Balance>,
}

#[derive(Debug, Clone, Deserialize)]
struct Balance {
    #[serde(rename = "balanceString")]
    balance: String,
    /// Absent where nothing can be locked.
    #[serde(rename = "spendableBalanceString")]
    spendable: Option<String>,
}

impl Wallet {
    /// What the wallet holds of what the account lists.
    pub fn holdings(&self, account: &CustodyAccount) -> Result<Holdings, ProviderError> {
        if format!("{}/{}", self.coin, self.id) != account.provider_account.name() {
            return Err(ProviderError::Nonsense("another wallet than was asked for".to_owned()));
        }
        let mut holdings = Holdings::default();
        let tokens = self.tokens.0.iter().map(|(name, balance)| (name, balance));
        for (name, balance) in std::iter::once((&self.coin, &self.own)).chain(tokens) {
            let known = KNOWN.iter().find(|(known, ..)| known == name);
            let chain_asset = known.and_then(|(_, blockchain, token, digits)| {
                Some((ChainAsset::parse(blockchain, token).ok()?, *digits))
            });
            match chain_asset.filter(|(chain_asset, _)| account.positions.contains_key(chain_asset)) {
                Some((chain_asset, digits)) => {
                    if holdings.positions.insert(chain_asset, balance.position(digits)?).is_some() {
                        return Err(ProviderError::Nonsense("an asset is told twice".to_owned()));
                    }
                }
                None => holdings.unlisted += 1,
            }
        }
        Ok(holdings)
    }
}

impl Balance {
    fn position(&self, digits: usize) -> Result<Position, ProviderError> {
        let amount = |text: &str| {
            from_base_units(text, digits)
                .map_err(|fault| ProviderError::Nonsense(format!("an amount of base units: {fault}")))
        };
        let total = amount(&self.balance)?;
        let available = self.spendable.as_deref().map(amount).transpose()?.unwrap_or(total);
        Position::new(total, available).map_err(|error| ProviderError::Nonsense(error.to_string()))
    }
}

/// A whole number of base units as an amount; a sign, a point or an exponent is refused.
fn from_base_units(text: &str, digits: usize) -> Result<Amount, DecimalError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let padded = format!("{text:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - digits).ok_or(DecimalError::Malformed)?;
    // Leading zeros are no digits of the amount.
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Amount::parse(&if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}
