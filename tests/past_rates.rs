//! Rates of the past by the command line: valuations of long ago, imports in any order, corrections, and
//! answers that stay as they were.

use crate::harness::{App, account, sheet, with};
use jiff::civil::{Date, Weekday, date};
use num_bigint::BigInt;
use num_rational::BigRational;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use uuid::Uuid;

/// Currencies with the last year in which the bank had a rate of them.
const CURRENCIES: [(&str, i16); 10] = [
    ("USD", 9999),
    ("JPY", 9999),
    ("GBP", 9999),
    ("CHF", 9999),
    ("SEK", 9999),
    ("PLN", 9999),
    ("SKK", 2008),
    ("EEK", 2010),
    ("HRK", 2022),
    ("BGN", 2025),
];
/// Of those that the euro replaced, the year of the changeover and the legal rate.
const REPLACED: [(&str, i16, &str); 4] =
    [("SKK", 2009, "30.1260"), ("EEK", 2011, "15.6466"), ("HRK", 2023, "7.53450"), ("BGN", 2026, "1.95583")];

/// A file of the test's own, removed with it.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("{}-{name}", Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Units per euro on a day: another for each currency and day, with the bank's number of digits.
fn units(place: i64, day: Date) -> String {
    let moved =
        (i64::from(day.year()) * 372 + i64::from(day.month()) * 31 + i64::from(day.day())) * (place + 3);
    format!("{}.{:04}", place * place * 5 + 1, moved.rem_euclid(9_000) + 500)
}

/// A file as the bank writes it: the newest day first, `N/A`, and a comma at the end of each line.
fn banks_file(days: &[Date]) -> String {
    let mut file = "Date,".to_owned();
    // A code that nobody knows, as the bank's file has some.
    for code in CURRENCIES.iter().map(|(code, _)| *code).chain(["XXQ"]) {
        write!(file, "{code},").unwrap();
    }
    for day in days.iter().rev() {
        write!(file, "\n{day},").unwrap();
        for (place, (_, last_year)) in (1..).zip(CURRENCIES) {
            let units = if day.year() > last_year { "N/A".to_owned() } else { units(place, *day) };
            write!(file, "{units},").unwrap();
        }
        file.push_str("N/A,");
    }
    file.push('\n');
    file
}

fn zipped(content: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("eurofxref-hist.csv", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

/// The weekdays of every December.
fn decembers(years: std::ops::RangeInclusive<i16>) -> Vec<Date> {
    let days = years.flat_map(|year| (1..=31).map(move |day| date(year, 12, day)));
    days.filter(|day| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)).collect()
}

fn exact(text: &str) -> BigRational {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(fraction.len().try_into().unwrap()))
}

/// A number rounded half-even to so many digits.
fn rounded(value: &BigRational, digits: u32) -> BigRational {
    let unit = BigRational::from(BigInt::from(10).pow(digits));
    let scaled = value * &unit;
    let floor = scaled.floor();
    let rest = &scaled - &floor;
    let half = BigRational::new(1.into(), 2.into());
    let is_odd = floor.to_integer().bit(0);
    let up = rest > half || (rest == half && is_odd);
    (floor + BigRational::from(BigInt::from(u8::from(up)))) / unit
}

/// What a thousand of each currency are worth in euro at a year's end, by the file's own numbers.
fn expected(year: i16, last_day: Date) -> BigRational {
    let dollar = exact(&units(1, last_day));
    let per_euro = |code: &str, place: i64| {
        let replaced = REPLACED.iter().find(|(replaced, from, _)| *replaced == code && *from <= year);
        replaced.map_or_else(|| exact(&units(place, last_day)), |(_, _, legal)| exact(legal))
    };
    let values = (1..).zip(CURRENCIES).map(|(place, (code, _))| {
        let usd = if code == "USD" { exact("1") } else { rounded(&(&dollar / per_euro(code, place)), 18) };
        rounded(&(exact("1000") * usd / &dollar), 2)
    });
    values.sum()
}

fn one_of_each() -> Value {
    let accounts = (1..).zip(CURRENCIES).map(|(number, (code, _))| {
        with(account(number, code, "1000"), json!({"balance_at": "2003-06-01T00:00:00Z"}))
    });
    json!({"accounts": accounts.collect::<Vec<_>>()})
}

#[tokio::test]
async fn year_end_totals_of_two_decades_are_those_of_the_banks_own_numbers() {
    let app = App::start(one_of_each()).await;
    let days = decembers(2004..=2025);
    let file = TestFile::new("eurofxref-hist.zip", &zipped(&banks_file(&days)));
    let report = app.ballast_json(&["rates", "import", file.path()]).await;
    assert_eq!((&report["overlays"], &report["rejected"]), (&json!(days.len()), &json!(0)), "{report}");
    for year in 2004..=2025 {
        let last_day = *days.iter().rfind(|day| day.year() == year).unwrap();
        let body = app.balance("EUR", &format!("&as_of={year}-12-31T22:00:00Z")).await.json();
        assert_eq!(
            exact(body["total_balance"].to_string().as_str()),
            expected(year, last_day),
            "{year}: {body}"
        );
        assert_eq!(body["accounts"], json!(10));
    }
    // Midnight in Brussels makes kuna euro, by law and not by the market.
    let rate_of = async |at: &str| {
        let body = app.balance("EUR", &format!("&as_of={at}&details=true")).await.json();
        let rates = body["rates"].as_array().unwrap().clone();
        let rate = rates.into_iter().find(|rate| rate["currency"] == json!("HRK")).unwrap();
        (rate["source"].clone(), rate["method"].clone())
    };
    assert_eq!(rate_of("2022-12-31T22:59:59Z").await, (json!("ecb"), json!("reference")));
    assert_eq!(rate_of("2022-12-31T23:00:00Z").await, (json!("eu"), json!("fixed")));
    // The same file plain: there is nothing new in it.
    let file = TestFile::new("plain.csv", banks_file(&days).as_bytes());
    let again = app.ballast_json(&["rates", "import", file.path()]).await;
    assert_eq!((&again["recorded"], &again["duplicates"]), (&json!(0), &report["recorded"]));
}

const BANK: &str = "Date,USD,GBP,\n2024-03-05,1.08,0.85,\n2024-03-04,1.09,0.86,\n";
const OURS: &str = "observed_at,currency,usd\n2024-03-05T09:00:00Z,GBP,1.27\n2024-03-06T09:00:00Z,GBP,1.28\n";
const CRYPTO: &str = "Observed_At;Currency;USD;Source;Method\n2024-03-05T12:00:00Z;BTC;66000;desk;market\n";

/// What every hour of some days is answered.
async fn answers(app: &App, known_at: &str) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for day in 4..=7 {
        for hour in (0..24).step_by(3) {
            let at = format!("2024-03-{day:02}T{hour:02}:30:00Z");
            let answer = app.balance("USD", &format!("&as_of={at}{known_at}&partial=true")).await;
            answers.insert(at, format!("{} {}", answer.status, answer.text()));
        }
    }
    answers
}

#[tokio::test]
async fn imports_in_every_order_give_the_same_answers_and_none_to_what_was_known_before() {
    let accounts = [account(1, "GBP", "100"), account(2, "BTC", "1")].map(|account| {
        with(account, json!({"balance_at": "2024-01-01T00:00:00Z", "recorded_at": "2024-01-01T00:00:00Z"}))
    });
    let files = [("bank.zip", zipped(BANK)), ("ours.csv", OURS.into()), ("crypto.csv", CRYPTO.into())]
        .map(|(name, content)| TestFile::new(name, &content));
    let mut seen = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let app = App::start(json!({"accounts": accounts})).await;
        let before = app.stack.clock().now().to_millis_text();
        let known_before = format!("&known_at={before}");
        let unknown = answers(&app, &known_before).await;
        for index in order {
            assert_eq!(app.ballast(&["rates", "import", files[index].path()]).await.exit_code, 0);
        }
        assert_eq!(answers(&app, &known_before).await, unknown);
        seen.push(answers(&app, "").await);
    }
    assert!(seen.iter().all(|answers| *answers == seen[0]));
    let total = |at: &str| {
        let body: Value = serde_json::from_str(
            seen[0][at].split_once('{').map(|(_, rest)| format!("{{{rest}")).unwrap().as_str(),
        )
        .unwrap();
        body["total_balance"].to_string()
    };
    // 1.09 ÷ 0.86 = 1.2674…, then the desk's 1.27 and its bitcoin, then 1.08 ÷ 0.85 = 1.2705…, then 1.28.
    assert_eq!(total("2024-03-04T15:30:00Z"), "126.74");
    assert_eq!(total("2024-03-05T09:30:00Z"), "127.0");
    assert_eq!(total("2024-03-05T12:30:00Z"), "66127.0");
    assert_eq!(total("2024-03-05T15:30:00Z"), "127.06");
    assert_eq!(total("2024-03-06T09:30:00Z"), "128.0");
}

#[tokio::test]
async fn a_wrong_rate_is_corrected_and_what_was_answered_stays() {
    let wrong = with(
        sheet("2025-03-05T12:00:00Z", &[("GBP", "12.7"), ("EUR", "1.08")]),
        json!({"recorded_at": "2025-03-05T12:00:00Z"}),
    );
    let next = with(
        sheet("2025-03-05T12:05:00Z", &[("GBP", "1.27"), ("EUR", "1.08")]),
        json!({"recorded_at": "2025-03-05T12:05:00Z"}),
    );
    let holding = with(
        account(1, "GBP", "100"),
        json!({"balance_at": "2025-01-01T00:00:00Z", "recorded_at": "2025-01-01T00:00:00Z"}),
    );
    let app = App::start(json!({"accounts": [holding], "rate_sheets": [wrong, next]})).await;
    let total = async |more: &str| {
        let body = app.balance("USD", &format!("&as_of=2025-03-05T12:03:00Z{more}")).await.json();
        body["total_balance"].to_string()
    };
    assert_eq!(total("").await, "1270.0");
    let before = format!("&known_at={}", app.stack.clock().now().to_millis_text());
    let correction = "observed_at,currency,usd,source,method\n2025-03-05T12:00:00Z,GBP,1.2701,desk,market\n";
    let file = TestFile::new("correction.csv", correction.as_bytes());
    let report = app.ballast_json(&["rates", "import", file.path()]).await;
    assert_eq!((&report["recorded"], &report["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!(total("").await, "127.01");
    assert_eq!(total(&before).await, "1270.0");
    // What the correction does not name has the sheet's rate, and the next sheet is in force after it.
    let body = app.balance("EUR", "&as_of=2025-03-05T12:03:00Z").await.json();
    assert_eq!(body["total_balance"].to_string(), "117.6");
    let later = app.balance("USD", "&as_of=2025-03-05T12:06:00Z").await.json();
    assert_eq!(later["total_balance"].to_string(), "127.0");
    let again = app.ballast_json(&["rates", "import", file.path()]).await;
    assert_eq!((&again["recorded"], &again["duplicates"]), (&json!(0), &json!(1)));
    // The correction of the correction.
    let file = TestFile::new("second.csv", correction.replace("1.2701", "1.2702").as_bytes());
    assert_eq!(app.ballast(&["rates", "import", file.path()]).await.exit_code, 0);
    assert_eq!(total("").await, "127.02");
}

#[tokio::test]
async fn a_rate_of_now_is_corrected_at_once() {
    let app = App::start(json!({"accounts": [account(1, "GBP", "100")], "rate_sheets": [
        sheet("now-2m", &[("GBP", "12.7")])
    ]}))
    .await;
    assert_eq!(app.balance("USD", "").await.json()["total_balance"].to_string(), "1270.0");
    let now = app.stack.clock().now().to_millis_text();
    let file = TestFile::new("now.csv", format!("observed_at,currency,usd\n{now},GBP,1.27\n").as_bytes());
    assert_eq!(app.ballast(&["rates", "import", file.path()]).await.exit_code, 0);
    assert_eq!(app.balance("USD", "").await.json()["total_balance"].to_string(), "127.0");
}

#[tokio::test]
async fn where_no_rate_expires_an_import_hides_no_older_sheet() {
    let accounts = [account(1, "GBP", "100"), account(2, "BTC", "1")];
    let sheet = sheet("2026-03-01T00:00:00Z", &[("GBP", "1.3"), ("BTC", "90000")]);
    let app =
        App::start(json!({"rates_never_expire": true, "accounts": accounts, "rate_sheets": [sheet]})).await;
    let file = TestFile::new("one.csv", b"observed_at,currency,usd\n2026-11-01T00:00:00Z,GBP,1.4\n");
    assert_eq!(app.ballast(&["rates", "import", file.path()]).await.exit_code, 0);
    for at in ["", "&as_of=2026-11-02T00:00:00Z"] {
        assert_eq!(app.balance("USD", at).await.json()["total_balance"].to_string(), "90140.0", "{at}");
    }
}

#[tokio::test]
async fn a_decimal_comma_is_no_rate_under_three_columns_either() {
    let app = App::start(json!({})).await;
    let file = TestFile::new("comma.csv", b"observed_at,currency,usd\n2021-04-01T00:00:00Z,EUR,1,2045\n");
    let ran = app.ballast(&["rates", "import", file.path(), "--output", "json"]).await;
    assert_eq!((ran.exit_code, &ran.json()["recorded"]), (3, &json!(0)));
}

/// Six imports of one month, more than the first page of a read holds.
#[tokio::test]
async fn without_age_limits_a_question_known_now_is_the_question_itself() {
    let app = App::start(json!({"rates_never_expire": true, "accounts": [
        with(account(1, "EUR", "100"), json!({"balance_at": "2020-01-01T00:00:00Z", "recorded_at": "2020-01-01T00:00:00Z"}))
    ]}))
    .await;
    let days = ["01", "05", "10", "20", "25", "30"];
    let rows = days.map(|day| format!("2020-06-{day}T00:00:00Z,EUR,1.{day}\n"));
    // The oldest import alone has sterling: it is too long before the newest to be in force.
    let file = format!("observed_at,currency,usd\n2020-06-01T00:00:00Z,GBP,1.3\n{}", rows.concat());
    let file = TestFile::new("june.csv", file.as_bytes());
    assert_eq!(app.ballast(&["rates", "import", file.path()]).await.exit_code, 0);
    let known_now = format!("&known_at={}", app.stack.clock().now().to_millis_text());
    for target in ["USD", "GBP"] {
        let asked = async |known_at: &str| {
            let answer = app.balance(target, &format!("&as_of=2020-06-30T12:00:00Z{known_at}")).await;
            (answer.status, answer.json()["total_balance"].to_string())
        };
        assert_eq!(asked(&known_now).await, asked("").await, "{target}");
    }
    let known = app.balance("USD", &format!("&as_of=2020-06-30T12:00:00Z{known_now}")).await.json();
    assert_eq!(known["total_balance"].to_string(), "130.0");
}

#[tokio::test]
async fn a_sheet_of_the_feed_is_corrected_at_the_instant_that_is_shown() {
    let app = App::start(json!({"accounts": [account(1, "EUR", "100")]})).await;
    app.ballast_json(&["rates", "sync"]).await;
    let shown = app.ballast_json(&["rates", "show"]).await["observed_at"].as_str().unwrap().to_owned();
    assert_eq!(app.ballast_json(&["rates", "show", "--as-of", &shown]).await["observed_at"], json!(shown));
    let file = TestFile::new("shown.csv", format!("observed_at,currency,usd\n{shown},EUR,1.5\n").as_bytes());
    assert_eq!(app.ballast(&["rates", "import", file.path()]).await.exit_code, 0);
    assert_eq!(app.balance("USD", "").await.json()["total_balance"].to_string(), "150.0");
}

#[tokio::test]
async fn a_row_that_is_no_rate_is_listed_with_its_line_and_reason() {
    let app = App::start(json!({})).await;
    let rows = [
        ("2025-01-01T00:00:00Z,GBP,1.25,,", None),
        ("2025-01-01,GBP,1.25,,", Some("observed_at: ")),
        ("2999-01-01T00:00:00Z,GBP,1.25,,", Some("observed_at: in the future")),
        ("2025-01-01T00:00:00Z,XXQ,1.25,,", Some("currency: ")),
        ("2025-01-01T00:00:00Z,GBp,1.25,,", Some("currency: ")),
        ("2025-01-01T00:00:00Z,JPY,0,,", Some("usd: not positive")),
        ("2025-01-01T00:00:00Z,JPY,\"0,0066\",,", Some("usd: ")),
        ("2025-01-01T00:00:00Z,JPY,1e-2,,", Some("usd: ")),
        ("2025-01-01T00:00:00Z,USD,1.01,,", Some("usd: a dollar is always worth 1")),
        ("2025-01-01T00:00:00Z,JPY,0.0066,desk,par", Some("method: must be market or reference")),
        ("2025-01-01T00:00:00Z,JPY,0.0066,desk,fixed", Some("method: must be market or reference")),
        ("2025-01-01T00:00:00Z,JPY,0.0066,the desk,market", Some("source: ")),
        ("2025-01-01T00:00:00Z,GBP,1.26,,", Some("another rate of GBP at this instant stands above")),
        ("2025-01-01T00:00:00Z,GBP,1.250,,", None),
        ("2025-01-01T00:00:00Z,EUR,1,2045", Some("4 cells under a header of 5")),
        ("2025-01-01T00:00:00Z,EUR,1,2045,desk,market", Some("6 cells under a header of 5")),
    ];
    let lines: Vec<&str> = rows.iter().map(|(row, _)| *row).collect();
    let file = format!("observed_at,currency,usd,source,method\n{}\n", lines.join("\n"));
    let file = TestFile::new("rows.csv", file.as_bytes());
    let ran = app.ballast(&["rates", "import", file.path(), "--output", "json"]).await;
    assert_eq!(ran.exit_code, 3);
    let report = ran.json();
    assert_eq!((&report["recorded"], &report["rejected"]), (&json!(1), &json!(14)), "{report}");
    let rejects = report["rejects"].as_array().unwrap();
    let expected = (2..).zip(rows).filter_map(|(line, (_, reason))| Some((line, reason?)));
    for (reject, (line, reason)) in rejects.iter().zip(expected) {
        let found = reject["reason"].as_str().unwrap();
        assert!(reject["line"] == json!(line) && found.starts_with(reason), "{line}: {found}");
    }
    let table = app.ballast(&["rates", "import", file.path()]).await.out;
    assert!(table.contains("line 3: observed_at: ") && table.contains("there already  1"), "{table}");
    let bank = "Date,USD,GBP,\n2024-03-05,N/A,0.85,\n2024-02-30,1.09,0.86,\n2024-03-01,1.1,x,\n";
    let file = TestFile::new("bank.csv", bank.as_bytes());
    let report = app.ballast(&["rates", "import", file.path(), "--output", "json"]).await;
    assert_eq!(report.exit_code, 3);
    let reasons: Vec<_> = report.json()["rejects"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(reasons[0].contains("USD: no rate") && reasons[1].contains("Date: not a day"), "{reasons:?}");
    assert!(reasons[2].contains("GBP: "), "{reasons:?}");
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_as_a_whole() {
    let app = App::start(json!({})).await;
    let rows: [(&str, &[u8], &str); 7] = [
        ("an empty file", b"", "the file is empty"),
        ("another header", b"day,currency,usd\n", "the header has an unknown column \"day\""),
        ("a column is missing", b"observed_at,currency\n", "the header lacks the column usd"),
        ("a column twice", b"observed_at,currency,usd,USD\n", "the header has the column usd twice"),
        ("a bank's file without dollars", b"Date,GBP\n", "the header has not one column USD"),
        ("a broken archive", b"PK\x03\x04 and no more", "the zip archive cannot be read"),
        ("an open quote", b"observed_at,currency,usd\n\"2025-01-01", "never closed"),
    ];
    for (name, content, problem) in rows {
        let file = TestFile::new("refused", content);
        let ran = app.ballast(&["rates", "import", file.path()]).await;
        assert_eq!(ran.exit_code, 1, "{name}");
        let error = ran.error();
        assert!(error.contains(problem), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_banks_history_is_fetched_and_fetched_again_brings_nothing() {
    let app = App::start(json!({"accounts": [
        with(account(1, "GBP", "100"), json!({"balance_at": "2019-01-01T00:00:00Z"}))
    ]}))
    .await;
    let words = ["rates", "backfill", "--source", "ecb", "--from", "2019-12-20", "--to", "2020-01-03"];
    let report = app.ballast_json(&words).await;
    assert_eq!((&report["overlays"], &report["rejected"]), (&json!(11), &json!(0)), "{report}");
    let body = app.balance("GBP", "&as_of=2019-12-31T23:59:59Z&details=true").await.json();
    assert_eq!(body["total_balance"].to_string(), "100.0");
    let dollars = app.balance("USD", "&as_of=2019-12-31T23:59:59Z&details=true").await.json();
    assert_eq!(dollars["rates"][0]["source"], json!("ecb"), "{dollars}");
    let again = app.ballast_json(&words).await;
    assert_eq!((&again["recorded"], &again["duplicates"]), (&json!(0), &report["recorded"]));
    for (words, problem) in [
        (["--from", "2020-13-01", "--to", "2020-01-03"], "--from: not a day"),
        (["--from", "2020-01-04", "--to", "2020-01-03"], "--to: before --from"),
    ] {
        let ran = app.ballast(&[["rates", "backfill", "--source", "ecb"], words].concat()).await;
        assert!(ran.exit_code == 2 && ran.error().contains(problem), "{problem}");
    }
}
