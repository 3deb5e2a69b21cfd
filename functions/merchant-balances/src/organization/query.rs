//! The parameters of an organization's balance, each declared once.

use crate::query::{DATE, KNOWN_AT, ORGANIZATION_ID, moment};
use shared::domain::{Asset, Catalogue, MerchantId, Moment, OrganizationId, Timestamp};
use shared::query::parameter::parse_list;
use shared::query::{Declared, Expected, InvalidParameter, Parameter, Parameters};
use std::collections::BTreeSet;

/// The most merchants that one question names: each is a query of its own.
const MAX_MERCHANTS: usize = 100;

static CURRENCY: Parameter<Asset> =
    Parameter::asset("currency", "what everything is converted into").required();
static MERCHANT_IDS: Parameter<BTreeSet<MerchantId>> = Parameter::new(
    "merchantIds",
    "these merchants alone, at most 100",
    Expected::VendorIds(MerchantId::PREFIX),
    |text, _| parse_list(text, MerchantId::parse),
);
static PARTIAL: Parameter<bool> =
    Parameter::boolean("partial", "leaves holdings without a rate out of the totals, and names them");

/// In the query of the route.
static IN_QUERY: [&dyn Declared; 5] = [&CURRENCY, &MERCHANT_IDS, &DATE, &KNOWN_AT, &PARTIAL];

/// Everything the route knows, in the order its errors list it.
pub(crate) fn declared() -> Vec<&'static dyn Declared> {
    let in_path: [&dyn Declared; 1] = [&ORGANIZATION_ID];
    [&in_path[..], &IN_QUERY[..]].concat()
}

/// The parsed question for an organization's balance.
#[derive(Debug)]
pub(super) struct OrganizationQuery {
    pub(super) id: OrganizationId,
    pub(super) target: Asset,
    /// `None` asks for every merchant that the caller may see.
    pub(super) merchants: Option<BTreeSet<MerchantId>>,
    /// `None` asks about now.
    pub(super) moment: Option<Moment>,
    pub(super) is_partial: bool,
}

impl OrganizationQuery {
    pub(super) fn parse(
        organization_id: &str,
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let id = ORGANIZATION_ID.parse(organization_id)?;
        let parameters = Parameters::read(pairs, &IN_QUERY, catalogue)?;
        let merchants = parameters.optional(&MERCHANT_IDS)?;
        if merchants.as_ref().is_some_and(|merchants| merchants.len() > MAX_MERCHANTS) {
            let message = format!("`merchantIds` names more than {MAX_MERCHANTS} merchants.");
            return Err(InvalidParameter::new(MERCHANT_IDS.name, message));
        }
        Ok(Self {
            id,
            target: parameters.required(&CURRENCY)?,
            merchants,
            moment: moment(&parameters, now)?,
            is_partial: parameters.optional(&PARTIAL)?.unwrap_or_default(),
        })
    }
}
