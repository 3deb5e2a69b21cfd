//! The configuration of the whole book's positions.

use super::{ConfigError, Variables};
use crate::domain::{CustomerId, Zone};
use std::collections::BTreeSet;

/// Most customers that are the firm's own.
const MAX_HOUSE_CUSTOMERS: usize = 20;
/// Read units of a second that a scan may use.
const DEFAULT_READ_UNITS_PER_SECOND: u64 = 3_000;
const ZONE: &str = "BOOK_TIME_ZONE";
const HOUSE: &str = "HOUSE_CUSTOMER_IDS";
const MINUTES: &str = "POSITION_MINUTES";
const UNITS: &str = "BOOK_READ_UNITS_PER_SECOND";

/// How positions are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookConfig {
    /// Whose accounts are the firm's own.
    pub house_customers: BTreeSet<CustomerId>,
    /// The zone whose days end with a close.
    pub zone: Zone,
    /// Minutes between positions beside the closes; `None` makes closes alone.
    pub position_minutes: Option<u32>,
    /// Read units of a second that a scan may use.
    pub read_units_per_second: u64,
}

impl BookConfig {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables by `lookup`; an empty one counts as not set.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables(lookup);
        let house_customers = variables.optional(HOUSE).unwrap_or_default();
        let house_customers: Option<BTreeSet<CustomerId>> = house_customers
            .split(',')
            .filter(|id| !id.is_empty())
            .map(|id| CustomerId::parse(id.trim()).ok())
            .collect();
        let house_customers = house_customers.filter(|ids| ids.len() <= MAX_HOUSE_CUSTOMERS);
        let position_minutes = match variables.number(MINUTES, 0)? {
            0 => None,
            15 => Some(15),
            60 => Some(60),
            _ => return Err(ConfigError::Invalid(MINUTES, "is none of 0, 15 and 60")),
        };
        let read_units_per_second = variables.number(UNITS, DEFAULT_READ_UNITS_PER_SECOND)?;
        if read_units_per_second == 0 {
            return Err(ConfigError::Invalid(UNITS, "is zero"));
        }
        Ok(Self {
            house_customers: house_customers
                .ok_or(ConfigError::Invalid(HOUSE, "is not a list of at most 20 UUIDs"))?,
            zone: zone(&variables)?,
            position_minutes,
            read_units_per_second,
        })
    }
}

/// The zone whose days end with a close.
pub(super) fn zone(
    variables: &Variables<impl Fn(&'static str) -> Option<String>>,
) -> Result<Zone, ConfigError> {
    let name = variables.optional(ZONE);
    let zone = name.map(|name| Zone::parse(&name)).transpose();
    Ok(zone.map_err(|_| ConfigError::Invalid(ZONE, "names no time zone"))?.unwrap_or(Zone::UTC))
}
