//! The rights that a credential gives its bearer, whether a token carries it or an API key was created with
//! it.

use crate::domain::{CustomerId, Grants, MerchantId, OrganizationId, Permission};
use serde::Deserialize;
use std::collections::BTreeSet;
use thiserror::Error;

/// Most customers one credential may name.
const MAX_CUSTOMERS: usize = 100;

/// Why claims grant nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// One of the lists holds what is not an id of its kind.
    #[error("{0} is not a list of ids")]
    NotIds(&'static str),
    /// More customers than [`MAX_CUSTOMERS`].
    #[error("customer_ids has more than {MAX_CUSTOMERS} entries")]
    TooManyCustomers,
}

/// The claims beyond the standard ones. A missing list is empty; one of the wrong type, `null` included, is
/// refused.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct GrantClaims {
    #[serde(default)]
    customer_ids: Vec<String>,
    #[serde(default)]
    organization_ids: Vec<String>,
    #[serde(default)]
    merchant_ids: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
}

impl GrantClaims {
    /// Claims of these ids and names, not yet checked.
    #[must_use]
    pub const fn new(
        customer_ids: Vec<String>,
        organization_ids: Vec<String>,
        merchant_ids: Vec<String>,
        permissions: Vec<String>,
    ) -> Self {
        Self { customer_ids, organization_ids, merchant_ids, permissions }
    }

    /// The grants; an unknown permission grants nothing.
    pub fn grants(&self) -> Result<Grants, ClaimsError> {
        let Self { customer_ids, organization_ids, merchant_ids, permissions } = self;
        if customer_ids.len() > MAX_CUSTOMERS {
            return Err(ClaimsError::TooManyCustomers);
        }
        Ok(Grants {
            customers: ids("customer_ids", customer_ids, |id| CustomerId::parse(id).ok())?,
            organizations: ids("organization_ids", organization_ids, |id| OrganizationId::parse(id).ok())?,
            merchants: ids("merchant_ids", merchant_ids, |id| MerchantId::parse(id).ok())?,
            permissions: permissions.iter().filter_map(|name| Permission::parse(name)).collect(),
        })
    }
}

fn ids<T: Ord>(
    claim: &'static str,
    texts: &[String],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<BTreeSet<T>, ClaimsError> {
    texts.iter().map(|text| parse(text)).collect::<Option<_>>().ok_or(ClaimsError::NotIds(claim))
}
