//! Grouping: by currency, which all routes of this crate offer, and for the balance by other things too.

use shared::domain::Dimension;
use shared::query::{Expected, Parameter};

const CURRENCY: &str = "currency";

/// By currency alone.
pub(crate) static STACK: Parameter<()> =
    Parameter::new("stack", "groups by currency", Expected::OneOf(|| vec![CURRENCY]), |text, _| {
        (text == CURRENCY).then_some(())
    });

/// The dimension by which a balance is grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// The currency.
    Currency,
    /// Something else, and within that the currency.
    By(Dimension),
}

/// By any of them.
pub(crate) static BALANCE_STACK: Parameter<Grouping> = Parameter::new(
    "stack",
    "adds the balance of each group",
    Expected::OneOf(|| std::iter::once(CURRENCY).chain(Dimension::ALL.map(Dimension::name)).collect()),
    |text, _| match text {
        CURRENCY => Some(Grouping::Currency),
        _ => Dimension::ALL.into_iter().find(|dimension| dimension.name() == text).map(Grouping::By),
    },
);

impl Grouping {
    /// The dimension, unless it is the currency.
    pub(crate) const fn dimension(self) -> Option<Dimension> {
        match self {
            Self::Currency => None,
            Self::By(dimension) => Some(dimension),
        }
    }
}
