//! The sources' documents: as they come, and broken in every way that was thought of.

use crate::harness::asset;
use insta::assert_snapshot;
use shared::config::RatesConfig;
use shared::domain::{Catalogue, SourceName, Timestamp};
use shared::rates::sources::{coinbase, coingecko, ecb};
use shared::rates::{Answer, SourceError, Sources};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const ECB: &str = include_str!("fixtures/ecb.xml");
const COINBASE: &str = include_str!("fixtures/coinbase.json");
const COINGECKO: &str = include_str!("fixtures/coingecko.json");

fn now() -> Timestamp {
    Timestamp::parse("2026-09-24T15:24:05Z").unwrap()
}

fn shown(answer: Result<Answer, SourceError>) -> String {
    match answer {
        Ok(Answer { quotes, unreadable }) => {
            let quotes = quotes.iter().map(|(asset, quote)| {
                format!("{} {} {}", asset.code(), quote.usd, quote.observed_at.to_millis_text())
            });
            let unreadable = unreadable.iter().map(|asset| format!("{} is unreadable", asset.code()));
            quotes.chain(unreadable).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

/// What is left of a document whose prices are all known: only the lines that differ.
fn few(answer: Result<Answer, SourceError>, codes: &[&str]) -> String {
    let text = shown(answer);
    let is_meant =
        |line: &&str| !line.contains(' ') || codes.iter().any(|code| line.starts_with(&format!("{code} ")));
    if text.starts_with("the source") {
        text
    } else {
        text.lines().filter(is_meant).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn the_banks_document_is_read_as_dollars_per_unit() {
    let answer = ecb::parse(ECB.as_bytes(), now()).unwrap();
    assert_eq!((answer.quotes.len(), answer.unreadable.len()), (29, 0));
    assert_snapshot!(few(Ok(answer), &["EUR", "JPY", "CHF", "IDR"]), @"
    CHF 1.22555256064690027 2026-09-24T14:00:00.000Z
    EUR 1.1367 2026-09-24T14:00:00.000Z
    IDR 0.000059830251990263 2026-09-24T14:00:00.000Z
    JPY 0.0073715953307393 2026-09-24T14:00:00.000Z
    ");
}

#[test]
fn the_exchanges_document_is_read_by_what_our_codes_mean_there() {
    let answer = coinbase::parse(COINBASE.as_bytes(), &Catalogue::default(), now()).unwrap();
    // The dollar is 1 by definition, and its USD1 is another issuer's.
    assert!(["USD", "USD1"].iter().all(|code| !answer.quotes.contains_key(&asset(code))));
    assert_snapshot!(shown(Ok(answer)), @"
    AED 0.272294077603812117 2026-09-24T15:24:05.000Z
    ARS 0.000688942473303479 2026-09-24T15:24:05.000Z
    BNB 1141.071472905836519414 2026-09-24T15:24:05.000Z
    BTC 108988.895987991192246736 2026-09-24T15:24:05.000Z
    CLF 41.473125414731254147 2026-09-24T15:24:05.000Z
    CLP 0.001047500001039644 2026-09-24T15:24:05.000Z
    COP 0.000265716535194554 2026-09-24T15:24:05.000Z
    CZK 0.046576618537494178 2026-09-24T15:24:05.000Z
    DOGE 0.236400000000917232 2026-09-24T15:24:05.000Z
    ETH 4276.000000000436152 2026-09-24T15:24:05.000Z
    EUR 1.136699996226156013 2026-09-24T15:24:05.000Z
    EURC 1.135499999999990575 2026-09-24T15:24:05.000Z
    GBP 1.329760709560314621 2026-09-24T15:24:05.000Z
    JPY 0.007371603257364047 2026-09-24T15:24:05.000Z
    MKR 1720.00000000002752 2026-09-24T15:24:05.000Z
    PEN 0.296515937731653076 2026-09-24T15:24:05.000Z
    SOL 186.399999999999642112 2026-09-24T15:24:05.000Z
    TRX 0.339099999999999998 2026-09-24T15:24:05.000Z
    USDC 1 2026-09-24T15:24:05.000Z
    USDT 1.000350000000040029 2026-09-24T15:24:05.000Z
    ZAR 0.057536075119099675 2026-09-24T15:24:05.000Z
    ");
}

#[test]
fn the_indexs_document_is_read_by_id_with_its_own_times() {
    assert_snapshot!(shown(coingecko::parse(COINGECKO.as_bytes(), &Catalogue::default(), now())), @"
    BNB 1141.0654321 2026-09-24T14:04:01.000Z
    BTC 108990.75346721 2026-09-24T14:04:03.000Z
    ETH 4276.001 2026-09-24T14:04:02.000Z
    EURC 1.1352798254 2026-09-24T14:03:59.000Z
    EURCV 1.1366018012345678 2026-09-24T14:00:50.000Z
    EURD 1.1341 2026-09-24T11:40:00.000Z
    EURI 1.1348 2026-09-24T14:02:05.000Z
    EURQ 1.13402 2026-09-24T13:58:20.000Z
    EURR 0.31 2026-09-24T14:03:20.000Z
    EURe 1.136 2026-09-24T14:01:41.000Z
    EURØP 1.1361 2026-09-24T14:00:00.000Z
    SOL 186.4 2026-09-24T14:04:00.000Z
    TRX 0.33908812 2026-09-24T14:04:01.000Z
    USDC 0.999849 2026-09-24T14:04:00.000Z
    USDQ 0.999703 2026-09-24T13:58:30.000Z
    USDR 0.28 2026-09-24T14:03:20.000Z
    USDT 1.000353421787 2026-09-24T14:04:04.000Z
    ");
}

#[test]
fn a_broken_document_of_the_bank_prices_nothing_wrongly() {
    let changed = |from: &str, to: &str| ECB.replace(from, to);
    let rows = [
        ("empty", String::new()),
        ("html", "<html><body>Service unavailable".to_owned()),
        ("other xml", "<a/>".to_owned()),
        ("cut", ECB[..ECB.len() / 2].to_owned()),
        ("json", "{}".to_owned()),
        ("a document type", format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", ECB.split_once("?>").unwrap().1)),
        ("no day", changed(" time='2026-09-24'", "")),
        ("no date", changed("2026-09-24", "today")),
        ("a day to come", changed("2026-09-24", "2026-09-25")),
        (
            "two days",
            changed("<Cube>\n\t\t<Cube time", "<Cube>\n\t\t<Cube time='2026-09-23'></Cube><Cube time"),
        ),
        ("no dollar", changed("currency='USD'", "currency='UDS'")),
        (
            "two dollars",
            changed("<Cube currency='JPY'", "<Cube currency='USD' rate='1.2'/><Cube currency='JPY'"),
        ),
        ("dollar of nothing", changed("'1.1367'", "'0'")),
        ("dollar of no number", changed("'1.1367'", "'N/A'")),
        ("one rate is nothing", changed("'154.20'", "'0'")),
        ("one rate is below nothing", changed("'154.20'", "'-154.20'")),
        ("one rate is no number", changed("'154.20'", "'154,20'")),
        ("one without a rate", changed("rate='154.20'", "")),
        ("one currency twice", changed("currency='CHF'", "currency='JPY'")),
        ("thrice", changed("currency='CHF'", "currency='JPY'").replace("currency='CZK'", "currency='JPY'")),
        ("a currency of nobody's", changed("currency='JPY'", "currency='ZZZ'")),
        ("a token's code", changed("currency='JPY'", "currency='BTC'")),
    ];
    let answers = rows.map(|(name, document)| {
        format!("{name}: {}", few(ecb::parse(document.as_bytes(), now()), &["JPY", "BTC"]))
    });
    assert_snapshot!(answers.join("\n"), @"
    empty: the source answered nonsense: not XML
    html: the source answered nonsense: not XML
    other xml: the source answered nonsense: not one day's rates
    cut: the source answered nonsense: not XML
    json: the source answered nonsense: not XML
    a document type: the source answered nonsense: not XML
    no day: the source answered nonsense: not one day's rates
    no date: the source answered nonsense: the day is no date
    a day to come: the source answered nonsense: the day is in the future
    two days: the source answered nonsense: not one day's rates
    no dollar: the source answered nonsense: not one rate of the dollar
    two dollars: the source answered nonsense: not one rate of the dollar
    dollar of nothing: the source answered nonsense: the rate of the dollar is no price
    dollar of no number: the source answered nonsense: the rate of the dollar is no price
    one rate is nothing: JPY is unreadable
    one rate is below nothing: JPY is unreadable
    one rate is no number: JPY is unreadable
    one without a rate: JPY is unreadable
    one currency twice: JPY is unreadable
    thrice: JPY is unreadable
    a currency of nobody's: 
    a token's code:
    ");
    assert_eq!(ecb::parse(b"\xff", now()), Err(SourceError::Nonsense("not UTF-8".to_owned())));
}

#[test]
fn a_broken_document_of_the_exchange_prices_nothing_wrongly() {
    let rate = |rates: &str| format!(r#"{{"data":{{"currency":"USD","rates":{{{rates}}}}}}}"#);
    let rows = [
        String::new(),
        "<html>".to_owned(),
        "{}".to_owned(),
        r#"{"data":{"currency":"USD","rates":[]}}"#.to_owned(),
        rate(r#""EUR":"0.88""#).replace("USD", "EUR"),
        COINBASE[..300].to_owned(),
        rate(""),
        rate(r#""EUR":"0""#),
        rate(r#""EUR":"-1""#),
        rate(r#""EUR":"""#),
        rate(r#""EUR":0.88"#),
        rate(r#""EUR":null"#),
        rate(r#""EUR":{"a":1}"#),
        rate(r#""EUR":"1e-999""#),
        rate(r#""EUR":"0.00000000001""#),
        rate(r#""EUR":"9999999999999999999""#),
        rate(r#""EUR":"0.88","EUR":"0.8""#),
        rate(r#""eur":"0.88","EUR":"0.88""#),
        rate(r#""EUR":"8.8e-1""#),
    ];
    let answers = rows.map(|document| {
        format!(
            "{document:.60} → {}",
            shown(coinbase::parse(document.as_bytes(), &Catalogue::default(), now()))
        )
    });
    assert_snapshot!(answers.join("\n"), @r#"
     → the source answered nonsense: not the document: line 1 column 0
    <html> → the source answered nonsense: not the document: line 1 column 1
    {} → the source answered nonsense: not the document: line 1 column 2
    {"data":{"currency":"USD","rates":[]}} → the source answered nonsense: not the document: line 1 column 34
    {"data":{"currency":"EUR","rates":{"EUR":"0.88"}}} → the source answered nonsense: not the rates of the dollar
    {"data":{"currency":"USD","rates":{"00":"14.7058823529411765 → the source answered nonsense: not the document: line 1 column 300
    {"data":{"currency":"USD","rates":{}}} → 
    {"data":{"currency":"USD","rates":{"EUR":"0"}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":"-1"}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":""}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":0.88}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":null}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":{"a":1}}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":"1e-999"}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":"0.00000000001"}}} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":"999999999999999999 → EUR is unreadable
    {"data":{"currency":"USD","rates":{"EUR":"0.88","EUR":"0.8"} → EUR is unreadable
    {"data":{"currency":"USD","rates":{"eur":"0.88","EUR":"0.88" → EUR 1.136363636363636364 2026-09-24T15:24:05.000Z
    {"data":{"currency":"USD","rates":{"EUR":"8.8e-1"}}} → EUR 1.136363636363636364 2026-09-24T15:24:05.000Z
    "#);
}

#[test]
fn a_broken_document_of_the_index_prices_nothing_wrongly() {
    let price = |price: &str| format!(r#"{{"euro-coin":{price}}}"#);
    let rows = [
        String::new(),
        "[]".to_owned(),
        r#"{"status":{"error_code":429}}"#.to_owned(),
        "{}".to_owned(),
        price("null"),
        price("{}"),
        price(r#"{"usd":1.13}"#),
        price(r#"{"usd":null,"last_updated_at":1790258641}"#),
        price(r#"{"usd":"1.13","last_updated_at":1790258641}"#),
        price(r#"{"usd":0,"last_updated_at":1790258641}"#),
        price(r#"{"usd":-1.13,"last_updated_at":1790258641}"#),
        price(r#"{"usd":1.13,"last_updated_at":"yesterday"}"#),
        price(r#"{"usd":1.13,"last_updated_at":1790268641}"#),
        price(r#"{"usd":1.13,"last_updated_at":-5}"#),
        price(r#"{"usd":1.13,"last_updated_at":9223372036854775807}"#),
        price(
            r#"{"usd":1.13,"last_updated_at":1790258641},"euro-coin":{"usd":1.14,"last_updated_at":1790258641}"#,
        ),
        price(r#"{"usd":1.1300000000000000005,"last_updated_at":1790258641}"#),
        price(r#"{"usd":113E-2,"last_updated_at":1790258641}"#),
    ];
    let answers = rows.map(|document| {
        format!(
            "{document:.70} → {}",
            shown(coingecko::parse(document.as_bytes(), &Catalogue::default(), now()))
        )
    });
    assert_snapshot!(answers.join("\n"), @r#"
     → the source answered nonsense: not the document: line 1 column 0
    [] → the source answered nonsense: not the document: line 1 column 0
    {"status":{"error_code":429}} → 
    {} → 
    {"euro-coin":null} → EURC is unreadable
    {"euro-coin":{}} → EURC is unreadable
    {"euro-coin":{"usd":1.13}} → EURC is unreadable
    {"euro-coin":{"usd":null,"last_updated_at":1790258641}} → EURC is unreadable
    {"euro-coin":{"usd":"1.13","last_updated_at":1790258641}} → EURC is unreadable
    {"euro-coin":{"usd":0,"last_updated_at":1790258641}} → EURC is unreadable
    {"euro-coin":{"usd":-1.13,"last_updated_at":1790258641}} → EURC is unreadable
    {"euro-coin":{"usd":1.13,"last_updated_at":"yesterday"}} → EURC is unreadable
    {"euro-coin":{"usd":1.13,"last_updated_at":1790268641}} → EURC is unreadable
    {"euro-coin":{"usd":1.13,"last_updated_at":-5}} → EURC is unreadable
    {"euro-coin":{"usd":1.13,"last_updated_at":9223372036854775807}} → EURC is unreadable
    {"euro-coin":{"usd":1.13,"last_updated_at":1790258641},"euro-coin":{"u → EURC is unreadable
    {"euro-coin":{"usd":1.1300000000000000005,"last_updated_at":1790258641 → EURC 1.13 2026-09-24T14:04:01.000Z
    {"euro-coin":{"usd":113E-2,"last_updated_at":1790258641}} → EURC 1.13 2026-09-24T14:04:01.000Z
    "#);
}

fn config(url: &str, api_key: Option<&str>) -> RatesConfig {
    let lookup = |name: &str| match name {
        "COINGECKO_API_KEY" => api_key.map(str::to_owned),
        _ => name.ends_with("_BASE_URL").then(|| url.to_owned()),
    };
    RatesConfig::from_lookup(lookup).unwrap()
}

fn aws() -> shared::config::StoreConfig {
    shared::config::StoreConfig {
        region: "eu-central-1".to_owned(),
        endpoint_url: None,
        access_key_id: "id".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
        secrets_endpoint_url: None,
        tables: shared::config::Tables::by_logical_id(),
    }
}

#[tokio::test]
async fn each_source_is_asked_as_its_vendor_documents() {
    let vendor = MockServer::start().await;
    let ids = Catalogue::default().crypto().count();
    Mock::given(method("GET"))
        .and(path("/stats/eurofxref/eurofxref-daily.xml"))
        .respond_with(ResponseTemplate::new(200).set_body_string(ECB))
        .expect(1)
        .mount(&vendor)
        .await;
    Mock::given(path("/v2/exchange-rates"))
        .and(query_param("currency", "USD"))
        .respond_with(ResponseTemplate::new(200).set_body_string(COINBASE))
        .expect(1)
        .mount(&vendor)
        .await;
    Mock::given(path("/api/v3/simple/price"))
        .and(query_param("vs_currencies", "usd"))
        .and(query_param("include_last_updated_at", "true"))
        .and(query_param("precision", "full"))
        .and(header("x-cg-demo-api-key", "a key"))
        .and(header("user-agent", concat!("ballast/", env!("CARGO_PKG_VERSION"))))
        .respond_with(ResponseTemplate::new(200).set_body_string(COINGECKO))
        .expect(1)
        .mount(&vendor)
        .await;
    let answers = Sources::new(&config(&vendor.uri(), Some("a key")), &aws())
        .unwrap()
        .ask(&Catalogue::default(), now())
        .await;
    let counts: Vec<_> =
        answers.into_iter().map(|(source, answer)| (source.name(), answer.unwrap().quotes.len())).collect();
    assert_eq!(counts, [("ecb", 29), ("coinbase", 21), ("coingecko", 17)]);
    let asked = vendor.received_requests().await.unwrap();
    let query = asked
        .iter()
        .find_map(|request| request.url.query_pairs().find(|(name, _)| name == "ids"))
        .unwrap()
        .1
        .into_owned();
    assert_eq!(query.split(',').count(), ids - 4, "four tokens have no id");
}

#[tokio::test]
async fn an_answer_is_sorted_by_what_it_is_and_not_by_its_status_alone() {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let page = "<!DOCTYPE html><title>Just a moment...</title>";
    let unavailable = "the source is unavailable: status";
    let wrong_key = "the source refuses our key: code";
    let rows: [(&str, u16, Vec<u8>, &str); 13] = [
        ("compressed unasked", 200, gzip(COINGECKO), ""),
        (
            "cut while compressed",
            200,
            gzip(COINGECKO)[..200].to_vec(),
            "the source is unavailable: the compressed",
        ),
        ("a byte-order mark", 200, format!("\u{feff}{COINGECKO}").into(), ""),
        ("a web page", 200, page.into(), "the source is unavailable: status 200, a web page"),
        ("a challenge", 403, page.into(), "the source is unavailable: status 403, a web page"),
        ("too slow", 408, Vec::new(), unavailable),
        (
            "throttled with status 200",
            200,
            r#"{"status":{"error_code":429}}"#.into(),
            "the source limits our calls",
        ),
        ("throttled", 429, page.into(), "the source limits our calls"),
        ("a demo key at the pro host", 400, r#"{"error_code":10010,"status":{}}"#.into(), wrong_key),
        ("a pro key at the demo host", 400, r#"{"status":{"error_code":10011}}"#.into(), wrong_key),
        ("no key", 401, r#"{"status":{"error_code":10002}}"#.into(), wrong_key),
        (
            "another of its errors",
            400,
            r#"{"status":{"error_code":10006}}"#.into(),
            "the source answered nonsense: code",
        ),
        ("not found", 404, "{}".into(), "the source answered nonsense: status 404"),
    ];
    for (name, status, body, expected) in rows {
        let vendor = MockServer::start().await;
        Mock::given(path("/api/v3/simple/price"))
            .respond_with(ResponseTemplate::new(status).set_body_bytes(body))
            .mount(&vendor)
            .await;
        let sources = Sources::new(&config(&vendor.uri(), Some("a key")), &aws()).unwrap();
        let answer = sources.ask(&Catalogue::default(), now()).await.remove(&SourceName::CoinGecko).unwrap();
        match answer {
            Ok(answer) => assert!(expected.is_empty() && answer.quotes.len() == 17, "{name}"),
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().starts_with(expected), "{name}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_is_tried_once_more_and_stops_no_other() {
    for (status, attempts, cause) in [
        (500, 2, "the source is unavailable: status 500"),
        (429, 1, "the source limits our calls"),
        (403, 1, "the source answered nonsense: status 403"),
        (301, 1, "the source answered nonsense: status 301"),
    ] {
        let vendor = MockServer::start().await;
        Mock::given(path("/v2/exchange-rates"))
            .respond_with(ResponseTemplate::new(status))
            .expect(attempts)
            .mount(&vendor)
            .await;
        Mock::given(path("/api/v3/simple/price"))
            .respond_with(ResponseTemplate::new(200).set_body_string("{}"))
            .mount(&vendor)
            .await;
        Mock::given(path("/stats/eurofxref/eurofxref-daily.xml"))
            .respond_with(ResponseTemplate::new(200).set_body_string(ECB))
            .mount(&vendor)
            .await;
        let answers = Sources::new(&config(&vendor.uri(), None), &aws())
            .unwrap()
            .ask(&Catalogue::default(), now())
            .await;
        let shown: Vec<_> = answers
            .values()
            .map(|answer| {
                answer.as_ref().map_or_else(ToString::to_string, |answer| answer.quotes.len().to_string())
            })
            .collect();
        assert_eq!(shown, ["29", cause, "the source answered nonsense: it prices nothing of ours"]);
    }
    // Nobody listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let answers = Sources::new(&config(&format!("http://127.0.0.1:{port}"), None), &aws())
        .unwrap()
        .ask(&Catalogue::default(), now())
        .await;
    assert!(answers.values().all(
        |answer| matches!(answer, Err(SourceError::Unavailable(cause)) if !cause.contains("127.0.0.1"))
    ));
}
