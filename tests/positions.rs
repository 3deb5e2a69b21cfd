//! The whole book: a position is the sum over all accounts as of an instant, known at an instant, whoever
//! makes it and whatever is written meanwhile.

use crate::entries_questions::{Dice, some_stack};
use crate::harness::{
    ALICE, Answer, App, BOB, CUSTODY, account, admin, custody, dataset, id, send, sheet, syncer, wallet, with,
};
use crate::oracle::{Oracle, OracleFilter, OracleMoment, is_crypto, literal};
use crate::oracle_wire::{DAY, entry, now, update};
use crate::store_proxy::{Passage, StoreProxy};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use book_positions::{Event, Job};
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use shared::config::{BookConfig, StoreConfig, Table};
use shared::domain::{CustomerId, Zone};
use shared::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Positions that are compared, and questions to each.
const POSITIONS: usize = 25;
const QUESTIONS: usize = 12;
/// More than a page of the accounts table.
const MANY_ACCOUNTS: usize = 2_300;
/// Of a run's calls to the store every so many are its last.
const KILLED_EVERY: usize = 19;

/// A caller who reads the book and nothing else.
fn reader() -> Value {
    json!({"sub": "treasury", "permissions": ["PermReadBook"]})
}

async fn make(app: &App, event: Value) -> Answer {
    send(app.request(Method::POST, "/_local/schedules/book-positions").body(event.to_string())).await
}

async fn position(app: &App, query: &str) -> Answer {
    app.get_as(reader(), &format!("/v2/positions?currency=EUR&amounts=string{query}")).await
}

/// The oracle's sums by currency: how many accounts, their balances and the negative ones among them.
fn expected(oracle: &Oracle, moment: OracleMoment, filter: &OracleFilter) -> String {
    let mut sums = BTreeMap::<&str, (u64, i128, i128)>::new();
    let accounts = oracle.accounts(moment).into_iter();
    for account in accounts.filter(|account| filter.admits(account.entry, account.entry.balance)) {
        let (count, sum, overdrawn) = sums.entry(account.entry.currency).or_default();
        *count += 1;
        *sum += account.entry.balance;
        *overdrawn += account.entry.balance.min(0);
    }
    let mut text = String::new();
    for (currency, (count, sum, overdrawn)) in sums {
        let (sum, overdrawn) = (literal(sum, currency), literal(overdrawn, currency));
        writeln!(text, "{currency} {} {count} {sum} {overdrawn}", is_crypto(currency)).unwrap();
    }
    text
}

/// The same of an answer with `stack=currency`.
fn answered(answer: &Answer) -> String {
    let mut text = String::new();
    for stack in answer.json()["stacks"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        let [currency, balance, overdrawn] =
            ["currency", "balance", "overdrawn"].map(|field| stack[field].as_str().unwrap().to_owned());
        writeln!(text, "{currency} {} {} {balance} {overdrawn}", stack["is_crypto"], stack["accounts"])
            .unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_the_oracles_sum_over_all_entries() {
    let mut dice = Dice(61_127);
    let (app, oracle) = some_stack(&mut dice).await;
    for _ in 0..POSITIONS {
        let as_of = now() - dice.seconds(35 * 24 * 3_600);
        let known_at = now() - SignedDuration::from_mins(1) - dice.seconds(35 * 24 * 3_600);
        let made = make(&app, json!({"as_of": as_of.to_string(), "known_at": known_at.to_string()})).await;
        assert_eq!(made.status, 200, "{made}");
        let moment = OracleMoment { as_of, known_at: Some(known_at) };
        let accounts = oracle.accounts(moment).len();
        assert_eq!(made.json()["accounts"], json!(accounts), "{as_of} {known_at}");
        for _ in 0..QUESTIONS {
            let (mut query, mut filter) = (String::new(), OracleFilter::default());
            if dice.hits(3) {
                let status = dice.pick(&["active", "inactive", "suspended", "closed"]);
                write!(query, "&search.status={status}").unwrap();
                filter.status = Some(status);
            }
            if dice.hits(3) {
                let active = dice.hits(2);
                write!(query, "&search.active={active}").unwrap();
                filter.active = Some(active);
            }
            if dice.hits(4) {
                let is_crypto = dice.hits(2);
                write!(query, "&search.is_crypto={is_crypto}").unwrap();
                filter.is_crypto = Some(is_crypto);
            }
            let at = format!("&stack=currency&as_of={as_of}&known_at={known_at}{query}");
            let answer = position(&app, &at).await;
            let expected = expected(&oracle, moment, &filter);
            assert_eq!(answered(&answer), expected, "{at}");
        }
    }
}

#[tokio::test]
async fn a_position_is_converted_and_grouped_and_says_what_it_lacks() {
    let network = |name: &str| json!({"network": name});
    let over = json!({
        "accounts": [
            with(account(1, "EUR", "-10.50"), json!({"status": "suspended"})),
            with(account(2, "EUR", "30.25"), json!({"customer_id": BOB})),
            with(account(3, "USDT", "12.5"), network("ethereum")),
            with(account(4, "SOL", "2"), network("solana")),
        ],
        "house_customer_ids": [BOB], "book_time_zone": "Europe/Berlin",
    });
    let app =
        App::start(custody(json!([wallet("BTC", "1", "1"), wallet("NEWCOIN_ETH", "3", "3")]), over)).await;
    let none = position(&app, "").await;
    assert_snapshot!(none, @r#"404 {"error":"position_not_found","message":"No position of the book has been made of that time or before.","details":{"request_id":"…"}}"#);
    assert_eq!(app.sync(syncer()).await.status, 200);
    app.stack.clock().set(app.stack.clock().now().plus(SignedDuration::from_mins(5)));
    let as_of = app.stack.clock().now().minus(SignedDuration::from_mins(2)).to_millis_text();
    let made = make(&app, json!({"as_of": as_of})).await.json();
    assert_eq!((&made["accounts"], &made["complete"]), (&json!(5), &json!(true)), "{made}");
    let shown = |answer: Answer| answer.text().split_once("\"accounts\"").unwrap().1.to_owned();
    assert_snapshot!(shown(position(&app, "&stack=currency").await), @r#":5,"total_balance":"85471.17","fiat_balance":"19.75","crypto_balance":"85451.42","overdrawn":"-10.50","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"2.00"}],"stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"1.00","balance_in_base":"85440.41","overdrawn":"0.00"},{"currency":"EUR","is_crypto":false,"accounts":2,"balance":"19.75","balance_in_base":"19.75","overdrawn":"-10.50"},{"currency":"SOL","is_crypto":true,"accounts":1,"balance":"2.00","balance_in_base":null,"overdrawn":"0.00"},{"currency":"USDT","is_crypto":true,"accounts":1,"balance":"12.50","balance_in_base":"11.01","overdrawn":"0.00"}],"rates":[{"currency":"BTC","usd":"97000.5","rate":"85440.41222584338941249009072","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"EUR","usd":"1.1353","rate":"1","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDT","usd":"1.0001","rate":"0.880912534131947502862679468","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":"0.0001"}]}"#);
    assert_snapshot!(shown(position(&app, "&stack=house").await), @r#":5,"total_balance":"85471.17","fiat_balance":"19.75","crypto_balance":"85451.42","overdrawn":"-10.50","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"2.00"}],"rounding":"0.00","stacks":[{"house":false,"accounts":4,"balance_in_base":"85440.92","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"1.00","balance_in_base":"85440.41"},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"-10.50","balance_in_base":"-10.50"},{"currency":"SOL","is_crypto":true,"accounts":1,"balance":"2.00","balance_in_base":null},{"currency":"USDT","is_crypto":true,"accounts":1,"balance":"12.50","balance_in_base":"11.01"}]},{"house":true,"accounts":1,"balance_in_base":"30.25","stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"30.25","balance_in_base":"30.25"}]}],"rates":[{"currency":"BTC","usd":"97000.5","rate":"85440.41222584338941249009072","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"EUR","usd":"1.1353","rate":"1","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDT","usd":"1.0001","rate":"0.880912534131947502862679468","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":"0.0001"}]}"#);
    assert_snapshot!(shown(position(&app, "&stack=provider&search.is_crypto=true").await), @r#":3,"total_balance":"85451.42","fiat_balance":"0.00","crypto_balance":"85451.42","overdrawn":"0.00","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"2.00"}],"rounding":"0.00","stacks":[{"provider":"fireblocks","accounts":1,"balance_in_base":"85440.41","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"1.00","balance_in_base":"85440.41"}]},{"provider":null,"accounts":2,"balance_in_base":"11.01","stacks":[{"currency":"SOL","is_crypto":true,"accounts":1,"balance":"2.00","balance_in_base":null},{"currency":"USDT","is_crypto":true,"accounts":1,"balance":"12.50","balance_in_base":"11.01"}]}],"rates":[{"currency":"BTC","usd":"97000.5","rate":"85440.41222584338941249009072","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"EUR","usd":"1.1353","rate":"1","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDT","usd":"1.0001","rate":"0.880912534131947502862679468","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":"0.0001"}]}"#);
    assert_snapshot!(shown(position(&app, "&stack=peg&search.house=false&measure=available").await), @r#":4,"total_balance":"85440.92","fiat_balance":"-10.50","crypto_balance":"85451.42","overdrawn":"-10.50","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"2.00"}],"rounding":"0.00","stacks":[{"peg":"USD","accounts":1,"balance_in_base":"11.01","stacks":[{"currency":"USDT","is_crypto":true,"accounts":1,"balance":"12.50","balance_in_base":"11.01"}]},{"peg":null,"accounts":3,"balance_in_base":"85429.91","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"1.00","balance_in_base":"85440.41"},{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"-10.50","balance_in_base":"-10.50"},{"currency":"SOL","is_crypto":true,"accounts":1,"balance":"2.00","balance_in_base":null}]}],"rates":[{"currency":"BTC","usd":"97000.5","rate":"85440.41222584338941249009072","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"EUR","usd":"1.1353","rate":"1","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"USDT","usd":"1.0001","rate":"0.880912534131947502862679468","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z","peg_deviation":"0.0001"}]}"#);
    assert_snapshot!(shown(position(&app, "&stack=status&search.currency=EUR").await), @r#":2,"total_balance":"19.75","fiat_balance":"19.75","crypto_balance":"0.00","overdrawn":"-10.50","complete":true,"rounding":"0.00","stacks":[{"status":"active","accounts":1,"balance_in_base":"30.25","stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"30.25","balance_in_base":"30.25"}]},{"status":"suspended","accounts":1,"balance_in_base":"-10.50","stacks":[{"currency":"EUR","is_crypto":false,"accounts":1,"balance":"-10.50","balance_in_base":"-10.50"}]}],"rates":[]}"#);
    assert_snapshot!(shown(position(&app, "&stack=network&search.provider=fireblocks").await), @r#":1,"total_balance":"85440.41","fiat_balance":"0.00","crypto_balance":"85440.41","overdrawn":"0.00","complete":true,"rounding":"0.00","stacks":[{"network":"BTC","accounts":1,"balance_in_base":"85440.41","stacks":[{"currency":"BTC","is_crypto":true,"accounts":1,"balance":"1.00","balance_in_base":"85440.41"}]}],"rates":[{"currency":"BTC","usd":"97000.5","rate":"85440.41222584338941249009072","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"},{"currency":"EUR","usd":"1.1353","rate":"1","source":"test","method":"market","observed_at":"2026-06-01T00:00:00.000Z"}]}"#);
    assert_snapshot!(shown(position(&app, "&search.network=solana").await), @r#":1,"total_balance":"0.00","fiat_balance":"0.00","crypto_balance":"0.00","overdrawn":"0.00","complete":false,"gaps":[{"reason":"unpriced","currency":"SOL","balance":"2.00"}],"rates":[]}"#);
}

#[tokio::test]
async fn custody_gaps_belong_to_the_position_of_their_time() {
    let over = json!({"accounts": [account(1, "EUR", "5")]});
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), over)).await;
    app.stack.clock().set(app.stack.clock().now().plus(SignedDuration::from_mins(5)));
    let as_of = app.stack.clock().now().minus(SignedDuration::from_mins(2)).to_millis_text();
    let made = make(&app, json!({"as_of": as_of})).await.json();
    assert_eq!((&made["accounts"], &made["complete"]), (&json!(1), &json!(false)), "{made}");
    let unsynced = json!([{"reason": "unsynced", "custody_account_id": CUSTODY}]);
    for (query, is_missing) in [
        ("", true),
        ("&search.is_crypto=false", false),
        ("&search.currency=BTC", true),
        ("&search.currency=SOL", false),
        ("&search.status=closed", false),
        ("&search.active=false", false),
        ("&search.house=true", false),
        ("&search.provider=bitgo", false),
    ] {
        let answer = position(&app, query).await.json();
        let expected = if is_missing { unsynced.clone() } else { Value::Null };
        assert_eq!(
            (&answer["gaps"], &answer["complete"]),
            (&expected, &json!(!is_missing)),
            "{query}: {answer}"
        );
    }
}

#[tokio::test]
async fn sums_of_the_book_may_be_longer_than_any_amount() {
    let large = "900000000000000000.123456789012345678";
    let accounts = (1..=3).map(|number| account(number, "EUR", large)).collect();
    let app = App::start(dataset(accounts)).await;
    make(&app, json!({"as_of": "2026-06-02T00:00:00Z"})).await;
    let answer = position(&app, "&stack=currency").await.json();
    assert_eq!(answer["stacks"][0]["balance"], json!("2700000000000000000.370370367037037034"), "{answer}");
    assert_eq!(answer["total_balance"], json!("2700000000000000000.37"), "{answer}");
}

#[tokio::test]
async fn the_book_is_for_those_who_may_read_it() {
    let app = App::start(dataset(vec![account(1, "EUR", "5")])).await;
    make(&app, json!({"as_of": "2026-06-02T00:00:00Z"})).await;
    let history = "/v2/positions/history?currency=EUR&interval=day&from=2026-06-01T00:00:00Z";
    for path in ["/v2/positions?currency=EUR", history] {
        assert_eq!(app.get_as(reader(), path).await.status, 200, "{path}");
        assert_eq!(app.get_as(admin(), path).await.status, 200, "{path}");
        assert_eq!(app.get(path).await.status, 403, "{path}");
        let answer = app.get_as(reader(), &format!("{path}&search.iban=x")).await.json();
        assert_eq!(answer["details"]["parameter"], json!("search.iban"));
    }
    let accounts =
        app.get_as(reader(), &format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR")).await;
    assert_eq!(accounts.status, 403);
    for (event, refused) in [
        (json!({"as_of": "2126-01-01T00:00:00Z"}), true),
        (json!({"as_of": "yesterday"}), true),
        (json!({"known_at": "2026-06-02T00:00:00Z"}), true),
        (json!({"at": "2026-06-02T00:00:00Z"}), true),
        (json!({"as_of": "2026-06-02T00:00:00Z", "known_at": "2026-06-03T00:00:00Z"}), false),
    ] {
        assert_eq!(make(&app, event.clone()).await.status == 400, refused, "{event}");
    }
    // The whole range of the history is one of 400 points at most.
    let long = "/v2/positions/history?currency=EUR&interval=day&from=2020-01-01T00:00:00Z";
    assert_eq!(app.get_as(reader(), long).await.json()["details"]["parameter"], json!("interval"));
    let hourly = "/v2/positions/history?currency=EUR&interval=hour&from=2026-06-01T00:00:00Z";
    assert_eq!(app.get_as(reader(), hourly).await.json()["details"]["parameter"], json!("interval"));
}

#[tokio::test]
async fn each_days_end_is_closed_once_and_a_close_can_be_made_again_with_later_knowledge() {
    let over = json!({
        "accounts": [account(1, "EUR", "5")], "book_time_zone": "America/New_York",
        "rates_never_expire": true, "rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("EUR", "1.1")])],
    });
    let app = App::start(over).await;
    let start: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
    let close = "2026-07-01T03:59:59.999Z";
    for day in 0..10 {
        app.stack.clock().stop_at(crate::oracle_wire::domain_time(start + DAY * day));
        let late =
            entry(id(1), start + DAY * day - SignedDuration::from_hours(12), 0, 1_000 * crate::oracle::ONE);
        let late = crate::oracle::OracleEntry { balance: late.balance * i128::from(day + 1), ..late };
        app.stack.store().record(&update(&late, None)).await.unwrap();
        let made = make(&app, json!({})).await.json();
        assert_eq!(made["accounts"], json!(1), "{made}");
        assert_eq!(make(&app, json!({})).await.text(), "{}", "nothing is missing any more");
    }
    assert_eq!(position(&app, &format!("&as_of={close}")).await.json()["total_balance"], json!("5.00"));
    // What was recorded after the close is in it once it is made again; the old one stays.
    let again = make(&app, json!({"as_of": close})).await.json();
    assert_eq!(again["position_at"], json!(close));
    let newest = position(&app, &format!("&as_of={close}")).await.json();
    assert_eq!((&newest["total_balance"], &newest["known_at"]), (&json!("1000.00"), &again["known_at"]));
    let old = position(&app, &format!("&as_of={close}&known_at=2026-07-01T04:00:59.999Z")).await.json();
    assert_eq!(old["total_balance"], json!("5.00"));
    // The series shows the newest knowledge of each, and every point is the position at its close.
    for (interval, points) in [("day", 10), ("week", 2), ("month", 2)] {
        let path = "/v2/positions/history?currency=USD&amounts=string&stack=issuer&from=2026-06-20T00:00:00Z";
        let series = app.get_as(reader(), &format!("{path}&interval={interval}")).await.json();
        let series = series["points"].as_array().unwrap();
        assert_eq!(series.len(), points, "{interval}: {series:?}");
        for point in series {
            let at = point["at"].as_str().unwrap();
            let path = format!("/v2/positions?currency=USD&amounts=string&stack=issuer&as_of={at}");
            let whole = app.get_as(reader(), &path).await.json();
            for (field, value) in point.as_object().unwrap() {
                assert_eq!(whole[if field == "at" { "position_at" } else { field.as_str() }], *value, "{at}");
            }
        }
    }
}

/// A stack of more accounts than one page of the table has: copies of one account that was recorded.
async fn large_stack() -> App {
    let app = App::start(dataset(vec![account(1, "EUR", "2.5")])).await;
    let store = app.stack.store();
    let client = store.client();
    let table = Table::Accounts.logical_id();
    let item = client.scan().table_name(table).send().await.unwrap().items()[0].clone();
    let copies: Vec<WriteRequest> = (2..=MANY_ACCOUNTS)
        .map(|number| {
            let mut item = item.clone();
            let customer = format!("0c000000-0000-4000-8000-{:012}", number % 100);
            let account = format!("00000000-0000-4000-8000-{number:012}");
            item.insert("customer_id".to_owned(), AttributeValue::S(customer));
            item.insert("account_id".to_owned(), AttributeValue::S(account));
            WriteRequest::builder()
                .put_request(PutRequest::builder().set_item(Some(item)).build().unwrap())
                .build()
        })
        .collect();
    for batch in copies.chunks(25) {
        client.batch_write_item().request_items(table, batch.to_vec()).send().await.unwrap();
    }
    app
}

fn job(app: &App, store: &StoreConfig) -> Job {
    let config = BookConfig {
        house_customers: BTreeSet::from([CustomerId::parse(BOB).unwrap()]),
        zone: Zone::UTC,
        position_minutes: None,
        read_units_per_second: 1_000_000,
    };
    Job::new(store, config, shared::domain::AgeLimits::NONE, app.stack.clock().clone())
}

fn event(as_of: &str) -> Event {
    let known_at = Some("2026-06-03T00:00:00Z".to_owned());
    Event { as_of: Some(as_of.to_owned()), known_at }
}

/// Starts a run whose process ends before its `n`th call to the store; whether it came so far.
async fn killed(app: &App, as_of: &str, n: usize) -> bool {
    let (count, there) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let reached = Arc::clone(&there);
    let (_, config) = StoreProxy::start(app, move |_| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 < n {
            return Passage::Answered;
        }
        reached.notify_one();
        Passage::Held
    })
    .await;
    let job = job(app, &config);
    tokio::select! {
        () = there.notified() => true,
        outcome = job.run(event(as_of), app.stack.clock().now(), None) => {
            outcome.unwrap();
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_call_a_run_leaves_nothing_half_made_and_later_ones_go_on() {
    let app = large_stack().await;
    let (mut n, mut killed_runs) = (1, 0);
    loop {
        let as_of = format!("2026-06-02T00:00:{:02}.{:03}Z", n / 1_000, n % 1_000);
        let was_killed = killed(&app, &as_of, n).await;
        let before = position(&app, &format!("&as_of={as_of}")).await;
        let is_there = before.status == 200 && before.json()["position_at"] == json!(as_of);
        // Claims of the killed run end; a scheduled run goes on with what is under way.
        let later = app.stack.clock().now().plus(SignedDuration::from_secs(120));
        app.stack.clock().stop_at(later);
        let answer = job(&app, &app.stack.config().store).run(event(&as_of), later, None).await.unwrap();
        let made = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            (&made["accounts"], &made["position_at"]),
            (&json!(MANY_ACCOUNTS), &json!(as_of)),
            "call {n}"
        );
        let whole = position(&app, &format!("&as_of={as_of}&search.status=active")).await.json();
        assert_eq!(whole["total_balance"], json!("5750.00"), "call {n}");
        if is_there {
            assert_eq!(before.json()["accounts"], json!(MANY_ACCOUNTS), "call {n}");
        }
        if !was_killed {
            break;
        }
        killed_runs += 1;
        n += KILLED_EVERY;
    }
    assert!(killed_runs > 10, "{killed_runs}");
    assert!(app.stack.store().positions_under_way().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_make_one_position_and_a_short_one_is_gone_on_with() {
    let app = large_stack().await;
    let (now, store) = (app.stack.clock().now(), &app.stack.config().store);
    let as_of = "2026-06-02T00:00:00.000Z";
    // A run without time begins the work and keeps it.
    let short = job(&app, store).run(event(as_of), now, Some(Instant::now())).await.unwrap();
    assert_eq!(serde_json::to_value(&short).unwrap()["parts_left"], json!(64));
    assert_eq!(app.stack.store().positions_under_way().await.unwrap().len(), 1);
    let jobs = [job(&app, store), job(&app, store)];
    let runs = jobs.iter().map(|job| job.run(event(as_of), now, None));
    let answers = futures::future::try_join_all(runs).await.unwrap();
    let answers: Vec<Value> = answers.iter().map(|answer| serde_json::to_value(answer).unwrap()).collect();
    // Whoever comes first may leave parts to the other.
    assert!(answers.iter().any(|answer| answer["accounts"] == json!(MANY_ACCOUNTS)), "{answers:?}");
    let again = job(&app, store).run(event(as_of), now, None).await.unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap()["accounts"], json!(MANY_ACCOUNTS));
    let table = Table::Positions.logical_id();
    let store = app.stack.store();
    let items = store.client().scan().table_name(table).send().await.unwrap();
    let of =
        |series: &str| items.items().iter().filter(|item| item["series"].as_s().unwrap() == series).count();
    assert_eq!((of("close"), of("interim"), of("cube"), of("work")), (0, 1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_writers_record_a_position_is_what_was_known() {
    let accounts = (1..=8).map(|number| account(number, "EUR", "100")).collect();
    let app = App::start(dataset(accounts)).await;
    let known_at = app.stack.clock().now();
    app.stack.clock().set(known_at.plus(SignedDuration::from_mins(2)));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers = (1..=8_u32).map(|number| {
        let (store, stop) =
            (Store::new(&app.stack.config().store, app.stack.clock().clone()), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut recorded = 0;
            while !stop.load(Ordering::Relaxed) {
                recorded += 1;
                let at: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
                let past = entry(id(number), at + SignedDuration::from_secs(recorded), 0, 7);
                store.record(&update(&past, None)).await.unwrap();
            }
            recorded
        })
    });
    let writers: Vec<_> = writers.collect();
    for number in 0..12 {
        let as_of = format!("2026-06-01T00:00:{:02}.000Z", number + 1);
        let event = json!({"as_of": as_of, "known_at": known_at.to_millis_text()});
        assert_eq!(make(&app, event).await.json()["accounts"], json!(8));
        let answer = position(&app, &format!("&as_of={as_of}")).await.json();
        assert_eq!(answer["total_balance"], json!("800.00"), "{answer}");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(tokio::time::timeout(Duration::from_secs(20), writer).await.unwrap().unwrap() > 3);
    }
    // Known now, the entries of the writers count.
    app.stack.clock().set(app.stack.clock().now().plus(SignedDuration::from_mins(5)));
    make(&app, json!({"as_of": "2026-06-01T12:00:00Z"})).await;
    assert_eq!(position(&app, "&as_of=2026-06-01T12:00:00Z").await.json()["total_balance"], json!("0.00"));
}
