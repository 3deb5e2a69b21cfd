//! One account as its source states it.
//!
//! It does not know its past: balances of other instants are read from the store's history.

use super::{
    AccountId, Amount, Asset, ContactId, CustodyAccountId, CustomerId, MerchantId, OrganizationId, Timestamp,
    TooLarge,
};
use thiserror::Error;

/// A text that is none of the four statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a known status")]
pub struct UnknownStatus;

/// Where an account stands with its provider; independent of its `active` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In use.
    Active,
    /// Not in use.
    Inactive,
    /// Blocked for now.
    Suspended,
    /// Ended.
    Closed,
}

impl Status {
    /// Every status, in the order documents list them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Inactive, Self::Suspended, Self::Closed];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(UnknownStatus)
    }
}

/// The whole account at `balance_at`: what a source sends, what the store keeps, what a view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Belongs to one customer for ever.
    pub id: AccountId,
    /// The owner in the unified view.
    pub customer_id: CustomerId,
    /// What it holds; never changes.
    pub asset: Asset,
    /// Everything held, negative when overdrawn.
    pub balance: Amount,
    /// What can be spent; may exceed the balance by a credit line.
    pub available: Amount,
    /// The account's own flag.
    pub active: bool,
    /// Where it stands with its provider.
    pub status: Status,
    /// The instant of this balance.
    pub balance_at: Timestamp,
    /// The instant of the earliest balance known of it.
    pub created_at: Timestamp,
    /// Bank accounts.
    pub iban: Option<String>,
    /// Bank accounts without an IBAN.
    pub account_number: Option<String>,
    /// The main wallet's address.
    pub address: Option<String>,
    /// Memo or destination tag of that address.
    pub address_tag: Option<String>,
    /// The blockchain of that address.
    pub network: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The merchant's organization.
    pub organization_id: Option<OrganizationId>,
    /// The owner in the merchant view.
    pub merchant_id: Option<MerchantId>,
    /// The contact behind it.
    pub contact_id: Option<ContactId>,
    /// The custody account it shows a position of; nobody else may write it then.
    pub custody_account_id: Option<CustodyAccountId>,
}

impl Account {
    /// What is held but cannot be spent: the balance less what is available, and never below zero.
    pub fn locked(&self) -> Result<Amount, TooLarge> {
        Amount::from_wide(self.balance.wide() - self.available.wide()).map(|locked| locked.max(Amount::ZERO))
    }
}
