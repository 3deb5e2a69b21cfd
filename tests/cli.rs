//! The operator's command line, run in this process against a stack of its own.

use crate::harness::{ALICE, App, BOB, CUSTODY, account, custody, dataset, id, send, sheet, wallet, with};
use ballast::{Arguments, Ending, run};
use clap::{CommandFactory, Parser};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

/// How one command ended, and what it printed.
pub struct Ran {
    pub ending: Result<Ending, String>,
    pub exit_code: u8,
    pub out: String,
}

impl Ran {
    /// The printed document of a command that was done.
    pub fn json(&self) -> Value {
        assert!(self.ending.is_ok(), "{:?}", self.ending);
        serde_json::from_str(&self.out).unwrap()
    }

    pub fn error(self) -> String {
        self.ending.unwrap_err()
    }
}

/// Runs a command with nothing but the endpoint's URL.
pub async fn ballast(url: &str, words: &[&str]) -> Ran {
    let line = [&["ballast", "--endpoint-url", url], words].concat();
    let mut out = Vec::new();
    let ended = run(Arguments::try_parse_from(line).unwrap(), &mut out).await;
    let exit_code = ended.as_ref().map_or_else(|error| error.exit_code(), |ending| ending.exit_code());
    Ran { ending: ended.map_err(|error| error.to_string()), exit_code, out: String::from_utf8(out).unwrap() }
}

impl App {
    pub async fn ballast(&self, words: &[&str]) -> Ran {
        ballast(&self.stack.dynamodb_url(), words).await
    }

    /// The same as a JSON document.
    pub async fn ballast_json(&self, words: &[&str]) -> Value {
        self.ballast(&[words, &["--output", "json"]].concat()).await.json()
    }
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[tokio::test]
async fn a_balance_is_that_of_the_api_whichever_url_is_given() {
    let app = App::start(dataset(vec![account(1, "EUR", "240.5"), account(2, "USDC", "17034")])).await;
    let words = ["balance", "--customer", ALICE, "--currency", "eur"];
    for url in [app.stack.dynamodb_url(), app.stack.url(), app.stack.url().replace("127.0.0.1", "localhost")]
    {
        let ran = ballast(&url, &words).await;
        assert_eq!(ran.ending, Ok(Ending::Done), "{url}");
        assert!(ran.out.contains("total 15,243.11 EUR of 2 accounts, the oldest confirmed "), "{}", ran.out);
    }
    let shown = app.ballast_json(&words).await;
    let row = &shown["stacks"][1];
    assert_eq!((&row["currency"], &row["balance_in_base"]), (&json!("USDC"), &json!("15002.61")));
    assert_eq!(shown["rates"][1]["peg_deviation"], json!("-0.00009"));
    let then =
        app.ballast_json(&[&words[..], &["--as-of", "2026-05-01T00:00:00Z", "--partial"]].concat()).await;
    assert_eq!((&then["total_balance"], &then["stacks"]), (&json!("0.00"), &json!([])));
}

#[tokio::test]
async fn a_balance_develops_as_the_api_says_over_several_customers_too() {
    let history = json!({"history": [{"balance": "100", "balance_at": "2026-05-01T00:00:00Z"}]});
    let app = App::start(dataset(vec![
        with(account(1, "EUR", "1240.5"), history),
        with(account(2, "EUR", "7"), json!({"customer_id": BOB})),
    ]))
    .await;
    let words = ["balance", "--customer", ALICE, "--customer", BOB, "--currency", "EUR"];
    let range = ["--history", "--interval", "week", "--timezone", "UTC", "--from", "2026-05-16T00:00:00Z"];
    let series = [&words[..], &range, &["--to", "2026-06-07T23:59:59.999Z", "--partial"]].concat();
    let shown = app.ballast_json(&series).await;
    let path = format!(
        "/v2/accounts/balance/history?search.customer_id.in={ALICE},{BOB}&currency=EUR&amounts=string"
    );
    let range = "&interval=week&from=2026-05-16T00:00:00Z&to=2026-06-07T23:59:59.999Z&partial=true";
    let answered =
        app.get_as(json!({"sub": "t", "customer_ids": [ALICE, BOB]}), &format!("{path}{range}")).await;
    let totals = |points: &Value| -> Vec<Value> {
        points.as_array().unwrap().iter().map(|point| json!([point["at"], point["total_balance"]])).collect()
    };
    assert_eq!(totals(&shown["points"]), totals(&answered.json()["points"]));
    let printed = app.ballast(&series).await.out;
    for expected in ["EUR", "2026-05-17", "2026-06-07", "1,247.50", "100.00"] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
    let csv = app.ballast(&[&series[..], &["--output", "csv"]].concat()).await.out;
    assert_eq!(csv.lines().next(), Some("at,total EUR,fiat,crypto,accounts,remark"));
    assert_eq!(csv.lines().last(), Some("2026-06-07T23:59:59.999Z,1247.50,1247.50,0.00,2,"));
    let refused = app.ballast(&["verify", "--output", "csv"]).await;
    assert_eq!(refused.error(), "--output: csv is for commands that show a table");
}

#[tokio::test]
async fn the_book_is_shown_and_closed_again() {
    let app = App::start(dataset(vec![account(1, "EUR", "1240.5"), account(2, "USDC", "10")])).await;
    let close = ["positions", "close", "--as-of", "2026-06-01T23:59:59.999Z"];
    let none = app.ballast(&["positions", "show", "--currency", "EUR"]).await;
    assert!(none.error().contains("no position has been made of"));
    let made = app.ballast_json(&close).await;
    assert_eq!((&made["accounts"], &made["complete"]), (&json!(2), &json!(true)));
    assert_eq!(app.ballast(&close).await.exit_code, 0);
    let shown = app.ballast_json(&["positions", "show", "--currency", "EUR", "--stack", "issuer"]).await;
    assert_eq!((&shown["total_balance"], &shown["rows"][0]["value"]), (&json!("1249.31"), &json!("Circle")));
    let printed = app.ballast(&["positions", "show", "--currency", "EUR"]).await.out;
    assert!(printed.starts_with("total 1,249.31 EUR of 2 accounts\n"), "{printed}");
    let words =
        ["positions", "history", "--currency", "EUR", "--from", "2026-05-30T00:00:00Z", "--timezone", "UTC"];
    let closes = app.ballast_json(&words).await;
    assert_eq!(closes.as_array().unwrap().len(), 1, "{closes}");
    let unknown = app.ballast(&["positions", "show", "--currency", "EUR", "--stack", "colour"]).await;
    assert!(unknown.error().contains("none of currency, issuer, peg"));
    let future = app.ballast(&["positions", "close", "--as-of", "2126-06-01T23:59:59.999Z"]).await;
    assert!(future.error().contains("as_of is in the future"));
}

#[tokio::test]
async fn what_cannot_be_done_says_what_to_do() {
    let old = json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("EUR", "1.2")])], "rates_never_expire": false});
    let app = App::start(with(dataset(vec![account(1, "USDC", "1")]), old)).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows: [&[&str]; 17] = [
        &["balance", "--customer", ALICE, "--currency", "EUR"],
        &["balance", "--customer", "alice", "--currency", "EUR"],
        &["balance", "--customer", ALICE, "--currency", "NOPE"],
        &["balance", "--customer", ALICE, "--currency", "EUR", "--as-of", "2100-01-01T00:00:00Z"],
        &["accounts", "show", &id(9)],
        &["accounts", "show", "acc_1"],
        &["rates", "show", "--as-of", "2020-01-01T00:00:00Z"],
        &["rates", "show", "--as-of", "tomorrow"],
        &["balance", "--customer", ALICE, "--currency", "EUR", "--known-at", "yesterday"],
        &["custody", "sync", CUSTODY],
        &[
            "custody",
            "add",
            "--id",
            CUSTODY,
            "--customer",
            ALICE,
            "--provider",
            "bank",
            "--provider-account",
            "1",
            "--asset",
            "ETH:USDT",
        ],
        &[
            "custody",
            "add",
            "--id",
            CUSTODY,
            "--customer",
            ALICE,
            "--provider",
            "bitgo",
            "--provider-account",
            "1",
            "--asset",
            "ETH:USDT",
        ],
        &[
            "custody",
            "add",
            "--id",
            CUSTODY,
            "--customer",
            ALICE,
            "--provider",
            "fireblocks",
            "--provider-account",
            "1",
            "--asset",
            "USDT",
        ],
        &["keys", "create", "--subject", "s"],
        &["keys", "create", "--subject", "s", "--permission", "PermAll"],
        &["keys", "create", "--subject", "s", "--customer", "alice"],
        &["keys", "revoke", "0123456789abcdef"],
    ];
    let mut errors = String::new();
    for words in rows {
        let ran = app.ballast(words).await;
        let exit_code = ran.exit_code;
        errors += &format!("{exit_code} {}\n", ran.error());
    }
    assert_snapshot!(errors, @r#"
    1 no usable rate for USDC: 1.00; --partial leaves what is missing out of the totals and names it
    2 --customer: "alice" is not a UUID
    2 --currency: not a known asset
    2 --as-of: in the future
    1 there is no account 00000000-0000-4000-8000-000000000009
    2 ID: not a valid identifier
    1 there is no rate sheet at 2020-01-01T00:00:00.000Z
    2 --as-of: "tomorrow" is not an RFC 3339 date-time such as 2026-04-16T15:30:25Z, a date such as 2026-04-16 (its end), or yesterday
    2 --known-at: "yesterday" is not an RFC 3339 date-time such as 2026-04-16T15:30:25Z
    1 ballast-custody-sync: no such custody account
    2 --provider: not a custody provider: fireblocks or bitgo
    2 --provider-account: not a provider's account: 1 to 128 letters, digits, _, - and :, with one / for BitGo (coin/wallet)
    2 --asset: "USDT" is not a blockchain and a crypto asset on it
    2 keys create: the key would see nothing: give --customer, --organization, --merchant or --permission
    2 --permission: "PermAll" is none of PermReadAll, PermCustodySync, PermReadBook
    2 --customer: "alice" is not a valid identifier
    1 no key has an id that starts with 0123456789abcdef
    "#);
    for url in ["127.0.0.1:8000", "ftp://127.0.0.1:8000", "here"] {
        let ran = ballast(url, &["verify"]).await;
        assert_eq!(
            (ran.exit_code, ran.error().as_str()),
            (2, "--endpoint-url: not a URL that begins with http:// or https://"),
            "{url}"
        );
    }
    let unreachable = ballast(&format!("http://{nowhere}"), &["verify"]).await.error();
    assert!(
        unreachable.ends_with("Is `cargo local` running there?") && unreachable.contains("onnection refused"),
        "{unreachable}"
    );
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_by_its_id() {
    let app = App::start(dataset(vec![account(1, "EUR", "1")])).await;
    let create = async |subject: &str| {
        let words = [
            "keys",
            "create",
            "--subject",
            subject,
            "--customer",
            ALICE,
            "--expires-at",
            "2100-01-01T00:00:00+01:00",
        ];
        app.ballast_json(&words).await
    };
    let (good, doomed) = (create("good").await, create("doomed").await);
    assert_eq!(good["expires_at"], json!("2099-12-31T23:00:00.000Z"));
    let revoked = app.ballast(&["keys", "revoke", doomed["id"].as_str().unwrap()]).await;
    assert_eq!(revoked.ending, Ok(Ending::Done));
    let list = app.ballast_json(&["keys", "list"]).await;
    assert_eq!((&list[0]["subject"], &list[1]["revoked_at"]), (&json!("doomed"), &Value::Null));
    assert!(list[0]["revoked_at"].is_string());
    app.ballast_json(&["keys", "create", "--subject", "support", "--permission", "PermReadAll"]).await;
    let several = ["keys", "create", "--subject", "team", "--customer", ALICE, "--customer", BOB];
    app.ballast_json(&several).await;
    let printed = app.ballast(&["keys", "list"]).await.out;
    let words = |subject: &str| -> Vec<&str> {
        printed.lines().find(|line| line.contains(subject)).unwrap().split_whitespace().skip(1).collect()
    };
    assert_eq!(words("support"), ["support", "everything", "PermReadAll", "good"]);
    assert_eq!(words("team"), ["team", "2", "customers", "good"]);
    let csv = app.ballast(&["keys", "list", "--output", "csv"]).await.out;
    assert!(csv.starts_with("id,subject,sees,permissions,state\n"), "{csv}");
    assert!(csv.lines().any(|line| line.contains(&format!(",{ALICE} {BOB},"))), "{csv}");
    for (key, status) in [(&good, 200), (&doomed, 401)] {
        let key = key["key"].as_str().unwrap();
        assert!(!printed.contains(key) && !list.to_string().contains(key));
        let request =
            app.request(Method::GET, &format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR"));
        assert_eq!(send(request.header("x-api-key", key)).await.status, status);
    }
    // A revocation stays at its first instant, and the key itself is not taken for an id.
    let again = app.ballast_json(&["keys", "revoke", doomed["id"].as_str().unwrap()]).await;
    assert_eq!(again["revoked_at"], list[0]["revoked_at"]);
    assert!(
        app.ballast(&["keys", "revoke", good["key"].as_str().unwrap()]).await.error().contains("history")
    );
    assert!(app.ballast(&["keys", "revoke", "abc"]).await.error().contains("shorter"));
}

#[tokio::test]
async fn a_custody_account_is_registered_synced_and_seen() {
    let prices = json!({"rates_never_expire": true, "rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("USDT", "1.01")])]});
    let app = App::start(prices).await;
    app.vault(json!([wallet("USDT_ERC20", "100", "90")])).await;
    let add = [
        "custody",
        "add",
        "--id",
        CUSTODY,
        "--customer",
        BOB,
        "--provider",
        "fireblocks",
        "--provider-account",
        "12",
        "--asset",
        "eth:usdt",
    ];
    let added = app.ballast_json(&add).await;
    assert_eq!((&added["assets"], &added["last_synced"]), (&json!(["ETH:USDT"]), &Value::Null));
    assert_eq!(app.ballast_json(&add).await, added);
    assert_eq!(
        app.ballast_json(&["custody", "sync"]).await,
        json!({"due": 1, "synced": 1, "failed": 0, "remaining": 0})
    );
    let synced = app.ballast_json(&["custody", "sync", CUSTODY]).await;
    assert_eq!(synced["account_id"], json!(CUSTODY));
    assert!(
        app.ballast(&["custody", "sync", CUSTODY])
            .await
            .error()
            .starts_with("ballast-custody-sync: asked for too often")
    );
    assert_eq!(app.ballast_json(&["custody", "list"]).await[0]["last_synced"], synced["last_synced"]);
    let balance = app.ballast_json(&["balance", "--customer", BOB, "--currency", "USD"]).await;
    assert_eq!(balance["total_balance"], json!("101.00"));
    app.fault(json!({"status": 401})).await;
    let failed = ballast(
        &app.stack.dynamodb_url(),
        &["custody", "sync", "--stack", "mine", "550e8400-e29b-41d4-a716-446655440009"],
    )
    .await;
    assert_eq!(failed.error(), "mine-custody-sync: no such custody account");
}

#[tokio::test]
async fn rates_are_shown_with_what_may_price_and_written_on_request() {
    let old = json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("EUR", "1.2"), ("BTC", "100")])]});
    let app = App::start(old).await;
    let shown = app.ballast_json(&["rates", "show"]).await;
    assert_eq!(shown["entries"][0]["usable"], json!(false));
    let then = app.ballast_json(&["rates", "show", "--as-of", "2026-06-01T00:30:00Z"]).await;
    assert_eq!(then["at"], json!("2026-06-01T00:30:00.000Z"));
    let of_day = app.ballast(&["rates", "show", "--as-of", "2026-06-01"]).await.out;
    assert!(of_day.starts_with("rates of 2026-06-01T00:00:00.000Z, at 2026-06-0"), "{of_day}");
    assert!(of_day.lines().next().unwrap().contains(", the end of 2026-06-01 in "), "{of_day}");
    assert_eq!(
        (&then["entries"][0]["currency"], &then["entries"][0]["usable"]),
        (&json!("BTC"), &json!(true))
    );
    // The old price of a bitcoin is a thousandth of the new one, but two sources agree.
    let report = app.ballast_json(&["rates", "sync"]).await;
    assert_eq!((&report["entries"], &report["rejected"]), (&json!(56), &json!([])));
    let down = app.request(Method::PUT, "/_local/market/ecb").body(json!({"status": 500}).to_string());
    assert_eq!(send(down).await.status, 200);
    assert_eq!(app.ballast(&["rates", "sync"]).await.exit_code, 3);
    let printed = app.ballast(&["rates", "show"]).await.out;
    let euro = printed.lines().find(|line| line.starts_with("EUR ")).unwrap();
    assert!(euro.contains("  1.1353  ") && euro.contains(" ago"), "{printed}");
}

#[tokio::test]
async fn whatever_disagrees_is_found() {
    let app = App::start(with(
        custody(json!([wallet("BTC", "2", "1")]), json!({})),
        json!({"accounts": [account(1, "EUR", "1"), account(2, "EUR", "2"), account(3, "EUR", "3"), account(4, "EUR", "4")]}),
    ))
    .await;
    app.ballast_json(&["custody", "sync"]).await;
    assert_eq!(app.ballast(&["verify"]).await.out, "5 accounts, 1 custody accounts, 0 differences\n");
    let client = app.stack.store().client().clone();
    let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
    let number = |value: &str| aws_sdk_dynamodb::types::AttributeValue::N(value.to_owned());
    let set = async |account: &str, expression: &str, value: aws_sdk_dynamodb::types::AttributeValue| {
        let update = client
            .update_item()
            .table_name("AccountsTable")
            .key("customer_id", text(ALICE))
            .key("account_id", text(account));
        update.update_expression(expression).expression_attribute_values(":v", value).send().await.unwrap();
    };
    set(&id(1), "SET balance = :v", number("1.01")).await;
    set(&id(2), "SET created_at = :v", text("2026-01-01T00:00:00.000000000Z")).await;
    let owner = client
        .delete_item()
        .table_name("HistoryTable")
        .key("account_id", text(&id(2)))
        .key("entry", text("#owner"));
    owner.send().await.unwrap();
    let accounts = app.ballast_json(&["verify"]).await;
    assert_eq!(accounts["differences"].as_array().unwrap().len(), 3);
    let snapshot = format!("#custody#{CUSTODY}");
    set(&snapshot, "SET recorded_at = :v", text("2026-01-01T00:00:00.000000000Z")).await;
    let lost = client
        .delete_item()
        .table_name("AccountsTable")
        .key("customer_id", text(ALICE))
        .key("account_id", text(&id(3)));
    lost.send().await.unwrap();
    set(&id(4), "SET balance = :v", text("much")).await;
    let ran = app.ballast(&["verify"]).await;
    assert_eq!(ran.ending, Ok(Ending::InPart));
    // The sync's entry is of this run.
    let today = app.stack.clock().now().to_millis_text();
    let words = |line: &str| {
        let words = line.split_whitespace();
        let words = words.map(|word| if word.starts_with(&today[..10]) { "now" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let out = ran.out.lines().map(words).collect::<Vec<_>>().join("\n");
    assert_snapshot!(out, @"
    id what stored expected
    550e8400-e29b-41d4-a716-446655440000 the newest snapshot, with the newest of its history now version 0, recorded 2026-01-01T00:00:00.000000000Z now version 0, recorded now
    00000000-0000-4000-8000-000000000001 the newest entry, with the newest of its history 1.01 (1 available, active, active) at 2026-06-01T00:00:00.000000000Z version 0, recorded 2026-06-01T00:00:00.000000000Z 1 (1 available, active, active) at 2026-06-01T00:00:00.000000000Z version 0, recorded 2026-06-01T00:00:00.000000000Z
    00000000-0000-4000-8000-000000000002 created_at, with the oldest of its history 2026-01-01T00:00:00.000000000Z 2026-06-01T00:00:00.000000000Z
    00000000-0000-4000-8000-000000000002 the owner, with the one its history names EUR of 0a11ce00-0000-4000-8000-000000000001 nothing
    00000000-0000-4000-8000-000000000004 of customer 0a11ce00-0000-4000-8000-000000000001 the account's item corrupt item in AccountsTable: attribute balance one that can be read
    00000000-0000-4000-8000-000000000003 the account that its history names nothing EUR of 0a11ce00-0000-4000-8000-000000000001
    4 accounts, 1 custody accounts, 6 differences
    ");
}

#[tokio::test]
async fn functions_are_invoked_as_lambdas_own_clients_do() {
    let app = App::start(json!({})).await;
    let invoke = async |function: &str, event: &str| {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let url = format!("{}{path}", app.stack.dynamodb_url());
        send(app.client.post(url).body(event.to_owned())).await
    };
    assert_eq!(invoke("any-stack-rates-sync", "{}").await.json()["entries"], json!(56));
    let failed = invoke("custody-sync", r#"{"shard": 9, "shards": 3}"#).await;
    assert_eq!((failed.status.as_u16(), failed.header("x-amz-function-error")), (200, "Unhandled"));
    let missing = invoke("unified-balance", "{}").await;
    assert_eq!(
        (missing.status.as_u16(), missing.header("x-amzn-errortype")),
        (404, "ResourceNotFoundException")
    );
    assert_eq!(send(app.request(Method::POST, "/")).await.status, 404, "the API has no such route");
}

#[tokio::test]
async fn an_asset_that_was_removed_at_zero_is_no_difference() {
    let app =
        App::start(custody(json!([wallet("BTC", "2", "1"), wallet("USDT_ERC20", "5", "5")]), json!({})))
            .await;
    app.ballast_json(&["custody", "sync"]).await;
    app.vault(json!([wallet("USDT_ERC20", "5", "5")])).await;
    app.ballast_json(&["custody", "sync", CUSTODY]).await;
    let add = [
        "custody",
        "add",
        "--id",
        CUSTODY,
        "--customer",
        ALICE,
        "--provider",
        "fireblocks",
        "--provider-account",
        "12",
    ];
    app.ballast_json(&[&add[..], &["--asset", "ETH:USDT"]].concat()).await;
    let ran = app.ballast(&["verify"]).await;
    assert_eq!((ran.exit_code, ran.out.as_str()), (0, "2 accounts, 1 custody accounts, 0 differences\n"));
}

#[tokio::test]
async fn what_is_stored_cannot_command_a_terminal() {
    let app = App::start(dataset(vec![with(
        account(1, "EUR", "1"),
        json!({"description": "\u{1b}]0;pwned\u{7}"}),
    )]))
    .await;
    let shown = app.ballast(&["accounts", "show", &id(1)]).await.out;
    assert!(shown.contains(r"\u{1b}]0;pwned\u{7}") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test]
async fn an_account_that_is_synced_while_it_is_verified_is_no_difference() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    for round in 1..=5 {
        app.vault(json!([wallet("BTC", &round.to_string(), "1")])).await;
        let (verified, synced) =
            tokio::join!(app.ballast(&["verify"]), app.custody("?partial=true&max_age=0"));
        assert_eq!((verified.exit_code, synced.status.as_u16()), (0, 200), "{}", verified.out);
    }
}
