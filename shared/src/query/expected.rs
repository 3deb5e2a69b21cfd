//! The form of a parameter's value: words for people, and the facts that a schema is made of.
//!
//! It does not parse, which is [`Parameter`](super::Parameter)'s business.

use crate::domain::MAX_VENDOR_ID;
use crate::domain::account::MAX_NETWORK_CHARACTERS;
use crate::domain::amount::{FRACTION_DIGITS, INTEGER_DIGITS};
use std::fmt::{self, Display, Formatter};

/// Names to choose from; read when they are asked for, because enums keep their own.
pub type Names = fn() -> Vec<&'static str>;

/// The form of a value. It prints as words that complete "must be …".
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// Any text that is not empty.
    Text,
    /// `true` or `false`.
    Boolean,
    /// This prefix and a UUID.
    Id(&'static str),
    /// An id that a vendor gave, with this prefix.
    VendorId(&'static str),
    /// Ids that a vendor gave, with this prefix, separated by commas.
    VendorIds(&'static str),
    /// The code of an asset, in any case.
    Asset,
    /// A decimal number without exponent.
    Decimal,
    /// A whole number within these limits.
    Whole {
        /// The smallest.
        min: usize,
        /// The largest.
        max: usize,
    },
    /// A date-time that is not in the future.
    PastInstant,
    /// The name of a time zone.
    TimeZone,
    /// The name of a blockchain.
    Network,
    /// One of these names.
    OneOf(Names),
    /// Several of these names, each once, `-` before it for descending.
    Order(Names),
    /// The `next_cursor` of an earlier answer.
    Cursor {
        /// How long it can be.
        max_bytes: usize,
    },
    /// UUIDs, separated by commas.
    Ids,
    /// Codes of assets, separated by commas.
    Assets,
}

impl Expected {
    /// Whether values are separated by commas.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Ids | Self::Assets | Self::VendorIds(_))
    }
}

impl Display for Expected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text"),
            Self::Boolean => f.write_str("`true` or `false`"),
            Self::Id("") => f.write_str("a UUID"),
            Self::Id(prefix) => write!(f, "`{prefix}` and a UUID"),
            Self::VendorId(prefix) => write!(f, "`{prefix}` and 1 to {MAX_VENDOR_ID} of A–Z, a–z, 0–9 and -"),
            Self::VendorIds(prefix) => write!(f, "ids that begin with `{prefix}`, separated by commas"),
            Self::Asset => f.write_str("the code of a known asset, such as EUR, USDC or BTC"),
            Self::Decimal => write!(
                f,
                "a decimal of at most {INTEGER_DIGITS} digits before and {FRACTION_DIGITS} after the point, \
                    without exponent"
            ),
            Self::Whole { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::PastInstant => f.write_str(
                "an RFC 3339 date-time that is not in the future, such as 2025-04-16T15:30:25Z \
                    (a + is written %2B)",
            ),
            Self::TimeZone => f.write_str("the name of a time zone, such as Europe/Berlin or UTC"),
            Self::Network => {
                write!(f, "the name of a blockchain: 1 to {MAX_NETWORK_CHARACTERS} letters, digits, _ and -")
            }
            Self::OneOf(names) => write_choice(f, &names()),
            Self::Order(names) => {
                let names = names().join(", ");
                write!(
                    f,
                    "field names separated by commas, each once and with `-` before it for \
                    descending: {names}"
                )
            }
            Self::Cursor { .. } => f.write_str("the `next_cursor` of an earlier answer"),
            Self::Ids => f.write_str("UUIDs, separated by commas"),
            Self::Assets => f.write_str("codes of known assets, separated by commas"),
        }
    }
}

fn write_choice(f: &mut Formatter<'_>, names: &[&str]) -> fmt::Result {
    for (index, name) in names.iter().enumerate() {
        let before = match index {
            0 => "",
            _ if index + 1 == names.len() => " or ",
            _ => ", ",
        };
        write!(f, "{before}`{name}`")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_a_sentence() {
        let rows: [(Names, &str); 3] = [
            (|| vec!["a"], "`a`"),
            (|| vec!["a", "b"], "`a` or `b`"),
            (|| vec!["a", "b", "c"], "`a`, `b` or `c`"),
        ];
        for (names, expected) in rows {
            assert_eq!(Expected::OneOf(names).to_string(), expected);
        }
    }
}
