//! What an answer says it lacks: each kind of gap, the filters that rule it out, and the totals of vaults and
//! wallets as they really look.

use crate::harness::{
    ALICE, Answer, App, CUSTODY, account, admin, custody, dataset, send, sheet, syncer, wallet, with,
};
use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{Amount, Timestamp};

const WALLET: &str = "eth/59cd72485007a239fb00282ed480da1f";
const WALLET_ACCOUNT: &str = "b1b1b1b1-0000-4000-8000-000000000001";

/// Alice's vault 12, which her account covers whole, with these prices in dollars.
fn everything(assets: Value, prices: &[(&str, &str)], over: Value) -> Value {
    let account = json!({
        "id": CUSTODY, "customer_id": ALICE, "provider": "fireblocks", "provider_account": "12", "assets": "all",
    });
    let dataset = json!({
        "rates_never_expire": true, "custody_accounts": [account], "vaults": {"12": {"assets": assets}},
        "rate_sheets": [sheet("2026-06-01T00:00:00Z", prices)],
    });
    with(dataset, over)
}

/// The reasons of an answer's gaps, whether it is an answer or an error.
fn reasons(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let gaps = if body["gaps"].is_array() { &body["gaps"] } else { &body["details"]["gaps"] };
    let gaps = gaps.as_array().cloned().unwrap_or_default();
    gaps.iter().map(|gap| gap["reason"].as_str().unwrap().to_owned()).collect()
}

impl App {
    async fn synced(dataset: Value) -> Self {
        let app = Self::start(dataset).await;
        assert_eq!(app.sync(syncer()).await.status, 200);
        app
    }

    /// Sets what the sandbox of CoinGecko quotes beside its standard prices.
    async fn prices(&self, quotes: Value) {
        let request = self.request(Method::PUT, "/_local/market/coingecko");
        assert_eq!(send(request.body(json!({"quotes": quotes}).to_string())).await.status, 200);
    }
}

#[tokio::test]
async fn a_vault_of_five_assets_is_counted_whole() {
    let vault = json!([
        wallet("BTC", "1", "1"),
        wallet("ETH", "100", "100"),
        wallet("USDC", "5000000", "5000000"),
        wallet("USDC_AVAX", "250000", "250000"),
        wallet("XRP", "1000000", "1000000"),
    ]);
    let prices = [("BTC", "90000"), ("ETH", "3000"), ("USDC", "1"), ("XRP", "2")];
    let app = App::synced(everything(vault.clone(), &prices, json!({}))).await;
    let answer = app.balance("USD", "").await.json();
    assert_eq!(
        (&answer["total_balance"], &answer["complete"]),
        (&json!(7_640_000.0), &json!(true)),
        "{answer}"
    );
    // Without a price the holding is named, and the rest is the same.
    let app = App::synced(everything(vault, &prices[..3], json!({}))).await;
    let answer = app.balance("USD", "").await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].clone()), (422, json!("unpriced_assets")));
    assert_eq!(answer.json()["details"]["currencies"], json!(["XRP"]));
    let answer = app.balance("USD", "&partial=true").await.json();
    assert_eq!(
        (&answer["total_balance"], &answer["complete"]),
        (&json!(5_640_000.0), &json!(false)),
        "{answer}"
    );
}

#[tokio::test]
async fn euro_coin_in_custody_is_counted_under_its_old_ticker() {
    let pairs = json!([{"blockchain": "ETH", "token": "EURC"}, {"blockchain": "BTC", "token": "BTC"}]);
    let account = json!({
        "id": CUSTODY, "customer_id": ALICE, "provider": "fireblocks", "provider_account": "12", "assets": pairs,
    });
    let vault = json!([wallet("BTC", "1", "1"), wallet("EUROC_ETH_F5NG", "2500000", "2500000")]);
    let prices = [("EUR", "1.1353"), ("BTC", "118459.12"), ("EURC", "1.13488")];
    let app = App::synced(everything(vault, &prices, json!({"custody_accounts": [account]}))).await;
    let stacks = app.balance("EUR", "&stack=currency").await.json()["stacks"].clone();
    assert_eq!(stacks[1]["balance"], json!(2_500_000.0), "{stacks}");
}

#[tokio::test]
async fn an_account_that_was_never_synced_is_a_gap_unless_a_filter_rules_it_out() {
    let app = App::start(custody(json!([wallet("BTC", "10", "10")]), json!({}))).await;
    let answer = app.balance("USD", "").await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].clone()), (422, json!("incomplete_balance")));
    assert_eq!(
        answer.json()["details"]["gaps"],
        json!([{"reason": "unsynced", "custody_account_id": CUSTODY}])
    );
    let rows = [
        ("", true),
        ("&search.is_crypto=true", true),
        ("&search.is_crypto=false", false),
        ("&search.currency=EUR", false),
        ("&search.currency=BTC", true),
        ("&search.currency=SOL", false),
        ("&search.active=true", true),
        ("&search.active=false", false),
        ("&search.status=active", true),
        ("&search.status=closed", false),
        ("&search.balance.gt=5", true),
    ];
    for (filter, expected) in rows {
        let answer = app.balance("USD", &format!("&partial=true{filter}")).await;
        let expected: &[&str] = if expected { &["unsynced"] } else { &[] };
        assert_eq!(reasons(&answer), expected, "{filter}");
        assert_eq!(answer.json()["complete"], json!(expected.is_empty()), "{filter}");
    }
    // Of the time before its registration nothing is missing.
    let past = app.balance("USD", "&as_of=2026-06-02T00:00:00Z").await;
    assert_eq!((past.status.as_u16(), past.json()["complete"].clone()), (200, json!(true)), "{past}");
    assert_eq!(past.json().get("oldest_balance_at"), None);
}

#[tokio::test]
async fn an_unknown_holding_is_a_gap_of_its_time_until_the_catalogue_names_it() {
    let vault =
        json!([wallet("BTC", "1", "1"), wallet("NEWCOIN_ETH", "40", "40"), wallet("DUST_ETH", "0", "0")]);
    let app = App::synced(everything(vault, &[("BTC", "90000")], json!({}))).await;
    let known_at = app.stack.clock().now();
    let gap = json!([{
        "reason": "unknown_asset", "custody_account_id": CUSTODY, "provider_asset": "NEWCOIN_ETH", "balance": 40,
    }]);
    let answer = app.balance("USD", "").await;
    assert_eq!(
        (answer.json()["error"].clone(), answer.json()["details"]["gaps"].clone()),
        (json!("incomplete_balance"), gap)
    );
    for (filter, expected) in [("", 1), ("&search.currency=BTC", 0), ("&search.is_crypto=false", 0)] {
        assert_eq!(
            reasons(&app.balance("USD", &format!("&partial=true{filter}")).await).len(),
            expected,
            "{filter}"
        );
    }
    let view = app.custody("").await.json();
    assert_eq!(view["complete"], json!(false));
    assert_eq!(view["unlisted"], json!([{"provider_asset": "NEWCOIN_ETH", "balance": 40}]));
    // As a string on request, in errors too.
    let answer = app.balance("USD", "&amounts=string").await.json();
    assert_eq!(answer["details"]["gaps"][0]["balance"], json!("40"));
    // An operator names it; from the next sync on it is counted, and the past keeps its gap.
    let words = [
        "assets",
        "add",
        "NEW",
        "--name",
        "New coin",
        "--decimals",
        "18",
        "--custody",
        "fireblocks:NEWCOIN_ETH=ETH",
        "--price",
        "coingecko=new-coin",
    ];
    assert_eq!(app.ballast(&words).await.exit_code, 0);
    app.prices(json!({"new-coin": "2"})).await;
    app.stack.clock().set(known_at.plus(jiff::SignedDuration::from_secs(61)));
    assert_eq!(send(app.request(Method::POST, "/_local/schedules/rates-sync")).await.status, 200);
    assert_eq!(app.sync(syncer()).await.status, 200);
    let answer = app.balance("USD", "").await.json();
    assert_eq!(answer["complete"], json!(true), "{answer}");
    let answer = app.balance("USD", "&search.currency=NEW").await.json();
    assert_eq!((&answer["total_balance"], &answer["accounts"]), (&json!(80.0), &json!(1)), "{answer}");
    let then = app.balance("USD", &format!("&partial=true&as_of={}", known_at.to_millis_text())).await;
    assert_eq!(
        (reasons(&then), then.json()["total_balance"].clone()),
        (vec!["unknown_asset".to_owned()], json!(90_000.0))
    );
}

#[tokio::test]
async fn an_ignored_asset_is_shown_and_is_no_gap() {
    let vault = json!([wallet("BTC", "1", "1"), wallet("SPAM_ETH", "999", "999")]);
    let rows = json!([{"provider_asset": "fireblocks:SPAM_ETH", "ignore": true}]);
    let app = App::synced(everything(vault, &[("BTC", "90000")], json!({"assets": rows}))).await;
    let answer = app.balance("USD", "").await.json();
    assert_eq!((&answer["total_balance"], &answer["complete"]), (&json!(90_000.0), &json!(true)), "{answer}");
    let view = app.custody("").await.json();
    assert_eq!(view["complete"], json!(true));
    assert_eq!(view["unlisted"], json!([{"provider_asset": "SPAM_ETH", "balance": 999}]));
}

#[tokio::test]
async fn a_deployment_may_mark_unknown_assets_and_nothing_else() {
    let vault = json!([wallet("BTC", "1", "1"), wallet("NEWCOIN_ETH", "40", "40"), wallet("SOL", "2", "2")]);
    let over = json!({"unknown_assets": "mark"});
    let prices = [("BTC", "90000"), ("SOL", "100")];
    let app = App::synced(everything(vault.clone(), &prices, over.clone())).await;
    let answer = app.balance("USD", "").await;
    assert_eq!((answer.status.as_u16(), reasons(&answer)), (200, vec!["unknown_asset".to_owned()]));
    assert_eq!(answer.json()["complete"], json!(false));
    let app = App::synced(everything(vault, &prices[..1], over)).await;
    let answer = app.balance("USD", "").await;
    assert_eq!(answer.json()["error"], json!("incomplete_balance"));
    assert_eq!(reasons(&answer), ["unpriced", "unknown_asset"]);
}

#[tokio::test]
async fn a_balance_that_was_confirmed_too_long_ago_is_named_and_not_counted() {
    let old = account(1, "EUR", "100");
    let young = with(account(2, "EUR", "7"), json!({"balance_at": "now-10s"}));
    let app =
        App::synced(custody(json!([wallet("BTC", "1", "1")]), json!({"accounts": [old.clone(), young]})))
            .await;
    let answer = app.balance("EUR", "&search.is_crypto=false").await.json();
    assert_eq!(answer["oldest_balance_at"], json!("2026-06-01T00:00:00.000Z"));
    let answer = app.balance("EUR", "&search.is_crypto=false&confirmed_within=3600").await;
    assert_eq!(
        answer.json()["details"]["gaps"],
        json!([
            {"reason": "stale", "account_id": old["id"], "confirmed_at": "2026-06-01T00:00:00.000Z"},
        ])
    );
    let answer = app
        .balance(
            "EUR",
            "&search.is_crypto=false&confirmed_within=3600&partial=true&details=true&stack=currency",
        )
        .await
        .json();
    assert_eq!((&answer["total_balance"], &answer["accounts"]), (&json!(7.0), &json!(1)), "{answer}");
    assert_eq!(answer["details"]["fiat_accounts"].as_array().unwrap().len(), 2);
    // Custody is as old as its last sync, whatever has not changed since.
    app.stack.clock().set(app.stack.clock().now().plus(jiff::SignedDuration::from_mins(10)));
    let answer = app.balance("USD", "&search.is_crypto=true&confirmed_within=300&partial=true").await.json();
    assert_eq!(answer["gaps"][0]["custody_account_id"], json!(CUSTODY), "{answer}");
    assert_eq!(app.sync(syncer()).await.status, 200);
    assert_eq!(app.balance("USD", "&search.is_crypto=true&confirmed_within=300").await.status, 200);
    for more in ["as_of=2026-06-02T00:00:00Z", "known_at=2026-06-02T00:00:00Z"] {
        let answer = app.balance("EUR", &format!("&confirmed_within=1&{more}")).await;
        assert_eq!(answer.json()["details"]["parameter"], json!("confirmed_within"), "{more}");
    }
}

#[tokio::test]
async fn the_target_alone_is_named_if_it_lacks_a_rate() {
    let prices = json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("CHF", "1.2")])]});
    let app = App::start(with(dataset(vec![account(1, "CHF", "100")]), prices)).await;
    assert_eq!(app.balance("EUR", "").await.json()["details"]["currencies"], json!(["EUR"]));
}

#[tokio::test]
async fn a_sum_that_is_too_long_says_whether_another_currency_helps() {
    let most = "600000000000000000";
    let prices = json!({"rate_sheets": [sheet("2026-06-01T00:00:00Z", &[("IRR", "0.00002")])]});
    let accounts = vec![account(1, "IRR", most), account(2, "IRR", most)];
    let app = App::start(with(dataset(accounts), prices)).await;
    let answer = app.balance("USD", "").await.json();
    assert_eq!(answer["details"]["parameter"], json!("currency"));
    assert!(answer["message"].as_str().unwrap().contains("another `currency` does not help"), "{answer}");
}

#[tokio::test]
async fn pence_are_refused_and_not_counted_as_pounds() {
    let app = App::start(dataset(vec![])).await;
    let event = json!({"detail-type": "AccountBalanceChanged", "detail": {
        "id": "00000000-0000-4000-8000-000000000001", "customer_id": ALICE, "currency": "GBp", "balance": "4082",
        "balance_at": "2026-06-01T00:00:00Z",
    }});
    let answer = send(app.request(Method::POST, "/_local/events").body(event.to_string())).await;
    assert_eq!(answer.status, 422);
    assert!(answer.json()["reason"].as_str().unwrap().contains("pence"), "{answer}");
    assert_eq!(app.balance("GBp", "").await.status, 400);
    assert_eq!(app.balance("gbp", "").await.status, 200);
}

#[tokio::test]
async fn assets_that_custodians_customers_hold_are_accepted() {
    let codes = ["XRP", "DAI", "PYUSD", "POL", "AVAX", "DOGE", "WBTC", "stETH"];
    let app = App::start(dataset(vec![])).await;
    for (number, code) in (1..).zip(codes) {
        let detail = with(account(number, code, "1"), json!({"balance_at": "2026-06-01T00:00:00Z"}));
        let event = json!({"detail-type": "AccountBalanceChanged", "detail": detail});
        let answer = send(app.request(Method::POST, "/_local/events").body(event.to_string())).await;
        assert_eq!(answer.json(), json!({"result": "recorded"}), "{code}");
    }
}

#[tokio::test]
async fn amounts_are_strings_on_request_with_the_same_digits() {
    let accounts = json!({"accounts": [account(1, "EUR", "240.5"), account(2, "USDT", "17034")]});
    let app = App::synced(custody(json!([wallet("BTC", "0.12345678", "0.1")]), accounts)).await;
    for path in [
        format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR&stack=currency&details=true"),
        format!("/v2/accounts?search.customer_id={ALICE}"),
        format!("/custody/accounts/{CUSTODY}/balances?max_age=86400"),
    ] {
        let numbers = app.get(&path).await;
        let texts = app.get(&format!("{path}&amounts=string")).await;
        assert_eq!(app.get(&format!("{path}&amounts=number")).await.body, numbers.body, "{path}");
        // Each decimal in quotes is that decimal without: nothing else differs.
        let bare = unquoted(texts.text());
        assert_eq!(bare, unquoted(numbers.text()), "{path}");
        assert_ne!(texts.text(), numbers.text());
        assert!(
            !texts.text().contains("\"balance\":0") && !texts.text().contains("\"balance\":1"),
            "{texts}"
        );
    }
    assert_eq!(app.balance("EUR", "&amounts=float").await.json()["details"]["parameter"], json!("amounts"));
}

/// A body without any quotes, so that a number and its digits as a string read the same.
fn unquoted(body: &str) -> String {
    body.replace('"', "")
}

/// An asset of the sandboxes: the vendor's id, its price in dollars, and whether the catalogue names it.
const IN_VAULTS: [(&str, &str, bool); 6] = [
    ("BTC", "90000", true),
    ("USDT_ERC20", "1", true),
    ("USDC_POLYGON", "1", true),
    ("USDC_POLYGON_NXTB", "1", true),
    ("NOTHING_TEST", "0", false),
    ("$ODD", "0", false),
];
/// Members of `tokens`, with the digits of a base unit.
const IN_WALLETS: [(&str, u32, bool); 4] =
    [("usdt", 6, true), ("usdc", 6, true), ("nothing:test", 18, false), ("spam", 0, false)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The sum of what every vault and wallet holds, without the gaps that are named, is the total.
    #[test]
    fn no_holding_is_lost_between_the_vendor_and_the_total(
        vaults in proptest::array::uniform6(0_u32..5_000),
        wallets in proptest::array::uniform4(0_u32..5_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let assets: Vec<_> = IN_VAULTS.iter().zip(vaults)
                .map(|((id, ..), units)| wallet(id, &units.to_string(), &units.to_string())).collect();
            let tokens: serde_json::Map<String, Value> = IN_WALLETS.iter().zip(wallets)
                .map(|((name, digits, _), units)| {
                    ((*name).to_owned(), json!({"balanceString": format!("{units}{}", "0".repeat(*digits as usize))}))
                })
                .collect();
            let (coin, id) = WALLET.split_once('/').unwrap();
            let answer = json!({"id": id, "coin": coin, "balanceString": "0", "tokens": tokens});
            let second = json!({
                "id": WALLET_ACCOUNT, "customer_id": ALICE, "provider": "bitgo", "provider_account": WALLET,
                "assets": "all",
            });
            let prices = [("BTC", "90000"), ("USDT", "1"), ("USDC", "1")];
            let mut dataset = everything(json!(assets), &prices, json!({"bitgo_wallets": {WALLET: answer}}));
            dataset["custody_accounts"].as_array_mut().unwrap().push(second);
            let app = App::start(dataset).await;
            let report = send(app.request(Method::POST, "/_local/schedules/custody-sync")).await.json();
            assert_eq!((&report["synced"], &report["failed"]), (&json!(2), &json!(0)), "{report}");
            let answer = app.balance("USD", "&partial=true&amounts=string").await.json();
            let dollars = |units: u32, price: &str| u64::from(units) * price.parse::<u64>().unwrap();
            let in_vaults: u64 = IN_VAULTS.iter().zip(vaults).map(|((_, price, _), units)| dollars(units, price)).sum();
            let in_wallets: u64 =
                IN_WALLETS.iter().zip(wallets).filter(|((.., named), _)| *named).map(|(_, units)| u64::from(units)).sum();
            let total = Amount::parse(answer["total_balance"].as_str().unwrap()).unwrap();
            assert_eq!(total, Amount::parse(&(in_vaults + in_wallets).to_string()).unwrap(), "{answer}");
            let mut missing: Vec<String> = IN_VAULTS.iter().zip(vaults)
                .filter(|((.., named), units)| !named && *units > 0).map(|((id, ..), _)| (*id).to_owned())
                .chain(IN_WALLETS.iter().zip(wallets)
                    .filter(|((.., named), units)| !named && *units > 0).map(|((id, ..), _)| (*id).to_owned()))
                .collect();
            missing.sort();
            let gaps = answer["gaps"].as_array().cloned().unwrap_or_default();
            let mut named: Vec<String> = gaps.iter().map(|gap| gap["provider_asset"].as_str().unwrap().to_owned()).collect();
            named.sort();
            assert_eq!(named, missing, "{answer}");
        });
    }
}

#[tokio::test]
async fn a_stranger_gets_from_registration_to_a_complete_total_by_the_messages_alone() {
    let ids = [
        "BTC",
        "ETH",
        "SOL",
        "TRX",
        "BNB_BSC",
        "USDT_ERC20",
        "TRX_USDT_S2UZ",
        "USDC",
        "USDC_AVAX",
        "XRP",
        "ADA",
        "NEWCOIN_ETH",
        "OTHER_SOL",
        "THIRD_BSC",
        "SPAM_ETH",
    ];
    let vault: Vec<_> = ids.iter().map(|id| wallet(id, "1", "1")).collect();
    let codes = ["BTC", "ETH", "SOL", "TRX", "BNB", "USDT", "USDC", "XRP", "ADA"];
    let prices: Vec<_> = codes.iter().map(|code| (*code, "1")).collect();
    let over = json!({"custody_accounts": []});
    let app = App::start(everything(json!(vault), &prices, over)).await;
    let words = [
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
    let added = app.ballast(&words).await;
    assert!(added.out.contains(&format!("ballast custody sync {CUSTODY}")), "{}", added.out);
    let balance = ["balance", "--customer", ALICE, "--currency", "USD"];
    let refused = app.ballast(&balance).await.ending.unwrap_err();
    assert!(refused.contains("never been synced: ballast custody sync"), "{refused}");
    assert_eq!(app.ballast(&["custody", "sync", CUSTODY]).await.exit_code, 0);
    let refused = app.ballast(&balance).await.ending.unwrap_err();
    for id in ["NEWCOIN_ETH", "OTHER_SOL", "THIRD_BSC", "SPAM_ETH"] {
        assert!(refused.contains(id), "{refused}");
    }
    for (code, id, chain) in
        [("NEW", "NEWCOIN_ETH", "ETH"), ("OTHER", "OTHER_SOL", "SOL"), ("THIRD", "THIRD_BSC", "BSC")]
    {
        let custody = format!("fireblocks:{id}={chain}");
        let price = format!("coingecko={code}");
        let words = [
            "assets",
            "add",
            code,
            "--name",
            code,
            "--decimals",
            "18",
            "--custody",
            &custody,
            "--price",
            &price,
        ];
        assert_eq!(app.ballast(&words).await.exit_code, 0, "{code}");
    }
    assert_eq!(app.ballast(&["assets", "ignore", "fireblocks:SPAM_ETH"]).await.exit_code, 0);
    app.stack.clock().set(Timestamp::of_machine().plus(jiff::SignedDuration::from_secs(61)));
    app.prices(json!({"NEW": "1", "OTHER": "1", "THIRD": "1", "ripple": "1", "cardano": "1"})).await;
    assert_eq!(app.ballast(&["rates", "sync"]).await.exit_code, 0);
    assert_eq!(app.ballast(&["custody", "sync", CUSTODY]).await.exit_code, 0);
    // The command line goes by the store's clock now, which tells whole seconds.
    app.stack.clock().set(Timestamp::of_machine().plus(jiff::SignedDuration::from_secs(64)));
    let shown = app.ballast_json(&balance).await;
    assert_eq!((&shown["complete"], &shown["accounts"]), (&json!(true), &json!(14)), "{shown}");
    let icon = send(app.request(Method::GET, "/v2/assets/NEW/icon.svg")).await;
    assert_eq!(icon.status, 200);
    let list = app.get_as(admin(), "/v2/accounts?search.currency=NEW").await.json();
    assert_eq!(list["data"][0]["metadata"]["icon_url"], json!("/v2/assets/NEW/icon.svg"));
}
