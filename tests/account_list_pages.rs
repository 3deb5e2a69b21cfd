//! Pages of the account list: every size walks the same collection, also while accounts are written.

use crate::harness::{ALICE, App, BOB, account, admin, dataset, newest_accounts, with};
use crate::record::update;
use insta::assert_snapshot;
use serde_json::{Value, json};
use shared::domain::{AccountUpdate, EntryKey, Timestamp};
use std::collections::BTreeSet;
use uuid::Uuid;

const CURRENCIES: [&str; 4] = ["EUR", "USDC", "JPY", "BTC"];
const STATUSES: [&str; 4] = ["active", "inactive", "suspended", "closed"];
/// Alice's accounts; Bob has half as many.
const ALICES: u32 = 40;

/// Many ties in every field but the id.
fn accounts() -> Vec<Value> {
    let entry = |number: u32| {
        let choice = usize::try_from(number).unwrap();
        let day = number % 5 + 1;
        with(
            account(number, CURRENCIES[choice % 4], &format!("{}", number % 7)),
            json!({
                "customer_id": if number < ALICES { ALICE } else { BOB },
                "status": STATUSES[choice / 3 % 4],
                "balance_at": format!("2026-06-0{day}T00:00:00Z"),
                "history": [{"balance": "1", "balance_at": format!("2026-05-0{day}T00:00:00Z")}],
            }),
        )
    };
    (0..ALICES * 3 / 2).map(entry).collect()
}

fn both() -> Value {
    json!({"sub": "both", "customer_ids": [ALICE, BOB]})
}

/// Every item of every page, by `key`, in order; `between` runs after each page, with its number.
async fn walk(
    app: &App,
    claims: &Value,
    query: &str,
    limit: usize,
    key: &str,
    between: impl AsyncFn(&App, u32),
) -> Vec<String> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for page_number in 0.. {
        let answer = app.get_as(claims.clone(), &format!("/v2/accounts?limit={limit}{query}{cursor}")).await;
        let body = answer.json();
        let page = body["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(page.len() <= limit);
        items.extend(page.iter().map(|item| item[key].as_str().unwrap().to_owned()));
        let Some(next) = body["pagination"]["next_cursor"].as_str() else { return items };
        assert!(
            next.len() <= 512
                && next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
            "{next}"
        );
        cursor = format!("&cursor={next}");
        between(app, page_number).await;
    }
    items
}

async fn nothing(_: &App, _: u32) {}

#[tokio::test]
async fn pages_of_any_size_make_the_same_list() {
    let app = App::start(dataset(accounts())).await;
    let filter = "&search.balance.gte=1";
    for order in [
        "",
        "&sort=-id",
        "&sort=currency,-balance",
        "&sort=-balance",
        "&sort=status,-created_at",
        "&sort=-updated_at,currency",
        "&sort=-currency,status,-balance,created_at,-updated_at,-id",
    ] {
        let query = format!("{order}{filter}");
        let whole = walk(&app, &both(), &query, 200, "id", nothing).await;
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), whole.len(), "{order}");
        for limit in [1, 7] {
            assert_eq!(walk(&app, &both(), &query, limit, "id", nothing).await, whole, "{order} {limit}");
        }
        // Offsets cut the same list.
        let mut by_offset = Vec::new();
        for offset in (0..whole.len()).step_by(7) {
            let body =
                app.get_as(both(), &format!("/v2/accounts?limit=7&offset={offset}{query}")).await.json();
            assert_eq!(body["pagination"]["total"], json!(whole.len()));
            by_offset.extend(
                body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
            );
        }
        assert_eq!(by_offset, whole, "{order}");
    }
    for limit in [1, 7, 200] {
        let groups = walk(&app, &both(), "&stack=currency&sort=-currency", limit, "currency", nothing).await;
        assert_eq!(groups, ["USDC", "JPY", "EUR", "BTC"], "{limit}");
    }
}

#[tokio::test]
async fn the_whole_table_is_walked_in_pages_of_any_size() {
    let app = App::start(dataset(accounts())).await;
    for query in ["", "&search.balance.gte=1", "&search.status=closed", "&search.balance.gt=100"] {
        let whole: BTreeSet<_> = walk(&app, &both(), query, 200, "id", nothing).await.into_iter().collect();
        for limit in [1, 7, 200] {
            let walked = walk(&app, &admin(), query, limit, "id", nothing).await;
            assert_eq!(
                (walked.len(), walked.into_iter().collect()),
                (whole.len(), whole.clone()),
                "{query} {limit}"
            );
        }
    }
    let named: Vec<_> =
        accounts().iter().step_by(4).map(|account| account["id"].as_str().unwrap().to_owned()).collect();
    let query = format!("&search.id.in={}", named.join(","));
    for limit in [1, 7, 200] {
        assert_eq!(walk(&app, &admin(), &query, limit, "id", nothing).await, named, "{limit}");
    }
}

#[tokio::test]
async fn what_existed_throughout_comes_exactly_once_while_accounts_are_written() {
    // Between two pages an account is born, somewhere in the order, and another gets a new balance.
    let write = async |app: &App, page_number: u32| {
        // For a while only: pages of one item would never reach the end of a list that grows by two.
        if page_number > 12 {
            return;
        }
        let store = app.stack.store();
        let alice = Uuid::parse_str(ALICE).unwrap();
        for id in [Uuid::new_v4(), Uuid::new_v4()] {
            store.record(&update(alice, id, "3", 30)).await.unwrap();
        }
        let existing = newest_accounts(&store, alice.into()).await.pop().unwrap();
        let balance_at = Timestamp::parse("2026-06-10T00:00:00Z").unwrap();
        let newer = update(alice, existing.id.uuid(), "77", 0);
        let entry = EntryKey { balance_at, ..newer.entry };
        let newer = AccountUpdate { asset: existing.asset, entry, ..newer };
        store.record(&newer).await.unwrap();
    };
    for (claims, order) in [
        (both(), ""),
        (both(), "&sort=-id"),
        (both(), "&sort=currency"),
        (both(), "&sort=-currency,created_at"),
        (both(), "&sort=-created_at"),
        (admin(), ""),
    ] {
        for limit in [1, 7] {
            let app = App::start(dataset(accounts())).await;
            let before: BTreeSet<_> = walk(&app, &both(), "", 200, "id", nothing).await.into_iter().collect();
            let walked = walk(&app, &claims, order, limit, "id", write).await;
            let distinct: BTreeSet<_> = walked.iter().cloned().collect();
            assert_eq!(distinct.len(), walked.len(), "{order} {limit}: something came twice");
            assert!(distinct.is_superset(&before), "{order} {limit}: something was skipped");
        }
    }
}

#[tokio::test]
async fn a_page_reads_a_bounded_part_of_the_table_however_little_is_found() {
    let many = (0..12_000).map(|number| account(number, "EUR", "1"));
    let rare =
        with(account(20_000, "JPY", "5"), json!({"customer_id": "ffffffff-0000-4000-8000-000000000009"}));
    let app = App::start(dataset(many.chain([rare]).collect())).await;
    let first = app.get_as(admin(), "/v2/accounts?search.currency=JPY&limit=200").await.json();
    let cursor = first["pagination"]["next_cursor"].as_str();
    assert!(cursor.is_some(), "a page that found little has not looked at everything: {first}");
    assert_eq!(
        walk(&app, &admin(), "&search.currency=JPY", 200, "id", nothing).await,
        [crate::harness::id(20_000)]
    );
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_and_its_callers_rights_of_now() {
    let app = App::start(dataset(accounts())).await;
    let first = app.get_as(both(), "/v2/accounts?limit=3&sort=-balance").await.json();
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    let page = |claims: Value, query: &str| {
        let path = format!("/v2/accounts?{query}cursor={cursor}");
        let app = &app;
        async move { app.get_as(claims, &path).await }
    };
    assert_eq!(page(both(), "sort=-balance&limit=7&").await.json()["data"].as_array().unwrap().len(), 7);
    assert_snapshot!(page(both(), "sort=balance&").await, @r#"400 {"error":"invalid_request","message":"This `cursor` belongs to another query; start again without it.","details":{"parameter":"cursor","request_id":"…"}}"#);
    for other in [
        "",
        "sort=-balance&search.active=true&",
        "sort=-balance&stack=currency&",
        &format!("sort=-balance&search.customer_id={ALICE}&"),
    ] {
        assert_eq!(page(both(), other).await.json()["details"]["parameter"], json!("cursor"), "{other}");
    }
    assert_eq!(page(admin(), "").await.json()["details"]["parameter"], json!("cursor"));
    // Who has lost a customer meanwhile sees no more of them.
    let alone =
        page(json!({"sub": "both", "customer_ids": [ALICE]}), "sort=-balance&limit=200&").await.json();
    let rows = alone["data"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["customer_id"] == ALICE));
    // A place that was tampered with is another place or none at all, never an error of ours.
    for (at, with) in [(30, 'A'), (cursor.len() - 2, 'A'), (cursor.len() - 2, '_'), (0, 'x')] {
        let tampered: String =
            cursor.chars().enumerate().map(|(index, old)| if index == at { with } else { old }).collect();
        let answer = app.get_as(both(), &format!("/v2/accounts?sort=-balance&cursor={tampered}")).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{answer}");
    }
    let table = app.get_as(admin(), "/v2/accounts?limit=3").await.json();
    let cursor = table["pagination"]["next_cursor"].as_str().unwrap();
    let answer = app.get_as(both(), &format!("/v2/accounts?limit=3&cursor={cursor}")).await;
    assert_eq!(answer.json()["details"]["parameter"], json!("cursor"), "no longer everybody's: {answer}");
}
