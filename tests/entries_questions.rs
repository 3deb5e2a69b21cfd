//! Random entries, sheets and questions: every answer is the oracle's, to the digit.

use crate::harness::{App, id};
use crate::oracle::{
    ONE, Oracle, OracleAccount, OracleEntry, OracleFilter, OracleMoment, OracleSheet, is_crypto, literal,
    units,
};
use crate::oracle_wire::{
    CUSTOMERS, DAY, Expectation, MERCHANTS, MILLISECOND, NANOSECOND, balance_text, check, dataset_accounts,
    dataset_sheet, domain_time, entry, is_of_merchant, list_expected, list_text, merchant_expected,
    merchant_path, merchant_text, now, organization_text, update,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How many are asked. In a debug build a question costs 25 ms of processor time: it reads the histories of
/// ten accounts, and the unoptimised AWS SDK and its server take 2.5 ms for a read. So ten thousand take
/// minutes.
const QUESTIONS: usize = 1_000;
/// Names the variable that asks for another number of questions.
const QUESTIONS_VARIABLE: &str = "BALLAST_QUESTIONS";
const STATUSES: [&str; 4] = ["active", "inactive", "suspended", "closed"];

/// Choices that come out the same at every run (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }

    /// True once in so many times.
    pub fn hits(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }

    /// Up to so many seconds.
    pub fn seconds(&mut self, most: usize) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.roll(most)).unwrap())
    }

    /// Whole quarters, hundredths, or an amount of as many digits as there can be.
    pub fn amount(&mut self) -> i128 {
        let number = i128::try_from(self.roll(4_000)).unwrap() - 1_000;
        match self.roll(8) {
            0 => 0,
            1 => number * ONE / 1_000 + number,
            2 | 3 => number * ONE / 100,
            _ => number * ONE / 4,
        }
    }
}

/// Dollars per unit: round prices, which make ties, and crooked ones.
pub const PRICES: [(&str, [&str; 2]); 6] = [
    ("BTC", ["100000", "97000.512345678901234567"]),
    ("ETH", ["2000", "3123.123456789012345678"]),
    ("EUR", ["2", "1.1353"]),
    ("GBP", ["1.25", "1.331500000000000001"]),
    ("JPY", ["0.01", "0.0066318"]),
    ("USDC", ["1", "0.99991"]),
];
pub const CURRENCIES: [&str; 7] = ["BTC", "ETH", "EUR", "GBP", "JPY", "USD", "USDC"];

/// Ten to thirty days ago, on few instants, so that entries collide; some a nanosecond beside, some ahead.
fn some_instant(dice: &mut Dice) -> Timestamp {
    if dice.hits(40) {
        return now() + dice.pick(&[SignedDuration::ZERO, MILLISECOND, SignedDuration::from_mins(4)]);
    }
    let beside =
        [SignedDuration::ZERO, NANOSECOND, -NANOSECOND, MILLISECOND, SignedDuration::from_nanos(999_999)];
    let day = i32::try_from(10 + dice.roll(10) * 2).unwrap();
    let beside = if dice.hits(2) { SignedDuration::ZERO } else { dice.pick(&beside) };
    now() - DAY * day + beside
}

/// On time, up to 5 minutes before, or late by up to nine days.
fn some_recording(dice: &mut Dice, of: Timestamp) -> Timestamp {
    let late = [
        -SignedDuration::from_mins(5),
        -MILLISECOND,
        SignedDuration::ZERO,
        SignedDuration::ZERO,
        NANOSECOND,
        SignedDuration::from_millis(1_500),
        DAY,
        DAY * 2,
        DAY * 9,
    ];
    of + dice.pick(&late)
}

/// Forty accounts of three customers. The last entry of each fourth account alone names its merchant.
fn some_entries(dice: &mut Dice) -> Vec<OracleEntry> {
    let mut entries = Vec::new();
    for number in 1..=40 {
        let scope = if number % 3 == 0 { None } else { Some(MERCHANTS[number / 3 % 2]) };
        let is_named_late = number % 4 == 1;
        let currency = dice.pick(&CURRENCIES);
        let network = is_crypto(currency).then(|| dice.pick(&["ETH", "polygon"]).to_owned());
        let keys: BTreeSet<_> = (0..2 + dice.roll(7))
            .map(|_| (some_instant(dice), dice.pick(&[0, 0, 1, 2, 999_999_999_999_999_999])))
            .collect();
        let mut keys: Vec<_> = keys.into_iter().collect();
        let named_late = dice.roll(keys.len());
        keys.swap(named_late, 0);
        for (index, (balance_at, version)) in keys.iter().rev().copied().enumerate() {
            let balance = dice.amount();
            let is_named = !is_named_late || index == keys.len() - 1;
            entries.push(OracleEntry {
                customer: CUSTOMERS[number % 3].to_owned(),
                currency,
                organization: scope.map(|(organization, _)| organization.to_owned()),
                merchant: scope.filter(|_| is_named).map(|(_, merchant)| merchant.to_owned()),
                network: network.clone().filter(|_| is_named),
                available: if dice.hits(2) { balance } else { dice.amount() },
                active: !dice.hits(3),
                status: dice.pick(&STATUSES),
                recorded_at: some_recording(dice, balance_at),
                ..entry(id(u32::try_from(number).unwrap()), balance_at, version, balance)
            });
        }
    }
    entries
}

/// A sheet before every entry, and then some with their corrections, a few of which lack a currency.
fn some_sheets(dice: &mut Dice) -> Vec<OracleSheet> {
    let mut sheets = BTreeMap::new();
    for number in 0..24 {
        let observed_at = if number == 0 { now() - DAY * 35 } else { some_instant(dice) };
        let recorded_at = if number == 0 { observed_at } else { some_recording(dice, observed_at) };
        let price = |(code, prices): (&'static str, [&str; 2])| (code, units(dice.pick(&prices)));
        let mut usd: BTreeMap<_, _> = PRICES.map(price).into();
        if number > 0 && dice.hits(4) {
            usd.remove(dice.pick(&CURRENCIES));
        }
        sheets.insert((observed_at, recorded_at), OracleSheet { observed_at, recorded_at, usd });
    }
    sheets.into_values().collect()
}

/// Everything that questions are made of.
pub struct Questions {
    dice: Dice,
    oracle: Oracle,
    /// Instants at which an answer about another time changes.
    instants: Vec<Timestamp>,
    /// Instants at which what is known changes.
    recordings: Vec<Timestamp>,
}

impl Questions {
    pub fn new(dice: Dice, oracle: Oracle) -> Self {
        let (entries, sheets) = (&oracle.entries, &oracle.sheets);
        let of_entries = entries.iter().map(|entry| (entry.balance_at, entry.recorded_at));
        let of_sheets = sheets.iter().map(|sheet| (sheet.observed_at, sheet.recorded_at));
        let (instants, recordings) = of_entries.chain(of_sheets).unzip();
        Self { dice, oracle, instants, recordings }
    }

    /// None, an instant at which something changes, one beside it, or any; never of the future.
    fn instant(dice: &mut Dice, changes: &[Timestamp]) -> Option<Timestamp> {
        let change = dice.pick(changes);
        let at = match dice.roll(8) {
            0 | 1 => return None,
            2 | 3 => change,
            4 => change + MILLISECOND,
            5 => change - MILLISECOND,
            6 => change + dice.pick(&[NANOSECOND, -NANOSECOND]),
            _ => now() - dice.seconds(40 * 24 * 3_600),
        };
        Some(at.min(now()))
    }

    /// A moment, and its parameters behind `?`.
    fn moment(&mut self, as_of_name: &str) -> (OracleMoment, String) {
        let as_of = Self::instant(&mut self.dice, &self.instants);
        let known_at = Self::instant(&mut self.dice, &self.recordings);
        let parameter = |name: &str, at: Option<Timestamp>| at.map(|at| format!("&{name}={at}"));
        let parameters = [parameter(as_of_name, as_of), parameter("known_at", known_at)];
        let parameters: Vec<_> = parameters.into_iter().flatten().collect();
        (OracleMoment::asked(as_of, known_at, now()), parameters.concat())
    }

    pub fn filter(&mut self) -> (OracleFilter, String) {
        let (dice, mut filter, mut parameters) = (&mut self.dice, OracleFilter::default(), String::new());
        let mut name = |name: &str, value: &dyn std::fmt::Display| {
            write!(parameters, "&search.{name}={value}").unwrap();
        };
        if dice.hits(5) {
            filter.currency = Some(dice.pick(&CURRENCIES)).inspect(|code| name("currency", code));
        }
        if dice.hits(5) {
            filter.is_crypto = Some(dice.hits(2)).inspect(|flag| name("is_crypto", flag));
        }
        if dice.hits(5) {
            filter.active = Some(!dice.hits(3)).inspect(|flag| name("active", flag));
        }
        if dice.hits(5) {
            filter.status = Some(dice.pick(&STATUSES)).inspect(|status| name("status", status));
        }
        for operator in ["gt", "gte", "lt", "lte"] {
            if dice.hits(6) {
                // A bound that is an account's own amount tells `gt` from `gte`.
                let entry = &self.oracle.entries[dice.roll(self.oracle.entries.len())];
                let bound = if dice.hits(2) { entry.balance } else { entry.available };
                name(&format!("balance.{operator}"), &literal(bound, "EUR"));
                filter.bounds.push((operator, bound));
            }
        }
        (filter, parameters)
    }

    fn balance(&mut self) -> Expectation {
        let (moment, at) = self.moment("as_of");
        let (filter, filters) = self.filter();
        let (customer, target) = (self.dice.pick(&CUSTOMERS), self.dice.pick(&CURRENCIES));
        let (measure, is_available) =
            self.dice.pick(&[("", false), ("&measure=balance", false), ("&measure=available", true)]);
        let accounts = self.oracle.accounts(moment).into_iter().map(|account| account.entry);
        let amounts = accounts
            .filter(|entry| entry.customer == customer)
            .map(|entry| (entry, if is_available { entry.available } else { entry.balance }))
            .filter(|(entry, amount)| filter.admits(entry, *amount))
            .map(|(entry, amount)| (entry.currency, amount));
        let parameters = format!("&currency={target}{measure}{at}{filters}");
        Expectation {
            path: format!("/v2/accounts/balance?stack=currency&customer_id={customer}{parameters}"),
            text_of: balance_text,
            expected: self.oracle.balance(amounts, target, moment),
        }
    }

    fn list(&mut self) -> Expectation {
        let (moment, at) = self.moment("as_of");
        let (filter, filters) = self.filter();
        let customer = self.dice.pick(&CUSTOMERS);
        let accounts = self.oracle.accounts(moment);
        let counts = |entry: &OracleEntry| entry.customer == customer && filter.admits(entry, entry.balance);
        let found: Vec<_> = accounts.iter().filter(|account| counts(account.entry)).collect();
        Expectation {
            path: format!("/v2/accounts?search.customer_id={customer}&limit=200{at}{filters}"),
            text_of: list_text,
            expected: list_expected(&found),
        }
    }

    fn merchant_list(&mut self) -> Expectation {
        let (moment, at) = self.moment("date");
        let merchant = self.dice.pick(&MERCHANTS);
        let currency = Some(self.dice.pick(&CURRENCIES)).filter(|_| self.dice.hits(4));
        let accounts = self.oracle.accounts(moment);
        let counts = |account: &&OracleAccount<'_>| {
            is_of_merchant(account, merchant) && currency.is_none_or(|code| account.entry.currency == code)
        };
        let currency_parameter = currency.map(|code| format!("&currency={code}")).unwrap_or_default();
        let query = format!("{currency_parameter}{at}").replacen('&', "?", 1);
        Expectation {
            path: merchant_path(merchant, &format!("/balances{query}")),
            text_of: merchant_text,
            expected: merchant_expected(&accounts.iter().filter(counts).collect::<Vec<_>>(), moment.as_of),
        }
    }

    fn merchant_single(&mut self) -> Expectation {
        let (moment, at) = self.moment("date");
        let (merchant, number) = (self.dice.pick(&MERCHANTS), 1 + self.dice.roll(40));
        let account_id = id(u32::try_from(number).unwrap());
        let accounts = self.oracle.accounts(moment);
        let counts = |account: &&OracleAccount<'_>| {
            is_of_merchant(account, merchant) && account.entry.account == account_id
        };
        let expected = match accounts.iter().find(counts) {
            Some(account) => merchant_expected(&[account], moment.as_of),
            None => "account_not_found".to_owned(),
        };
        let query = at.replacen('&', "?", 1);
        let path = merchant_path(merchant, &format!("/acc_{account_id}/balances{query}"));
        Expectation { path, text_of: merchant_text, expected }
    }

    fn organization(&mut self) -> Expectation {
        let (moment, at) = self.moment("date");
        let (organization, _) = self.dice.pick(&MERCHANTS);
        let target = self.dice.pick(&CURRENCIES);
        let accounts = self.oracle.accounts(moment);
        let own = accounts.iter().filter(|account| account.organization == Some(organization));
        let own: Vec<_> =
            own.map(|account| (account.merchant, account.entry.currency, account.entry.balance)).collect();
        Expectation {
            path: format!("/api/v1/organizations/{organization}/balances?currency={target}{at}"),
            text_of: organization_text,
            expected: self.oracle.organization(&own, target, moment),
        }
    }

    fn any(&mut self) -> Expectation {
        match self.dice.roll(12) {
            10 | 11 => self.organization(),
            0..5 => self.balance(),
            5..7 => self.list(),
            7 | 8 => self.merchant_list(),
            _ => self.merchant_single(),
        }
    }
}

/// A stack of random entries and sheets, and the oracle of the same. Its clock stands still.
pub async fn some_stack(dice: &mut Dice) -> (App, Oracle) {
    let oracle = Oracle { entries: some_entries(dice), sheets: some_sheets(dice) };
    // A dataset gives an account's scope to all its entries; so the entry that names it late comes by itself.
    let is_late = |entry: &&OracleEntry| {
        let first = oracle.entries.iter().find(|other| other.account == entry.account).unwrap();
        (&first.merchant, &first.network) != (&entry.merchant, &entry.network)
    };
    let (late, on_time): (Vec<_>, Vec<_>) = oracle.entries.iter().partition(is_late);
    assert!(late.len() >= 5, "{late:?}");
    let sheets: Vec<_> = oracle.sheets.iter().map(dataset_sheet).collect();
    let accounts = dataset_accounts(on_time);
    let app =
        App::start(json!({"rates_never_expire": true, "accounts": accounts, "rate_sheets": sheets})).await;
    for entry in late {
        app.stack.store().record(&update(entry, Some(entry.recorded_at))).await.unwrap();
    }
    app.stack.clock().stop_at(domain_time(now()));
    (app, oracle)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_questions_at_any_moment_are_answered_as_the_oracle_does() {
    let mut dice = Dice(20_260_620);
    let (app, oracle) = some_stack(&mut dice).await;
    let mut questions = Questions::new(dice, oracle);
    let count = std::env::var(QUESTIONS_VARIABLE).map_or(QUESTIONS, |count| count.parse().unwrap());
    let questions: Vec<_> = (0..count).map(|_| questions.any()).collect();
    // Most questions have an answer that can be wrong.
    let has_amounts = |question: &&Expectation| question.expected.contains("; ");
    assert!(questions.iter().filter(has_amounts).count() > count / 2);
    check(&app, questions).await;
}
