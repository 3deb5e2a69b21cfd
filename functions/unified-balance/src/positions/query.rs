//! The parameters of positions and of their history, each declared once.

use crate::balance::query::{CURRENCY, MEASURE};
use crate::history::query::{FROM, TO};
use crate::moment::{AS_OF, KNOWN_AT};
use shared::domain::{
    Asset, BookDimension, BookFilter, BookQuestion, Catalogue, Interval, Measure, Network, ProviderName,
    Status, Timestamp, Zone,
};
use shared::http::{AMOUNTS, AmountForm};
use shared::query::{Declared, Expected, InvalidParameter, Parameter, Parameters};

static ASSET: Parameter<Asset> = Parameter::asset("search.currency", "accounts in this currency");
static IS_CRYPTO: Parameter<bool> =
    Parameter::boolean("search.is_crypto", "crypto assets only, or fiat accounts only");
static STATUS: Parameter<Status> = Parameter::new(
    "search.status",
    "accounts of this status",
    Expected::OneOf(|| Status::ALL.map(Status::name).to_vec()),
    |text, _| Status::parse(text).ok(),
);
static ACTIVE: Parameter<bool> = Parameter::boolean("search.active", "the accounts' own `active` flag");
static HOUSE: Parameter<bool> =
    Parameter::boolean("search.house", "the firm's own accounts only, or those of others");
static NETWORK: Parameter<Network> = Parameter::new(
    "search.network",
    "accounts on this blockchain, as their source names it",
    Expected::Network,
    |text, _| Network::parse(text).ok(),
);
static PROVIDER: Parameter<ProviderName> = Parameter::new(
    "search.provider",
    "positions in custody of this provider",
    Expected::OneOf(|| ProviderName::ALL.map(ProviderName::name).to_vec()),
    |text, _| ProviderName::parse(text).ok(),
);
static STACK: Parameter<BookDimension> = Parameter::new(
    "stack",
    "adds the position of each group",
    Expected::OneOf(|| BookDimension::ALL.map(BookDimension::name).to_vec()),
    |text, _| BookDimension::parse(text),
);
static INTERVAL: Parameter<Interval> = Parameter::new(
    "interval",
    "the newest close of each",
    Expected::OneOf(|| BOOK_INTERVALS.map(Interval::name).to_vec()),
    |text, _| Interval::parse(text).filter(|interval| BOOK_INTERVALS.contains(interval)),
)
.required();

/// There is one close a day.
pub(super) const BOOK_INTERVALS: [Interval; 3] = [Interval::Day, Interval::Week, Interval::Month];

/// Everything the route of one position knows, in the order its errors list it.
pub(crate) static DECLARED: [&dyn Declared; 13] = [
    &CURRENCY, &AS_OF, &KNOWN_AT, &ASSET, &IS_CRYPTO, &STATUS, &ACTIVE, &HOUSE, &NETWORK, &PROVIDER,
    &MEASURE, &STACK, &AMOUNTS,
];
/// Everything the history knows.
pub(crate) static HISTORY_DECLARED: [&dyn Declared; 14] = [
    &CURRENCY, &FROM, &TO, &INTERVAL, &ASSET, &IS_CRYPTO, &STATUS, &ACTIVE, &HOUSE, &NETWORK, &PROVIDER,
    &MEASURE, &STACK, &AMOUNTS,
];

/// The part of a question that is the same for one position and for a series.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) target: Asset,
    pub(super) filter: BookFilter,
    pub(super) stack: Option<BookDimension>,
    pub(super) measure: Measure,
    pub(super) amounts: AmountForm,
}

/// The parsed query of `GET /v2/positions`.
#[derive(Debug)]
pub(super) struct PositionQuery {
    pub(super) asked: Asked,
    pub(super) as_of: Timestamp,
    pub(super) known_at: Option<Timestamp>,
}

/// The parsed query of `GET /v2/positions/history`.
#[derive(Debug)]
pub(super) struct HistoryQuery {
    pub(super) asked: Asked,
    pub(super) interval: Interval,
    pub(super) from: Timestamp,
    /// The ends of the intervals, and the end of the series.
    pub(super) ends: Vec<Timestamp>,
}

impl Asked {
    fn read(parameters: &Parameters) -> Result<Self, InvalidParameter> {
        Ok(Self {
            target: parameters.required(&CURRENCY)?,
            filter: BookFilter {
                asset: parameters.optional(&ASSET)?,
                is_crypto: parameters.optional(&IS_CRYPTO)?,
                status: parameters.optional(&STATUS)?,
                active: parameters.optional(&ACTIVE)?,
                is_house: parameters.optional(&HOUSE)?,
                network: parameters.optional(&NETWORK)?,
                provider: parameters.optional(&PROVIDER)?,
            },
            stack: parameters.optional(&STACK)?,
            measure: parameters.optional(&MEASURE)?.unwrap_or_default(),
            amounts: parameters.optional(&AMOUNTS)?.unwrap_or_default(),
        })
    }

    pub(super) const fn question(&self) -> BookQuestion<'_> {
        BookQuestion { filter: &self.filter, group_by: self.stack, measure: self.measure }
    }

    /// Whether the summary does not tell what is asked.
    pub(super) fn needs_cube(&self) -> bool {
        self.filter.needs_cube() || self.stack.is_some_and(BookDimension::needs_cube)
    }
}

impl PositionQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &DECLARED, catalogue)?;
        Ok(Self {
            asked: Asked::read(&parameters)?,
            as_of: parameters.optional_past(&AS_OF, now)?.unwrap_or(now),
            known_at: parameters.optional_past(&KNOWN_AT, now)?,
        })
    }
}

impl HistoryQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &HISTORY_DECLARED, catalogue)?;
        let asked = Asked::read(&parameters)?;
        let from = parameters.required(&FROM)?.cut_to_millis();
        let to = parameters.optional_past(&TO, now)?.unwrap_or(now.cut_to_millis());
        if to <= from {
            return Err(InvalidParameter::new(TO.name, "`to` must be after `from`."));
        }
        let interval = parameters.required(&INTERVAL)?;
        let ends = interval.points(zone, from, to).map_err(|error| {
            let message = format!("There would be {error}: ask for a longer `interval`, or a later `from`.");
            InvalidParameter::new(INTERVAL.name, message)
        })?;
        Ok(Self { asked, interval, from, ends })
    }
}
