//! The rate feed: which quote of several is believed, when none is, and what the next request sees.

use crate::harness::{ALICE, App, account, dataset, send, sheet, with};
use aws_sdk_dynamodb::types::AttributeValue;
use insta::assert_snapshot;
use jiff::SignedDuration;
use rates_sync::Job;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{AgeLimits, Asset, Factor, Quote, QuoteBook, RateSheet, SourceName, Timestamp, UsdPrice};
use shared::rates::{Answer, Answers, Composition, Rules, SourceError, compose};
use std::fmt::Write;

const RULES: Rules = Rules { limits: AgeLimits::STANDARD, jump_factor: Factor::TWO };

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Minutes after a Thursday's noon.
fn minute(minutes: i64) -> Timestamp {
    at("2026-09-24T12:00:00Z").plus(SignedDuration::from_mins(minutes))
}

/// What sources say in one run: `source asset price [minutes of age]`, or `source down`. A source that is not named says nothing.
fn said(now: Timestamp, lines: &[&str]) -> Answers {
    let mut answers: Answers = SourceName::ALL.into_iter().map(|source| (source, Ok(Answer::default()))).collect();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let source = SourceName::parse(words[0]).unwrap();
        if words[1] == "down" {
            answers.insert(source, Err(SourceError::Unavailable("down".to_owned())));
            continue;
        }
        let age = words.get(3).map_or(0, |minutes| minutes.parse().unwrap());
        let quote = Quote { usd: UsdPrice::parse(words[2]).unwrap(), observed_at: now.minus(SignedDuration::from_mins(age)) };
        answers.get_mut(&source).unwrap().as_mut().unwrap().quotes.insert(Asset::parse(words[1]).unwrap(), quote);
    }
    answers
}

/// Runs one after another, each built on the one before.
struct Feed {
    book: QuoteBook,
    last: Option<RateSheet>,
}

impl Feed {
    fn new() -> Self {
        Self { book: QuoteBook::default(), last: None }
    }

    fn run(&mut self, minutes: i64, lines: &[&str]) -> Composition {
        let now = minute(minutes);
        let run = compose(self.book.clone(), self.last.as_ref(), &said(now, lines), now, RULES);
        (self.book, self.last) = (run.book.clone(), Some(run.sheet.clone()));
        run
    }

    /// `price source age`, or `unpriced`, after each run.
    fn follow(code: &str, runs: &[(i64, &[&str])]) -> String {
        let (mut feed, asset) = (Self::new(), Asset::parse(code).unwrap());
        let seen = runs.iter().map(|(minutes, lines)| {
            let run = feed.run(*minutes, lines);
            run.sheet.entries.get(&asset).map_or_else(
                || "unpriced".to_owned(),
                |rate| format!("{} {} {}", rate.usd, rate.source, rate.observed_at.age_at(minute(*minutes)).as_mins()),
            )
        });
        seen.collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn the_first_source_in_precedence_prices_while_it_is_young_enough() {
    let day = 24 * 60;
    type Row<'a> = (&'a str, &'a str, &'a [(i64, &'a [&'a str])], &'a str);
    let rows: &[Row<'_>] = &[
        ("money", "GBP", &[(0, &["ecb GBP 1.33", "coinbase GBP 1.34"])], "1.33 ecb 0"),
        ("money the bank leaves out", "ARS", &[(0, &["ecb GBP 1.33", "coinbase ARS 0.0007"])], "0.0007 coinbase 0"),
        ("a token", "EURC", &[(0, &["coinbase EURC 1.13", "coingecko EURC 1.14"])], "1.14 coingecko 0"),
        ("a token nobody indexes", "EURC", &[(0, &["coinbase EURC 1.13"])], "1.13 coinbase 0"),
        ("a token whose price is old", "EURC", &[(0, &["coinbase EURC 1.13", "coingecko EURC 1.14 61"])], "1.13 coinbase 0"),
        ("a major", "BTC", &[(0, &["coinbase BTC 100000", "coingecko BTC 100100"])], "100000 coinbase 0"),
        ("a dollar token is a major", "USDC", &[(0, &["coinbase USDC 1.001", "coingecko USDC 0.999"])], "1.001 coinbase 0"),
        (
            "a failed source stands by its word until it is too old",
            "BTC",
            &[
                (0, &["coinbase BTC 100000", "coingecko BTC 100001"]),
                (30, &["coinbase down", "coingecko BTC 100002"]),
                (60, &["coinbase down", "coingecko BTC 100003"]),
                (61, &["coinbase down", "coingecko BTC 100004"]),
                (66, &["coinbase BTC 100005", "coingecko down"]),
            ],
            "100000 coinbase 0, 100000 coinbase 30, 100000 coinbase 60, 100004 coingecko 0, 100005 coinbase 0",
        ),
        (
            "a source that no longer names an asset stands by its word as well",
            "BTC",
            &[
                (0, &["coinbase BTC 100000", "coingecko BTC 100001"]),
                (5, &["coinbase ETH 1", "coingecko down"]),
                (61, &["coinbase ETH 1", "coingecko BTC 100002"]),
            ],
            "100000 coinbase 0, 100000 coinbase 5, 100002 coingecko 0",
        ),
        (
            "a weekend is bridged, a long one by the exchange",
            "EUR",
            &[
                (0, &["ecb EUR 1.13", "coinbase EUR 1.131"]),
                (4 * day, &["ecb EUR 1.13 5760", "coinbase EUR 1.132"]),
                (4 * day + 1, &["ecb EUR 1.13 5761", "coinbase EUR 1.133"]),
            ],
            "1.13 ecb 0, 1.13 ecb 5760, 1.133 coinbase 0",
        ),
        (
            "nobody speaks any more",
            "BTC",
            &[(0, &["coinbase BTC 100000"]), (61, &["coinbase down"])],
            "100000 coinbase 0, unpriced",
        ),
        ("par in dollars", "eUSD", &[(0, &[])], "1 par 0"),
        ("par in euro", "EURSM", &[(0, &["ecb EUR 1.13 60"])], "1.13 par 0"),
        ("par without a rate of the euro", "EURSM", &[(0, &["coinbase BTC 1"])], "unpriced"),
        ("never par", "EURR", &[(0, &["ecb EUR 1.13"])], "unpriced"),
        ("no par of what is traded", "EURC", &[(0, &["ecb EUR 1.13"])], "unpriced"),
    ];
    for (name, code, runs, expected) in rows {
        assert_eq!(Feed::follow(code, runs), *expected, "{name}");
    }
}

#[test]
fn a_jump_prices_nothing_until_a_second_word_agrees() {
    type Row<'a> = (&'a str, &'a str, &'a [(i64, &'a [&'a str])], &'a str);
    let rows: &[Row<'_>] = &[
        (
            "twice is no jump",
            "ETH",
            &[(0, &["coinbase ETH 1000"]), (5, &["coinbase ETH 2000"])],
            "1000 coinbase 0, 2000 coinbase 0",
        ),
        (
            "a real depeg is followed within two runs",
            "EURR",
            &[
                (0, &["ecb EUR 1.13", "coingecko EURR 1.12"]),
                (5, &["ecb EUR 1.13", "coingecko EURR 0.4"]),
                (10, &["ecb EUR 1.13", "coingecko EURR 0.37"]),
                (15, &["ecb EUR 1.13", "coingecko EURR 0.36"]),
            ],
            "1.12 coingecko 0, unpriced, 0.37 coingecko 0, 0.36 coingecko 0",
        ),
        (
            "at once if a second source sees it too",
            "USDC",
            &[(0, &["coinbase USDC 1"]), (5, &["coinbase USDC 0.4", "coingecko USDC 0.43"])],
            "1 coinbase 0, 0.4 coinbase 0",
        ),
        (
            "a poisoned tick never prices",
            "USDC",
            &[
                (0, &["coinbase USDC 1"]),
                (5, &["coinbase USDC 100"]),
                (10, &["coinbase USDC 1.01"]),
                (15, &["coinbase USDC 100"]),
            ],
            "1 coinbase 0, unpriced, 1.01 coinbase 0, unpriced",
        ),
        (
            "nor does another source that stands by the old price: two that differ so are both doubted",
            "BTC",
            &[(0, &["coinbase BTC 100000"]), (5, &["coinbase BTC 1", "coingecko BTC 100000"])],
            "100000 coinbase 0, unpriced",
        ),
        (
            "what a source said before it failed is no second word",
            "EURC",
            &[
                (0, &["coingecko EURC 1.13"]),
                (5, &["coingecko EURC 11.3"]),
                (10, &["coingecko down"]),
                (15, &["coingecko EURC 11.3"]),
            ],
            "1.13 coingecko 0, unpriced, unpriced, 11.3 coingecko 0",
        ),
        (
            "the same observation told again is one where nobody else speaks",
            "EURC",
            &[(0, &["coingecko EURC 1.13"]), (5, &["coingecko EURC 11.3"]), (10, &["coingecko EURC 11.3 5"])],
            "1.13 coingecko 0, unpriced, 11.3 coingecko 5",
        ),
        (
            "and is outvoted where another stands by the last price",
            "GBP",
            &[
                (0, &["ecb GBP 1.33", "coinbase GBP 1.331"]),
                (5, &["ecb GBP 133", "coinbase GBP 1.332"]),
                (10, &["ecb GBP 133 5", "coinbase GBP 1.333"]),
                (15, &["ecb down", "coinbase GBP 1.334"]),
            ],
            "1.33 ecb 0, unpriced, 1.333 coinbase 0, 1.334 coinbase 0",
        ),
        (
            "a rejected source that goes down does not take the other with it",
            "BTC",
            &[
                (0, &["coinbase BTC 100000", "coingecko BTC 100000"]),
                (5, &["coinbase BTC 1", "coingecko BTC 100001"]),
                (10, &["coinbase down", "coingecko BTC 100002"]),
            ],
            "100000 coinbase 0, unpriced, 100002 coingecko 0",
        ),
        (
            "it is no matter that the other has moved a little",
            "EURC",
            &[
                (0, &["coingecko EURC 1.13"]),
                (5, &["coingecko EURC 11.3", "coinbase EURC 1.3"]),
                (10, &["coingecko EURC 11.3 5", "coinbase EURC 1.31"]),
            ],
            "1.13 coingecko 0, unpriced, 1.31 coinbase 0",
        ),
        (
            "the same run twice is not the next one",
            "BTC",
            &[(0, &["coinbase BTC 100000"]), (5, &["coinbase BTC 1"]), (5, &["coinbase BTC 1"])],
            "100000 coinbase 0, unpriced, unpriced",
        ),
        (
            "a second jump elsewhere is no agreement",
            "ETH",
            &[
                (0, &["coinbase ETH 1000"]),
                (5, &["coinbase ETH 9000"]),
                (10, &["coinbase ETH 5000"]),
                (15, &["coinbase ETH 5100"]),
            ],
            "1000 coinbase 0, unpriced, unpriced, 5100 coinbase 0",
        ),
        (
            "ten per cent is agreement, more is not",
            "ETH",
            &[
                (0, &["coinbase ETH 1000"]),
                (5, &["coinbase ETH 10000"]),
                (10, &["coinbase ETH 11000.01"]),
                (15, &["coinbase ETH 12100"]),
            ],
            "1000 coinbase 0, unpriced, unpriced, 12100 coinbase 0",
        ),
        (
            "an outage does not make the last price forgotten",
            "ETH",
            &[(0, &["coinbase ETH 1000"]), (90, &["coinbase down"]), (95, &["coinbase ETH 10"])],
            "1000 coinbase 0, unpriced, unpriced",
        ),
        ("a pegged token's first quote is held against its peg", "USDQ", &[(0, &["coingecko USDQ 100"])], "unpriced"),
        ("a first quote against a second source", "BTC", &[(0, &["coinbase BTC 1", "coingecko BTC 100000"])], "unpriced"),
        ("a first quote alone is all there is", "BTC", &[(0, &["coinbase BTC 100000"])], "100000 coinbase 0"),
    ];
    for (name, code, runs, expected) in rows {
        assert_eq!(Feed::follow(code, runs), *expected, "{name}");
    }
}

#[test]
fn what_was_not_believed_and_who_differs_is_reported() {
    let mut feed = Feed::new();
    assert_eq!(
        feed.run(0, &["coinbase BTC 100000", "coingecko BTC 101000", "coingecko EURC 1.13", "coinbase EURC 2"]).disagreements,
        []
    );
    let run = feed.run(5, &["coinbase BTC 100000", "coingecko BTC 101001", "coingecko EURC 4"]);
    let [doubt] = run.disagreements.as_slice() else { panic!("one") };
    assert_eq!((doubt.asset.code(), doubt.quotes.len()), ("BTC", 2));
    let [rejected] = run.rejected.as_slice() else { panic!("one") };
    assert_eq!(
        (rejected.asset.code(), rejected.last.to_string(), rejected.quote.usd.to_string()),
        ("EURC", "1.13".to_owned(), "4".to_owned())
    );
}

#[test]
fn a_first_run_builds_on_the_sheet_that_is_there() {
    let earlier = minute(-5);
    let entries = said(earlier, &["ecb GBP 1.33", "coinbase BTC 100000"]).into_iter().flat_map(|(source, answer)| {
        answer.unwrap().quotes.into_iter().map(move |(asset, quote)| {
            let method = shared::domain::Method::Market;
            (
                asset,
                shared::domain::Rate { usd: quote.usd, source: source.name().to_owned(), method, observed_at: quote.observed_at },
            )
        })
    });
    let sheet = RateSheet { observed_at: earlier, entries: entries.collect() };
    let book = QuoteBook::of_sheet(&sheet);
    let run = compose(book, Some(&sheet), &said(minute(0), &["ecb down", "coinbase BTC 1"]), minute(0), RULES);
    let shown: Vec<_> = run.sheet.entries.iter().map(|(asset, rate)| format!("{} {}", asset.code(), rate.usd)).collect();
    assert_eq!(shown, ["GBP 1.33", "USD1 1", "eUSD 1"]);
}

async fn sync(app: &App) -> Value {
    let answer = send(app.request(Method::POST, "/_local/schedules/rates-sync")).await;
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()
}

async fn tell(app: &App, source: &str, told: Value) {
    let answer = send(app.request(Method::PUT, &format!("/_local/market/{source}")).body(told.to_string())).await;
    assert_eq!(answer.status, 200, "{answer}");
}

#[tokio::test]
async fn a_run_is_seen_by_the_next_request_with_its_receipts() {
    let rates =
        json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("EUR", "1.2"), ("USDC", "1")])], "rates_never_expire": false});
    let app = App::start(with(dataset(vec![account(1, "USDC", "100"), account(2, "EURSM", "10")]), rates)).await;
    assert_eq!(app.balance("EUR", "").await.status, 422);
    let report = sync(&app).await;
    assert_eq!((&report["entries"], &report["rejected"]), (&json!(56), &json!([])));
    let body = app.balance("EUR", "&details=true").await.json();
    assert_eq!((&body["total_balance"], &body["crypto_balance"]), (&json!(98.07), &json!(98.07)));
    let mut receipts = String::new();
    for rate in body["rates"].as_array().unwrap() {
        let deviation = rate.get("peg_deviation").map_or_else(String::new, |deviation| format!(" {deviation} off its peg"));
        writeln!(receipts, "{} {} {} {}{deviation}", rate["currency"], rate["usd"], rate["source"], rate["method"]).unwrap();
    }
    assert_snapshot!(receipts, @r#"
    "EUR" 1.1353 "ecb" "reference"
    "EURSM" 1.1353 "par" "par" 0 off its peg
    "USDC" 0.9999100000007289 "coinbase" "market" -0.00009 off its peg
    "#);
    // The past keeps its own rates.
    let then = app.balance("EUR", "&as_of=2026-06-01T00:00:01Z&search.currency=USDC&partial=true").await.json();
    assert_eq!(then["total_balance"], json!(83.33));
}

#[tokio::test]
async fn a_source_that_is_down_is_reported_and_its_word_kept() {
    let app = App::start(dataset(vec![account(1, "GBP", "100")])).await;
    sync(&app).await;
    tell(&app, "ecb", json!({"status": 500})).await;
    tell(&app, "coinbase", json!({"quotes": {"GBP": "0.5", "JPY": null}})).await;
    let report = sync(&app).await;
    assert_snapshot!(report["sources"][0].to_string(), @r#"{"error":"the source is unavailable: status 500","quotes":0,"source":"ecb","unreadable":[]}"#);
    let body = app.balance("USD", "&details=true").await.json();
    assert_eq!(body["rates"][0]["source"], json!("ecb"));
    for source in ["ecb", "coinbase", "coingecko"] {
        tell(&app, source, json!({"status": 404})).await;
    }
    // All are down: the sheet is what they said last.
    assert_eq!(sync(&app).await["entries"], json!(56));
    let empty = App::start(json!({})).await;
    for source in ["ecb", "coinbase", "coingecko"] {
        tell(&empty, source, json!({"status": 404})).await;
    }
    let answer = send(empty.request(Method::POST, "/_local/schedules/rates-sync")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (500, &json!("internal_error")));
}

fn job(app: &App) -> Job {
    Job::new(&app.stack.config().store, app.stack.rates_config(), AgeLimits::STANDARD).unwrap()
}

/// What the sheet of that time says of an asset, or nothing.
async fn price(app: &App, at: Timestamp, code: &str) -> String {
    let sheet = app.stack.store().sheet_as_of(at).await.unwrap().unwrap();
    sheet.entries.get(&Asset::parse(code).unwrap()).map_or_else(String::new, |rate| rate.usd.to_string())
}

#[tokio::test]
async fn runs_at_once_confirm_nothing_to_each_other() {
    let app = App::start(json!({})).await;
    let now = Timestamp::now();
    job(&app).run(now).await.unwrap();
    tell(&app, "coinbase", json!({"quotes": {"BTC": "0.00000000844193032503"}})).await;
    // A schedule that is delivered twice, and an operator beside it.
    let runs = (1..=4).map(|millisecond| {
        let job = job(&app);
        async move { job.run(now.plus(SignedDuration::from_millis(millisecond))).await }
    });
    let reports = futures::future::join_all(runs).await;
    assert!(reports.iter().filter(|report| report.is_ok()).count() >= 2, "{reports:?}");
    let soon = now.plus(SignedDuration::from_mins(2));
    assert_eq!(price(&app, soon, "BTC").await, "");
    assert_eq!(price(&app, soon, "ETH").await, "4251.929999999666606169");
    // What it says five minutes later is a second word.
    job(&app).run(now.plus(SignedDuration::from_mins(5))).await.unwrap();
    assert!(price(&app, now.plus(SignedDuration::from_mins(6)), "BTC").await.starts_with("118456320"));
}

#[tokio::test]
async fn a_poisoned_tick_is_an_error_to_whoever_needs_it_and_a_depeg_is_followed() {
    let app = App::start(json!({"accounts": [account(1, "USDC", "100")]})).await;
    let (job, start) = (job(&app), Timestamp::now());
    let run = async |minutes: i64| job.run(start.plus(SignedDuration::from_mins(minutes))).await.unwrap();
    let seen = async |minutes: i64| price(&app, start.plus(SignedDuration::from_mins(minutes + 1)), "USDC").await;
    run(0).await;
    // A hundred times its worth, for one tick, at the exchange alone.
    tell(&app, "coinbase", json!({"quotes": {"USDC": "0.01"}})).await;
    let report = serde_json::to_string(&run(5).await).unwrap();
    assert!(report.contains(r#""rejected":[{"currency":"USDC","source":"coinbase","usd":"100","#), "{report}");
    tell(&app, "coinbase", json!({})).await;
    run(10).await;
    // More than half of its worth is lost for good, and the index is silent.
    tell(&app, "coinbase", json!({"quotes": {"USDC": "2.5"}})).await;
    tell(&app, "coingecko", json!({"status": 500})).await;
    run(15).await;
    run(20).await;
    let mut prices = Vec::new();
    for minutes in [0, 5, 10, 15, 20] {
        prices.push(seen(minutes).await);
    }
    assert_eq!(prices, ["0.999910000000728934", "", "0.999910000000728934", "", "0.4"]);
}

#[tokio::test]
async fn a_holding_whose_rate_is_doubted_is_unpriced() {
    let app = App::start(json!({"accounts": [account(1, "USDC", "100")]})).await;
    sync(&app).await;
    assert_eq!(app.balance("USD", "").await.json()["total_balance"], json!(99.99));
    tell(&app, "coinbase", json!({"quotes": {"USDC": "0.01"}})).await;
    assert_eq!(sync(&app).await["rejected"][0]["last_usd"], json!("0.999910000000728934"));
    let refused = app.balance("USD", "").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["details"]["currencies"]), (422, &json!(["USDC"])));
}

#[tokio::test]
async fn a_sheet_of_another_version_does_not_stop_the_feed() {
    let app = App::start(dataset(vec![account(1, "EUR", "100")])).await;
    let client = app.stack.store().client().clone();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let rate = [
        ("usd", AttributeValue::N("2".to_owned())),
        ("source", text("test")),
        ("method", text("market")),
        ("observed_at", text("2026-06-02T00:00:00.000000000Z")),
    ];
    let rate = AttributeValue::M(rate.map(|(name, value)| (name.to_owned(), value)).into());
    let entries = AttributeValue::M([("EUR".to_owned(), rate.clone()), ("DOGE".to_owned(), rate)].into());
    let put = client.put_item().table_name("RatesTable").item("sheet", text("usd")).item("entries", entries);
    put.item("observed_at", text("2026-06-02T00:00:00.000000000Z")).send().await.unwrap();
    assert_eq!(app.balance("USD", "&as_of=2026-06-02T00:00:00Z").await.json()["total_balance"], json!(200.0));
    assert_eq!(sync(&app).await["entries"], json!(56));
}

impl App {
    /// Alice's total in dollars as of then, or the status of the refusal.
    async fn store_balance(&self, as_of: &str) -> String {
        let answer = self.get(&format!("/v2/accounts/balance?customer_id={ALICE}&currency=USD&as_of={as_of}")).await;
        let total = answer.text().split_once(r#""total_balance":"#).and_then(|(_, rest)| rest.split_once(','));
        total.map_or_else(|| answer.status.as_str().to_owned(), |(total, _)| total.to_owned())
    }
}

#[tokio::test]
async fn the_weekend_has_the_sheet_of_its_time() {
    let (friday, monday) = ("2026-09-25T14:00:00Z", "2026-09-28T14:00:00Z");
    let sheets = json!([sheet(friday, &[("EUR", "1.10")]), sheet(monday, &[("EUR", "1.20")])]);
    let app = App::start(json!({"accounts": [account(1, "EUR", "100")], "rate_sheets": sheets})).await;
    let rows = [
        ("2026-09-25T13:59:59.999999999Z", "422"),
        (friday, "110.00"),
        ("2026-09-27T23:00:00%2B02:00", "110.00"),
        ("2026-09-28T13:59:59.999999999Z", "110.00"),
        (monday, "120.00"),
        ("2026-10-02T14:00:00Z", "120.00"),
        ("2026-10-02T14:00:00.000000001Z", "422"),
    ];
    for (as_of, expected) in rows {
        assert_eq!(app.store_balance(as_of).await, expected, "{as_of}");
    }
}

#[tokio::test]
async fn the_sandbox_refuses_what_it_could_not_say() {
    let app = App::start(json!({})).await;
    for (path, body, status) in [
        ("/_local/market/nobody", json!({}), 404),
        ("/_local/market/ecb", json!({"status": 42}), 400),
        ("/_local/market/ecb", json!({"quotes": {"GBP": "much"}}), 400),
        ("/_local/market/ecb", json!({"quotes": {"GBP": "-1"}}), 400),
        ("/_local/market/ecb", json!({"quotes": {"A'<": "1"}}), 400),
        ("/_local/market/coingecko", json!({"quotes": {"bitcoin": "0118456"}}), 400),
        ("/_local/market/ecb", json!({"rates": {}}), 400),
        ("/_local/market/ecb", json!([]), 400),
        ("/_local/schedules/rates", json!({}), 404),
    ] {
        let verb = if path.contains("schedules") { Method::POST } else { Method::PUT };
        assert_eq!(send(app.request(verb, path).body(body.to_string())).await.status, status, "{path} {body}");
    }
}
