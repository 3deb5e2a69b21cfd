//! What the two routes are asked, each parameter declared once.

use shared::domain::{AccountId, Asset, MerchantAccountId, MerchantId, OrganizationId, Timestamp};
use shared::query::{Declared, Expected, InvalidParameter, Parameter, Parameters};

static ORGANIZATION_ID: Parameter<OrganizationId> = Parameter::new(
    "organizationId",
    "the merchant's organization",
    Expected::Id(OrganizationId::PREFIX),
    |text| OrganizationId::parse(text).ok(),
);
static MERCHANT_ID: Parameter<MerchantId> =
    Parameter::new("merchantId", "the merchant", Expected::Id(MerchantId::PREFIX), |text| {
        MerchantId::parse(text).ok()
    });
static ACCOUNT_ID: Parameter<MerchantAccountId> =
    Parameter::new("accountId", "the account", Expected::Id(MerchantAccountId::PREFIX), |text| {
        MerchantAccountId::parse(text).ok()
    });
static CURRENCY: Parameter<Asset> = Parameter::asset("currency", "accounts in this currency");
static DATE: Parameter<Timestamp> =
    Parameter::instant("date", "balances as they stood at that instant, inclusive");

/// In the path of both routes.
pub(crate) static OF_MERCHANT: [&dyn Declared; 2] = [&ORGANIZATION_ID, &MERCHANT_ID];
/// In the query of the list.
pub(crate) static OF_LIST: [&dyn Declared; 2] = [&CURRENCY, &DATE];
/// In the path of the single account.
pub(crate) static OF_ACCOUNT: [&dyn Declared; 1] = [&ACCOUNT_ID];
/// In the query of the single account.
pub(crate) static OF_SINGLE: [&dyn Declared; 1] = [&DATE];

/// Whose accounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merchant {
    pub(crate) organization_id: OrganizationId,
    pub(crate) id: MerchantId,
}

impl Merchant {
    pub(crate) fn parse(organization_id: &str, id: &str) -> Result<Self, InvalidParameter> {
        Ok(Self { organization_id: ORGANIZATION_ID.parse(organization_id)?, id: MERCHANT_ID.parse(id)? })
    }
}

/// A question for all of a merchant's accounts.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) asset: Option<Asset>,
    pub(crate) date: Option<Timestamp>,
}

impl ListQuery {
    pub(crate) fn parse(pairs: Vec<(String, String)>, now: Timestamp) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &OF_LIST)?;
        Ok(Self { asset: parameters.optional(&CURRENCY)?, date: parameters.optional_past(&DATE, now)? })
    }
}

/// A question for one account.
#[derive(Debug)]
pub(crate) struct SingleQuery {
    pub(crate) id: AccountId,
    pub(crate) date: Option<Timestamp>,
}

impl SingleQuery {
    pub(crate) fn parse(
        account_id: &str,
        pairs: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let id = ACCOUNT_ID.parse(account_id)?;
        let parameters = Parameters::read(pairs, &OF_SINGLE)?;
        Ok(Self { id: id.into(), date: parameters.optional_past(&DATE, now)? })
    }
}
