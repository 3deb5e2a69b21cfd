//! A year of the real calendar through a reader's eyes: while any source has a usable rate, nobody waits for
//! the next sheet.

use crate::harness::asset;
use jiff::{SignedDuration, Timestamp as Instant, ToSpan, civil::Date, civil::Weekday, tz::TimeZone};
use shared::domain::{
    AgeLimits, Catalogue, Factor, Method, Quote, QuoteBook, RateSheet, RatesInForce, SourceName, Timestamp,
    UsdPrice,
};
use shared::rates::{Answer, Answers, Rules, SourceError, compose};

const LIMITS: AgeLimits = AgeLimits::STANDARD;
/// Days on which the bank publishes nothing, weekends aside.
const HOLIDAYS: [&str; 9] = [
    "2025-12-25",
    "2025-12-26",
    "2026-01-01",
    "2026-04-03",
    "2026-04-06",
    "2026-05-01",
    "2026-12-25",
    "2027-01-01",
    "2027-03-26",
];
/// A reader sees a sheet until the next one, or, where one run fails, until the one after.
const READ_AFTER_MINUTES: [i64; 3] = [0, 5, 10];

fn is_published(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
        && !HOLIDAYS.contains(&day.to_string().as_str())
}

fn time(at: Instant) -> Timestamp {
    Timestamp::parse(&at.to_string()).unwrap()
}

/// The day whose rates the bank's document has at `now`: those of a day are out an hour after their own time.
fn banks_day(now: Instant) -> Timestamp {
    let of_day = |day: Date| day.at(14, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let mut day = now.to_zoned(TimeZone::UTC).date();
    while !is_published(day) || of_day(day) + 1.hour() > now {
        day = day.yesterday().unwrap();
    }
    time(of_day(day))
}

/// The exchange is down for the first twenty days of every month, and for an hour and a half of every day.
fn exchange_is_up(now: Instant) -> bool {
    let at = now.to_zoned(TimeZone::UTC);
    at.day() > 20 && (at.hour(), at.minute()) >= (1, 30)
}

fn quoted(code: &str, usd: &str, observed_at: Timestamp) -> Answer {
    let quote = Quote { usd: UsdPrice::parse(usd).unwrap(), observed_at };
    Answer { quotes: [(asset(code), quote)].into(), unreadable: Vec::new() }
}

/// What the sources say at `now`: of money both, of bitcoin the exchange alone.
fn answers(now: Instant) -> Answers {
    let mut exchange = quoted("EUR", "1.14", time(now));
    exchange.quotes.extend(quoted("BTC", "100000", time(now)).quotes);
    exchange.quotes.extend(quoted("ARS", "0.0007", time(now)).quotes);
    let exchange =
        if exchange_is_up(now) { Ok(exchange) } else { Err(SourceError::Unavailable("down".to_owned())) };
    [
        (SourceName::Ecb, Ok(quoted("EUR", "1.13", banks_day(now)))),
        (SourceName::Coinbase, exchange),
        (SourceName::CoinGecko, Err(SourceError::Throttled)),
    ]
    .into()
}

#[test]
fn a_reader_has_a_rate_whenever_some_source_has_one() {
    let (mut now, end): (Instant, Instant) =
        ("2025-12-20T00:00:00Z".parse().unwrap(), "2027-01-10T00:00:00Z".parse().unwrap());
    let (mut book, mut last) = (QuoteBook::default(), None::<RateSheet>);
    let rules = Rules { limits: LIMITS, jump_factor: Factor::TWO };
    let (mut by_bank, mut by_exchange, mut without) = (0, 0, 0);
    while now < end {
        let before = RatesInForce::of(last.iter().cloned().collect());
        let run = compose(book, &before, &answers(now), &Catalogue::default(), time(now), rules);
        let rates = RatesInForce::of(vec![run.sheet.clone()]);
        for minutes in READ_AFTER_MINUTES {
            let read_at = time(now).plus(SignedDuration::from_mins(minutes));
            for code in ["EUR", "ARS", "BTC"] {
                let said = |(source, quotes): (&SourceName, &shared::domain::Quotes)| {
                    Some((source.method(), quotes.get(&asset(code))?.observed_at))
                };
                let is_usable =
                    |(method, at): (Method, Timestamp)| LIMITS.admit(asset(code), method, at, read_at);
                let any = run.book.answers.iter().filter_map(said).any(is_usable);
                let read = rates.usable(asset(code), read_at, LIMITS);
                assert_eq!(read.is_some(), any, "{code} at {read_at:?}");
                match read.map(|rate| rate.source.clone()).as_deref() {
                    Some("ecb") => by_bank += 1,
                    Some(_) => by_exchange += 1,
                    None => without += 1,
                }
                assert!(code != "EUR" || any, "the bank bridges every holiday: {read_at:?}");
            }
        }
        (book, last) = (run.book, Some(run.sheet));
        now += 15.minutes();
    }
    // The calendar has each case: the walk is no empty one.
    assert!(
        by_bank > 100_000 && by_exchange > 30_000 && without > 30_000,
        "{by_bank} {by_exchange} {without}"
    );
}
