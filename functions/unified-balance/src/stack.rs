//! Grouping by currency, which the balance and the account list both offer.

use shared::query::{Expected, Parameter};

/// `currency` is all there is to group by.
pub(crate) static STACK: Parameter<()> =
    Parameter::new("stack", "groups by currency", Expected::OneOf(|| vec!["currency"]), |text, _| {
        (text == "currency").then_some(())
    });
