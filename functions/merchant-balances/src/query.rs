//! Parameters of the merchant view, each declared once.

use shared::domain::{
    Account, AccountId, AccountScope, Asset, Catalogue, MerchantAccountId, MerchantId, Moment,
    OrganizationId, Timestamp,
};
use shared::query::{Declared, Expected, InvalidParameter, Parameter, Parameters};

pub(crate) static ORGANIZATION_ID: Parameter<OrganizationId> = Parameter::new(
    "organizationId",
    "the merchant's organization",
    Expected::VendorId(OrganizationId::PREFIX),
    |text, _| OrganizationId::parse(text).ok(),
);
static MERCHANT_ID: Parameter<MerchantId> =
    Parameter::new("merchantId", "the merchant", Expected::VendorId(MerchantId::PREFIX), |text, _| {
        MerchantId::parse(text).ok()
    });
static ACCOUNT_ID: Parameter<MerchantAccountId> =
    Parameter::new("accountId", "the account", Expected::Id(MerchantAccountId::PREFIX), |text, _| {
        MerchantAccountId::parse(text).ok()
    });
static CURRENCY: Parameter<Asset> = Parameter::asset("currency", "accounts in this currency");
pub(crate) static DATE: Parameter<Timestamp> = Parameter::instant(
    "date",
    "balances as they stood at that instant, inclusive; `known_at` if only that is given, else the time of \
        the request",
);

pub(crate) static KNOWN_AT: Parameter<Timestamp> = Parameter::instant(
    "known_at",
    "only what was recorded by that instant; once a minute has passed since, the answer is the same for ever",
);

/// In the path of both routes.
pub(crate) static OF_MERCHANT: [&dyn Declared; 2] = [&ORGANIZATION_ID, &MERCHANT_ID];
/// In the query of the list.
pub(crate) static OF_LIST: [&dyn Declared; 3] = [&CURRENCY, &DATE, &KNOWN_AT];
/// In the path of the single account.
pub(crate) static OF_ACCOUNT: [&dyn Declared; 1] = [&ACCOUNT_ID];
/// In the query of the single account.
pub(crate) static OF_SINGLE: [&dyn Declared; 2] = [&DATE, &KNOWN_AT];

/// Whose accounts.
#[derive(Debug, Clone)]
pub(crate) struct Merchant {
    pub(crate) organization_id: OrganizationId,
    pub(crate) id: MerchantId,
}

impl Merchant {
    /// Whether the account is the merchant's, as far as its scope is known.
    pub(crate) fn owns(&self, account: &Account) -> bool {
        let AccountScope { organization_id, merchant_id, network: _ } = &account.scope;
        (organization_id.as_ref(), merchant_id.as_ref()) == (Some(&self.organization_id), Some(&self.id))
    }

    pub(crate) fn parse(organization_id: &str, id: &str) -> Result<Self, InvalidParameter> {
        Ok(Self { organization_id: ORGANIZATION_ID.parse(organization_id)?, id: MERCHANT_ID.parse(id)? })
    }
}

/// A question for all of a merchant's accounts.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) asset: Option<Asset>,
    /// `None` asks about now.
    pub(crate) moment: Option<Moment>,
}

impl ListQuery {
    pub(crate) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &OF_LIST, catalogue)?;
        Ok(Self { asset: parameters.optional(&CURRENCY)?, moment: moment(&parameters, now)? })
    }
}

/// A question for one account.
#[derive(Debug)]
pub(crate) struct SingleQuery {
    pub(crate) id: AccountId,
    /// `None` asks about now.
    pub(crate) moment: Option<Moment>,
}

impl SingleQuery {
    pub(crate) fn parse(
        account_id: &str,
        pairs: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let id = ACCOUNT_ID.parse(account_id)?;
        let parameters = Parameters::read(pairs, &OF_SINGLE, &Catalogue::default())?;
        Ok(Self { id: id.into(), moment: moment(&parameters, now)? })
    }
}

/// The moment that a request names; `date` unless given is `known_at`.
pub(crate) fn moment(parameters: &Parameters, now: Timestamp) -> Result<Option<Moment>, InvalidParameter> {
    let date = parameters.optional_past(&DATE, now)?;
    let known_at = parameters.optional_past(&KNOWN_AT, now)?;
    let is_named = date.is_some() || known_at.is_some();
    Ok(is_named.then(|| Moment::asked(date, known_at, now)))
}
