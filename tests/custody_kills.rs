//! A sync is cut off before each call to the store that it makes, as by the end of its process: nothing
//! stored contradicts itself, and the next run completes what was begun.

use crate::harness::{ALICE, App, CUSTODY, custody, wallet};
use futures::future::{BoxFuture, FutureExt, pending, ready};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::custody::{Hook, Providers, Step, Syncs};
use shared::domain::{
    Account, AccountState, Amount, CustodyAccount, CustodyAccountId, CustomerId, Timestamp,
};
use shared::store::HistoryEnd;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Starts a sync whose process ends the `n`th time that `step` is reached.
async fn kill(syncs: Syncs, app: &App, now: Timestamp, (step, n): (Step, usize)) {
    let (seen, there) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let reached = Arc::clone(&there);
    let hook: Hook = Arc::new(move |at: Step| -> BoxFuture<'static, ()> {
        if at != step || seen.fetch_add(1, Ordering::SeqCst) + 1 != n {
            return ready(()).boxed();
        }
        reached.notify_one();
        pending().boxed()
    });
    let (account, syncs) = (snapshot(app).await, syncs.with_hook(hook));
    tokio::select! {
        () = there.notified() => {}
        outcome = syncs.fresh(account, now, "test", now) => panic!("{step:?} was not reached: {outcome:?}"),
    }
}

pub fn syncs(app: &App) -> Syncs {
    let (store, custody) = (app.stack.store(), app.stack.custody_config());
    let providers = Providers::new(custody, &app.stack.config().store, &store).unwrap();
    Syncs::new(store, providers, 0, custody.sync_interval())
}

/// Vault 12 with these amounts of its four assets.
fn vault(amounts: [&str; 4]) -> Value {
    let ids = ["USDT_ERC20", "USDT_BSC", "TRX_USDT_S2UZ", "BTC"];
    ids.iter().zip(amounts).map(|(id, amount)| wallet(id, amount, amount)).collect()
}

async fn snapshot(app: &App) -> CustodyAccount {
    app.stack
        .store()
        .custody_account(CustodyAccountId::parse(CUSTODY).unwrap())
        .await
        .unwrap()
        .unwrap()
        .account
}

async fn projections(app: &App) -> Vec<Account> {
    let stored = app.stack.store().customer_accounts(CustomerId::parse(ALICE).unwrap()).await.unwrap();
    stored.into_iter().map(|stored| stored.account).collect()
}

/// Every account's balance is its history's newest one, available and locked make it up, and nothing is
/// counted twice.
async fn check_invariants(app: &App, when: &str) {
    for account in projections(app).await {
        let AccountState { balance, available, .. } = account.state;
        let locked = account.state.locked().unwrap();
        assert_eq!(balance.wide(), available.wide() + locked.wide(), "{when}");
        let newest = app.stack.store().entries(account.id, HistoryEnd::Newest, 1).await.unwrap();
        assert_eq!((newest[0].state, newest[0].key), (account.state, account.entry), "{when}");
    }
}

async fn ask(syncs: &Syncs, app: &App, now: Timestamp) {
    syncs.fresh(snapshot(app).await, now, "test", now).await.unwrap();
}

#[tokio::test]
async fn killed_at_any_step_it_is_completed_by_the_next_run() {
    let steps =
        [(Step::Claim, 1), (Step::PlanProjection, 1), (Step::WriteProjection, 1), (Step::Complete, 1)];
    for (step, n) in steps {
        for then in [["5", "0", "7", "2"], ["1", "2", "3", "4"]] {
            let app = App::start(custody(vault(["1", "2", "3", "4"]), json!({}))).await;
            let start = Timestamp::of_machine();
            ask(&syncs(&app), &app, start).await;
            let before = snapshot(&app).await;
            // The vault changes, the sync of that is killed, and by the next one the vault may have changed
            // back.
            app.vault(vault(["5", "0", "7", "9"])).await;
            let killed_at = start.plus(SignedDuration::from_secs(1));
            kill(syncs(&app), &app, killed_at, (step, n)).await;
            let when = format!("killed before {step:?}, then {then:?}");
            check_invariants(&app, &when).await;
            assert_eq!(snapshot(&app).await, before, "{when}");
            app.vault(vault(then)).await;
            let next = start.plus(SignedDuration::from_mins(1));
            ask(&syncs(&app), &app, next).await;
            check_invariants(&app, &when).await;
            assert_eq!(shown(&projections(&app).await), told(&snapshot(&app).await), "{when}");
        }
    }
}

#[tokio::test]
async fn many_positions_are_written_in_several_transactions_each_of_which_may_be_the_last() {
    // Every asset of the table that Fireblocks is known to hold, and made-up ones beside: more than one
    // transaction takes.
    let chains = [
        "AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH", "III", "JJJ", "KKK", "LLL", "MMM", "NNN",
        "OOO", "PPP", "QQQ",
    ];
    let tokens = ["USDT", "USDC", "EURC", "BTC"];
    let pairs: Vec<_> = chains.iter().flat_map(|chain| tokens.map(|token| (*chain, token))).collect();
    let ids: Vec<_> = pairs.iter().map(|(chain, token)| format!("{token}_{chain}")).collect();
    let supported: Vec<_> =
        pairs.iter().map(|(chain, token)| json!({"blockchain": chain, "token": token})).collect();
    let account = json!({"id": CUSTODY, "customer_id": ALICE, "provider": "fireblocks", "provider_account": "12", "assets": supported});
    let rows: Vec<_> =
        pairs.iter().zip(&ids).map(|((chain, token), id)| format!("{id}={chain}:{token}")).collect();
    let full = |amount: &str| -> Value { ids.iter().map(|id| wallet(id, amount, amount)).collect() };
    for n in [1, 2, 3] {
        let app = App::start(custody(full("1"), json!({"custody_accounts": [account]}))).await;
        let mut config = app.stack.custody_config().clone();
        config.fireblocks_assets = rows.join(",");
        let store = app.stack.store();
        let syncs = Syncs::new(
            store.clone(),
            Providers::new(&config, &app.stack.config().store, &store).unwrap(),
            0,
            config.sync_interval(),
        );
        let start = Timestamp::of_machine();
        kill(syncs.clone(), &app, start, (Step::WriteProjection, n)).await;
        check_invariants(&app, &format!("killed before transaction {n}")).await;
        assert_eq!(projections(&app).await.len(), 33 * (n - 1), "{n}");
        app.vault(full("2")).await;
        ask(&syncs, &app, start.plus(SignedDuration::from_mins(1))).await;
        check_invariants(&app, &format!("completed after {n}")).await;
        assert_eq!(shown(&projections(&app).await), told(&snapshot(&app).await), "{n}");
        assert_eq!(projections(&app).await.len(), 68);
    }
}

#[tokio::test]
async fn killed_while_a_failure_is_noted_it_is_tried_again() {
    let app = App::start(custody(vault(["1", "2", "3", "4"]), json!({}))).await;
    let start = Timestamp::of_machine();
    app.fault(json!({"status": 401, "times": 1})).await;
    kill(syncs(&app), &app, start, (Step::Fail, 1)).await;
    ask(&syncs(&app), &app, start.plus(SignedDuration::from_mins(1))).await;
    assert_eq!(shown(&projections(&app).await), told(&snapshot(&app).await));
}

/// What the unified view shows, by account.
fn shown(accounts: &[Account]) -> BTreeMap<String, Amount> {
    accounts.iter().map(|account| (account.id.to_string(), account.state.balance)).collect()
}

/// What the snapshot says it must show; an asset that was never held has no account.
fn told(account: &CustodyAccount) -> BTreeMap<String, Amount> {
    account
        .positions
        .iter()
        .map(|(held, position)| (account.projection_id(held).to_string(), position.balance()))
        .collect()
}
