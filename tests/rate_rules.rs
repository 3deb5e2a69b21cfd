//! How a sheet is made of quotes, as tables: which of several is believed, and when none is.

use crate::harness::asset;
use jiff::SignedDuration;
use shared::domain::{
    AgeLimits, Catalogue, Factor, Quote, QuoteBook, RateSheet, RatesInForce, SheetKind, SourceName,
    Timestamp, UsdPrice,
};
use shared::rates::{Answer, Answers, Composition, Rules, SourceError, compose};

const RULES: Rules = Rules { limits: AgeLimits::STANDARD, jump_factor: Factor::TWO };

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Minutes after a Thursday's noon.
fn minute(minutes: i64) -> Timestamp {
    at("2026-09-24T12:00:00Z").plus(SignedDuration::from_mins(minutes))
}

/// What sources say in one run: `source asset price [minutes of age]`, or `source down`. A source that is not
/// named says nothing.
fn said(now: Timestamp, lines: &[&str]) -> Answers {
    let mut answers: Answers =
        SourceName::ALL.into_iter().map(|source| (source, Ok(Answer::default()))).collect();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let source = SourceName::parse(words[0]).unwrap();
        if words[1] == "down" {
            answers.insert(source, Err(SourceError::Unavailable("down".to_owned())));
            continue;
        }
        let age = words.get(3).map_or(0, |minutes| minutes.parse().unwrap());
        let quote = Quote {
            usd: UsdPrice::parse(words[2]).unwrap(),
            observed_at: now.minus(SignedDuration::from_mins(age)),
        };
        answers.get_mut(&source).unwrap().as_mut().unwrap().quotes.insert(asset(words[1]), quote);
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
        let run = compose(
            self.book.clone(),
            &RatesInForce::of(self.last.iter().cloned().collect()),
            &said(now, lines),
            &Catalogue::default(),
            now,
            RULES,
        );
        (self.book, self.last) = (run.book.clone(), Some(run.sheet.clone()));
        run
    }

    /// `price source age`, or `unpriced`, after each run.
    fn follow(code: &str, runs: &[(i64, &[&str])]) -> String {
        let mut feed = Self::new();
        let seen = runs.iter().map(|(minutes, lines)| {
            let run = feed.run(*minutes, lines);
            run.sheet.entries.get(code).map_or_else(
                || "unpriced".to_owned(),
                |rate| {
                    format!(
                        "{} {} {}",
                        rate.usd,
                        rate.source,
                        rate.observed_at.age_at(minute(*minutes)).as_mins()
                    )
                },
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
        (
            "money the bank leaves out",
            "ARS",
            &[(0, &["ecb GBP 1.33", "coinbase ARS 0.0007"])],
            "0.0007 coinbase 0",
        ),
        ("a token", "EURC", &[(0, &["coinbase EURC 1.13", "coingecko EURC 1.14"])], "1.14 coingecko 0"),
        ("a token nobody indexes", "EURC", &[(0, &["coinbase EURC 1.13"])], "1.13 coinbase 0"),
        (
            "a token whose price is old",
            "EURC",
            &[(0, &["coinbase EURC 1.13", "coingecko EURC 1.14 61"])],
            "1.13 coinbase 0",
        ),
        ("a major", "BTC", &[(0, &["coinbase BTC 100000", "coingecko BTC 100100"])], "100000 coinbase 0"),
        (
            "a dollar token is a major",
            "USDC",
            &[(0, &["coinbase USDC 1.001", "coingecko USDC 0.999"])],
            "1.001 coinbase 0",
        ),
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
            "100000 coinbase 0, 100000 coinbase 30, 100003 coingecko 0, 100004 coingecko 0, 100005 coinbase 0",
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
            "Easter is bridged, more by the exchange before readers would find the bank's too old",
            "EUR",
            &[
                (0, &["ecb EUR 1.13", "coinbase EUR 1.131"]),
                (6 * day - 11, &["ecb EUR 1.13 8629", "coinbase EUR 1.132"]),
                (6 * day - 10, &["ecb EUR 1.13 8630", "coinbase EUR 1.133"]),
            ],
            "1.13 ecb 0, 1.13 ecb 8629, 1.133 coinbase 0",
        ),
        (
            "a rate that is nearly too old is better than none",
            "EUR",
            &[(0, &["ecb EUR 1.13 8640"]), (1, &["ecb EUR 1.13 8641"])],
            "1.13 ecb 8640, unpriced",
        ),
        (
            "a token's quote that would be too old before the sheet after next yields to a younger source",
            "EURC",
            &[
                (0, &["coinbase EURC 1.13", "coingecko EURC 1.14 49"]),
                (5, &["coinbase EURC 1.13", "coingecko EURC 1.14 50"]),
            ],
            "1.14 coingecko 49, 1.13 coinbase 0",
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
                (5, &["coinbase ETH 8000"]),
                (10, &["coinbase ETH 8800.01"]),
                (15, &["coinbase ETH 9600"]),
            ],
            "1000 coinbase 0, unpriced, unpriced, 9600 coinbase 0",
        ),
        (
            "beyond ten times, one source alone is never believed",
            "ETH",
            &[
                (0, &["coinbase ETH 1000"]),
                (5, &["coinbase ETH 10001"]),
                (10, &["coinbase ETH 10001"]),
                (15, &["coinbase ETH 10001"]),
            ],
            "1000 coinbase 0, unpriced, unpriced, unpriced",
        ),
        (
            "nor below a tenth, and a usual rate ends the doubt",
            "ARS",
            &[
                (0, &["coinbase ARS 0.0007"]),
                (5, &["coinbase ARS 0.00006"]),
                (10, &["coinbase ARS 0.00006"]),
                (15, &["coinbase ARS 0.0006"]),
            ],
            "0.0007 coinbase 0, unpriced, unpriced, 0.0006 coinbase 0",
        ),
        (
            "two sources are believed, however far",
            "BTC",
            &[(0, &["coinbase BTC 100000"]), (5, &["coinbase BTC 2000000", "coingecko BTC 2000001"])],
            "100000 coinbase 0, 2000000 coinbase 0",
        ),
        (
            "an outage does not make the last price forgotten",
            "ETH",
            &[(0, &["coinbase ETH 1000"]), (90, &["coinbase down"]), (95, &["coinbase ETH 10"])],
            "1000 coinbase 0, unpriced, unpriced",
        ),
        (
            "a pegged token's first quote is held against its peg",
            "USDQ",
            &[(0, &["coingecko USDQ 100"])],
            "unpriced",
        ),
        (
            "a first quote against a second source",
            "BTC",
            &[(0, &["coinbase BTC 1", "coingecko BTC 100000"])],
            "unpriced",
        ),
        ("a first quote alone is all there is", "BTC", &[(0, &["coinbase BTC 100000"])], "100000 coinbase 0"),
    ];
    for (name, code, runs, expected) in rows {
        assert_eq!(Feed::follow(code, runs), *expected, "{name}");
    }
}

#[test]
fn what_an_operator_accepts_is_believed_if_the_source_still_says_so() {
    let runs = |accepted: &str, later: &'static str| {
        let mut feed = Feed::new();
        feed.run(0, &["coinbase ARS 0.0007"]);
        feed.run(5, &["coinbase ARS 0.0000007"]);
        feed.book.vouched.insert(asset("ARS"), UsdPrice::parse(accepted).unwrap());
        let run = feed.run(10, &[later]);
        (run.sheet.entries.get("ARS").map(|rate| rate.usd.to_string()), run.book.vouched.len())
    };
    let later = "coinbase ARS 0.00000068";
    assert_eq!(runs("0.0000007", later), (Some("0.00000068".to_owned()), 0));
    assert_eq!(runs("0.00001", later), (None, 1));
    assert_eq!(runs("0.0000007", "coinbase ARS 0.0007"), (Some("0.0007".to_owned()), 0));
}

#[test]
fn an_accepted_price_is_forgotten_with_the_quote_that_it_was_accepted_for() {
    let mut feed = Feed::new();
    feed.run(0, &["coinbase BTC 1000"]);
    feed.run(5, &["coinbase BTC 500000"]);
    feed.book.vouched.insert(asset("BTC"), UsdPrice::parse("500000").unwrap());
    // Nobody quotes it for longer than a quote may be old.
    let silent = feed.run(90, &["coinbase down"]);
    assert!(silent.book.vouched.is_empty());
    assert!(!feed.run(95, &["coinbase BTC 500000"]).sheet.entries.contains_key("BTC"));
}

#[test]
fn a_quote_is_compared_with_the_rate_that_was_imported_since() {
    let wrong = Feed::new().run(0, &["coinbase ARS 0.05"]);
    let imported = RateSheet {
        kind: SheetKind::Overlay,
        observed_at: minute(2),
        recorded_at: minute(2),
        entries: [(
            "ARS".to_owned(),
            shared::domain::Rate {
                usd: UsdPrice::parse("0.0007").unwrap(),
                source: "desk".to_owned(),
                method: shared::domain::Method::Market,
                observed_at: minute(2),
            },
        )]
        .into(),
    };
    let rates = RatesInForce::of(vec![imported, wrong.sheet]);
    let said = said(minute(5), &["coinbase ARS 0.00071"]);
    let run = compose(wrong.book, &rates, &said, &Catalogue::default(), minute(5), RULES);
    assert_eq!(run.sheet.entries["ARS"].usd.to_string(), "0.00071");
}

#[test]
fn what_was_not_believed_and_who_differs_is_reported() {
    let mut feed = Feed::new();
    assert_eq!(
        feed.run(
            0,
            &["coinbase BTC 100000", "coingecko BTC 101000", "coingecko EURC 1.13", "coinbase EURC 2"]
        )
        .disagreements,
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
    let entries =
        said(earlier, &["ecb GBP 1.33", "coinbase BTC 100000"]).into_iter().flat_map(|(source, answer)| {
            answer.unwrap().quotes.into_iter().map(move |(asset, quote)| {
                let method = shared::domain::Method::Market;
                (
                    asset.code().to_owned(),
                    shared::domain::Rate {
                        usd: quote.usd,
                        source: source.name().to_owned(),
                        method,
                        observed_at: quote.observed_at,
                    },
                )
            })
        });
    let sheet = RateSheet {
        kind: SheetKind::Complete,
        observed_at: earlier,
        recorded_at: earlier,
        entries: entries.collect(),
    };
    let book = QuoteBook::of_sheet(&sheet, &Catalogue::default());
    let said = said(minute(0), &["ecb down", "coinbase BTC 1"]);
    let run = compose(book, &RatesInForce::of(vec![sheet]), &said, &Catalogue::default(), minute(0), RULES);
    let shown: Vec<_> = run.sheet.entries.iter().map(|(code, rate)| format!("{code} {}", rate.usd)).collect();
    assert_eq!(shown, ["GBP 1.33", "USD1 1", "eUSD 1"]);
}
