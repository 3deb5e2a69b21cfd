//! Section 3 of the contract, written a second time: which entry counts, who sees an account, and the totals.
//!
//! Entries and rate sheets are plain lists, and every question searches the whole of them. The module imports
//! nothing of `shared`, so that a fault there cannot be made here as well. Amounts and prices are whole units
//! of 10⁻¹⁸, and small enough for sums to fit an `i128`.

use jiff::Timestamp;
use num_bigint::BigInt;
use num_rational::BigRational;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Units in one.
pub const ONE: i128 = 10_i128.pow(18);

/// One entry, and the owner and the parts of the scope that it named.
#[derive(Debug, Clone)]
pub struct OracleEntry {
    pub account: String,
    pub customer: String,
    pub currency: &'static str,
    pub organization: Option<String>,
    pub merchant: Option<String>,
    pub network: Option<String>,
    pub balance_at: Timestamp,
    pub version: u64,
    pub balance: i128,
    pub available: i128,
    pub active: bool,
    pub status: &'static str,
    pub recorded_at: Timestamp,
}

/// A complete rate sheet: dollars per unit of each currency. USD is 1, listed or not.
#[derive(Debug, Clone)]
pub struct OracleSheet {
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
    pub usd: BTreeMap<&'static str, i128>,
}

/// Everything that was ever recorded.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    pub entries: Vec<OracleEntry>,
    pub sheets: Vec<OracleSheet>,
}

/// As of an instant, known at an instant; with everything that is known if `known_at` is `None`.
#[derive(Debug, Clone, Copy)]
pub struct OracleMoment {
    pub as_of: Timestamp,
    pub known_at: Option<Timestamp>,
}

/// An account as it stood at a moment: the entry that counts, and the scope that was known.
#[derive(Debug, Clone, Copy)]
pub struct OracleAccount<'a> {
    pub entry: &'a OracleEntry,
    pub organization: Option<&'a str>,
    pub merchant: Option<&'a str>,
    pub network: Option<&'a str>,
}

/// The filters of the balance and of the list. A bound is the operator's name and its amount.
#[derive(Debug, Clone, Default)]
pub struct OracleFilter {
    pub currency: Option<&'static str>,
    pub is_crypto: Option<bool>,
    pub active: Option<bool>,
    pub status: Option<&'static str>,
    pub bounds: Vec<(&'static str, i128)>,
}

impl OracleMoment {
    /// The moment of a request at `now`, all instants cut to whole milliseconds.
    pub fn asked(as_of: Option<Timestamp>, known_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self { as_of: cut(as_of.or(known_at).unwrap_or(now)), known_at: known_at.map(cut) }
    }

    fn knows(self, recorded_at: Timestamp) -> bool {
        self.known_at.is_none_or(|known_at| recorded_at <= known_at)
    }
}

impl OracleFilter {
    /// Whether an account in the state of `entry` counts, of which `amount` is measured.
    pub fn admits(&self, entry: &OracleEntry, amount: i128) -> bool {
        self.currency.is_none_or(|currency| entry.currency == currency)
            && self.is_crypto.is_none_or(|flag| is_crypto(entry.currency) == flag)
            && self.active.is_none_or(|flag| entry.active == flag)
            && self.status.is_none_or(|status| entry.status == status)
            && self.bounds.iter().all(|(operator, bound)| match *operator {
                "gt" => amount > *bound,
                "gte" => amount >= *bound,
                "lt" => amount < *bound,
                _ => amount <= *bound,
            })
    }
}

impl Oracle {
    /// All accounts that existed at the moment, by their ids.
    pub fn accounts(&self, moment: OracleMoment) -> Vec<OracleAccount<'_>> {
        let mut known = BTreeMap::<&str, Vec<&OracleEntry>>::new();
        for entry in self.entries.iter().filter(|entry| moment.knows(entry.recorded_at)) {
            known.entry(&entry.account).or_default().push(entry);
        }
        let shown = known.into_values().filter_map(|entries| {
            let past = entries.iter().filter(|entry| entry.balance_at <= moment.as_of);
            Some(OracleAccount {
                entry: past.max_by_key(|entry| (entry.balance_at, entry.version))?,
                organization: entries.iter().find_map(|entry| entry.organization.as_deref()),
                merchant: entries.iter().find_map(|entry| entry.merchant.as_deref()),
                network: entries.iter().find_map(|entry| entry.network.as_deref()),
            })
        });
        shown.collect()
    }

    /// The balance of these currencies and amounts: totals and stacks as their literals, or the currencies
    /// that have no rate.
    pub fn balance<'a>(
        &self,
        amounts: impl Iterator<Item = (&'a str, i128)>,
        target: &'a str,
        moment: OracleMoment,
    ) -> String {
        let mut sums = BTreeMap::<&str, (usize, i128)>::new();
        for (currency, amount) in amounts {
            let (accounts, sum) = sums.entry(currency).or_default();
            *accounts += 1;
            *sum += amount;
        }
        let to_convert = sums.iter().filter(|(currency, (_, sum))| **currency != target && *sum != 0);
        let to_convert: Vec<_> = to_convert.map(|(currency, _)| *currency).collect();
        let missing = |currency: &&str| self.usd(currency, moment).is_none();
        let unpriced: Vec<_> = match self.usd(target, moment) {
            None if !to_convert.is_empty() => vec![target],
            _ => to_convert.into_iter().filter(missing).collect(),
        };
        if !unpriced.is_empty() {
            return format!("unpriced {}", unpriced.join(","));
        }
        let (mut fiat, mut crypto, mut stacks) = (0, 0, String::new());
        for (currency, (accounts, sum)) in sums {
            let in_target = self.converted(sum, currency, target, moment);
            *(if is_crypto(currency) { &mut crypto } else { &mut fiat }) += in_target;
            let (sum, in_target) = (literal(sum, currency), literal(in_target, target));
            write!(stacks, "; {currency} {} {accounts} {sum} {in_target}", is_crypto(currency)).unwrap();
        }
        let [total, fiat, crypto] = [fiat + crypto, fiat, crypto].map(|sum| literal(sum, target));
        format!("{total} {fiat} {crypto}{stacks}")
    }

    /// An organization's total and rounding, and its merchants with their stacks, from accounts of
    /// (merchant, currency, balance); or the currencies that have no rate.
    pub fn organization<'a>(
        &self,
        accounts: &[(Option<&'a str>, &'a str, i128)],
        target: &'a str,
        moment: OracleMoment,
    ) -> String {
        let mut sums = BTreeMap::<&str, i128>::new();
        // Accounts without a merchant come last.
        let mut merchants = BTreeMap::<(bool, &str), BTreeMap<&str, (usize, i128)>>::new();
        for (merchant, currency, balance) in accounts {
            *sums.entry(currency).or_default() += balance;
            let stacks = merchants.entry((merchant.is_none(), merchant.unwrap_or("-"))).or_default();
            let (count, sum) = stacks.entry(currency).or_default();
            *count += 1;
            *sum += balance;
        }
        let stacks = || merchants.values().flatten().map(|(currency, (_, sum))| (*currency, *sum));
        let all_sums = sums.iter().map(|(currency, sum)| (*currency, *sum)).chain(stacks());
        let to_convert: BTreeSet<&str> = all_sums
            .filter(|(currency, sum)| *currency != target && *sum != 0)
            .map(|(code, _)| code)
            .collect();
        let unpriced: Vec<_> = match self.usd(target, moment) {
            None if !to_convert.is_empty() => vec![target],
            _ => to_convert.into_iter().filter(|currency| self.usd(currency, moment).is_none()).collect(),
        };
        if !unpriced.is_empty() {
            return format!("unpriced {}", unpriced.join(","));
        }
        let in_target = |currency: &str, sum: i128| self.converted(sum, currency, target, moment);
        let total: i128 = sums.iter().map(|(currency, sum)| in_target(currency, *sum)).sum();
        let (mut rest, mut rows) = (total, String::new());
        for ((_, merchant), stacks) in &merchants {
            let count: usize = stacks.values().map(|(count, _)| count).sum();
            let of_merchant: i128 = stacks.iter().map(|(currency, (_, sum))| in_target(currency, *sum)).sum();
            rest -= of_merchant;
            write!(rows, "; {merchant} {count} {}", literal(of_merchant, target)).unwrap();
            for (currency, (count, sum)) in stacks {
                let converted = literal(in_target(currency, *sum), target);
                write!(rows, " {currency} {count} {} {converted}", literal(*sum, currency)).unwrap();
            }
        }
        format!("{} {}{rows}", literal(total, target), literal(rest, target))
    }

    /// A currency's sum in the target, rounded half-even once, to the target's minor unit. The target's own
    /// sum and a sum of nothing need no rate.
    fn converted(&self, sum: i128, currency: &str, target: &str, moment: OracleMoment) -> i128 {
        let needs_rate = currency != target && sum != 0;
        let usd = |code| if needs_rate { self.usd(code, moment).unwrap() } else { ONE };
        let minor_digits = if is_crypto(target) { decimals(target).min(8) } else { decimals(target) };
        let minor_unit = BigInt::from(10_i128.pow(18 - minor_digits));
        let exact = BigRational::new(BigInt::from(sum) * usd(currency), &minor_unit * usd(target));
        i128::try_from(half_even(&exact) * minor_unit).unwrap()
    }

    /// The rate in the newest sheet at or before the moment; of several sheets of one instant, in the one
    /// that was recorded last. The dollar's is always 1.
    fn usd(&self, currency: &str, moment: OracleMoment) -> Option<i128> {
        if currency == "USD" {
            return Some(ONE);
        }
        let known = self.sheets.iter().filter(|sheet| moment.knows(sheet.recorded_at));
        let past = known.filter(|sheet| sheet.observed_at <= moment.as_of);
        let newest = past.max_by_key(|sheet| (sheet.observed_at, sheet.recorded_at));
        newest.and_then(|sheet| sheet.usd.get(currency).copied())
    }
}

fn half_even(exact: &BigRational) -> BigInt {
    let floor = exact.floor().to_integer();
    let rest = exact - BigRational::from_integer(floor.clone());
    let is_odd = &floor % 2 != BigInt::ZERO;
    match rest.cmp(&BigRational::new(1.into(), 2.into())) {
        Ordering::Less => floor,
        Ordering::Equal if !is_odd => floor,
        Ordering::Equal | Ordering::Greater => floor + 1,
    }
}

pub fn is_crypto(currency: &str) -> bool {
    matches!(currency, "BTC" | "ETH" | "USDC")
}

/// An asset's decimals; fiat money other than the yen has two here.
fn decimals(currency: &str) -> u32 {
    match currency {
        "ETH" => 18,
        "BTC" => 8,
        "USDC" => 6,
        "JPY" => 0,
        _ => 2,
    }
}

/// Units as the wire writes them: at least min(2, decimals) fraction digits, and no zeros beyond those.
pub fn literal(units: i128, currency: &str) -> String {
    let digits = format!("{:019}", units.abs());
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let least = usize::try_from(decimals(currency).min(2)).unwrap();
    let fraction = &fraction[..fraction.trim_end_matches('0').len().max(least)];
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if units < 0 { "-" } else { "" })
}

/// The units of a decimal.
pub fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<18}").parse().unwrap()
}

/// An instant cut to whole milliseconds.
fn cut(at: Timestamp) -> Timestamp {
    Timestamp::from_nanosecond(at.as_nanosecond().div_euclid(1_000_000) * 1_000_000).unwrap()
}
