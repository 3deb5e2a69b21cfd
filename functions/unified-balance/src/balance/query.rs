//! The parameters of the balance, each declared once.

use crate::moment::{AS_OF, KNOWN_AT, moment};
use crate::stack::STACK;
use shared::domain::{Asset, Catalogue, CustomerId, Measure, Moment, Timestamp};
use shared::query::filter::balance_filters;
use shared::query::{Declared, Expected, Filter, InvalidParameter, Parameter, Parameters};
use shared::store::ItemDetail;
use std::sync::LazyLock;

static CUSTOMER_ID: Parameter<CustomerId> = Parameter::customer_id("customer_id", "whose balance").required();
static CURRENCY: Parameter<Asset> =
    Parameter::asset("currency", "what everything is converted into").required();
static DETAILS: Parameter<bool> =
    Parameter::boolean("details", "adds every account, and the rates that were used");
static PARTIAL: Parameter<bool> =
    Parameter::boolean("partial", "leaves holdings without a rate out of the totals, and names them");

static MEASURE: Parameter<Measure> = Parameter::new(
    "measure",
    "the amount that is summed, converted and compared; `balance` unless given",
    Expected::OneOf(|| Measure::ALL.map(Measure::name).to_vec()),
    |text, _| Measure::parse(text),
);

/// Everything the route knows, in the order its errors list it.
pub(crate) static DECLARED: LazyLock<Vec<&'static dyn Declared>> = LazyLock::new(|| {
    let own: [&dyn Declared; 2] = [&CUSTOMER_ID, &CURRENCY];
    let filters = balance_filters().map(|filter| -> &dyn Declared { filter });
    let options: [&dyn Declared; 6] = [&STACK, &DETAILS, &AS_OF, &KNOWN_AT, &PARTIAL, &MEASURE];
    own.into_iter().chain(filters).chain(options).collect()
});

/// The parsed query of `GET /v2/accounts/balance`.
#[derive(Debug)]
pub(super) struct BalanceQuery {
    pub(super) customer_id: CustomerId,
    pub(super) target: Asset,
    pub(super) filter: Filter,
    pub(super) has_stacks: bool,
    pub(super) has_details: bool,
    /// `None` asks about now.
    pub(super) moment: Option<Moment>,
    pub(super) measure: Measure,
    pub(super) is_partial: bool,
}

impl BalanceQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &DECLARED, catalogue)?;
        Ok(Self {
            customer_id: parameters.required(&CUSTOMER_ID)?,
            target: parameters.required(&CURRENCY)?,
            filter: Filter::read(&parameters, balance_filters())?,
            has_stacks: parameters.optional(&STACK)?.is_some(),
            has_details: parameters.optional(&DETAILS)?.unwrap_or_default(),
            moment: moment(&parameters, now)?,
            measure: parameters.optional(&MEASURE)?.unwrap_or_default(),
            is_partial: parameters.optional(&PARTIAL)?.unwrap_or_default(),
        })
    }

    /// How much of each account the answer needs.
    pub(super) const fn item_detail(&self) -> ItemDetail {
        if self.has_details { ItemDetail::Whole } else { ItemDetail::Totals }
    }
}
