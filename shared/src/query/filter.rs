//! Which accounts count: conditions declared once, with their operators, applied to accounts as they stood at
//! the asked time.

use super::expected::Expected;
use super::parameter::{InvalidParameter, Parameter, Parameters, parse_boolean, parse_list};
use crate::domain::{Account, AccountId, Amount, Asset, Catalogue, CustodyGap, CustomerId, Label, Status};
use std::collections::BTreeSet;

/// How a balance is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `≥`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `≤`
    LessOrEqual,
}

/// A text to be found in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle(String);

impl Needle {
    fn new(text: &str) -> Self {
        Self(folded(text))
    }

    fn is_in(&self, text: &str) -> bool {
        folded(text).contains(&self.0)
    }
}

/// Lower case, character by character, with one sigma: a whole string's lower case depends on where its words
/// end, and a part of it would not be found.
fn folded(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|character| if character == 'ς' { 'σ' } else { character })
        .collect()
}

/// One thing asked of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is one of these.
    Id(BTreeSet<AccountId>),
    /// It belongs to one of these.
    Customer(BTreeSet<CustomerId>),
    /// It holds one of these.
    Asset(BTreeSet<Asset>),
    /// It holds crypto, or fiat.
    IsCrypto(bool),
    /// Its own `active` flag.
    Active(bool),
    /// Its status.
    Status(Status),
    /// Its balance, in its own currency.
    Balance(Comparison, Amount),
    /// Its IBAN is this.
    Iban(String),
    /// Its IBAN contains this.
    IbanLike(Needle),
    /// Its main wallet's address is this.
    Address(String),
    /// Its main wallet's address contains this.
    AddressLike(Needle),
    /// Some text of it contains this.
    Anywhere(Needle),
}

impl Condition {
    /// Whether the account meets it.
    #[must_use]
    pub fn holds(&self, account: &Account) -> bool {
        let (state, labels) = (&account.state, &account.labels);
        let (iban, address) = (labels.get(Label::Iban), labels.get(Label::Address));
        match self {
            Self::Id(ids) => ids.contains(&account.id),
            Self::Customer(customers) => customers.contains(&account.customer_id),
            Self::Asset(assets) => assets.contains(&account.asset),
            Self::IsCrypto(is_crypto) => account.asset.is_crypto() == *is_crypto,
            Self::Active(active) => state.active == *active,
            Self::Status(status) => state.status == *status,
            Self::Balance(Comparison::Equal, bound) => state.balance == *bound,
            Self::Balance(Comparison::Greater, bound) => state.balance > *bound,
            Self::Balance(Comparison::GreaterOrEqual, bound) => state.balance >= *bound,
            Self::Balance(Comparison::Less, bound) => state.balance < *bound,
            Self::Balance(Comparison::LessOrEqual, bound) => state.balance <= *bound,
            Self::Iban(wanted) => iban == Some(wanted),
            Self::IbanLike(needle) => iban.is_some_and(|iban| needle.is_in(iban)),
            Self::Address(wanted) => address == Some(wanted),
            Self::AddressLike(needle) => address.is_some_and(|address| needle.is_in(address)),
            Self::Anywhere(needle) => is_anywhere(needle, account),
        }
    }

    const fn depends_on_state(&self) -> bool {
        matches!(self, Self::Balance(..) | Self::Active(_) | Self::Status(_))
    }
}

fn is_anywhere(needle: &Needle, account: &Account) -> bool {
    needle.is_in(&account.id.to_string())
        || needle.is_in(account.asset.code())
        || account.labels.searched().any(|text| needle.is_in(text))
}

const STATUS: Expected = Expected::OneOf(|| Status::ALL.map(Status::name).to_vec());

/// One search operator: its parameter, and which views know it.
#[derive(Debug)]
pub struct Operator {
    /// The parameter, which parses to the condition it stands for.
    pub parameter: Parameter<Condition>,
    is_of_balance: bool,
}

/// An operator of the account list alone.
const fn list(
    name: &'static str,
    about: &'static str,
    expects: Expected,
    parse: fn(&str, &Catalogue) -> Option<Condition>,
) -> Operator {
    Operator { parameter: Parameter::new(name, about, expects, parse), is_of_balance: false }
}

/// An operator of the account list and of the balance.
const fn both(
    name: &'static str,
    about: &'static str,
    expects: Expected,
    parse: fn(&str, &Catalogue) -> Option<Condition>,
) -> Operator {
    Operator { is_of_balance: true, ..list(name, about, expects, parse) }
}

fn one<T: Ord, E>(parsed: Result<T, E>) -> Option<BTreeSet<T>> {
    parsed.ok().map(|value| BTreeSet::from([value]))
}

fn balance(comparison: Comparison, text: &str) -> Option<Condition> {
    Amount::parse(text).ok().map(|bound| Condition::Balance(comparison, bound))
}

/// Every search operator, in the order in which documents and errors list them. A new one is a row.
static OPERATORS: &[Operator] = &[
    list(
        "search",
        "a text found, in any case, in the id, currency, IBAN, account number, external id, address or \
            description",
        Expected::Text,
        |text, _| Some(Condition::Anywhere(Needle::new(text))),
    ),
    list("search.id", "this account", Expected::Id(AccountId::PREFIX), |text, _| {
        one(AccountId::parse(text)).map(Condition::Id)
    }),
    list("search.id.in", "these accounts", Expected::Ids, |text, _| {
        parse_list(text, AccountId::parse).map(Condition::Id)
    }),
    list("search.customer_id", "accounts of this customer", Expected::Id(CustomerId::PREFIX), |text, _| {
        one(CustomerId::parse(text)).map(Condition::Customer)
    }),
    list("search.customer_id.in", "accounts of these customers", Expected::Ids, |text, _| {
        parse_list(text, CustomerId::parse).map(Condition::Customer)
    }),
    both("search.currency", "accounts in this currency", Expected::Asset, |text, catalogue| {
        one(catalogue.asset(text)).map(Condition::Asset)
    }),
    list("search.currency.in", "accounts in these currencies", Expected::Assets, |text, catalogue| {
        parse_list(text, |code| catalogue.asset(code)).map(Condition::Asset)
    }),
    list("search.iban", "this IBAN, as it is stored", Expected::Text, |text, _| {
        Some(Condition::Iban(text.to_owned()))
    }),
    list("search.iban.like", "a text found, in any case, in the IBAN", Expected::Text, |text, _| {
        Some(Condition::IbanLike(Needle::new(text)))
    }),
    list("search.main_wallet_address", "this address, as it is stored", Expected::Text, |text, _| {
        Some(Condition::Address(text.to_owned()))
    }),
    list(
        "search.main_wallet_address.like",
        "a text found, in any case, in the address",
        Expected::Text,
        |text, _| Some(Condition::AddressLike(Needle::new(text))),
    ),
    list(
        "search.balance",
        "a balance of exactly this, in the account's own currency",
        Expected::Decimal,
        |text, _| balance(Comparison::Equal, text),
    ),
    both(
        "search.balance.gt",
        "a balance above this, in the account's own currency",
        Expected::Decimal,
        |text, _| balance(Comparison::Greater, text),
    ),
    both("search.balance.gte", "a balance of at least this", Expected::Decimal, |text, _| {
        balance(Comparison::GreaterOrEqual, text)
    }),
    both("search.balance.lt", "a balance below this", Expected::Decimal, |text, _| {
        balance(Comparison::Less, text)
    }),
    both("search.balance.lte", "a balance of at most this", Expected::Decimal, |text, _| {
        balance(Comparison::LessOrEqual, text)
    }),
    both("search.is_crypto", "crypto assets only, or fiat accounts only", Expected::Boolean, |text, _| {
        parse_boolean(text).map(Condition::IsCrypto)
    }),
    both(
        "search.active",
        "the account's own `active` flag, independent of its status",
        Expected::Boolean,
        |text, _| parse_boolean(text).map(Condition::Active),
    ),
    both("search.status", "accounts of this status", STATUS, |text, _| {
        Status::parse(text).ok().map(Condition::Status)
    }),
];

/// The filters of the account list.
pub fn list_filters() -> impl Iterator<Item = &'static Parameter<Condition>> {
    OPERATORS.iter().map(|operator| &operator.parameter)
}

/// The filters of the balance.
pub fn balance_filters() -> impl Iterator<Item = &'static Parameter<Condition>> {
    OPERATORS.iter().filter(|operator| operator.is_of_balance).map(|operator| &operator.parameter)
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// The conditions among a request's parameters.
    pub fn read<'a>(
        parameters: &Parameters,
        table: impl IntoIterator<Item = &'a Parameter<Condition>>,
    ) -> Result<Self, InvalidParameter> {
        let given = table.into_iter().map(|filter| parameters.optional(filter));
        Ok(Self { conditions: given.filter_map(Result::transpose).collect::<Result<_, _>>()? })
    }

    /// Whether every account meets it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether the account meets every condition.
    #[must_use]
    pub fn admits(&self, account: &Account) -> bool {
        self.conditions.iter().all(|condition| condition.holds(account))
    }

    /// Checks every condition except those on the state. Used before the state of the asked moment is known,
    /// so that no history is read of accounts that cannot match anyway.
    #[must_use]
    pub fn admits_in_some_state(&self, account: &Account) -> bool {
        self.conditions.iter().all(|condition| condition.depends_on_state() || condition.holds(account))
    }

    /// Whether a gap of a custody account may hide an account that the filter admits. Positions are active
    /// and crypto; an asset that nothing names is none that a filter could.
    #[must_use]
    pub fn admits_gap(&self, gap: &CustodyGap) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::IsCrypto(is_crypto) => *is_crypto,
            Condition::Active(active) => *active,
            Condition::Status(status) => *status == Status::Active,
            Condition::Asset(assets) => {
                gap.unknown.is_none() && assets.iter().any(|asset| gap.coverage.may_hold(*asset))
            }
            _ => true,
        })
    }

    /// The only accounts that can meet it, if it names any.
    #[must_use]
    pub fn ids(&self) -> Option<BTreeSet<AccountId>> {
        self.common(|condition| if let Condition::Id(ids) = condition { Some(ids) } else { None })
    }

    /// The only customers whose accounts can meet it, if it names any.
    #[must_use]
    pub fn customers(&self) -> Option<BTreeSet<CustomerId>> {
        self.common(
            |condition| if let Condition::Customer(customers) = condition { Some(customers) } else { None },
        )
    }

    /// Every customer it names.
    pub fn named_customers(&self) -> impl Iterator<Item = CustomerId> {
        let named = self.conditions.iter().filter_map(|condition| match condition {
            Condition::Customer(customers) => Some(customers),
            _ => None,
        });
        named.flatten().copied()
    }

    fn common<T: Ord + Copy>(
        &self,
        named: impl Fn(&Condition) -> Option<&BTreeSet<T>>,
    ) -> Option<BTreeSet<T>> {
        let sets = self.conditions.iter().filter_map(named).cloned();
        sets.reduce(|common, set| common.intersection(&set).copied().collect())
    }
}

impl FromIterator<Condition> for Filter {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        Self { conditions: conditions.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_wherever_words_end() {
        for (needle, text) in [
            ("ΟΔΟΣ", "ΟΔΟΣΑΣ"),
            ("οδος", "ΟΔΟΣ ΛΟΓΟΣ"),
            ("ΟΔΟΣ", "οδος"),
            ("straße", "STRAßE 1"),
            ("İ", "i\u{307}"),
            ("ØP", "eurøp"),
        ] {
            assert!(Needle::new(needle).is_in(text), "{needle} {text}");
        }
    }
}
