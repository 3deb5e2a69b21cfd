//! `POST /custody/accounts/{accountId}/sync`, and what a sync leaves behind in the other views.

use crate::custody_balances::second_instance;
use crate::harness::{ALICE, App, BOB, CUSTODY, admin, custody, send, syncer, wallet};
use crate::record::update;
use futures::future::join_all;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{AccountUpdate, ChainAsset, CustodyAccount, EntryKey, Position, Timestamp};
use shared::store::{Claim, Fenced, Lease, RecordError, RegisterError, Rejection, Store, Written};
use std::time::Duration;
use uuid::Uuid;

fn vault() -> Value {
    json!([wallet("USDT_ERC20", "10", "9"), wallet("BTC", "2", "2")])
}

async fn app() -> App {
    App::start(custody(vault(), json!({}))).await
}

async fn state(app: &App) -> CustodyAccount {
    let id = shared::domain::CustodyAccountId::parse(CUSTODY).unwrap();
    app.stack.store().custody_account(id).await.unwrap().unwrap().account
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[tokio::test]
async fn a_sync_is_answered_as_published_and_seen_everywhere_at_once() {
    let app = app().await;
    let answer = app.sync(syncer()).await;
    let synced = answer.json()["last_synced"].as_str().unwrap().to_owned();
    assert_snapshot!(answer.to_string().replace(&synced, "now"), @r#"200 {"success":true,"account_id":"550e8400-e29b-41d4-a716-446655440000","last_synced":"now","message":"Account balances successfully synchronized"}"#);
    assert_eq!(app.custody("?max_age=86400").await.json()["last_updated"], json!(synced));
    let unified = app.balance("EUR", "&stack=currency").await.json();
    assert_eq!(
        unified["stacks"][0],
        json!({"currency": "BTC", "is_crypto": true, "accounts": 1, "balance": 2.0, "balance_in_base": 170_880.82}),
        "{unified}"
    );
    let list = app.get("/v2/accounts?search.currency=USDT").await.json();
    let row = &list["data"][0];
    assert_eq!(
        (&row["balance"], &row["available"], &row["locked"], &row["network"]),
        (&json!(10.0), &json!(9.0), &json!(1.0), &json!("ETH"))
    );
    // The next sync is seen by the next request.
    app.vault(json!([wallet("USDT_ERC20", "11.5", "11.5")])).await;
    app.custody("?max_age=0").await;
    let unified = app.balance("USD", "&stack=currency").await;
    assert!(
        unified.text().contains(r#""currency":"USDT","is_crypto":true,"accounts":1,"balance":11.50,"#),
        "{unified}"
    );
    assert!(
        unified.text().contains(r#""currency":"BTC","is_crypto":true,"accounts":1,"balance":0.00,"#),
        "{unified}"
    );
}

#[tokio::test]
async fn one_sync_is_granted_in_ten_seconds() {
    let app = app().await;
    assert_eq!(app.sync(syncer()).await.status, 200);
    let refused = app.sync(syncer()).await;
    assert_snapshot!(refused, @r#"429 {"error":"rate_limit_exceeded","message":"You have exceeded the rate limit; see the Retry-After header.","details":{"request_id":"…"}}"#);
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    // A read neither uses that up nor obeys it.
    assert_eq!(app.custody("?max_age=0").await.status, 200);
}

#[tokio::test]
async fn of_many_syncs_and_reads_at_once_one_sync_wins_and_the_vault_is_read_once() {
    let app = app().await;
    let other = second_instance(&app).await;
    app.stack.sandbox().set_delay(Duration::from_millis(300));
    let token = app.token(syncer());
    let ask = |number: usize| {
        let base = if number % 4 < 2 { app.stack.url() } else { other.clone() };
        let path = format!("{base}/custody/accounts/{CUSTODY}");
        let request = if number.is_multiple_of(2) {
            app.client.post(format!("{path}/sync"))
        } else {
            app.client.get(format!("{path}/balances"))
        };
        send(request.bearer_auth(&token))
    };
    let answers = join_all((0..50).map(ask)).await;
    let (syncs, reads): (Vec<_>, Vec<_>) =
        answers.iter().enumerate().partition(|(number, _)| number.is_multiple_of(2));
    let granted = syncs.iter().filter(|(_, answer)| answer.status == 200).count();
    assert!(syncs.iter().all(|(_, answer)| answer.status == 200 || answer.status == 429));
    assert_eq!(
        (granted, reads.iter().filter(|(_, answer)| answer.status == 200).count(), app.vault_reads()),
        (1, 25, 1)
    );
}

#[tokio::test]
async fn only_who_sees_the_account_and_may_sync_can() {
    let app = app().await;
    let path = |id: &str| format!("/custody/accounts/{id}/sync");
    let missing = "550e8400-e29b-41d4-a716-446655440001";
    let permitted = |claims: Value| crate::harness::with(claims, json!({"permissions": ["PermCustodySync"]}));
    let rows = [
        (Method::GET, Some(syncer()), path(CUSTODY), 405),
        (Method::POST, None, path("x"), 401),
        (Method::POST, Some(syncer()), path("x"), 400),
        (Method::POST, Some(syncer()), path(CUSTODY) + "?force=true", 400),
        (Method::POST, Some(json!({"sub": "alice", "customer_ids": [ALICE]})), path(CUSTODY), 403),
        (Method::POST, Some(permitted(json!({"sub": "bob", "customer_ids": [BOB]}))), path(CUSTODY), 403),
        (Method::POST, Some(admin()), path(CUSTODY), 403),
        (Method::POST, Some(syncer()), path(missing), 403),
        (
            Method::POST,
            Some(json!({"sub": "root", "permissions": ["PermReadAll", "PermCustodySync"]})),
            path(missing),
            404,
        ),
        (
            Method::POST,
            Some(json!({"sub": "root", "permissions": ["PermReadAll", "PermCustodySync"]})),
            path(CUSTODY),
            200,
        ),
    ];
    for (method, credential, path, status) in rows {
        let request = app.request(method, &path);
        let request = credential
            .map(|claims| app.token(claims))
            .into_iter()
            .fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(send(request).await.status, status, "{path}");
    }
    assert_eq!(app.vault_reads(), 1);
}

#[tokio::test]
async fn a_last_transaction_is_never_replaced_by_none_or_an_older_one() {
    let app = app().await;
    let now = Timestamp::of_machine();
    let ago = |days: i64| now.minus(jiff::SignedDuration::from_hours(24 * days)).to_millis_text();
    // What the vault holds, when it says that last moved, and what is known then.
    let rows = [
        ("1", Some(ago(91)), None),
        ("2", Some(ago(80)), Some(ago(80))),
        ("3", Some(ago(10)), Some(ago(10))),
        ("4", None, Some(ago(10))),
        ("5", Some(ago(20)), Some(ago(10))),
        ("6", Some(ago(5)), Some(ago(5))),
    ];
    for (total, moved, known) in rows {
        let mut holding = wallet("USDT_ERC20", total, total);
        holding["last_transaction_at"] = json!(moved);
        app.vault(json!([holding])).await;
        let body = app.custody("?max_age=0").await.json();
        let rows = body["balances"].as_array().unwrap();
        let row = rows.iter().find(|row| row["blockchain"] == "ETH").unwrap();
        assert_eq!(row["last_transaction_at"], json!(known), "{total}");
    }
    // Transactions are asked for only where amounts have changed.
    drop(app.stack.sandbox().take_calls());
    app.custody("?max_age=0").await;
    assert!(!app.stack.sandbox().take_calls().contains_key("/v1/transactions"));
}

async fn lease(store: &Store, now: Timestamp) -> Lease {
    let id = shared::domain::CustodyAccountId::parse(CUSTODY).unwrap();
    let Claim::Granted(lease) =
        store.claim_lease(id, now, now.plus(jiff::SignedDuration::from_secs(12))).await.unwrap()
    else {
        panic!("held")
    };
    *lease
}

fn holding(account: &CustodyAccount, total: &str, now: Timestamp) -> CustodyAccount {
    let amount = shared::domain::Amount::parse(total).unwrap();
    let mut account = CustodyAccount { synced_at: Some(now), ..account.clone() };
    account
        .positions
        .insert(ChainAsset::parse("ETH", "USDT").unwrap(), Position::new(amount, amount).unwrap());
    account
}

#[tokio::test]
async fn a_lease_that_has_expired_cannot_overwrite_a_newer_result() {
    let app = app().await;
    let store = app.stack.store();
    let (slow_at, fast_at) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:13Z"));
    let slow = lease(&store, slow_at).await;
    let fast = lease(&store, fast_at).await;
    assert_eq!((slow.token, fast.token), (1, 2));
    let newer = holding(&fast.state.account, "20", fast_at);
    assert_eq!(store.complete_attempt(&fast, &newer, fast_at).await.unwrap(), Fenced::Written);
    let older = holding(&slow.state.account, "10", slow_at);
    assert_eq!(store.complete_attempt(&slow, &older, slow_at).await.unwrap(), Fenced::Lost);
    assert_eq!(store.fail_attempt(&slow, Written::Nothing, Some(slow_at)).await.unwrap(), Fenced::Lost);
    assert_eq!(store.abandon_attempt(&slow).await.unwrap(), Fenced::Lost);
    let projection = AccountUpdate {
        custody_account_id: Some(slow.state.account.id),
        ..update(Uuid::parse_str(ALICE).unwrap(), Uuid::new_v4(), "10", 1)
    };
    for writes in store.plan_projection(vec![projection]).await.unwrap().transactions() {
        assert_eq!(store.write_projection(&slow, writes).await.unwrap(), Fenced::Lost);
    }
    assert_eq!(state(&app).await, newer);
    assert!(store.customer_accounts(slow.state.account.customer_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_clock_that_runs_behind_cannot_hide_a_newer_balance() {
    let app = app().await;
    let store = app.stack.store();
    let mut last = None;
    for (now, total) in
        [("2026-03-01T00:00:00Z", "1"), ("2026-02-01T00:00:00Z", "2"), ("2026-02-01T00:00:00Z", "3")]
    {
        let lease = lease(&store, at(now)).await;
        let account = holding(&lease.state.account, total, at(now));
        let id = account.projection_id(&ChainAsset::parse("ETH", "USDT").unwrap());
        let projection = update(Uuid::parse_str(ALICE).unwrap(), id.uuid(), total, 0);
        let projection = AccountUpdate {
            custody_account_id: Some(account.id),
            entry: EntryKey { balance_at: at(now), ..projection.entry },
            asset: shared::domain::Asset::parse("USDT").unwrap(),
            ..projection
        };
        for writes in store.plan_projection(vec![projection]).await.unwrap().transactions() {
            assert_eq!(store.write_projection(&lease, writes).await.unwrap(), Fenced::Written);
        }
        store.complete_attempt(&lease, &account, at(now)).await.unwrap();
        let stored = store.customer_accounts(account.customer_id).await.unwrap().remove(0).account;
        assert_eq!(stored.state.balance.to_string(), total);
        let balance_at = stored.entry.balance_at;
        assert!(last.replace(balance_at).is_none_or(|last| last < balance_at));
    }
    assert_eq!(last.unwrap(), at("2026-03-01T00:00:00.002Z"));
}

#[tokio::test]
async fn nobody_else_writes_a_projection() {
    let app = app().await;
    app.sync(syncer()).await;
    let store = app.stack.store();
    let alice = Uuid::parse_str(ALICE).unwrap();
    let projected = store.customer_accounts(alice.into()).await.unwrap().remove(0);
    for balance_at in ["2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let foreign = update(alice, projected.account.id.uuid(), "1", 0);
        let entry = EntryKey { balance_at: at(balance_at), ..foreign.entry };
        let foreign = AccountUpdate { asset: projected.account.asset, entry, ..foreign };
        let refused = Err(RecordError::Rejected(Rejection::InCustody));
        assert_eq!(store.record(&foreign).await, refused, "{balance_at}");
    }
    assert_eq!(store.customer_accounts(alice.into()).await.unwrap().remove(0), projected);
}

#[tokio::test]
async fn a_supported_asset_is_removed_only_at_zero() {
    let app = app().await;
    app.sync(syncer()).await;
    let store = app.stack.store();
    let registered = state(&app).await;
    let without = |blockchain: &str, token: &str| {
        let mut account = registered.clone();
        account.positions.remove(&ChainAsset::parse(blockchain, token).unwrap()).unwrap();
        account
    };
    let now = Timestamp::of_machine();
    let refused = store.register_custody_account(&without("BTC", "BTC"), now).await.unwrap_err();
    assert_snapshot!(refused, @"BTC on BTC cannot be removed while it is held");
    store.register_custody_account(&without("TRX", "USDT"), now).await.unwrap();
    let mut more = without("TRX", "USDT");
    more.positions.insert(ChainAsset::parse("SOL", "USDC").unwrap(), Position::default());
    store.register_custody_account(&more, now).await.unwrap();
    assert_eq!(state(&app).await.positions, more.positions);
    let other = CustodyAccount { customer_id: Uuid::parse_str(BOB).unwrap().into(), ..more.clone() };
    assert_eq!(store.register_custody_account(&other, now).await, Err(RegisterError::OtherOwner));
    // Not while a sync is under way, nor after one that was cut short: it may have shown what no snapshot
    // knows of.
    let cut = lease(&store, now).await;
    assert_eq!(store.register_custody_account(&more, now).await, Ok(()), "nothing to change");
    let mut less = more.clone();
    less.positions.remove(&ChainAsset::parse("SOL", "USDC").unwrap());
    let expired = now.plus(jiff::SignedDuration::from_secs(13));
    for at in [now, expired] {
        assert_eq!(store.register_custody_account(&less, at).await, Err(RegisterError::Unfinished));
    }
    // Whoever held the lease before a change is fenced off.
    let mut most = more.clone();
    most.positions.insert(ChainAsset::parse("SOL", "SOL").unwrap(), Position::default());
    assert_eq!(store.register_custody_account(&most, expired).await, Ok(()));
    assert_eq!(store.complete_attempt(&cut, &more, now).await.unwrap(), Fenced::Lost);
    assert_eq!(app.custody("?max_age=0").await.status, 200);
    assert_eq!(store.register_custody_account(&less, expired).await, Ok(()));
}

#[tokio::test]
async fn an_asset_that_was_just_added_is_not_taken_for_zero() {
    let app = app().await;
    app.vault(json!([wallet("BTC", "1", "1"), wallet("SOL", "3", "3")])).await;
    app.sync(syncer()).await;
    let mut more = state(&app).await;
    more.positions.insert(ChainAsset::parse("SOL", "SOL").unwrap(), Position::default());
    app.stack.store().register_custody_account(&more, Timestamp::of_machine()).await.unwrap();
    let body = app.custody("?max_age=86400&partial=true").await;
    assert!(body.text().contains(r#""blockchain":"SOL","token":"SOL","balance":3.00,"#), "{body}");
}

#[tokio::test]
async fn an_asset_that_is_not_listed_is_counted_and_not_stored() {
    let app = app().await;
    app.vault(json!([wallet("USDT_ERC20", "1", "1"), wallet("USDC", "5", "5"), wallet("SHIB", "7", "7")]))
        .await;
    assert_eq!(app.sync(syncer()).await.status, 200);
    let accounts = app.get("/v2/accounts").await.json();
    assert_eq!(accounts["pagination"]["total"], json!(1), "{accounts}");
    assert_eq!(app.custody("").await.json()["balances"].as_array().unwrap().len(), 4);
}
