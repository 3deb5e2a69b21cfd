//! The rights of a caller, whatever credential gave them.

use super::{CustomerId, MerchantId, OrganizationId};
use std::collections::BTreeSet;

/// A right beyond seeing one's own accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Sees every account.
    ReadAll,
    /// May ask a custody provider for a sync.
    CustodySync,
    /// Reads positions of the whole book.
    ReadBook,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::ReadAll, Self::CustodySync, Self::ReadBook];

    /// The name in a credential.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadAll => "PermReadAll",
            Self::CustodySync => "PermCustodySync",
            Self::ReadBook => "PermReadBook",
        }
    }

    /// The permission of that name; an unknown one is no permission.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == text)
    }
}

/// The rights of a credential's bearer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Customers whose accounts it may see.
    pub customers: BTreeSet<CustomerId>,
    /// Organizations, all merchants of each.
    pub organizations: BTreeSet<OrganizationId>,
    /// Single merchants.
    pub merchants: BTreeSet<MerchantId>,
    /// Rights beyond those.
    pub permissions: BTreeSet<Permission>,
}

impl Grants {
    /// Whether it sees the customer's accounts.
    #[must_use]
    pub fn may_see_customer(&self, customer_id: CustomerId) -> bool {
        self.may_see_all() || self.customers.contains(&customer_id)
    }

    /// Whether it sees the merchant's accounts within the organization.
    #[must_use]
    pub fn may_see_merchant(&self, organization_id: &OrganizationId, merchant_id: &MerchantId) -> bool {
        self.may_see_organization(organization_id) || self.merchants.contains(merchant_id)
    }

    /// Whether it sees the accounts of all the organization's merchants, and those of no merchant.
    #[must_use]
    pub fn may_see_organization(&self, organization_id: &OrganizationId) -> bool {
        self.may_see_all() || self.organizations.contains(organization_id)
    }

    /// Whether it may ask a custody provider for a sync of an account that it sees.
    #[must_use]
    pub fn may_sync(&self) -> bool {
        self.permissions.contains(&Permission::CustodySync)
    }

    /// Whether it reads positions of the whole book.
    #[must_use]
    pub fn may_read_book(&self) -> bool {
        self.may_see_all() || self.permissions.contains(&Permission::ReadBook)
    }

    /// Whether it sees every account, and may know which do not exist.
    #[must_use]
    pub fn may_see_all(&self) -> bool {
        self.permissions.contains(&Permission::ReadAll)
    }
}
