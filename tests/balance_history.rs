//! The balance as a series: each point is what the balance answers with `as_of`, and costs less.

use crate::entries_questions::{CURRENCIES, Dice, Questions, some_stack};
use crate::harness::{
    ALICE, Answer, App, CUSTODY, account, admin, custody, dataset, id, syncer, wallet, with,
};
use crate::oracle::{ONE, Oracle, OracleEntry, OracleMoment, literal};
use crate::oracle_wire::{CONCURRENCY, CUSTOMERS, DAY, dataset_accounts, domain_time, entry, now};
use futures::stream::{self, StreamExt};
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::balance::{SeriesQuestion, counted_over};
use shared::domain::{self, CustomerId, Interval, Measure, Moments, Zone};
use shared::query::Filter;
use shared::store::measured;
use std::collections::{BTreeMap, BTreeSet};

/// Series that are compared. Each has up to 17 points, and each point costs a request.
const SERIES: usize = 60;
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"];
/// What a point and the balance both say.
const COMPARED: [&str; 7] =
    ["total_balance", "fiat_balance", "crypto_balance", "accounts", "complete", "gaps", "stacks"];

/// The series of Alice's balance in `currency`, with more parameters.
async fn history(app: &App, currency: &str, more: &str) -> Answer {
    app.get(&format!("/v2/accounts/balance/history?customer_id={ALICE}&currency={currency}{more}")).await
}

/// A series' range and interval, and its other parameters, which the balance has too.
fn some_series(dice: &mut Dice, filters: &str) -> (String, String) {
    let (interval, longest) =
        dice.pick(&[("hour", 16), ("day", 16 * 24), ("week", 40 * 24), ("month", 40 * 24)]);
    let to = if dice.hits(3) { now() } else { now() - dice.seconds(30 * 24 * 3_600) };
    // Instants are cut to whole milliseconds by the service.
    let to = to - SignedDuration::from_nanos(i64::from(to.subsec_nanosecond()) % 1_000_000);
    let from = to - SignedDuration::from_hours(1 + i64::try_from(dice.roll(longest)).unwrap());
    let zone = dice.pick(&ZONES);
    let customers = if dice.hits(2) {
        format!("customer_id={}", dice.pick(&CUSTOMERS))
    } else {
        format!("search.customer_id.in={}", CUSTOMERS.join(","))
    };
    let known_at = if dice.hits(2) {
        String::new()
    } else {
        format!("&known_at={}", now() - dice.seconds(40 * 24 * 3_600))
    };
    let more = dice.pick(&["", "&measure=available", "&partial=true", "&partial=true&measure=available"]);
    let target = dice.pick(&CURRENCIES);
    let range = format!("&from={from}&to={to}&interval={interval}&timezone={zone}");
    (range, format!("{customers}&currency={target}&stack=currency&amounts=string{more}{known_at}{filters}"))
}

/// Where the series and the balance at its points differ, if they do.
async fn difference(app: &App, (range, parameters): (String, String)) -> Option<String> {
    let path = format!("/v2/accounts/balance/history?{parameters}{range}");
    let series = app.get_as(admin(), &path).await;
    let body = series.json();
    let at = |at: &Value| format!("/v2/accounts/balance?{parameters}&as_of={}", at.as_str().unwrap());
    if series.status == 422 {
        let answer = app.get_as(admin(), &at(&body["details"]["at"])).await;
        let agrees = answer.status == 422 && answer.json()["details"]["gaps"] == body["details"]["gaps"];
        return (!agrees).then(|| format!("{path}\n  series {series}\n  balance {answer}\n"));
    }
    assert_eq!(series.status, 200, "{path}: {series}");
    for point in body["points"].as_array().unwrap() {
        let answer = app.get_as(admin(), &at(&point["at"])).await;
        let whole = answer.json();
        if answer.status != 200 || COMPARED.iter().any(|field| point.get(field) != whole.get(field)) {
            return Some(format!("{path}\n  point {point}\n  balance {answer}\n"));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn each_point_is_what_the_balance_answers_at_its_instant() {
    let mut dice = Dice(20_261_127);
    let (app, oracle) = some_stack(&mut dice).await;
    let mut questions = Questions::new(Dice(7), oracle);
    let series: Vec<_> = (0..SERIES).map(|_| some_series(&mut dice, &questions.filter().1)).collect();
    let differences =
        stream::iter(series).map(|series| difference(&app, series)).buffer_unordered(CONCURRENCY);
    let differences: Vec<_> = differences.filter_map(async |difference| difference).collect().await;
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences[0]);
}

/// Entries by the minute and by the day, many of them recorded late.
#[tokio::test(flavor = "multi_thread")]
async fn dense_and_sparse_histories_are_answered_as_the_oracle_does() {
    let mut dice = Dice(18);
    let mut entries = BTreeMap::new();
    let mut at = now() - DAY * 20;
    while at < now() - DAY {
        // A stretch of minutes, hours or days.
        let step = dice.pick(&[60, 600, 3_600, 86_400]);
        for _ in 0..1 + dice.roll(40) {
            at += SignedDuration::from_secs(step) + dice.seconds(30);
            let late = if dice.hits(3) { dice.seconds(6 * 24 * 3_600) } else { SignedDuration::ZERO };
            let balance = i128::from(u32::try_from(entries.len()).unwrap()) * ONE;
            let entry = OracleEntry { recorded_at: at + late, ..entry(id(1), at, 0, balance) };
            entries.insert(at, entry);
        }
    }
    entries.retain(|at, _| *at < now() - SignedDuration::from_hours(1));
    let oracle = Oracle { entries: entries.into_values().collect(), sheets: Vec::new() };
    assert!(oracle.entries.len() > 150, "{}", oracle.entries.len());
    let app = App::start(dataset(dataset_accounts(&oracle.entries))).await;
    app.stack.clock().stop_at(domain_time(now()));
    for number in 0..24 {
        let interval = dice.pick(&["hour", "hour", "day"]);
        let to = now() - dice.seconds(18 * 24 * 3_600);
        let from = to - SignedDuration::from_hours(if interval == "hour" { 390 } else { 24 * 30 });
        let known_at = (number % 2 == 0).then(|| now() - dice.seconds(18 * 24 * 3_600));
        let known = known_at.map(|at| format!("&known_at={at}")).unwrap_or_default();
        let range = format!("&interval={interval}&from={from}&to={to}{known}&amounts=string");
        let answer = history(&app, "EUR", &range).await;
        for point in answer.json()["points"].as_array().unwrap_or_else(|| panic!("{answer}")) {
            let as_of: Timestamp = point["at"].as_str().unwrap().parse().unwrap();
            let accounts = oracle.accounts(OracleMoment { as_of, known_at });
            let balance = accounts.first().map_or(0, |account| account.entry.balance);
            assert_eq!(point["total_balance"], json!(literal(balance, "EUR")), "{range} {as_of}");
        }
    }
}

#[tokio::test]
async fn a_series_has_a_point_at_the_end_of_every_interval_and_one_at_its_own_end() {
    let history = json!({"history": [{"balance": "1", "balance_at": "2026-05-30T21:59:59.999Z"}]});
    let app = App::start(dataset(vec![with(account(1, "EUR", "2"), history)])).await;
    let range = "&interval=day&timezone=Europe/Berlin&from=2026-05-29T12:00:00Z&to=2026-06-01T00:00:00Z";
    let answer = self::history(&app, "EUR", range).await;
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert!(!answer.header("x-known-at").is_empty() && !answer.header("etag").is_empty());
    assert_snapshot!(answer, @r#"200 {"currency":"EUR","interval":"day","timezone":"Europe/Berlin","points":[{"at":"2026-05-29T21:59:59.999Z","total_balance":0.00,"fiat_balance":0.00,"crypto_balance":0.00,"accounts":0,"complete":true},{"at":"2026-05-30T21:59:59.999Z","total_balance":1.00,"fiat_balance":1.00,"crypto_balance":0.00,"accounts":1,"complete":true},{"at":"2026-05-31T21:59:59.999Z","total_balance":1.00,"fiat_balance":1.00,"crypto_balance":0.00,"accounts":1,"complete":true},{"at":"2026-06-01T00:00:00.000Z","total_balance":2.00,"fiat_balance":2.00,"crypto_balance":0.00,"accounts":1,"complete":true}]}"#);
    // Without an end the last point is the time of the request, and each point has its stacks.
    app.stack.clock().stop_at(domain::Timestamp::parse("2026-07-01T00:00:00.123456Z").unwrap());
    let range = "&interval=month&from=2026-06-15T00:00:00Z&stack=currency&amounts=string";
    assert_snapshot!(self::history(&app, "EUR", range).await, @r#"200 {"currency":"EUR","interval":"month","timezone":"UTC","points":[{"at":"2026-06-30T23:59:59.999Z","total_balance":"2.00","fiat_balance":"2.00","crypto_balance":"0.00","accounts":1,"complete":true,"stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"2.00","balance_in_base":"2.00"}]},{"at":"2026-07-01T00:00:00.123Z","total_balance":"2.00","fiat_balance":"2.00","crypto_balance":"0.00","accounts":1,"complete":true,"stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"2.00","balance_in_base":"2.00"}]}]}"#);
}

#[tokio::test]
async fn a_question_that_makes_no_series_is_refused_by_name() {
    struct Row {
        name: &'static str,
        parameters: &'static str,
        refused: &'static str,
    }
    let app = App::start(dataset(vec![account(1, "EUR", "2")])).await;
    let rows = [
        Row { name: "no begin", parameters: "&interval=day", refused: "from" },
        Row { name: "no interval", parameters: "&from=2026-01-01T00:00:00Z", refused: "interval" },
        Row {
            name: "another interval",
            parameters: "&interval=year&from=2026-01-01T00:00:00Z",
            refused: "interval",
        },
        Row {
            name: "no zone",
            parameters: "&interval=day&from=2026-06-01T00:00:00Z&timezone=Mars",
            refused: "timezone",
        },
        Row {
            name: "an end that is the begin",
            parameters: "&interval=day&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00.0009Z",
            refused: "to",
        },
        Row {
            name: "an end in the future",
            parameters: "&interval=day&from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00Z",
            refused: "to",
        },
        Row {
            name: "a begin in the future",
            parameters: "&interval=day&from=2126-01-01T00:00:00Z",
            refused: "to",
        },
        Row {
            name: "401 points",
            parameters: "&interval=hour&from=2026-01-01T00:00:00Z&to=2026-01-17T16:30:00Z",
            refused: "interval",
        },
        Row {
            name: "another grouping",
            parameters: "&interval=day&from=2026-06-01T00:00:00Z&stack=issuer",
            refused: "stack",
        },
        Row {
            name: "an instant",
            parameters: "&interval=day&from=2026-06-01T00:00:00Z&as_of=2026-06-01T00:00:00Z",
            refused: "as_of",
        },
    ];
    for Row { name, parameters, refused } in rows {
        let answer = history(&app, "EUR", parameters).await;
        let details = &answer.json()["details"]["parameter"];
        assert_eq!((answer.status.as_u16(), details.as_str()), (400, Some(refused)), "{name}: {answer}");
    }
    let most = "&interval=hour&from=2026-01-01T00:00:00Z&to=2026-01-17T15:59:59.999Z&partial=true";
    assert_eq!(history(&app, "EUR", most).await.json()["points"].as_array().map(Vec::len), Some(400));
    let others = format!("/v2/accounts/balance/history?customer_id={}&currency=EUR", CUSTOMERS[1]);
    assert_eq!(app.get(&format!("{others}&interval=day&from=2026-06-01T00:00:00Z")).await.status, 403);
}

#[tokio::test]
async fn custody_accounts_are_counted_as_each_sync_found_them() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    let registered = app.stack.clock().now();
    let hour = SignedDuration::from_hours(1);
    for (number, vault) in [json!([wallet("BTC", "1", "1")]), json!([wallet("BTC", "3", "2")]), json!([])]
        .into_iter()
        .enumerate()
    {
        app.stack.clock().stop_at(registered.plus(hour * (1 + 2 * i32::try_from(number).unwrap())));
        app.vault(vault).await;
        assert_eq!(app.sync(syncer()).await.status, 200);
    }
    app.stack.clock().stop_at(registered.plus(hour * 7));
    let range =
        |from: SignedDuration| format!("&interval=hour&from={}", registered.plus(from).to_millis_text());
    let answer = history(&app, "BTC", &range(-hour)).await.json();
    assert_eq!(answer["error"], json!("incomplete_balance"), "{answer}");
    assert_eq!(answer["details"]["gaps"], json!([{"reason": "unsynced", "custody_account_id": CUSTODY}]));
    let answer =
        history(&app, "BTC", &format!("{}&partial=true&measure=available&amounts=string", range(-hour)))
            .await
            .json();
    let point =
        |point: &Value| (point["total_balance"].as_str().unwrap().to_owned(), point["complete"] == true);
    let mut shown: Vec<_> = answer["points"].as_array().unwrap().iter().map(point).collect();
    shown.dedup();
    // Of the time before its registration nothing is missing; then it is not synced for an hour.
    let expected = [("0.00", true), ("0.00", false), ("1.00", true), ("2.00", true), ("0.00", true)];
    assert_eq!(shown, expected.map(|(total, complete)| (total.to_owned(), complete)));
}

/// Read units that a series costs beyond the account's own item and the catalogue.
async fn units(app: &App, interval: Interval, from: &str, to: &str) -> u64 {
    let at = |text| domain::Timestamp::parse(text).unwrap();
    let moments = Moments::new(interval.points(&Zone::UTC, at(from), at(to)).unwrap(), None);
    let customers = BTreeSet::from([CustomerId::parse(ALICE).unwrap()]);
    let question = SeriesQuestion {
        customers: &customers,
        filter: &Filter::default(),
        moments: &moments,
        measure: Measure::Balance,
    };
    let store = app.stack.store();
    let (points, usage) = measured(counted_over(&store, question)).await;
    let points = points.unwrap();
    assert!(points.iter().all(|point| point.sums.accounts() > 0), "each point has something to find");
    usage.units().0 - 2
}

/// An account with an entry every so often, from the beginning of 2025 on.
fn changing(number: u32, every: SignedDuration, entries: i32) -> Value {
    let start: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
    let history = (0..entries).map(
        |entry| json!({"balance": format!("{entry}.25"), "balance_at": (start + every * entry).to_string()}),
    );
    with(account(number, "EUR", "2"), json!({"history": history.collect::<Vec<_>>()}))
}

#[tokio::test]
async fn a_history_is_read_by_pages_or_by_seeks_whichever_is_less() {
    struct Row {
        name: &'static str,
        every: SignedDuration,
        entries: i32,
        interval: Interval,
        to: &'static str,
        most_units: u64,
    }
    let rows = [
        Row {
            name: "an entry a day, a point a day: one page",
            every: DAY,
            entries: 365,
            interval: Interval::Day,
            to: "2025-12-31T23:59:59.999Z",
            most_units: 18,
        },
        Row {
            name: "an entry a month, a point a day: one short page",
            every: DAY * 30,
            entries: 12,
            interval: Interval::Day,
            to: "2025-12-31T23:59:59.999Z",
            most_units: 1,
        },
        Row {
            name: "an entry a minute, a point an hour: a short page and a seek for each point",
            every: SignedDuration::from_mins(1),
            entries: 5 * 60,
            interval: Interval::Hour,
            to: "2025-01-01T04:59:59.999Z",
            most_units: 5,
        },
        Row {
            name: "four entries an hour, a point an hour: pages",
            every: SignedDuration::from_mins(15),
            entries: 3 * 24 * 4,
            interval: Interval::Hour,
            to: "2025-01-03T23:59:59.999Z",
            most_units: 4 + 11,
        },
    ];
    for Row { name, every, entries, interval, to, most_units } in rows {
        let app = App::start(dataset(vec![changing(1, every, entries)])).await;
        let units = units(&app, interval, "2025-01-01T00:00:00Z", to).await;
        assert!(units <= most_units, "{name}: {units} of {most_units}");
    }
}
