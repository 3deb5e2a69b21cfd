//! Gaps on the wire, in answers and in errors alike.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::number::{AmountForm, Number};
use super::schema;
use crate::domain::Gap;
use crate::domain::gap::StaleHolder;
use schemars::JsonSchema;
use serde::Serialize;

/// Gaps that an answer lists; of more it says how many there are.
const MAX_LISTED: usize = 100;

/// A gap in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[schemars(rename = "Gap")]
pub enum GapBody {
    /// A holding without a usable rate.
    Unpriced {
        /// Its currency.
        currency: &'static str,
        /// The exact sum, in this currency.
        balance: Number,
    },
    /// A custody account that has never been synced.
    Unsynced {
        /// The account.
        #[schemars(schema_with = "schema::uuid")]
        custody_account_id: String,
    },
    /// A holding that a custody account covers and that the catalogue does not name.
    UnknownAsset {
        /// The account.
        #[schemars(schema_with = "schema::uuid")]
        custody_account_id: String,
        /// The provider's own id of the asset.
        provider_asset: String,
        /// The amount as the provider writes it.
        balance: Number,
    },
    /// A balance that was confirmed longer ago than `confirmed_within` allows.
    Stale {
        /// The account, unless it is one of custody.
        #[serde(skip_serializing_if = "Option::is_none")]
        account_id: Option<String>,
        /// The custody account.
        #[serde(skip_serializing_if = "Option::is_none")]
        custody_account_id: Option<String>,
        /// The last confirmation.
        #[schemars(schema_with = "schema::instant")]
        confirmed_at: String,
    },
}

/// The first gaps, and how many there are beyond them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Gaps")]
pub struct GapsBody {
    /// The gaps, ordered by reason, then by currency or id; at most 100.
    gaps: Vec<GapBody>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    gaps_omitted: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl GapsBody {
    /// Gaps that are written already, and how many more there are.
    #[must_use]
    pub fn listed(mut gaps: Vec<GapBody>, omitted: u64) -> Self {
        let omitted = usize::try_from(omitted).unwrap_or(usize::MAX);
        let gaps_omitted = gaps.len().saturating_sub(MAX_LISTED).saturating_add(omitted);
        gaps.truncate(MAX_LISTED);
        Self { gaps, gaps_omitted }
    }

    /// Gaps in their order.
    #[must_use]
    pub fn new(gaps: &[Gap], form: AmountForm) -> Self {
        Self {
            gaps: gaps.iter().take(MAX_LISTED).map(|gap| GapBody::new(gap, form)).collect(),
            gaps_omitted: gaps.len().saturating_sub(MAX_LISTED),
        }
    }
}

impl GapBody {
    /// A gap on the wire.
    #[must_use]
    pub fn new(gap: &Gap, form: AmountForm) -> Self {
        match gap {
            Gap::Unpriced { asset, balance } => {
                Self::Unpriced { currency: asset.code(), balance: form.of(*asset, *balance) }
            }
            Gap::Unsynced(id) => Self::Unsynced { custody_account_id: id.to_string() },
            Gap::UnknownAsset { custody_account_id, provider_asset, balance } => Self::UnknownAsset {
                custody_account_id: custody_account_id.to_string(),
                provider_asset: provider_asset.clone(),
                balance: form.vendors(balance),
            },
            Gap::Stale { holder, confirmed_at } => {
                let confirmed_at = confirmed_at.to_millis_text();
                let (account_id, custody_account_id) = match holder {
                    StaleHolder::Account(id) => (Some(id.to_string()), None),
                    StaleHolder::Custody(id) => (None, Some(id.to_string())),
                };
                Self::Stale { account_id, custody_account_id, confirmed_at }
            }
        }
    }
}
