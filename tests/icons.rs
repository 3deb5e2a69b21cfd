//! `GET /v2/assets/{code}/icon.svg`: public, small, and kept by browsers for a day.

use crate::harness::{App, account, dataset, send};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn every_account_shows_an_icon_that_anybody_can_load() {
    let codes = ["EUR", "JPY", "EURØP", "EURe", "eUSD", "USDC", "BTC", "USD1", "STN", "TTD", "BAM"];
    let accounts = codes.iter().zip(1..).map(|(code, number)| account(number, code, "1")).collect();
    let app = App::start(dataset(accounts)).await;
    let list = app.get("/v2/accounts").await.json();
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), codes.len());
    for row in rows {
        let url = row["metadata"]["icon_url"].as_str().unwrap();
        assert!(url.is_ascii(), "{url}");
        let icon = send(app.request(Method::GET, url)).await;
        let code = row["currency"].as_str().unwrap();
        assert_eq!((icon.status.as_u16(), icon.header("content-type")), (200, "image/svg+xml"), "{url}");
        assert_eq!(
            (icon.header("cache-control"), icon.header("vary")),
            ("public, max-age=86400", "Accept-Encoding"),
            "{url}"
        );
        let (svg, name) = (icon.text(), row["metadata"]["name"].as_str().unwrap().replace('&', "&amp;"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && svg.len() < 1024, "{svg}");
        assert!(
            svg.contains(&format!("<title>{name}</title>")) && svg.contains(&format!(">{code}</text>")),
            "{svg}"
        );
        // A byte that XML reserves would be one of a name's.
        let inside = svg.replace("&amp;", "");
        assert!(!inside.contains('&') && inside.matches('<').count() == inside.matches('>').count(), "{svg}");
    }
}

#[tokio::test]
async fn a_code_is_found_in_any_case_and_by_its_alias_only_in_ascii() {
    let app = App::start(json!({})).await;
    let svg = send(app.request(Method::GET, "/v2/assets/EUROP/icon.svg")).await;
    for code in ["europ", "Europ"] {
        assert_eq!(
            send(app.request(Method::GET, &format!("/v2/assets/{code}/icon.svg"))).await.body,
            svg.body,
            "{code}"
        );
    }
    for (path, status) in [
        ("/v2/assets/NOPE/icon.svg", 400),
        ("/v2/assets/EUR%C3%98P/icon.svg", 404),
        ("/v2/assets/%45UR/icon.svg", 404),
        ("/v2/assets/A~B/icon.svg", 400),
        ("/v2/assets/EUR/icon.svg?x=1", 400),
        ("/v2/assets/EUR/icon.svg?%ff", 400),
        ("/v2/assets//icon.svg", 404),
        ("/v2/assets/EUR/icon.png", 404),
        ("/v2/assets/../icon.svg", 404),
        ("/v2/assets/EUR", 404),
    ] {
        assert_eq!(send(app.request(Method::GET, path)).await.status, status, "{path}");
    }
    assert_snapshot!(send(app.request(Method::GET, "/v2/assets/NOPE/icon.svg")).await, @r#"400 {"error":"invalid_request","message":"`code` must be the code of a known asset, such as EUR, USDC or BTC.","details":{"parameter":"code","request_id":"…"}}"#);
    let head = send(app.request(Method::HEAD, "/v2/assets/EUR/icon.svg")).await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    assert_eq!(send(app.request(Method::POST, "/v2/assets/EUR/icon.svg")).await.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn a_known_icon_is_not_sent_again() {
    let app = App::start(json!({})).await;
    let icon = send(app.request(Method::GET, "/v2/assets/EUR/icon.svg")).await;
    let again = send(
        app.request(Method::GET, "/v2/assets/EUR/icon.svg").header("if-none-match", icon.header("etag")),
    )
    .await;
    assert_eq!(
        (again.status.as_u16(), again.text(), again.header("cache-control")),
        (304, "", "public, max-age=86400")
    );
}
