//! The parameters of the two routes, each declared once.

use jiff::SignedDuration;
use shared::domain::{Catalogue, CustodyAccountId};
use shared::http::{AMOUNTS, AmountForm};
use shared::query::parameter::parse_whole_number;
use shared::query::{Declared, Expected, InvalidParameter, Parameter, Parameters};

/// Balances of this age count as real time.
const REAL_TIME: SignedDuration = SignedDuration::from_secs(15);
const MAX_AGE_SECONDS: usize = 86_400;

pub(crate) static ACCOUNT_ID: Parameter<CustodyAccountId> =
    Parameter::new("accountId", "the custody account", Expected::Id(CustodyAccountId::PREFIX), |text, _| {
        CustodyAccountId::parse(text).ok()
    });
static MAX_AGE: Parameter<SignedDuration> = Parameter::new(
    "max_age",
    "how old, in seconds, stored balances may be before the provider is asked; 15 unless given",
    Expected::Whole { min: 0, max: MAX_AGE_SECONDS },
    |text, _| parse_whole_number(text).filter(|seconds| *seconds <= MAX_AGE_SECONDS).and_then(duration),
);
static PARTIAL: Parameter<bool> =
    Parameter::boolean("partial", "leaves holdings without a rate out of the total, and names them");

fn duration(seconds: usize) -> Option<SignedDuration> {
    i64::try_from(seconds).ok().map(SignedDuration::from_secs)
}

/// In the path of both routes.
pub(crate) static OF_ACCOUNT: [&dyn Declared; 1] = [&ACCOUNT_ID];
/// In the query of the balances.
pub(crate) static OF_BALANCES: [&dyn Declared; 3] = [&MAX_AGE, &PARTIAL, &AMOUNTS];
/// In the query of a sync, whose answer has no amounts: a client may ask for their form on every route.
pub(crate) static OF_SYNC: [&dyn Declared; 1] = [&AMOUNTS];

/// A question for an account's balances.
#[derive(Debug)]
pub(crate) struct BalancesQuery {
    pub(crate) id: CustodyAccountId,
    pub(crate) max_age: SignedDuration,
    pub(crate) is_partial: bool,
    pub(crate) amounts: AmountForm,
}

impl BalancesQuery {
    pub(crate) fn parse(account_id: &str, pairs: Vec<(String, String)>) -> Result<Self, InvalidParameter> {
        let id = ACCOUNT_ID.parse(account_id)?;
        let parameters = Parameters::read(pairs, &OF_BALANCES, &Catalogue::default())?;
        Ok(Self {
            id,
            max_age: parameters.optional(&MAX_AGE)?.unwrap_or(REAL_TIME),
            is_partial: parameters.optional(&PARTIAL)?.unwrap_or_default(),
            amounts: parameters.optional(&AMOUNTS)?.unwrap_or_default(),
        })
    }
}
