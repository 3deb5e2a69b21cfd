//! Rows of the catalogue: which are taken, what may never change, and when a new one is in force.

use crate::harness::{App, account, dataset, send};
use reqwest::Method;
use serde_json::{Value, json};
use shared::asset_row::{CatalogueRow, Replacing, catalogue, merged};
use shared::domain::Catalogue;

/// Code, decimals and peg of every asset of an earlier release.
const RELEASED: &str = include_str!("fixtures/asset_units.txt");

fn row(over: Value) -> CatalogueRow {
    let base = json!({"code": "NEW", "name": "New coin", "decimals": 18});
    serde_json::from_value(crate::harness::with(base, over)).unwrap()
}

#[test]
fn no_release_changes_the_decimals_or_the_peg_of_an_asset() {
    for line in RELEASED.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let asset = Catalogue::default().asset(words[0]).unwrap();
        let now = [asset.code(), &asset.decimals().to_string(), asset.peg().map_or("-", |peg| peg.code())]
            .join(" ");
        assert_eq!(now, line);
    }
}

#[test]
fn a_row_is_refused_by_the_field_at_fault() {
    struct Fault {
        over: Value,
        replacing: Replacing,
        expected: &'static str,
    }
    let add = |over, expected| Fault { over, replacing: Replacing::Nothing, expected };
    let import = |over, expected| Fault { over, replacing: Replacing::Rows, expected };
    let rows = [
        add(json!({"code": "N"}), "N: code: must be 2 to 20 letters"),
        add(json!({"code": "-NEW"}), "-NEW: code: must be 2 to 20 letters"),
        add(json!({"code": "NEW COIN"}), "NEW COIN: code: must be 2 to 20 letters"),
        add(json!({"code": "NØW"}), "NØW: alias: must be ASCII for a code that is not"),
        add(json!({"code": "btc"}), "btc: code: is taken by BTC (Bitcoin)"),
        add(json!({"code": "Eur"}), "Eur: code: is taken by EUR (Euro)"),
        add(json!({"code": "europ"}), "europ: code: is taken by EURØP"),
        add(json!({"alias": "ETH"}), "NEW: code: is taken by ETH (Ether)"),
        add(json!({"name": ""}), "NEW: name: must be 1 to 100 characters"),
        add(json!({"decimals": 19}), "NEW: decimals: must be at most 18"),
        add(json!({"peg": "BTC"}), "NEW: peg: must be the code of money"),
        add(json!({"par": true}), "NEW: par: needs a peg"),
        import(
            json!({"code": "EURR", "decimals": 6, "peg": "EUR", "par": true}),
            "EURR: par: this token lost its peg",
        ),
        add(json!({"quote_hours": 97}), "NEW: quote_hours: must be 1 to 96"),
        add(json!({"prices": {"kraken": "x"}}), "NEW: prices: kraken is no source"),
        add(json!({"prices": {"coingecko": "a,b"}}), "NEW: prices: the id at coingecko"),
        add(json!({"custody": {"nobody": {"X": "ETH"}}}), "NEW: custody: nobody: not a custody provider"),
        add(json!({"custody": {"fireblocks": {"X Y": "ETH"}}}), "NEW: custody: an id must be"),
        add(json!({"custody": {"fireblocks": {"X": "eth"}}}), "NEW: custody: X: must be a blockchain"),
        add(json!({"custody": {"bitgo": {"x": "BSC/99"}}}), "NEW: custody: x: must be a blockchain"),
        add(
            json!({"custody": {"fireblocks": {"USDT_ERC20": "ETH"}}}),
            "NEW: custody: fireblocks:USDT_ERC20 stands for",
        ),
        import(
            json!({"code": "USDC", "decimals": 18, "peg": "USD"}),
            "USDC: decimals: are 6 and never change",
        ),
        import(json!({"code": "USDC", "decimals": 6}), "USDC: peg: is USD and never changes"),
        import(json!({"code": "EUR", "decimals": 2}), "EUR: code: is taken by EUR (Euro)"),
    ];
    for Fault { over, replacing, expected } in rows {
        let refused = merged(&[], &[row(over.clone())], replacing).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{over}: {refused}");
    }
}

#[test]
fn the_same_row_again_changes_nothing_and_an_import_replaces_whole_rows() {
    let first = row(json!({"custody": {"fireblocks": {"NEW_ETH": "ETH"}}}));
    let rows = merged(&[], std::slice::from_ref(&first), Replacing::Nothing).unwrap();
    assert_eq!(merged(&rows, std::slice::from_ref(&first), Replacing::Nothing).unwrap(), rows);
    let other = row(json!({"name": "Another name"}));
    assert!(merged(&rows, std::slice::from_ref(&other), Replacing::Nothing).is_err());
    let rows = merged(&rows, std::slice::from_ref(&other), Replacing::Rows).unwrap();
    assert_eq!(rows, [other]);
    // A built-in row is replaced too, with its aliases and ids.
    let euro = json!({"code": "EURØP", "alias": "EUROPEAN", "name": "EURØP", "decimals": 6, "peg": "EUR"});
    let rows = merged(&rows, &[row(euro)], Replacing::Rows).unwrap();
    let catalogue = catalogue(&rows).unwrap();
    assert!(catalogue.asset("EUROPEAN").is_ok() && catalogue.asset("EUROP").is_err());
}

#[tokio::test]
async fn a_new_asset_is_known_at_once_where_it_is_needed_and_everywhere_within_a_minute() {
    let app = App::start(dataset(vec![account(1, "EUR", "1")])).await;
    let detail = crate::harness::with(account(2, "NEW", "5"), json!({"balance_at": "2026-06-01T00:00:00Z"}));
    let event = json!({"detail-type": "AccountBalanceChanged", "detail": detail}).to_string();
    let event = || send(app.request(Method::POST, "/_local/events").body(event.clone()));
    assert_eq!(event().await.status, 422);
    assert_eq!(app.balance("NEW", "").await.status, 400);
    let words = ["assets", "add", "NEW", "--name", "New & co", "--decimals", "2"];
    assert_eq!(app.ballast(&words).await.exit_code, 0);
    // An event is not rejected before the catalogue was read again, nor is a stored code taken for corrupt.
    assert_eq!(event().await.json(), json!({"result": "recorded"}));
    let answer = app.balance("EUR", "&partial=true").await;
    assert_eq!(
        answer.json()["gaps"],
        json!([{"reason": "unpriced", "currency": "NEW", "balance": 5.0}]),
        "{answer}"
    );
    app.stack.clock().set(app.stack.clock().now().plus(jiff::SignedDuration::from_secs(61)));
    assert_eq!(app.balance("NEW", "&search.currency=NEW").await.status, 200);
    let icon = send(app.request(Method::GET, "/v2/assets/new/icon.svg")).await;
    assert!(icon.text().contains("<title>New &amp; co</title>"), "{icon}");
    let shown = app.ballast_json(&["assets", "show", "new"]).await;
    assert_eq!(shown, json!({"code": "NEW", "name": "New & co", "decimals": 2}));
    let list = app.ballast_json(&["assets", "list"]).await;
    let own: Vec<_> = list.as_array().unwrap().iter().filter(|row| row["origin"] == "own").collect();
    assert_eq!(own.len(), 1, "{own:?}");
    let again = app.ballast(&words).await;
    assert!(again.out.contains("nothing was changed"), "{}", again.out);
}
