//! Which accounts count: conditions declared once, with their operators, applied to accounts as they stood at the asked time.

use super::parameter::{self, ASSET, BOOLEAN, DECIMAL, InvalidParameter, Parameter, Parameters};
use crate::domain::{Account, Amount, Asset, Status};

/// How a balance is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `≥`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `≤`
    LessOrEqual,
}

/// One thing asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It holds crypto, or fiat.
    IsCrypto(bool),
    /// It holds this asset.
    Asset(Asset),
    /// Its own `active` flag.
    Active(bool),
    /// Its status.
    Status(Status),
    /// Its balance, in its own currency.
    Balance(Comparison, Amount),
}

impl Condition {
    /// Whether the account meets it.
    #[must_use]
    pub fn holds(&self, account: &Account) -> bool {
        match *self {
            Self::IsCrypto(is_crypto) => account.asset.is_crypto() == is_crypto,
            Self::Asset(asset) => account.asset == asset,
            Self::Active(active) => account.active == active,
            Self::Status(status) => account.status == status,
            Self::Balance(Comparison::Greater, bound) => account.balance > bound,
            Self::Balance(Comparison::GreaterOrEqual, bound) => account.balance >= bound,
            Self::Balance(Comparison::Less, bound) => account.balance < bound,
            Self::Balance(Comparison::LessOrEqual, bound) => account.balance <= bound,
        }
    }

    const fn depends_on_balance(&self) -> bool {
        matches!(self, Self::Balance(..))
    }
}

const fn bound(name: &'static str, parse: fn(&str) -> Option<Condition>) -> Parameter<Condition> {
    Parameter::new(name, DECIMAL, parse)
}

fn balance(comparison: Comparison, text: &str) -> Option<Condition> {
    Amount::parse(text).ok().map(|bound| Condition::Balance(comparison, bound))
}

/// The filters of the balance.
pub static BALANCE_FILTERS: &[Parameter<Condition>] = &[
    Parameter::new("search.is_crypto", BOOLEAN, |text| parameter::parse_boolean(text).map(Condition::IsCrypto)),
    Parameter::new("search.currency", ASSET, |text| Asset::parse(text).ok().map(Condition::Asset)),
    Parameter::new("search.active", BOOLEAN, |text| parameter::parse_boolean(text).map(Condition::Active)),
    Parameter::new("search.status", "`active`, `inactive`, `suspended` or `closed`", |text| {
        parameter::parse_status(text).map(Condition::Status)
    }),
    bound("search.balance.gt", |text| balance(Comparison::Greater, text)),
    bound("search.balance.gte", |text| balance(Comparison::GreaterOrEqual, text)),
    bound("search.balance.lt", |text| balance(Comparison::Less, text)),
    bound("search.balance.lte", |text| balance(Comparison::LessOrEqual, text)),
];

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// The conditions among a request's parameters.
    pub fn read(parameters: &Parameters, table: &[Parameter<Condition>]) -> Result<Self, InvalidParameter> {
        let given = table.iter().map(|filter| parameters.optional(filter));
        Ok(Self { conditions: given.filter_map(Result::transpose).collect::<Result<_, _>>()? })
    }

    /// Whether the account meets every condition.
    #[must_use]
    pub fn admits(&self, account: &Account) -> bool {
        self.conditions.iter().all(|condition| condition.holds(account))
    }

    /// Whether it could at any balance: what is asked before its balance of another time is known.
    #[must_use]
    pub fn admits_at_some_balance(&self, account: &Account) -> bool {
        self.conditions.iter().all(|condition| condition.depends_on_balance() || condition.holds(account))
    }
}

impl FromIterator<Condition> for Filter {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        Self { conditions: conditions.into_iter().collect() }
    }
}
