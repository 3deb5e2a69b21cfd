//! Entries in any order of arrival end in one account, and settled answers stay as they are.

use crate::entries_questions::{Dice, PRICES, some_stack};
use crate::harness::{ALICE, App, admin, id, send, with};
use crate::oracle::{ONE, Oracle, OracleEntry, OracleMoment};
use crate::oracle_wire::{
    CONCURRENCY, CUSTOMERS, DAY, Expectation, MERCHANTS, MILLISECOND, NANOSECOND, balance_text, check,
    detail, domain_time, entry, is_of_merchant, list_expected, list_text, merchant_expected, merchant_path,
    merchant_text, now, post,
};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{Method as RateMethod, Rate, RateSheet, SheetKind, UsdPrice};
use std::collections::BTreeSet;

/// One entry as it arrives, with the labels that it gives.
struct Arrival {
    entry: OracleEntry,
    labels: Value,
}

/// Entries that arrive in every order, and the labels that the account has in the end.
struct ArrivalCase {
    name: &'static str,
    arrivals: Vec<Arrival>,
    labels: Value,
}

/// An entry of so many minutes of the day before, in the version and with the balance of these numbers.
fn arrival(minute: i32, version: u64, balance: i128, labels: Value) -> Arrival {
    let balance_at = now() - DAY + SignedDuration::from_mins(1) * minute;
    Arrival { entry: entry(String::new(), balance_at, version, balance * ONE), labels }
}

/// The arrival, with parts of its entry changed.
fn changed(arrival: Arrival, change: impl FnOnce(&mut OracleEntry)) -> Arrival {
    let mut entry = arrival.entry;
    change(&mut entry);
    Arrival { entry, ..arrival }
}

fn arrival_cases() -> Vec<ArrivalCase> {
    let (organization, merchant) = MERCHANTS[0];
    let of_organization = |entry: &mut OracleEntry| entry.organization = Some(organization.to_owned());
    let of_merchant = |entry: &mut OracleEntry| {
        entry.organization = Some(organization.to_owned());
        entry.merchant = Some(merchant.to_owned());
    };
    let on_network = |entry: &mut OracleEntry| entry.network = Some("polygon".to_owned());
    vec![
        ArrivalCase {
            name: "labels of the older entry stand if the newer gives none",
            arrivals: vec![arrival(1, 0, 10, json!({"iban": "DE1"})), arrival(2, 0, 20, json!({}))],
            labels: json!({"iban": "DE1"}),
        },
        ArrivalCase {
            name: "corrections of one instant, of which the greatest clears the labels",
            arrivals: vec![
                arrival(1, 0, 10, json!({"iban": "DE1", "description": "first"})),
                arrival(1, 9, 11, json!({"iban": "DE9"})),
                arrival(1, 10, 12, json!({"iban": null})),
            ],
            labels: json!({}),
        },
        ArrivalCase {
            name: "scope in parts, the merchant and the network by entries that do not count",
            arrivals: vec![
                changed(arrival(3, 0, 30, json!({})), of_organization),
                changed(arrival(1, 0, 10, json!({"account_number": "1"})), of_merchant),
                changed(arrival(2, 0, 20, json!({"account_number": "2"})), on_network),
            ],
            labels: json!({"account_number": "2"}),
        },
        ArrivalCase {
            name: "states, two versions at two instants, and labels as one group",
            arrivals: vec![
                changed(arrival(1, 0, 10, json!({"address": "0x1", "address_tag": "7"})), |entry| {
                    entry.status = "suspended";
                }),
                changed(arrival(1, 1, -10, json!({})), |entry| entry.active = false),
                changed(arrival(2, 1, 21, json!({"address": "0x2", "description": ""})), |entry| {
                    (entry.status, entry.available) = ("closed", 5 * ONE);
                    of_merchant(entry);
                }),
                changed(arrival(2, 2, 22, json!({})), on_network),
            ],
            labels: json!({"main_wallet_address": "0x2", "main_wallet_address_tag": ""}),
        },
        ArrivalCase {
            name: "nanoseconds apart, the last still ahead of the clock",
            arrivals: vec![
                changed(arrival(1, 999_999_999_999_999_999, 10, json!({"iban": "DE1"})), of_merchant),
                changed(arrival(1, 0, 11, json!({})), |entry| entry.balance_at += NANOSECOND),
                arrival(1, 1, 12, json!({"description": "older version"})),
                changed(arrival(0, 0, 13, json!({"iban": "", "description": "ahead"})), |entry| {
                    entry.balance_at = now() + SignedDuration::from_mins(4);
                }),
            ],
            labels: json!({"description": "ahead"}),
        },
    ]
}

/// Every order of so many things.
fn orders(length: usize) -> Vec<Vec<usize>> {
    let Some(last) = length.checked_sub(1) else { return vec![vec![]] };
    let with_last_at =
        |order: &Vec<usize>, place: usize| [&order[..place], &[last], &order[place..]].concat();
    let places = |order: Vec<usize>| (0..length).map(move |place| with_last_at(&order, place));
    orders(last).into_iter().flat_map(places).collect()
}

/// Sends the entries in this order to a fresh account. An entry is recorded if none before it was greater,
/// else superseded, and a duplicate if it was there.
async fn send_in_order(app: &App, case: &ArrivalCase, account: &str, order: &[usize]) {
    let mut sent = BTreeSet::new();
    for index in order {
        let Arrival { entry, labels } = &case.arrivals[*index];
        let key = (entry.balance_at, entry.version);
        let is_below = sent.last().is_some_and(|greatest| *greatest > key);
        let expected = match (sent.insert(key), is_below) {
            (false, _) => "duplicate",
            (true, true) => "superseded",
            (true, false) => "recorded",
        };
        let entry = OracleEntry { account: account.to_owned(), ..entry.clone() };
        let labelled = with(detail(&entry), labels.clone());
        assert_eq!(post(app, labelled).await, expected, "{}: {order:?} at {index}", case.name);
    }
}

/// The labels in a row of the list.
fn labels_of(row: &Value) -> Value {
    let names = [
        "iban",
        "account_number",
        "main_wallet_address",
        "main_wallet_address_tag",
        "description",
        "external_id",
    ];
    let mut row = row.clone();
    row.as_object_mut().unwrap().retain(|name, _| names.contains(&name.as_str()));
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_arrival_however_often_ends_in_the_same_account() {
    for case in arrival_cases() {
        let app = App::start(json!({})).await;
        app.stack.clock().stop_at(domain_time(now()));
        let once = orders(case.arrivals.len());
        // Every second order is repeated entry by entry, the others once they are complete.
        let twice = once.iter().enumerate().map(|(place, order)| match place % 2 {
            0 => order.iter().flat_map(|index| [*index; 2]).collect(),
            _ => order.repeat(2),
        });
        let arrivals: Vec<Vec<usize>> = once.iter().cloned().chain(twice).collect();
        let accounts: Vec<_> = (1..).map(id).take(arrivals.len()).collect();
        let sent = accounts.iter().zip(&arrivals);
        let sent = stream::iter(sent).map(|(account, order)| send_in_order(&app, &case, account, order));
        sent.buffer_unordered(CONCURRENCY).collect::<()>().await;
        let of = |arrival: &Arrival, account: &String| OracleEntry {
            account: account.clone(),
            ..arrival.entry.clone()
        };
        let of_account = |account| case.arrivals.iter().map(move |arrival| of(arrival, account));
        let entries: Vec<_> = accounts.iter().flat_map(of_account).collect();
        assert_final_state(&app, &case, &Oracle { entries, sheets: vec![] }).await;
    }
}

/// Every account is the oracle's at every instant, now, and once the clock has gone on; and its labels are
/// the case's.
async fn assert_final_state(app: &App, case: &ArrivalCase, oracle: &Oracle) {
    let instants = case.arrivals.iter().map(|arrival| arrival.entry.balance_at);
    let instants = instants.flat_map(|instant| [instant - MILLISECOND, instant, instant + MILLISECOND]);
    let instants: BTreeSet<_> = instants.filter(|instant| *instant <= now()).collect();
    let expected = instants.into_iter().map(Some).chain([None]);
    check(app, expected.flat_map(|as_of| final_expectations(oracle, as_of, now())).collect()).await;
    let later = now() + SignedDuration::from_mins(5);
    app.stack.clock().stop_at(domain_time(later));
    check(app, final_expectations(oracle, None, later).into()).await;
    let path = format!("/v2/accounts?search.customer_id={ALICE}&limit=200");
    let answer = app.get(&path).await.json();
    let shown: Vec<_> = answer["data"].as_array().unwrap().iter().map(labels_of).collect();
    assert!(shown.iter().all(|labels| *labels == case.labels), "{}: {shown:?}", case.name);
    // `created_at` and `updated_at` are of the first and the last entry, in whatever order those came.
    let [first, last] = [BTreeSet::first, BTreeSet::last].map(|end| {
        let instants: BTreeSet<_> = oracle.entries.iter().map(|entry| entry.balance_at).collect();
        format!("{:.3}", end(&instants).unwrap())
    });
    for row in answer["data"].as_array().unwrap() {
        assert_eq!((&row["created_at"], &row["updated_at"]), (&json!(first), &json!(last)), "{}", case.name);
    }
}

fn final_expectations(oracle: &Oracle, as_of: Option<Timestamp>, at: Timestamp) -> [Expectation; 3] {
    let moment = OracleMoment::asked(as_of, None, at);
    let accounts = oracle.accounts(moment);
    let of_merchant: Vec<_> =
        accounts.iter().filter(|account| is_of_merchant(account, MERCHANTS[0])).collect();
    let amounts = accounts.iter().map(|account| (account.entry.currency, account.entry.balance));
    let parameter = |name: &str| as_of.map(|as_of| format!("{name}={as_of}")).unwrap_or_default();
    let (as_of, date) = (parameter("&as_of"), parameter("?date"));
    let balance = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR&stack=currency{as_of}");
    [
        Expectation {
            path: balance,
            text_of: balance_text,
            expected: oracle.balance(amounts, "EUR", moment),
        },
        Expectation {
            path: format!("/v2/accounts?search.customer_id={ALICE}&limit=200{as_of}"),
            text_of: list_text,
            expected: list_expected(&accounts.iter().collect::<Vec<_>>()),
        },
        Expectation {
            path: merchant_path(MERCHANTS[0], &format!("/balances{date}")),
            text_of: merchant_text,
            expected: merchant_expected(&of_merchant, moment.as_of),
        },
    ]
}

/// Every kind of answer that is settled, at several instants.
fn settled_paths(known_at: &str) -> Vec<String> {
    let ago = |days: i32| format!("={:.3}", now() - DAY * days);
    let mut paths = Vec::new();
    for at in [String::new(), format!("={known_at}"), ago(11), ago(21)] {
        let named = |name: &str| if at.is_empty() { String::new() } else { format!("&{name}{at}") };
        let (as_of, date) = (named("as_of"), named("date"));
        for customer in CUSTOMERS {
            let balance = format!("/v2/accounts/balance?customer_id={customer}&partial=true&stack=currency");
            let list = format!("/v2/accounts?search.customer_id={customer}");
            paths.extend([
                format!("{balance}&currency=EUR&details=true{as_of}&known_at={known_at}"),
                format!(
                    "{balance}&currency=BTC&measure=available&search.active=true{as_of}&known_at={known_at}"
                ),
                format!("{list}&limit=200{as_of}&known_at={known_at}"),
                format!("{list}&stack=currency&sort=-balance{as_of}&known_at={known_at}"),
            ]);
        }
        for merchant in MERCHANTS {
            paths.push(merchant_path(merchant, &format!("/balances?known_at={known_at}{date}")));
        }
    }
    paths
}

async fn bodies(app: &App, paths: &[String]) -> Vec<String> {
    let token = app.token(admin());
    let body = async |path: &String| {
        let answer = send(app.request(Method::GET, path).bearer_auth(&token)).await;
        assert_eq!(answer.status, 200, "{path}: {answer}");
        answer.text().to_owned()
    };
    stream::iter(paths).map(body).buffered(CONCURRENCY).collect().await
}

/// A thousand entries of every kind that could disturb an answer of before: new instants, past ones,
/// corrections, new accounts, and scope that no entry has named yet.
fn disturbances(dice: &mut Dice, oracle: &Oracle) -> Vec<OracleEntry> {
    let disturbance = |number: u32| {
        let place = usize::try_from(number).unwrap();
        // The entries of an account stand together; a stride keeps events for one account apart.
        let known = &oracle.entries[place * 37 % oracle.entries.len()];
        let minute = SignedDuration::from_mins(1) * i32::try_from(number).unwrap();
        let nothing = OracleEntry { organization: None, merchant: None, network: None, ..known.clone() };
        let changed = OracleEntry { balance: dice.amount(), version: u64::from(number) + 10, ..nothing };
        let past = OracleEntry { balance_at: now() - DAY * 30 + minute * 17, ..changed.clone() };
        let (organization, merchant) = MERCHANTS[place % 2];
        match number % 5 {
            0 => OracleEntry { balance_at: now() + MILLISECOND * i32::try_from(number).unwrap(), ..changed },
            1 => past,
            2 => changed,
            3 => OracleEntry {
                account: id(1_000 + number),
                organization: Some(organization.to_owned()),
                merchant: Some(merchant.to_owned()),
                ..past
            },
            _ => {
                let of_account = || oracle.entries.iter().filter(|entry| entry.account == known.account);
                let is_free = of_account().all(|entry| entry.organization.is_none());
                let network = of_account().find_map(|entry| entry.network.clone());
                OracleEntry {
                    organization: is_free.then(|| MERCHANTS[0].0.to_owned()),
                    merchant: is_free.then(|| MERCHANTS[0].1.to_owned()),
                    network: Some(network.unwrap_or_else(|| "TRX".to_owned())),
                    ..past
                }
            }
        }
    };
    (0..1_000).map(disturbance).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_answer_is_the_same_bytes_whatever_is_recorded_later() {
    let mut dice = Dice(61);
    let (app, oracle) = some_stack(&mut dice).await;
    let known_at = app.balance("EUR", "&partial=true").await.header("x-known-at").to_owned();
    assert_eq!(known_at, format!("{:.3}", now()));
    let settled = now() + SignedDuration::from_secs(61);
    app.stack.clock().stop_at(domain_time(settled));
    let paths = settled_paths(&known_at);
    let before = bodies(&app, &paths).await;
    let outcomes = stream::iter(disturbances(&mut dice, &oracle)).map(async |entry| {
        let mut detail = detail(&entry);
        detail["version"] = json!(entry.version.to_string());
        post(&app, detail).await
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(CONCURRENCY).collect().await;
    assert!(outcomes.iter().all(|outcome| outcome != "duplicate"));
    for days in [11, 20] {
        let observed_at = domain_time(now() - DAY * days + MILLISECOND);
        let rate = |code: &str| {
            let usd = UsdPrice::parse("3").unwrap();
            let rate = Rate { usd, source: "late".to_owned(), method: RateMethod::Market, observed_at };
            (code.to_owned(), rate)
        };
        let entries = PRICES.iter().map(|(code, _)| rate(code)).collect();
        let sheet =
            RateSheet { kind: SheetKind::Complete, observed_at, recorded_at: domain_time(settled), entries };
        app.stack.store().put_sheet(&sheet).await.unwrap();
    }
    for (path, (before, after)) in paths.iter().zip(before.iter().zip(bodies(&app, &paths).await)) {
        assert_eq!(*before, after, "{path}");
    }
    // With what is known now, every one of these answers is another.
    let known_now: Vec<_> =
        paths.iter().map(|path| path.replace(&known_at, &format!("{settled:.3}"))).collect();
    for (path, (before, after)) in known_now.iter().zip(before.iter().zip(bodies(&app, &known_now).await)) {
        assert_ne!(*before, after, "{path}");
    }
}
