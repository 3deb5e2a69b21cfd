//! The instants that a question may name, which the balance and the account list both offer.

use shared::domain::{Moment, Timestamp};
use shared::query::{InvalidParameter, Parameter, Parameters};

/// As of which instant.
pub(crate) static AS_OF: Parameter<Timestamp> = Parameter::instant(
    "as_of",
    "states and rates as they stood at that instant; `known_at` if only that is given, else the time of the \
        request",
);
/// Known at which instant.
pub(crate) static KNOWN_AT: Parameter<Timestamp> = Parameter::instant(
    "known_at",
    "only what was recorded by that instant; once a minute has passed since, the answer is the same for ever",
);

/// The moment that a request names; `None` if it asks about now.
pub(crate) fn moment(parameters: &Parameters, now: Timestamp) -> Result<Option<Moment>, InvalidParameter> {
    let as_of = parameters.optional_past(&AS_OF, now)?;
    let known_at = parameters.optional_past(&KNOWN_AT, now)?;
    let is_named = as_of.is_some() || known_at.is_some();
    Ok(is_named.then(|| Moment::asked(as_of, known_at, now)))
}
