//! The parameters of the balance, each declared once.

use crate::customers::{CUSTOMER_ID, CUSTOMERS, customers};
use crate::moment::{AS_OF, KNOWN_AT, moment};
use crate::stack::{BALANCE_STACK, Grouping};
use jiff::SignedDuration;
use shared::balance::BalanceQuestion;
use shared::domain::{Asset, Catalogue, CustomerId, Measure, Moment, Timestamp};
use shared::http::{AMOUNTS, AmountForm, MAX_BODY_BYTES};
use shared::query::filter::balance_filters;
use shared::query::parameter::parse_whole_number;
use shared::query::{Declared, Expected, Filter, InvalidParameter, Parameter, Parameters};
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub(crate) static CURRENCY: Parameter<Asset> =
    Parameter::asset("currency", "what everything is converted into").required();
static DETAILS: Parameter<bool> =
    Parameter::boolean("details", "adds every account, and the rates that were used");
pub(crate) static PARTIAL: Parameter<bool> =
    Parameter::boolean("partial", "leaves what is missing out of the totals, and names it");

pub(crate) static MEASURE: Parameter<Measure> = Parameter::new(
    "measure",
    "the amount that is summed, converted and compared; `balance` unless given",
    Expected::OneOf(|| Measure::ALL.map(Measure::name).to_vec()),
    |text, _| Measure::parse(text),
);

const MAX_CONFIRMED_WITHIN_SECONDS: usize = 31_536_000;
static CONFIRMED_WITHIN: Parameter<SignedDuration> = Parameter::new(
    "confirmed_within",
    "seconds; a balance that was last confirmed longer ago is missing from the totals, and named",
    Expected::Whole { min: 0, max: MAX_CONFIRMED_WITHIN_SECONDS },
    |text, _| {
        let seconds = parse_whole_number(text).filter(|seconds| *seconds <= MAX_CONFIRMED_WITHIN_SECONDS)?;
        i64::try_from(seconds).ok().map(SignedDuration::from_secs)
    },
);

/// Rows that an answer can have: each takes more than 128 bytes, so that more of them are too large an
/// answer.
const MAX_ROWS: usize = MAX_BODY_BYTES / 128;

/// Everything the route knows, in the order its errors list it.
pub(crate) static DECLARED: LazyLock<Vec<&'static dyn Declared>> = LazyLock::new(|| {
    let own: [&dyn Declared; 3] = [&CUSTOMER_ID, &CUSTOMERS, &CURRENCY];
    let filters = balance_filters().map(|filter| -> &dyn Declared { filter });
    let options: [&dyn Declared; 8] =
        [&BALANCE_STACK, &DETAILS, &AS_OF, &KNOWN_AT, &PARTIAL, &CONFIRMED_WITHIN, &MEASURE, &AMOUNTS];
    own.into_iter().chain(filters).chain(options).collect()
});

/// The parsed query of `GET /v2/accounts/balance`.
#[derive(Debug)]
pub(super) struct BalanceQuery {
    pub(super) customers: BTreeSet<CustomerId>,
    pub(super) target: Asset,
    pub(super) filter: Filter,
    pub(super) grouping: Option<Grouping>,
    pub(super) has_details: bool,
    /// `None` asks about now.
    pub(super) moment: Option<Moment>,
    pub(super) measure: Measure,
    pub(super) is_partial: bool,
    pub(super) confirmed_within: Option<SignedDuration>,
    pub(super) amounts: AmountForm,
}

impl BalanceQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &DECLARED, catalogue)?;
        let moment = moment(&parameters, now)?;
        let confirmed_within = parameters.optional(&CONFIRMED_WITHIN)?;
        if moment.is_some() && confirmed_within.is_some() {
            let message = "`confirmed_within` cannot be given together with `as_of` or `known_at`.";
            return Err(InvalidParameter::new(CONFIRMED_WITHIN.name, message));
        }
        Ok(Self {
            customers: customers(&parameters)?,
            target: parameters.required(&CURRENCY)?,
            filter: Filter::read(&parameters, balance_filters())?,
            grouping: parameters.optional(&BALANCE_STACK)?,
            has_details: parameters.optional(&DETAILS)?.unwrap_or_default(),
            moment,
            measure: parameters.optional(&MEASURE)?.unwrap_or_default(),
            is_partial: parameters.optional(&PARTIAL)?.unwrap_or_default(),
            confirmed_within,
            amounts: parameters.optional(&AMOUNTS)?.unwrap_or_default(),
        })
    }

    /// The question for the accounts that count.
    pub(super) fn question(&self, now: Timestamp) -> BalanceQuestion<'_> {
        BalanceQuestion {
            customers: &self.customers,
            filter: &self.filter,
            moment: self.moment,
            now,
            measure: self.measure,
            confirmed_within: self.confirmed_within,
            group_by: self.grouping.and_then(Grouping::dimension),
            rows: self.has_details.then_some(MAX_ROWS),
        }
    }
}
