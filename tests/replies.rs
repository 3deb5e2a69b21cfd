//! What every read has in common: request ids, tags, 304, gzip, HEAD.

use crate::harness::{ALICE, Answer, App, BOB, account, dataset, send};
use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::json;
use std::io::Read;

async fn ask(app: &App, method: Method, more: &str, headers: &[(&str, &str)]) -> Answer {
    let token = app.token_of(&[ALICE]);
    let request = app
        .request(method, &format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR{more}"))
        .bearer_auth(token);
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn app() -> App {
    App::start(dataset((0..20).map(|number| account(number, "EUR", "1.5")).collect())).await
}

#[tokio::test]
async fn a_read_is_tagged_by_its_content_and_not_sent_twice() {
    let app = app().await;
    let first = ask(&app, Method::GET, "", &[]).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(
        (first.header("cache-control"), first.header("vary")),
        ("private, no-cache", "Accept-Encoding, Authorization, X-Api-Key")
    );
    assert_eq!(ask(&app, Method::GET, "", &[]).await.header("etag"), tag);
    assert_ne!(ask(&app, Method::GET, "&search.balance.gt=2", &[]).await.header("etag"), tag);
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
        format!("{}-gzip\"", tag.trim_end_matches('"')),
    ] {
        let again = ask(&app, Method::GET, "", &[("if-none-match", &known)]).await;
        assert_eq!(
            (again.status.as_u16(), again.text(), again.header("etag")),
            (304, "", tag.as_str()),
            "{known}"
        );
        assert!(!again.header("x-request-id").is_empty());
    }
    assert_eq!(ask(&app, Method::GET, "", &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn a_304_comes_only_after_every_check() {
    let app = app().await;
    let tag = ask(&app, Method::GET, "", &[]).await.header("etag").to_owned();
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let stranger = app.token_of(&[BOB]);
    assert_eq!(send(app.request(Method::GET, &path).header("if-none-match", &tag)).await.status, 401);
    assert_eq!(
        send(app.request(Method::GET, &path).header("if-none-match", &tag).bearer_auth(stranger))
            .await
            .status,
        403
    );
    assert_eq!(ask(&app, Method::GET, "&colour=red", &[("if-none-match", "*")]).await.status, 400);
}

#[tokio::test]
async fn a_large_body_is_compressed_for_those_who_accept_it() {
    let app = app().await;
    let plain = ask(&app, Method::GET, "&details=true", &[]).await;
    assert!(plain.body.len() > 1024 && plain.header("content-encoding").is_empty());
    let packed = ask(&app, Method::GET, "&details=true", &[("accept-encoding", "br, gzip;q=0.5")]).await;
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!((packed.header("content-encoding"), unpacked), ("gzip", plain.body.clone()));
    assert!(packed.body.len() < plain.body.len() / 2);
    assert_eq!(packed.header("etag"), plain.header("etag").trim_end_matches('"').to_owned() + "-gzip\"");
    let known = packed.header("etag");
    let again =
        ask(&app, Method::GET, "&details=true", &[("accept-encoding", "gzip"), ("if-none-match", known)])
            .await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, known));
    for refused in ["identity", "gzip;q=0", "br"] {
        assert_eq!(
            ask(&app, Method::GET, "&details=true", &[("accept-encoding", refused)])
                .await
                .header("content-encoding"),
            "",
            "{refused}"
        );
    }
    assert_eq!(
        ask(&app, Method::GET, "", &[("accept-encoding", "gzip")]).await.header("content-encoding"),
        "",
        "small"
    );
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = app().await;
    for (more, encoding) in
        [("", "identity"), ("&details=true", "identity"), ("&details=true", "gzip"), ("&colour=red", "gzip")]
    {
        let headers = [("accept-encoding", encoding)];
        let (get, head) =
            (ask(&app, Method::GET, more, &headers).await, ask(&app, Method::HEAD, more, &headers).await);
        assert_eq!((head.status, head.text()), (get.status, ""), "{more}");
        for name in ["etag", "content-type", "content-length", "content-encoding", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name} {more} {encoding}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let app = App::start(dataset(vec![])).await;
    let (first, second) = (app.balance("EUR", "").await, app.balance("EUR", "").await);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let error = app.balance("EURO", "").await;
    assert_eq!(error.json()["details"]["request_id"], json!(error.header("x-request-id")));
    assert_eq!(error.header("cache-control"), "no-store");
}
