//! The parameters of the balance's history, each declared once.

use crate::balance::query::{CURRENCY, MEASURE, PARTIAL};
use crate::customers::{CUSTOMER_ID, CUSTOMERS, customers};
use crate::moment::KNOWN_AT;
use crate::stack::STACK;
use shared::domain::{Asset, Catalogue, CustomerId, Interval, Measure, Moments, Timestamp, Zone};
use shared::http::{AMOUNTS, AmountForm};
use shared::query::filter::balance_filters;
use shared::query::{Declared, Expected, Filter, InvalidParameter, Parameter, Parameters};
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub(crate) static FROM: Parameter<Timestamp> =
    Parameter::instant("from", "the series begins with the first point after that instant").required();
pub(crate) static TO: Parameter<Timestamp> =
    Parameter::instant("to", "the last point; the time of the request unless given");
static INTERVAL: Parameter<Interval> = Parameter::new(
    "interval",
    "a point at the last millisecond of each; weeks end on Sunday",
    Expected::OneOf(|| Interval::ALL.map(Interval::name).to_vec()),
    |text, _| Interval::parse(text),
)
.required();
static TIMEZONE: Parameter<Zone> = Parameter::new(
    "timezone",
    "the zone whose clocks begin and end the intervals; UTC unless given",
    Expected::TimeZone,
    |text, _| Zone::parse(text).ok(),
);

/// Everything the route knows, in the order its errors list it.
pub(crate) static DECLARED: LazyLock<Vec<&'static dyn Declared>> = LazyLock::new(|| {
    let own: [&dyn Declared; 7] = [&CUSTOMER_ID, &CUSTOMERS, &CURRENCY, &FROM, &TO, &INTERVAL, &TIMEZONE];
    let filters = balance_filters().map(|filter| -> &dyn Declared { filter });
    let options: [&dyn Declared; 5] = [&STACK, &KNOWN_AT, &PARTIAL, &MEASURE, &AMOUNTS];
    own.into_iter().chain(filters).chain(options).collect()
});

/// The parsed query of `GET /v2/accounts/balance/history`.
#[derive(Debug)]
pub(super) struct HistoryQuery {
    pub(super) customers: BTreeSet<CustomerId>,
    pub(super) target: Asset,
    pub(super) interval: Interval,
    pub(super) zone: Zone,
    pub(super) moments: Moments,
    pub(super) filter: Filter,
    pub(super) has_stacks: bool,
    pub(super) measure: Measure,
    pub(super) is_partial: bool,
    pub(super) amounts: AmountForm,
}

impl HistoryQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &DECLARED, catalogue)?;
        let customers = customers(&parameters)?;
        let target = parameters.required(&CURRENCY)?;
        let from = parameters.required(&FROM)?.cut_to_millis();
        let to = parameters.optional_past(&TO, now)?.unwrap_or(now.cut_to_millis());
        if to <= from {
            return Err(InvalidParameter::new(TO.name, "`to` must be after `from`."));
        }
        let interval = parameters.required(&INTERVAL)?;
        let zone = parameters.optional(&TIMEZONE)?.unwrap_or(Zone::UTC);
        let known_at = parameters.optional_past(&KNOWN_AT, now)?;
        Ok(Self {
            customers,
            target,
            moments: Moments::new(points(interval, &zone, from, to)?, known_at),
            interval,
            zone,
            filter: Filter::read(&parameters, balance_filters())?,
            has_stacks: parameters.optional(&STACK)?.is_some(),
            measure: parameters.optional(&MEASURE)?.unwrap_or_default(),
            is_partial: parameters.optional(&PARTIAL)?.unwrap_or_default(),
            amounts: parameters.optional(&AMOUNTS)?.unwrap_or_default(),
        })
    }
}

/// The end of every interval, and `to`.
fn points(
    interval: Interval,
    zone: &Zone,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Timestamp>, InvalidParameter> {
    let points = interval.points(zone, from, to);
    points.map_err(|error| {
        let message = format!("There would be {error}: ask for a longer `interval`, or a later `from`.");
        InvalidParameter::new(INTERVAL.name, message)
    })
}
