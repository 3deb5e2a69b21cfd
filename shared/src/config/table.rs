//! The tables of the store: one row each, from which functions, the local stack and the command line take
//! their names.

use std::collections::BTreeMap;
use std::fmt;

/// A table that functions read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// An item per account with its newest entry, and one per custody account with its newest snapshot.
    Accounts,
    /// Every entry of every account and custody account.
    History,
    /// Rate sheets.
    Rates,
    /// API keys and the cached JWKS.
    Access,
    /// An item per custody account: when it is synced, and by whom.
    Custody,
    /// Rate-limit counters.
    Limits,
    /// Positions of the whole book, and the parts that they are made of.
    Positions,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Accounts,
        Self::History,
        Self::Rates,
        Self::Access,
        Self::Custody,
        Self::Limits,
        Self::Positions,
    ];

    /// The logical id in `infra/storage.yaml`, which is also the table's name in the local stack.
    #[must_use]
    pub const fn logical_id(self) -> &'static str {
        match self {
            Self::Accounts => "AccountsTable",
            Self::History => "HistoryTable",
            Self::Rates => "RatesTable",
            Self::Access => "AccessTable",
            Self::Custody => "CustodyTable",
            Self::Limits => "LimitsTable",
            Self::Positions => "PositionsTable",
        }
    }

    /// The environment variable that names it to a function.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Accounts => "ACCOUNTS_TABLE",
            Self::History => "HISTORY_TABLE",
            Self::Rates => "RATES_TABLE",
            Self::Access => "ACCESS_TABLE",
            Self::Custody => "CUSTODY_TABLE",
            Self::Limits => "LIMITS_TABLE",
            Self::Positions => "POSITIONS_TABLE",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.logical_id())
    }
}

/// The tables' names in one deployment. The default names none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables(BTreeMap<Table, String>);

impl Tables {
    /// Every table under the name that `name` has for it.
    pub fn named<E>(name: impl Fn(Table) -> Result<String, E>) -> Result<Self, E> {
        let names = Table::ALL.into_iter().map(|table| Ok((table, name(table)?)));
        Ok(Self(names.collect::<Result<_, E>>()?))
    }

    /// Every table under its logical id.
    #[must_use]
    pub fn by_logical_id() -> Self {
        Self(Table::ALL.map(|table| (table, table.logical_id().to_owned())).into())
    }

    /// A table's name.
    #[must_use]
    pub fn name(&self, table: Table) -> &str {
        self.0.get(&table).map_or("", String::as_str)
    }
}
