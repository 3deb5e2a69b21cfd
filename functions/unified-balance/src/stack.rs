//! Grouping by currency, which the balance and the account list both offer.

use shared::query::Parameter;

/// `currency` is all there is to group by.
pub(crate) static STACK: Parameter<()> =
    Parameter::new("stack", "groups by currency", "`currency`", |text| (text == "currency").then_some(()));
