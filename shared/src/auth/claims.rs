//! The rights that a credential gives its bearer, whether a token carries it or an API key was created with
//! it.

use crate::domain::{CustomerId, Grants, MerchantId, OrganizationId, Permission};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use thiserror::Error;

const PERMISSIONS: &str = "permissions";
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

/// The values of one of our claims among a token's: under our name for it, or under the name that the
/// deployment gives it. `None` if the claim has the wrong type.
///
/// Under a name of the deployment's own, a claim may be one text of values between blanks or commas, as
/// issuers write scopes and attributes. Of a scope the part after its last `/` counts.
pub(super) fn given(fields: &Map<String, Value>, mapped: Option<&str>, own: &str) -> Option<Vec<String>> {
    let scope = |value: &str| match value.rsplit_once('/') {
        Some((_, name)) if own == PERMISSIONS => name.to_owned(),
        _ => value.to_owned(),
    };
    match (fields.get(mapped.unwrap_or(own)), mapped) {
        (None, _) => Some(Vec::new()),
        (Some(Value::String(text)), Some(_)) => {
            Some(text.split([' ', ',']).filter(|value| !value.is_empty()).map(scope).collect())
        }
        (Some(Value::Array(values)), Some(_)) => {
            values.iter().map(|value| value.as_str().map(scope)).collect()
        }
        (Some(Value::Array(values)), None) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        }
        (Some(_), _) => None,
    }
}

impl GrantClaims {
    /// Our names of the claims.
    pub(super) const NAMES: [&'static str; 4] =
        ["customer_ids", "organization_ids", "merchant_ids", PERMISSIONS];

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
