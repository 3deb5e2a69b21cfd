//! A sync is cut off before each of its calls to the store, as by the end of its process, and each of its
//! answers is lost: the custody view and the unified view agree at every moment, and as of every moment
//! afterwards.

use crate::harness::{ALICE, App, CUSTODY, accounts_as_of, custody, wallet};
use crate::store_proxy::{Passage, StoreProxy};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::StoreConfig;
use shared::custody::{Providers, SyncRequest, Syncs};
use shared::domain::{Account, Amount, CustodyAccount, CustodyAccountId, CustomerId, Timestamp};
use shared::store::{CustodyState, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub fn sync_request(caller: &str, now: Timestamp) -> SyncRequest<'_> {
    SyncRequest { caller, now, deadline: Instant::now() + Duration::from_secs(15) }
}

pub fn syncs(app: &App) -> Syncs {
    syncs_by(app, &app.stack.store())
}

fn syncs_by(app: &App, store: &Store) -> Syncs {
    let custody = app.stack.custody_config();
    let providers = Providers::new(custody, &app.stack.config().store, store).unwrap();
    Syncs::new(store.clone(), providers, 0, custody.sync_interval())
}

/// Syncs whose store is reached through a proxy, by a clock that stands at `now`.
fn through(app: &App, config: &StoreConfig, now: Timestamp) -> Syncs {
    syncs_by(app, &Store::new(config, Clock::stopped_at(now)))
}

/// Vault 12 with these amounts of its four assets.
fn vault(amounts: [&str; 4]) -> Value {
    let ids = ["USDT_ERC20", "USDT_BSC", "TRX_USDT_S2UZ", "BTC"];
    ids.iter().zip(amounts).map(|(id, amount)| wallet(id, amount, amount)).collect()
}

async fn state(app: &App) -> CustodyState {
    let id = CustodyAccountId::parse(CUSTODY).unwrap();
    app.stack.store().custody_account(id).await.unwrap().unwrap()
}

async fn ask(syncs: &Syncs, app: &App, now: Timestamp) -> CustodyAccount {
    syncs.fresh(state(app).await.account, now, sync_request("test", now)).await.unwrap()
}

async fn unified(app: &App, at: Timestamp) -> BTreeMap<String, Amount> {
    let accounts = accounts_as_of(&app.stack.store(), CustomerId::parse(ALICE).unwrap(), at).await;
    let row = |account: &Account| (account.id.to_string(), account.state.balance);
    accounts.iter().map(row).filter(|(_, balance)| *balance != Amount::ZERO).collect()
}

/// The balances that the custody view shows, by the accounts of the unified view.
fn in_custody(account: &CustodyAccount) -> BTreeMap<String, Amount> {
    let row = |(asset, position): (&_, &shared::domain::Position)| {
        (account.position_id(asset).to_string(), position.balance())
    };
    account.positions.iter().map(row).filter(|(_, balance)| *balance != Amount::ZERO).collect()
}

async fn assert_views_agree(app: &App, now: Timestamp, when: &str) {
    assert_eq!(unified(app, now).await, in_custody(&state(app).await.account), "{when}");
}

/// The store's calls of one sync.
async fn calls_of_a_sync(app: &App, now: Timestamp) -> usize {
    let (proxy, config) = StoreProxy::start(app, |_| Passage::Answered).await;
    ask(&through(app, &config, now), app, now).await;
    proxy.calls().len()
}

/// Starts a sync whose process ends before its `n`th call to the store.
async fn kill(app: &App, now: Timestamp, n: usize) {
    let (count, there) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let reached = Arc::clone(&there);
    let (_, config) = StoreProxy::start(app, move |_| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 < n {
            return Passage::Answered;
        }
        reached.notify_one();
        Passage::Held
    })
    .await;
    let (syncs, account) = (through(app, &config, now), state(app).await.account);
    tokio::select! {
        () = there.notified() => {}
        outcome = syncs.fresh(account, now, sync_request("test", now)) => panic!("call {n} was not made: {outcome:?}"),
    }
}

/// A stack whose vault was synced once at `start`, and has changed since.
async fn changed_since(start: Timestamp) -> App {
    let app = App::start(custody(vault(["1", "0", "3", "4"]), json!({}))).await;
    app.stack.clock().stop_at(start);
    ask(&syncs(&app), &app, start).await;
    // The second asset is held for the first time, and the third no more.
    app.vault(vault(["5", "6", "0", "9"])).await;
    app
}

/// A stack whose vault was never synced.
async fn never_synced(start: Timestamp) -> App {
    let app = App::start(custody(vault(["1", "2", "3", "4"]), json!({}))).await;
    app.stack.clock().stop_at(start);
    app
}

#[tokio::test]
async fn killed_before_any_call_it_leaves_the_views_in_agreement_and_the_next_sync_goes_on() {
    let start = Timestamp::of_machine();
    let (killed_at, next) =
        (start.plus(SignedDuration::from_secs(1)), start.plus(SignedDuration::from_mins(1)));
    let calls = calls_of_a_sync(&changed_since(start).await, killed_at).await;
    assert!(calls >= 2, "{calls}");
    for n in 1..=calls {
        for then in [["5", "0", "7", "2"], ["1", "2", "3", "4"]] {
            let when = format!("killed before call {n} of {calls}, then {then:?}");
            let app = changed_since(start).await;
            let before = unified(&app, start).await;
            kill(&app, killed_at, n).await;
            assert_views_agree(&app, killed_at, &when).await;
            // By the next sync the vault may have changed back.
            app.vault(vault(then)).await;
            app.stack.clock().stop_at(next);
            let account = ask(&syncs(&app), &app, next).await;
            assert_views_agree(&app, next, &when).await;
            assert_eq!(unified(&app, next).await, in_custody(&account), "{when}");
            for at in [start, killed_at] {
                assert_eq!(unified(&app, at).await, before, "{when}, as of {at:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_no_attempt_of_somebody_elses() {
    let start = Timestamp::of_machine();
    let now = start.plus(SignedDuration::from_secs(1));
    let calls = calls_of_a_sync(&changed_since(start).await, now).await;
    for n in 1..=calls {
        let app = changed_since(start).await;
        drop(app.stack.sandbox().take_calls());
        let count = AtomicUsize::new(0);
        let (_, config) = StoreProxy::start(&app, move |_| {
            let is_lost = count.fetch_add(1, Ordering::SeqCst) + 1 == n;
            if is_lost { Passage::AnswerLost } else { Passage::Answered }
        })
        .await;
        let started = Instant::now();
        let account = ask(&through(&app, &config, now), &app, now).await;
        assert!(started.elapsed() < Duration::from_secs(5), "call {n}: nobody waits for themselves");
        assert_eq!(unified(&app, now).await, in_custody(&account), "{n}");
        assert_eq!(app.vault_reads(), 1, "{n}");
        let state = state(&app).await;
        assert_eq!((state.failures, state.attempts.lease_until), (0, None), "{n}");
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_requested_sync_is_no_request_too_many() {
    let app = changed_since(Timestamp::of_machine()).await;
    let now = app.stack.clock().now().plus(SignedDuration::from_secs(1));
    let (_, config) = StoreProxy::start(&app, {
        let count = AtomicUsize::new(0);
        move |_| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 { Passage::AnswerLost } else { Passage::Answered }
        }
    })
    .await;
    let id = CustodyAccountId::parse(CUSTODY).unwrap();
    let synced = through(&app, &config, now).requested(id, sync_request("test", now)).await.unwrap();
    assert_eq!(synced.synced_at, Some(now));
}

#[tokio::test]
async fn a_first_sync_that_is_killed_anywhere_is_made_by_the_next() {
    let start = Timestamp::of_machine();
    let next = start.plus(SignedDuration::from_mins(1));
    let calls = calls_of_a_sync(&never_synced(start).await, start).await;
    assert!(calls >= 7, "a lease, a snapshot, four ids and a transaction: {calls}");
    for n in 1..=calls {
        let app = never_synced(start).await;
        kill(&app, start, n).await;
        assert!(unified(&app, start).await.is_empty(), "{n}");
        app.stack.clock().stop_at(next);
        let account = ask(&syncs(&app), &app, next).await;
        assert_eq!((unified(&app, next).await, 4), (in_custody(&account), account.positions.len()), "{n}");
        assert!(unified(&app, start).await.is_empty(), "{n}");
    }
}

#[tokio::test]
async fn killed_while_a_failure_is_noted_it_is_tried_again() {
    let start = Timestamp::of_machine();
    let app = App::start(custody(vault(["1", "2", "3", "4"]), json!({}))).await;
    app.fault(json!({"status": 401, "times": 1})).await;
    // The lease is claimed, its snapshot and the catalogue are read, and then the failure is noted.
    kill(&app, start, 4).await;
    let next = start.plus(SignedDuration::from_mins(1));
    ask(&syncs(&app), &app, next).await;
    assert_views_agree(&app, next, "after a failure that was not noted").await;
}

#[tokio::test]
async fn what_a_fast_clock_has_written_hides_nothing() {
    let start = Timestamp::of_machine();
    let app = changed_since(start).await;
    let (years_ahead, now) =
        (start.plus(SignedDuration::from_hours(40_000)), start.plus(SignedDuration::from_secs(30)));
    app.stack.clock().stop_at(years_ahead);
    ask(&syncs(&app), &app, years_ahead).await;
    app.stack.clock().stop_at(now);
    for amounts in [["6", "1", "7", "9"], ["6", "2", "7", "9"]] {
        app.vault(vault(amounts)).await;
        let account = ask(&syncs(&app), &app, now).await;
        // Its entry speaks of now, and the later one is corrected.
        for at in [now, years_ahead] {
            assert_eq!(unified(&app, at).await, in_custody(&account), "{amounts:?} as of {at:?}");
        }
    }
    assert_eq!(unified(&app, start).await.len(), 3);
    let answer = app.ballast(&["verify"]).await;
    assert!(answer.out.ends_with(" 0 differences\n"), "{}", answer.out);
}
