//! The balance under random data: filters against a naive filter, and totals against sums done by hand.

use crate::harness::{App, account, dataset, with};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const CURRENCIES: [(&str, bool); 4] = [("EUR", false), ("USDC", true), ("JPY", false), ("BTC", true)];
const STATUSES: [&str; 4] = ["active", "inactive", "suspended", "closed"];

/// An account as the naive filter sees it; balances are whole cents.
#[derive(Debug, Clone)]
struct Row {
    currency: usize,
    cents: i64,
    is_active: bool,
    status: usize,
}

fn decimal(cents: i64) -> String {
    format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

/// A deterministic mix of everything a filter can tell apart, around the bounds that filters ask for.
fn rows() -> Vec<Row> {
    let row = |n: usize| {
        let spread = i64::try_from(n * 37 % 41).unwrap() - 20;
        Row { currency: n % 4, cents: spread * 25, is_active: !n.is_multiple_of(3), status: n / 5 % 4 }
    };
    (0..60).map(row).collect()
}

type Check = Box<dyn Fn(&Row) -> bool>;

fn filters() -> impl Strategy<Value = Vec<(String, i64, usize, bool)>> {
    let names = [
        "is_crypto",
        "currency",
        "active",
        "status",
        "balance.gt",
        "balance.gte",
        "balance.lt",
        "balance.lte",
    ];
    let filter = |name: &'static str| {
        ((-20_i64..20).prop_map(|quarter| quarter * 25), 0_usize..4, any::<bool>())
            .prop_map(move |(cents, choice, flag)| (name.to_owned(), cents, choice, flag))
    };
    subsequence(names.to_vec(), 0..=4)
        .prop_flat_map(move |names| names.into_iter().map(filter).collect::<Vec<_>>())
}

/// The parameter and what it means, said a second time and independently.
fn naive((name, cents, choice, flag): &(String, i64, usize, bool)) -> (String, Check) {
    let (cents, choice, flag) = (*cents, *choice, *flag);
    let (value, check): (String, Check) = match name.as_str() {
        "is_crypto" => (flag.to_string(), Box::new(move |row| CURRENCIES[row.currency].1 == flag)),
        "currency" => (CURRENCIES[choice].0.to_owned(), Box::new(move |row| row.currency == choice)),
        "active" => (flag.to_string(), Box::new(move |row| row.is_active == flag)),
        "status" => (STATUSES[choice].to_owned(), Box::new(move |row| row.status == choice)),
        "balance.gt" => (decimal(cents), Box::new(move |row| row.cents > cents)),
        "balance.gte" => (decimal(cents), Box::new(move |row| row.cents >= cents)),
        "balance.lt" => (decimal(cents), Box::new(move |row| row.cents < cents)),
        _ => (decimal(cents), Box::new(move |row| row.cents <= cents)),
    };
    (format!("&search.{name}={value}"), check)
}

#[test]
fn filters_agree_with_a_naive_filter_and_stacks_foot() {
    let runtime = Runtime::new().unwrap();
    let rows = rows();
    let entry = |(number, row): (usize, &Row)| {
        let base = account(u32::try_from(number).unwrap(), CURRENCIES[row.currency].0, &decimal(row.cents));
        with(base, json!({"active": row.is_active, "status": STATUSES[row.status]}))
    };
    let app = runtime.block_on(App::start(dataset(rows.iter().enumerate().map(entry).collect())));
    let targets = select(vec!["EUR", "JPY", "USDC", "USD"]);
    let outcome = TestRunner::new(Config::with_cases(256)).run(&(filters(), targets), |(filters, target)| {
        let (parameters, checks): (Vec<_>, Vec<_>) = filters.iter().map(naive).unzip();
        let answer =
            runtime.block_on(app.balance(target, &format!("&stack=currency{}", parameters.concat())));
        let body = answer.json();
        for (index, (currency, _)) in CURRENCIES.iter().enumerate() {
            let chosen: Vec<_> = rows
                .iter()
                .filter(|row| row.currency == index && checks.iter().all(|check| check(row)))
                .collect();
            let stack =
                body["stacks"].as_array().unwrap().iter().find(|stack| stack["currency"] == *currency);
            prop_assert_eq!(
                stack.map_or(0, |stack| stack["accounts"].as_u64().unwrap()),
                u64::try_from(chosen.len()).unwrap()
            );
            if let Some(stack) = stack {
                let expected = decimal(chosen.iter().map(|row| row.cents).sum());
                prop_assert_eq!(
                    cents(&stack["balance"], 2),
                    cents(&serde_json::from_str(&expected).unwrap(), 2)
                );
            }
        }
        prop_assert!(foots(&body, target), "{}", answer);
        // The list behind the balance has the same accounts and the same sums, to the last character.
        let list = runtime.block_on(app.get(&format!("/v2/accounts?stack=currency{}", parameters.concat())));
        prop_assert_eq!(totals(list.text()), totals(answer.text()));
        Ok(())
    });
    outcome.unwrap();
}

/// Currency, number of accounts and native sum of every group or stack, as they are written.
fn totals(body: &str) -> Vec<String> {
    let starts = body.match_indices(r#"{"currency":""#).map(|(at, _)| &body[at..]);
    let up_to_balance = |text: &str| text.split(',').take(4).collect::<Vec<_>>().join(",");
    starts.map(up_to_balance).filter(|text| text.contains("\"accounts\":")).collect()
}

/// Whether `total = fiat + crypto` and each is the sum of its stacks, in the target's smallest unit.
fn foots(body: &Value, target: &str) -> bool {
    let digits = match target {
        "JPY" => 0,
        "USDC" => 6,
        _ => 2,
    };
    let sum = |is_crypto: bool| -> i64 {
        let stacks =
            body["stacks"].as_array().unwrap().iter().filter(|stack| stack["is_crypto"] == is_crypto);
        stacks.map(|stack| cents(&stack["balance_in_base"], digits)).sum()
    };
    let of = |name: &str| cents(&body[name], digits);
    of("fiat_balance") == sum(false)
        && of("crypto_balance") == sum(true)
        && of("total_balance") == sum(false) + sum(true)
}

/// A small JSON number in units of 10⁻ᵈⁱᵍⁱᵗˢ, exact because it is small.
fn cents(number: &Value, digits: i32) -> i64 {
    let scaled = number.as_f64().unwrap() * 10_f64.powi(digits);
    format!("{scaled:.0}").parse().unwrap()
}
