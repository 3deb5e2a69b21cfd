//! `POST /custody/accounts/{accountId}/sync`, and what a sync leaves behind in the other views.

use crate::custody_balances::second_instance;
use crate::custody_kills::{sync_request, syncs};
use crate::harness::{
    ALICE, App, BOB, CUSTODY, accounts_as_of, admin, chain_asset, custody, newest_accounts, send, syncer,
    wallet,
};
use crate::record::update;
use futures::future::join_all;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use shared::custody::{Providers, SyncRequest, Syncs};
use shared::domain::{AccountUpdate, ChainAsset, Coverage, CustodyAccount, EntryKey, Position, Timestamp};
use shared::store::{LeaseClaim, LeasedWrite, RecordError, RegisterError, Rejection, Store, SyncLease};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
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

async fn lease(store: &Store, now: Timestamp) -> SyncLease {
    let id = shared::domain::CustodyAccountId::parse(CUSTODY).unwrap();
    let LeaseClaim::Granted(lease) =
        store.claim_lease(id, now, now.plus(jiff::SignedDuration::from_secs(12))).await.unwrap()
    else {
        panic!("taken")
    };
    *lease
}

/// The account with another list of what it covers.
fn covering(account: &CustodyAccount, change: impl FnOnce(&mut BTreeSet<ChainAsset>)) -> CustodyAccount {
    let mut listed = account.coverage.listed().cloned().collect();
    change(&mut listed);
    CustodyAccount { coverage: Coverage::Listed(listed), ..account.clone() }
}

/// Until when an answer may be stored.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn holding(account: &CustodyAccount, total: &str, now: Timestamp) -> CustodyAccount {
    let amount = shared::domain::Amount::parse(total).unwrap();
    let position = Position::new(amount, amount).unwrap().with_held_since(Some(now));
    let mut account = CustodyAccount { synced_at: Some(now), ..account.clone() };
    account.positions.insert(chain_asset("ETH", "USDT"), position);
    account
}

#[tokio::test]
async fn a_lease_that_has_expired_cannot_overwrite_a_newer_result() {
    let app = app().await;
    let store = app.stack.store();
    let (slow_at, fast_at) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:13Z"));
    let slow = lease(&store, slow_at).await;
    let fast = lease(&store, fast_at).await;
    let newer = holding(&fast.state.account, "20", fast_at);
    let next = fast_at.plus(jiff::SignedDuration::from_mins(1));
    assert_eq!(store.record_snapshot(&fast, &newer, fast_at, next, soon()).await, Ok(LeasedWrite::Written));
    let older = holding(&slow.state.account, "10", slow_at);
    assert_eq!(store.record_snapshot(&slow, &older, slow_at, next, soon()).await, Ok(LeasedWrite::Lost));
    assert_eq!(store.confirm_snapshot(&slow, slow_at, next).await, Ok(LeasedWrite::Lost));
    assert_eq!(store.fail_attempt(&slow, "too slow", Some(slow_at)).await, Ok(LeasedWrite::Lost));
    assert_eq!(store.abandon_attempt(&slow).await, Ok(LeasedWrite::Lost));
    assert_eq!(state(&app).await, newer);
}

#[tokio::test]
async fn no_event_takes_an_id_of_a_custody_accounts() {
    let app = app().await;
    app.sync(syncer()).await;
    let store = app.stack.store();
    let alice = Uuid::parse_str(ALICE).unwrap();
    let shown = newest_accounts(&store, alice.into()).await;
    let ids = shown.iter().map(|account| account.id.uuid()).chain([Uuid::parse_str(CUSTODY).unwrap()]);
    for id in ids {
        for balance_at in ["2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
            let foreign = update(alice, id, "1", 0);
            let entry = EntryKey { balance_at: at(balance_at), ..foreign.entry };
            let foreign = AccountUpdate { asset: shown[0].asset, entry, ..foreign };
            let refused = Err(RecordError::Rejected(Rejection::InCustody));
            assert_eq!(store.record(&foreign).await, refused, "{id} {balance_at}");
        }
    }
    assert_eq!(newest_accounts(&store, alice.into()).await, shown);
}

#[tokio::test]
async fn a_custody_account_is_registered_for_one_customer_and_one_provider_account() {
    let app = app().await;
    let store = app.stack.store();
    let (registered, now) = (state(&app).await, Timestamp::of_machine());
    assert_eq!(store.register_custody_account(&registered, now).await, Ok(()), "the same again");
    let bobs = CustodyAccount { customer_id: Uuid::parse_str(BOB).unwrap().into(), ..registered.clone() };
    assert_eq!(store.register_custody_account(&bobs, now).await, Err(RegisterError::OtherOwner));
    // Whoever's customer it is for.
    for account in [&registered, &bobs] {
        let second = CustodyAccount { id: Uuid::new_v4().into(), ..account.clone() };
        let taken = Err(RegisterError::ProviderAccountTaken(registered.id));
        assert_eq!(store.register_custody_account(&second, now).await, taken);
        assert_eq!(store.custody_account(second.id).await.unwrap(), None);
    }
    // An account of that id came by an event.
    let id = Uuid::new_v4();
    store.record(&update(Uuid::parse_str(ALICE).unwrap(), id, "1", 0)).await.unwrap();
    let provider_account = shared::domain::ProviderAccount::parse(registered.provider, "13").unwrap();
    let squatted = CustodyAccount { id: id.into(), provider_account, ..registered };
    assert_eq!(store.register_custody_account(&squatted, now).await, Err(RegisterError::IdTaken));
}

#[tokio::test]
async fn an_asset_is_removed_only_at_zero() {
    let app = app().await;
    app.sync(syncer()).await;
    let store = app.stack.store();
    let registered = state(&app).await;
    let without = |blockchain: &str, token: &str| {
        covering(&registered, |listed| assert!(listed.remove(&chain_asset(blockchain, token))))
    };
    let now = Timestamp::of_machine();
    let refused = store.register_custody_account(&without("BTC", "BTC"), now).await.unwrap_err();
    assert_snapshot!(refused, @"BTC on BTC cannot be removed while it is held");
    store.register_custody_account(&without("TRX", "USDT"), now).await.unwrap();
    let more = covering(&without("TRX", "USDT"), |listed| assert!(listed.insert(chain_asset("SOL", "USDC"))));
    store.register_custody_account(&more, now).await.unwrap();
    assert_eq!(state(&app).await.coverage, more.coverage);
    // A sync that was under way when the coverage changed has asked for the coverage of before.
    let before = lease(&store, now).await;
    let most = covering(&more, |listed| assert!(listed.insert(chain_asset("SOL", "SOL"))));
    assert_eq!(store.register_custody_account(&most, now).await, Ok(()));
    let next = now.plus(jiff::SignedDuration::from_mins(1));
    assert_eq!(store.record_snapshot(&before, &more, now, next, soon()).await, Ok(LeasedWrite::Lost));
    assert_eq!(store.confirm_snapshot(&before, now, next).await, Ok(LeasedWrite::Lost));
    assert_eq!(app.custody("?max_age=0&partial=true").await.status, 200);
    assert_eq!(state(&app).await.positions.len(), most.coverage.listed().count());
}

/// The custody account of [`app`] with so many positions of one unit each.
fn with_holdings(account: &CustodyAccount, count: usize, now: Timestamp) -> CustodyAccount {
    let one = shared::domain::Amount::parse("1").unwrap();
    let position = Position::new(one, one).unwrap().with_held_since(Some(now));
    let asset = |number: usize| chain_asset(&format!("CHAIN{number}"), "USDT");
    let positions = (0..count).map(|number| (asset(number), position)).collect();
    CustodyAccount { positions, synced_at: Some(now), ..account.clone() }
}

#[tokio::test]
async fn a_thousand_holdings_are_one_snapshot_and_one_more_is_refused() {
    let app = app().await;
    let store = app.stack.store();
    let alice = Uuid::parse_str(ALICE).unwrap().into();
    let (start, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z"));
    let first = lease(&store, start).await;
    let full = with_holdings(&first.state.account, 1_000, start);
    assert_eq!(store.record_snapshot(&first, &full, start, start, soon()).await, Ok(LeasedWrite::Written));
    let shown = newest_accounts(&store, alice).await;
    assert_eq!(shown.len(), 1_000);
    assert!(shown.is_sorted_by_key(|account| account.id));
    let second = lease(&store, now).await;
    let fuller = with_holdings(&second.state.account, 1_001, now);
    let refused = store.record_snapshot(&second, &fuller, now, now, soon()).await.unwrap_err();
    assert_eq!(refused.to_string(), "more than 1000 holdings, or more than 300 KB of them");
    assert_eq!(newest_accounts(&store, alice).await, shown);
    // A page of the list can end inside the snapshot, in either reach.
    for claims in [json!({"sub": "test", "customer_ids": [ALICE]}), admin()] {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get_as(claims.clone(), &format!("/v2/accounts?limit=150{cursor}")).await.json();
            ids.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].to_string()));
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(ids.len(), 1_000);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1_000, "{claims}");
    }
}

/// A vault of so many assets, and syncs by an adapter that knows them all.
async fn vault_of_many(count: usize) -> (App, Syncs) {
    let pair = |number: usize| (format!("C{number}"), ["ONE", "TWO", "THREE", "FOUR"][number % 4]);
    let pairs: Vec<_> = (0..count).map(pair).collect();
    let ids: Vec<_> = pairs.iter().map(|(chain, token)| format!("{token}_{chain}")).collect();
    let assets: Vec<_> =
        pairs.iter().map(|(chain, token)| json!({"blockchain": chain, "token": token})).collect();
    let account = json!({
        "id": CUSTODY, "customer_id": ALICE, "provider": "fireblocks", "provider_account": "12", "assets": assets,
    });
    let vault: Value = ids.iter().map(|id| wallet(id, "1", "1")).collect();
    let row = |code: &str| {
        let own = pairs.iter().zip(&ids).filter(|((_, token), _)| *token == code);
        let own: serde_json::Map<String, Value> =
            own.map(|((chain, _), id)| (id.clone(), json!(chain))).collect();
        json!({"code": code, "name": code, "decimals": 18, "custody": {"fireblocks": own}})
    };
    let rows = ["ONE", "TWO", "THREE", "FOUR"].map(row);
    let app = App::start(custody(vault, json!({"assets": rows, "custody_accounts": [account]}))).await;
    let config = app.stack.custody_config().clone();
    let store = app.stack.store();
    let providers = Providers::new(&config, &app.stack.config().store, &store).unwrap();
    let syncs = Syncs::new(store, providers, 0, config.sync_interval());
    (app, syncs)
}

#[tokio::test]
async fn a_first_sync_of_many_holdings_shows_them_all_at_once() {
    for count in [50, 1_000] {
        let (app, syncs) = vault_of_many(count).await;
        let now = app.stack.clock().now();
        let account = syncs.fresh(state(&app).await, now, sync_request("test", now)).await.unwrap();
        assert_eq!(account.positions.len(), count);
        let shown = newest_accounts(&app.stack.store(), account.customer_id).await;
        assert!(shown.iter().all(|account| account.state.balance.to_string() == "1"));
        assert_eq!(shown.len(), count);
    }
    // More cannot be registered, and says so.
    let (app, _) = vault_of_many(1_000).await;
    let more = covering(&state(&app).await, |listed| assert!(listed.insert(chain_asset("ONE", "USDT"))));
    let refused = app.stack.store().register_custody_account(&more, Timestamp::of_machine()).await;
    assert_eq!(refused.unwrap_err().to_string(), "more than 1000 assets");
}

#[tokio::test]
async fn entries_of_a_fast_clock_are_corrected_whatever_their_number_and_size() {
    let app = app().await;
    let store = app.stack.store();
    let start = at("2026-01-01T00:00:00Z");
    let later = |minutes: i64| start.plus(jiff::SignedDuration::from_mins(minutes));
    // Snapshots of 120 KB each: a page of the history holds eight of them.
    let of = async |count: usize, now: Timestamp| {
        let lease = lease(&store, now).await;
        let account = with_holdings(&lease.state.account, count, now);
        store.record_snapshot(&lease, &account, now, now, soon()).await
    };
    for minutes in 1..=12 {
        assert_eq!(of(1_000 - usize::from(minutes % 2 == 0), later(minutes)).await, Ok(LeasedWrite::Written));
    }
    // Every other one says what this one says.
    for _ in 0..3 {
        assert_eq!(of(1_000, start).await, Ok(LeasedWrite::Written));
    }
    let customer = Uuid::parse_str(ALICE).unwrap().into();
    for minutes in 0..=12 {
        let shown = accounts_as_of(&store, customer, later(minutes)).await;
        let held = shown.iter().filter(|account| account.state.balance != shared::domain::Amount::ZERO);
        assert_eq!(held.count(), 1_000, "{minutes}");
    }
    let id = shared::domain::CustodyAccountId::parse(CUSTODY).unwrap();
    let entries = store.snapshot_entries(id, 100).await.unwrap();
    assert!(entries.len() <= 12 + 1 + 12, "what is said already is not said again: {}", entries.len());
    assert_eq!(app.ballast(&["verify"]).await.exit_code, 0);
}

#[tokio::test]
async fn a_last_transaction_of_an_asset_that_is_not_held_is_kept() {
    let app = app().await;
    let moved = Timestamp::of_machine().minus(jiff::SignedDuration::from_hours(240)).to_millis_text();
    app.vault(json!([{"id": "USDT_ERC20", "total": "0", "last_transaction_at": moved}])).await;
    let synced = app.custody("?max_age=0").await;
    assert!(synced.text().contains(&format!(r#""last_transaction_at":"{moved}""#)), "{synced}");
    assert_eq!(app.custody("?max_age=86400").await.text(), synced.text());
    // An asset that was never held has no account.
    let alice = Uuid::parse_str(ALICE).unwrap().into();
    assert_eq!(newest_accounts(&app.stack.store(), alice).await, []);
}

#[tokio::test]
async fn a_read_that_its_request_has_no_time_for_is_not_begun() {
    let app = app().await;
    let now = app.stack.clock().now();
    let late = SyncRequest { deadline: Instant::now() + Duration::from_secs(4), ..sync_request("test", now) };
    let refused = syncs(&app).fresh(state(&app).await, now, late).await.unwrap_err();
    assert_eq!(refused.to_string(), "the provider is unavailable: no attempt has ended in time");
    assert_eq!(app.vault_reads(), 0);
    let id = shared::domain::CustodyAccountId::parse(CUSTODY).unwrap();
    let state = app.stack.store().custody_account(id).await.unwrap().unwrap();
    assert_eq!(state.attempts.claimant, None, "the lease is free");
}

#[tokio::test]
async fn a_sync_costs_the_same_writes_whatever_it_holds() {
    struct Row {
        holdings: usize,
        is_changed: bool,
        most: u64,
    }
    let rows = [
        Row { holdings: 3, is_changed: false, most: 4 },
        Row { holdings: 3, is_changed: true, most: 10 },
        Row { holdings: 30, is_changed: false, most: 4 },
        Row { holdings: 30, is_changed: true, most: 30 },
    ];
    for Row { holdings, is_changed, most } in rows {
        let app = app().await;
        let store = app.stack.store();
        let (start, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z"));
        let first = lease(&store, start).await;
        let account = with_holdings(&first.state.account, holdings, start);
        store.record_snapshot(&first, &account, start, start, soon()).await.unwrap();
        let work = async {
            let lease = lease(&store, now).await;
            if is_changed {
                let two = shared::domain::Amount::parse("2").unwrap();
                let mut account = account.clone();
                let position = account.positions.values_mut().next().unwrap();
                *position = Position::new(two, two).unwrap().with_held_since(position.held_since());
                store
                    .record_snapshot(
                        &lease,
                        &account,
                        now,
                        now.plus(jiff::SignedDuration::from_mins(15)),
                        soon(),
                    )
                    .await
            } else {
                let written =
                    store.confirm_snapshot(&lease, now, now.plus(jiff::SignedDuration::from_mins(15)));
                Ok(written.await.unwrap())
            }
        };
        let (written, usage) = shared::store::measured(work).await;
        assert_eq!(written, Ok(LeasedWrite::Written));
        assert!(usage.write_tenths <= most * 10, "{holdings} holdings, changed: {is_changed}: {usage:?}");
    }
}

#[tokio::test]
async fn an_asset_that_was_just_added_is_not_taken_for_zero() {
    let app = app().await;
    app.vault(json!([wallet("BTC", "1", "1"), wallet("SOL", "3", "3")])).await;
    app.sync(syncer()).await;
    let more = covering(&state(&app).await, |listed| assert!(listed.insert(chain_asset("SOL", "SOL"))));
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
