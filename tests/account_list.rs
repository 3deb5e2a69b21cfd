//! `GET /v2/accounts`: what an account looks like, every search operator, order, groups, and every faulty
//! parameter.

use crate::harness::{ALICE, Answer, App, BOB, account, admin, dataset, id, send, with};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Label;
use std::fmt::Write;

const BOTH: &str =
    "search.customer_id.in=0a11ce00-0000-4000-8000-000000000001,0b0b0000-0000-4000-8000-000000000002";

/// Five of Alice's accounts and two of Bob's, no two alike.
fn accounts() -> Vec<Value> {
    let bob = json!({"customer_id": BOB});
    vec![
        with(
            account(1, "EUR", "1000.50"),
            json!({"iban": "DE89370400440532013000", "description": "Operating", "available": "900.25"}),
        ),
        with(
            account(2, "EUR", "-20"),
            json!({"iban": "FR7630006000011234567890189", "active": false, "status": "suspended", "available": "480"}),
        ),
        with(
            account(3, "USDC", "30"),
            json!({"address": "0xAbCd01", "network": "ethereum", "description": "Straße 100%"}),
        ),
        with(
            account(4, "EURØP", "0"),
            json!({"address": "0xFFcd02", "address_tag": "memo", "status": "closed", "balance_at": "2026-05-01T00:00:00Z"}),
        ),
        with(
            account(5, "JPY", "5000"),
            json!({"account_number": "7654321", "balance_at": "2026-04-01T00:00:00Z"}),
        ),
        with(with(account(6, "EUR", "7"), json!({"description": "operations"})), bob.clone()),
        with(account(7, "BTC", "0.12345678"), bob),
    ]
}

/// The numbers of the accounts in an answer, in its order.
fn numbers(answer: &Answer) -> Vec<u64> {
    let body = answer.json();
    let rows = body["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
    rows.iter().map(|row| row["id"].as_str().unwrap()[24..].parse().unwrap()).collect()
}

async fn list(app: &App, query: &str) -> Answer {
    app.get_as(json!({"sub": "both", "customer_ids": [ALICE, BOB]}), &format!("/v2/accounts?{query}")).await
}

#[tokio::test]
async fn an_account_is_shown_whole() {
    let app = App::start(dataset(accounts())).await;
    assert_snapshot!(list(&app, "search.id.in=00000000-0000-4000-8000-000000000001,00000000-0000-4000-8000-000000000004").await, @r#"200 {"data":[{"id":"00000000-0000-4000-8000-000000000001","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"EUR","balance":1000.50,"available":900.25,"locked":100.25,"is_crypto":false,"active":true,"status":"active","iban":"DE89370400440532013000","description":"Operating","balance_at":"2026-06-01T00:00:00.000Z","created_at":"2026-06-01T00:00:00.000Z","updated_at":"2026-06-01T00:00:00.000Z","metadata":{"icon_url":"/v2/assets/EUR/icon.svg","name":"Euro"}},{"id":"00000000-0000-4000-8000-000000000004","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"EURØP","balance":0.00,"available":0.00,"locked":0.00,"is_crypto":true,"active":true,"status":"closed","main_wallet_address":"0xFFcd02","main_wallet_address_tag":"memo","balance_at":"2026-05-01T00:00:00.000Z","created_at":"2026-05-01T00:00:00.000Z","updated_at":"2026-05-01T00:00:00.000Z","metadata":{"icon_url":"/v2/assets/EUROP/icon.svg","name":"EURØP","issuer":"Schuman Financial"}}],"pagination":{"limit":50,"offset":0,"total":2,"next_cursor":null}}"#);
    assert_snapshot!(list(&app, "search.currency=JPY").await, @r#"200 {"data":[{"id":"00000000-0000-4000-8000-000000000005","customer_id":"0a11ce00-0000-4000-8000-000000000001","currency":"JPY","balance":5000,"available":5000,"locked":0,"is_crypto":false,"active":true,"status":"active","account_number":"7654321","balance_at":"2026-04-01T00:00:00.000Z","created_at":"2026-04-01T00:00:00.000Z","updated_at":"2026-04-01T00:00:00.000Z","metadata":{"icon_url":"/v2/assets/JPY/icon.svg","name":"Japanese yen"}}],"pagination":{"limit":50,"offset":0,"total":1,"next_cursor":null}}"#);
    assert_snapshot!(list(&app, "search.currency=GBP").await, @r#"200 {"data":[],"pagination":{"limit":50,"offset":0,"total":0,"next_cursor":null}}"#);
}

#[tokio::test]
async fn every_operator_finds_what_it_names() {
    let app = App::start(dataset(accounts())).await;
    let (first, third) = (id(1), id(3));
    let rows: [(String, &[u64]); 48] = [
        (String::new(), &[1, 2, 3, 4, 5, 6, 7]),
        ("search=OPERAT".to_owned(), &[1, 6]),
        ("search=operating".to_owned(), &[1]),
        ("search=eur".to_owned(), &[1, 2, 4, 6]),
        ("search=eur%C3%B8p".to_owned(), &[4]),
        ("search=de8937".to_owned(), &[1]),
        ("search=765432".to_owned(), &[5]),
        ("search=0xabcd".to_owned(), &[3]),
        ("search=STRASSE".to_owned(), &[]),
        ("search=TIN".to_owned(), &[1]),
        ("search=STRA%C3%9FE+100%25".to_owned(), &[3]),
        ("search=000000000003".to_owned(), &[3]),
        ("search=memo".to_owned(), &[]),
        ("search=suspended".to_owned(), &[]),
        (format!("search.id={first}"), &[1]),
        (format!("search.id={}", id(9)), &[]),
        (format!("search.id.in={third},{first},{first}"), &[1, 3]),
        (format!("search.id.in={third},{first}&search.id={first}"), &[1]),
        (format!("search.id={third}&search.id.in={first}"), &[]),
        (format!("search.customer_id={ALICE}"), &[1, 2, 3, 4, 5]),
        (format!("search.customer_id={}", ALICE.to_uppercase()), &[1, 2, 3, 4, 5]),
        (format!("search.customer_id.in={ALICE},{BOB}"), &[1, 2, 3, 4, 5, 6, 7]),
        (format!("search.customer_id.in={ALICE},{BOB}&search.customer_id={BOB}"), &[6, 7]),
        (format!("search.customer_id={BOB}&search.id={first}"), &[]),
        ("search.currency=eur".to_owned(), &[1, 2, 6]),
        ("search.currency=EUROP".to_owned(), &[4]),
        ("search.currency.in=usdc,EUROP,JPY".to_owned(), &[3, 4, 5]),
        ("search.currency.in=USDC,JPY&search.currency=JPY".to_owned(), &[5]),
        ("search.iban=DE89370400440532013000".to_owned(), &[1]),
        ("search.iban=de89370400440532013000".to_owned(), &[]),
        ("search.iban=DE89".to_owned(), &[]),
        ("search.iban.like=3000".to_owned(), &[1, 2]),
        ("search.iban.like=fr76".to_owned(), &[2]),
        ("search.main_wallet_address=0xAbCd01".to_owned(), &[3]),
        ("search.main_wallet_address=0xabcd01".to_owned(), &[]),
        ("search.main_wallet_address.like=CD0".to_owned(), &[3, 4]),
        ("search.balance=1000.5".to_owned(), &[1]),
        ("search.balance=-20.00".to_owned(), &[2]),
        ("search.balance=0".to_owned(), &[4]),
        ("search.balance.gt=30".to_owned(), &[1, 5]),
        ("search.balance.gte=30".to_owned(), &[1, 3, 5]),
        ("search.balance.lt=0".to_owned(), &[2]),
        ("search.balance.lte=0".to_owned(), &[2, 4]),
        ("search.balance.gt=0&search.balance.lt=0.123456780000000001".to_owned(), &[7]),
        ("search.is_crypto=true".to_owned(), &[3, 4, 7]),
        ("search.is_crypto=false&search.active=true".to_owned(), &[1, 5, 6]),
        ("search.active=false".to_owned(), &[2]),
        ("search.status=closed".to_owned(), &[4]),
    ];
    for (query, expected) in rows {
        let answer = list(&app, &query).await;
        assert_eq!(numbers(&answer), expected, "{query}");
        assert_eq!(answer.json()["pagination"]["total"], json!(expected.len()), "{query}");
        // Across all customers the same accounts are found, in an order of the table's own.
        let mut all = numbers(&app.get_as(admin(), &format!("/v2/accounts?{query}")).await);
        all.sort_unstable();
        assert_eq!(all, expected, "everybody: {query}");
    }
}

#[tokio::test]
async fn several_keys_make_an_order_and_ids_break_ties() {
    let app = App::start(dataset(accounts())).await;
    let rows: [(&str, &[u64]); 11] = [
        ("id", &[1, 2, 3, 4, 5, 6, 7]),
        ("-id", &[7, 6, 5, 4, 3, 2, 1]),
        ("balance", &[2, 4, 7, 6, 3, 1, 5]),
        ("-balance", &[5, 1, 3, 6, 7, 4, 2]),
        ("currency", &[7, 1, 2, 6, 4, 5, 3]),
        ("currency,-balance", &[7, 1, 6, 2, 4, 5, 3]),
        ("-currency,balance", &[3, 5, 4, 2, 6, 1, 7]),
        ("status", &[1, 3, 5, 6, 7, 4, 2]),
        ("-status,-id", &[2, 4, 7, 6, 5, 3, 1]),
        ("created_at", &[5, 4, 1, 2, 3, 6, 7]),
        ("-updated_at,-id", &[7, 6, 3, 2, 1, 4, 5]),
    ];
    for (sort, expected) in rows {
        assert_eq!(numbers(&list(&app, &format!("sort={sort}")).await), expected, "{sort}");
    }
    assert_eq!(numbers(&list(&app, "sort=-balance&limit=2&offset=1").await), [1, 3]);
    assert!(numbers(&list(&app, "sort=-balance&offset=7").await).is_empty());
}

#[tokio::test]
async fn groups_have_exact_totals_over_all_matches() {
    let app = App::start(dataset(accounts())).await;
    let brief = |answer: Answer| {
        let body = answer.json();
        let group = |group: &Value| {
            let items: Vec<_> = group["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap()[24..].to_owned())
                .collect();
            format!("{} {} {} {}", group["currency"], group["accounts"], group["balance"], items.join(" "))
        };
        let groups: Vec<_> = body["data"].as_array().unwrap().iter().map(group).collect();
        format!("{}\ntotal {}", groups.join("\n"), body["pagination"]["total"])
    };
    assert_snapshot!(brief(list(&app, "stack=currency").await), @r#"
    "BTC" 1 0.12345678 000000000007
    "EUR" 3 987.5 000000000001 000000000002 000000000006
    "EURØP" 1 0.0 000000000004
    "JPY" 1 5000 000000000005
    "USDC" 1 30.0 000000000003
    total 5
    "#);
    assert_snapshot!(brief(list(&app, "stack=currency&sort=-balance,-currency&limit=2").await), @r#"
    "USDC" 1 30.0 000000000003
    "JPY" 1 5000 000000000005
    total 5
    "#);
    assert_snapshot!(brief(list(&app, "stack=currency&search.balance.gt=5&offset=2&limit=1").await), @r#"
    "USDC" 1 30.0 000000000003
    total 3
    "#);
    let text = list(&app, "stack=currency&search.currency=EUR").await;
    assert!(
        text.text().starts_with(
            r#"{"data":[{"currency":"EUR","is_crypto":false,"accounts":3,"balance":987.50,"items":[{"id":"#
        ),
        "{text}"
    );
    let largest = "999999999999999999.99";
    let app = App::start(dataset(vec![account(1, "EUR", largest), account(2, "EUR", "0.01")])).await;
    assert_snapshot!(list(&app, "stack=currency").await, @r#"400 {"error":"invalid_request","message":"An amount of the answer has more than 18 digits before the point; leave `stack` out or narrow the search.","details":{"parameter":"stack","request_id":"…"}}"#);
    assert_eq!(numbers(&list(&app, "").await), [1, 2]);
}

#[tokio::test]
async fn every_faulty_parameter_is_named() {
    let app = App::start(dataset(vec![])).await;
    let rows = [
        "search=",
        "search=%ff",
        "search=a&search=b",
        "search.id=1",
        "search.id=acc_00000000-0000-4000-8000-000000000001",
        "search.id.in=00000000-0000-4000-8000-000000000001,",
        "search.id.in=,",
        "search.customer_id=alice",
        "search.customer_id.in=0a11ce00-0000-4000-8000-000000000001,,0a11ce00-0000-4000-8000-000000000001",
        "search.currency=EURO",
        "search.currency.in=EUR,EURO",
        "search.currency.in=EUR,",
        "search.currency.in=EUR, USD",
        "search.iban=",
        "search.iban.like",
        "search.main_wallet_address=",
        "search.main_wallet_address.like=",
        "search.balance=1e3",
        "search.balance.gt=%2B1",
        "search.balance.gte=.5",
        "search.balance.lt=1234567890123456789",
        "search.balance.lte=0.1234567890123456789",
        "search.is_crypto=yes",
        "search.active=1",
        "search.status=open",
        "search.status.in=active",
        "search.description=x",
        "sort=name",
        "sort=balance,",
        "sort=balance,-balance",
        "limit=0",
        "limit=201",
        "limit=ten",
        "offset=-1",
        "offset=0&cursor=MQ",
        "cursor=x",
        "stack=status",
        "customer_id=0a11ce00-0000-4000-8000-000000000001",
    ];
    let mut answers = String::new();
    for query in rows {
        let body = list(&app, query).await;
        assert_eq!(
            (body.status.as_u16(), &body.json()["error"]),
            (400, &json!("invalid_request")),
            "{query}"
        );
        let (message, parameter) = (&body.json()["message"], &body.json()["details"]["parameter"]);
        let (message, parameter) = (message.as_str().unwrap(), parameter.as_str().unwrap());
        let known = message.split(" it knows ").next().unwrap();
        writeln!(answers, "{query}\n  {parameter}: {known}").unwrap();
    }
    assert_snapshot!(answers, @"
    search=
      search: `search` is empty; it must be a text.
    search=%ff
      search: `search` is not valid percent-encoded UTF-8.
    search=a&search=b
      search: `search` is given more than once.
    search.id=1
      search.id: `search.id` must be a UUID.
    search.id=acc_00000000-0000-4000-8000-000000000001
      search.id: `search.id` must be a UUID.
    search.id.in=00000000-0000-4000-8000-000000000001,
      search.id.in: `search.id.in` must be UUIDs, separated by commas.
    search.id.in=,
      search.id.in: `search.id.in` must be UUIDs, separated by commas.
    search.customer_id=alice
      search.customer_id: `search.customer_id` must be a UUID.
    search.customer_id.in=0a11ce00-0000-4000-8000-000000000001,,0a11ce00-0000-4000-8000-000000000001
      search.customer_id.in: `search.customer_id.in` must be UUIDs, separated by commas.
    search.currency=EURO
      search.currency: `search.currency` must be the code of a known asset, such as EUR, USDC or BTC.
    search.currency.in=EUR,EURO
      search.currency.in: `search.currency.in` must be codes of known assets, separated by commas.
    search.currency.in=EUR,
      search.currency.in: `search.currency.in` must be codes of known assets, separated by commas.
    search.currency.in=EUR, USD
      search.currency.in: `search.currency.in` must be codes of known assets, separated by commas.
    search.iban=
      search.iban: `search.iban` is empty; it must be a text.
    search.iban.like
      search.iban.like: `search.iban.like` is empty; it must be a text.
    search.main_wallet_address=
      search.main_wallet_address: `search.main_wallet_address` is empty; it must be a text.
    search.main_wallet_address.like=
      search.main_wallet_address.like: `search.main_wallet_address.like` is empty; it must be a text.
    search.balance=1e3
      search.balance: `search.balance` must be a decimal of at most 18 digits before and 18 after the point, without exponent.
    search.balance.gt=%2B1
      search.balance.gt: `search.balance.gt` must be a decimal of at most 18 digits before and 18 after the point, without exponent.
    search.balance.gte=.5
      search.balance.gte: `search.balance.gte` must be a decimal of at most 18 digits before and 18 after the point, without exponent.
    search.balance.lt=1234567890123456789
      search.balance.lt: `search.balance.lt` must be a decimal of at most 18 digits before and 18 after the point, without exponent.
    search.balance.lte=0.1234567890123456789
      search.balance.lte: `search.balance.lte` must be a decimal of at most 18 digits before and 18 after the point, without exponent.
    search.is_crypto=yes
      search.is_crypto: `search.is_crypto` must be `true` or `false`.
    search.active=1
      search.active: `search.active` must be `true` or `false`.
    search.status=open
      search.status: `search.status` must be `active`, `inactive`, `suspended` or `closed`.
    search.status.in=active
      search.status.in: This is not a parameter of this route;
    search.description=x
      search.description: This is not a parameter of this route;
    sort=name
      sort: `sort` must be field names separated by commas, each once and with `-` before it for descending: id, currency, balance, status, created_at, updated_at.
    sort=balance,
      sort: `sort` must be field names separated by commas, each once and with `-` before it for descending: id, currency, balance, status, created_at, updated_at.
    sort=balance,-balance
      sort: `sort` must be field names separated by commas, each once and with `-` before it for descending: id, currency, balance, status, created_at, updated_at.
    limit=0
      limit: `limit` must be a whole number from 1 to 200.
    limit=201
      limit: `limit` must be a whole number from 1 to 200.
    limit=ten
      limit: `limit` must be a whole number from 1 to 200.
    offset=-1
      offset: `offset` must be a whole number from 0 to 1000000.
    offset=0&cursor=MQ
      cursor: `cursor` must be the `next_cursor` of an earlier answer.
    cursor=x
      cursor: `cursor` must be the `next_cursor` of an earlier answer.
    stack=status
      stack: `stack` must be `currency`.
    customer_id=0a11ce00-0000-4000-8000-000000000001
      customer_id: This is not a parameter of this route;
    ");
    assert_snapshot!(list(&app, "colour=red").await, @r#"400 {"error":"invalid_request","message":"This is not a parameter of this route; it knows search, search.id, search.id.in, search.customer_id, search.customer_id.in, search.currency, search.currency.in, search.iban, search.iban.like, search.main_wallet_address, search.main_wallet_address.like, search.balance, search.balance.gt, search.balance.gte, search.balance.lt, search.balance.lte, search.is_crypto, search.active, search.status, as_of, known_at, stack, sort, limit, offset, cursor, amounts.","details":{"parameter":"colour","request_id":"…"}}"#);
}

#[tokio::test]
async fn across_all_customers_there_is_only_the_tables_order() {
    let app = App::start(dataset(accounts())).await;
    for (query, parameter) in [("offset=0", "offset"), ("sort=id", "sort"), ("stack=currency", "stack")] {
        for more in [String::new(), format!("&search.id={}", id(1))] {
            let answer = app.get_as(admin(), &format!("/v2/accounts?{query}{more}")).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["details"]["parameter"]),
                (400, &json!(parameter)),
                "{answer}"
            );
            assert_eq!(
                app.get_as(admin(), &format!("/v2/accounts?{query}{more}&{BOTH}")).await.status,
                200,
                "{query}"
            );
        }
    }
    assert_snapshot!(app.get_as(admin(), "/v2/accounts?sort=id").await, @r#"400 {"error":"invalid_request","message":"`sort` needs `search.customer_id` or `search.customer_id.in`; across all customers use `cursor`.","details":{"parameter":"sort","request_id":"…"}}"#);
    let answer = app.get_as(admin(), "/v2/accounts?search.currency=JPY").await;
    assert_snapshot!(answer.json()["pagination"], @r#"{"limit":50,"next_cursor":null,"offset":0,"total":null}"#);
    assert_eq!(numbers(&app.get_as(admin(), &format!("/v2/accounts?{BOTH}&sort=-id&limit=1")).await), [7]);
}

#[tokio::test]
async fn a_caller_without_customers_has_an_empty_list() {
    let app = App::start(dataset(accounts())).await;
    assert_snapshot!(app.get_as(json!({"sub": "nobody"}), "/v2/accounts").await, @r#"200 {"data":[],"pagination":{"limit":50,"offset":0,"total":0,"next_cursor":null}}"#);
    assert_eq!(send(app.request(Method::GET, "/v2/accounts")).await.status, 401);
    assert_eq!(send(app.request(Method::POST, "/v2/accounts")).await.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn every_label_of_an_event_is_kept_and_those_that_are_listed_are_found_by_search() {
    let app = App::start(json!({})).await;
    let text = |label: Label| match label {
        Label::ContactId => format!("con_{}", id(7)),
        label => format!("the {} of it", label.name()),
    };
    let labels: Value =
        Label::ALL.into_iter().map(|label| (label.name().to_owned(), json!(text(label)))).collect();
    let detail = with(account(1, "EUR", "1"), labels);
    let event = json!({"detail-type": "AccountBalanceChanged", "detail": detail});
    assert_eq!(send(app.request(Method::POST, "/_local/events").body(event.to_string())).await.status, 200);
    let shown = app.ballast_json(&["accounts", "show", &id(1)]).await;
    for label in Label::ALL {
        assert_eq!(shown[label.name()], json!(text(label)), "{label:?}");
        let found = app.get(&format!("/v2/accounts?search={}", text(label).replace(' ', "+"))).await;
        if label.is_listed() {
            assert_eq!(found.json()["data"][0][label.name()], json!(text(label)), "{label:?}");
        }
    }
}

/// Lambda's answer holds the body as a JSON string, in which each quote takes two bytes more.
#[tokio::test]
async fn an_answer_that_is_too_long_once_it_is_escaped_says_what_to_narrow() {
    let quotes = "\"".repeat(1_024);
    let names = ["description", "iban", "account_number", "address", "address_tag"];
    let labels: Value = names.into_iter().map(|name| (name.to_owned(), json!(quotes))).collect();
    let accounts =
        |count| (0..count).map(|number| with(account(number, "USDC", "1"), labels.clone())).collect();
    for (count, status) in [(160, 200), (320, 400)] {
        let app = App::start(dataset(accounts(count))).await;
        let answer = app.get("/v2/accounts?stack=currency").await;
        assert_eq!(answer.status, status, "{count}");
        let escaped = serde_json::to_string(answer.text()).unwrap().len();
        assert!(escaped < 5_500_000 && answer.body.len() < 4 * 1024 * 1024, "{count}: {escaped}");
    }
}

#[tokio::test]
async fn an_answer_beyond_four_mebibytes_says_what_to_narrow() {
    let accounts = (0..3_000)
        .map(|number| with(account(number, "USDC", "1"), json!({"description": "é".repeat(1_000)})))
        .collect();
    let app = App::start(dataset(accounts)).await;
    assert_snapshot!(app.get("/v2/accounts?stack=currency").await, @r#"400 {"error":"invalid_request","message":"The answer is larger than 4 MiB; leave `stack` out or narrow it with `search.currency`.","details":{"parameter":"stack","request_id":"…"}}"#);
    assert_eq!(app.get("/v2/accounts?limit=200").await.status, 200);
}
