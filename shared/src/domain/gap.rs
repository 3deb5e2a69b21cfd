//! Gaps: what is missing from an answer, so that no total is silently smaller than what is held.

use super::{AccountId, Amount, Asset, Coverage, CustodyAccountId, Timestamp};

/// Something that is missing from an answer. Ordered as answers list gaps: by reason, then by currency or id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A holding that no usable rate prices.
    Unpriced {
        /// Its currency.
        asset: Asset,
        /// The exact sum.
        balance: Amount,
    },
    /// A custody account that has never been synced.
    Unsynced(CustodyAccountId),
    /// A holding that a custody account covers and that no row of the catalogue names.
    UnknownAsset {
        /// The custody account.
        custody_account_id: CustodyAccountId,
        /// The provider's own id of the asset.
        provider_asset: String,
        /// The amount as the provider writes it.
        balance: String,
    },
    /// A balance that was confirmed longer ago than the question allows.
    Stale {
        /// Whose balance.
        holder: StaleHolder,
        /// The last confirmation.
        confirmed_at: Timestamp,
    },
}

/// Whose balance is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StaleHolder {
    /// An account's.
    Account(AccountId),
    /// All positions of a custody account.
    Custody(CustodyAccountId),
}

/// A gap of a custody account at a moment, with what the account covers, by which filters judge the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyGap {
    /// The custody account.
    pub custody_account_id: CustodyAccountId,
    /// Its coverage.
    pub coverage: Coverage,
    /// The holding that is unknown; `None` for an account that has never been synced.
    pub unknown: Option<UnknownHolding>,
}

/// A holding that no row of the catalogue names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownHolding {
    /// The provider's own id of the asset.
    pub provider_asset: String,
    /// The amount as the provider writes it.
    pub balance: String,
}

impl From<CustodyGap> for Gap {
    fn from(gap: CustodyGap) -> Self {
        let CustodyGap { custody_account_id, coverage: _, unknown } = gap;
        match unknown {
            None => Self::Unsynced(custody_account_id),
            Some(UnknownHolding { provider_asset, balance }) => {
                Self::UnknownAsset { custody_account_id, provider_asset, balance }
            }
        }
    }
}

/// Whether unknown assets alone are no error, as a deployment decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownAssets {
    /// They are an error like every gap.
    #[default]
    Refuse,
    /// The answer is given, and says that it is not complete.
    Mark,
}

impl UnknownAssets {
    /// The policy of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "refuse" => Some(Self::Refuse),
            "mark" => Some(Self::Mark),
            _ => None,
        }
    }

    /// Whether an answer with these gaps may be given although nobody asked for a partial one.
    #[must_use]
    pub fn admits(self, gaps: &[Gap]) -> bool {
        let is_marked = |gap: &Gap| self == Self::Mark && matches!(gap, Gap::UnknownAsset { .. });
        gaps.iter().all(is_marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_ordered_by_reason_then_by_currency_or_id() {
        let custody = |number: u128| CustodyAccountId::from(uuid::Uuid::from_u128(number));
        let unknown = |number, asset: &str| Gap::UnknownAsset {
            custody_account_id: custody(number),
            provider_asset: asset.to_owned(),
            balance: "1".to_owned(),
        };
        let ordered = [
            Gap::Unpriced { asset: Asset::EUR, balance: Amount::ZERO },
            Gap::Unpriced { asset: Asset::USD, balance: Amount::ZERO },
            Gap::Unsynced(custody(9)),
            unknown(1, "B"),
            unknown(2, "A"),
            unknown(2, "C"),
            Gap::Stale { holder: StaleHolder::Custody(custody(1)), confirmed_at: Timestamp::default() },
        ];
        assert!(ordered.is_sorted());
    }

    #[test]
    fn unknown_assets_alone_are_admitted_where_they_are_marked() {
        let unsynced = Gap::Unsynced(CustodyAccountId::from(uuid::Uuid::nil()));
        let unknown = Gap::UnknownAsset {
            custody_account_id: CustodyAccountId::from(uuid::Uuid::nil()),
            provider_asset: "X".to_owned(),
            balance: "1".to_owned(),
        };
        let rows = [
            (UnknownAssets::Refuse, vec![], true),
            (UnknownAssets::Refuse, vec![unknown.clone()], false),
            (UnknownAssets::Mark, vec![unknown.clone()], true),
            (UnknownAssets::Mark, vec![unknown, unsynced], false),
        ];
        for (policy, gaps, expected) in rows {
            assert_eq!(policy.admits(&gaps), expected, "{policy:?} {gaps:?}");
        }
    }
}
