//! The scheduled sync: what is due, in batches, backing off from what fails, until the time is short.

use crate::custody_kills::sync_request;
use crate::harness::{ALICE, App, CUSTODY, custody, send, wallet};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::CustodyConfig;
use shared::custody::{Providers, Report, Share, Sweep, Syncs};
use shared::domain::{CustodyAccount, CustodyAccountId, ProviderAccount, ProviderName, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const LONG: Duration = Duration::from_mins(5);

/// So many custody accounts, each in a vault of its own number.
fn many(count: usize) -> Value {
    let supported = json!([{"blockchain": "ETH", "token": "USDT"}]);
    let account = |number: usize| {
        json!({
            "id": id(number), "customer_id": ALICE, "provider": "fireblocks", "provider_account": number.to_string(), "assets": supported,
        })
    };
    let vaults: BTreeMap<_, _> = (0..count)
        .map(|number| {
            (number.to_string(), json!({"assets": [wallet("USDT_ERC20", &number.to_string(), "0")]}))
        })
        .collect();
    custody(
        json!([]),
        json!({"custody_accounts": (0..count).map(account).collect::<Vec<_>>(), "vaults": vaults}),
    )
}

fn id(number: usize) -> String {
    format!("550e8400-e29b-41d4-a716-{number:012}")
}

fn sweep(app: &App) -> Sweep {
    let (store, custody) = (app.stack.store(), app.stack.custody_config());
    let providers = Providers::new(custody, &app.stack.config().store, &store).unwrap();
    Sweep::new(store.clone(), Syncs::new(store, providers, 0, custody.sync_interval()))
}

async fn next_due(app: &App, number: usize, from: Timestamp) -> SignedDuration {
    // The index tells: the account is due at an instant and not a second before.
    let (mut early, mut late) = (from, from.plus(SignedDuration::from_hours(24)));
    let id = CustodyAccountId::parse(&id(number)).unwrap();
    while early.age_at(late) > SignedDuration::from_secs(1) {
        let middle = early.plus(early.age_at(late) / 2);
        let mut due = Vec::new();
        for shard in 0..16 {
            let of_shard = app.stack.store().due_custody_accounts(shard, middle, 1_000).await.unwrap();
            due.extend(of_shard.into_iter().map(|(_, id)| id));
        }
        if due.contains(&id) { late = middle } else { early = middle }
    }
    from.age_at(late)
}

/// Due, synced, failed and remaining.
fn counts(report: Report) -> [usize; 4] {
    let Report { due, synced, failed, remaining, lag: _ } = report;
    [due, synced, failed, remaining]
}

#[tokio::test]
async fn what_is_due_is_synced_once_and_due_again_after_its_interval() {
    let app = App::start(many(30)).await;
    let (sweep, now) = (sweep(&app), Timestamp::of_machine());
    let all = [30, 30, 0, 0];
    assert_eq!(counts(sweep.run(Share::WHOLE, now, LONG).await.unwrap()), all);
    // Neighbours come in pages, not one by one.
    let calls = app.stack.sandbox().take_calls();
    assert!(calls.keys().all(|path| !path.starts_with("/v1/vault/accounts/")), "{calls:?}");
    let none = [0; 4];
    assert_eq!(counts(sweep.run(Share::WHOLE, now.plus(MINUTE * 14), LONG).await.unwrap()), none);
    let late = sweep.run(Share::WHOLE, now.plus(MINUTE * 16), LONG).await.unwrap();
    assert_eq!(counts(late), all);
    assert!((59..=60).contains(&late.lag.as_secs()), "{}", late.lag);
    let list = app.get("/v2/accounts?search.balance.gt=28").await.json();
    assert_eq!(list["data"][0]["balance"], json!(29.0));
}

#[tokio::test]
async fn shards_divide_the_work_without_overlap() {
    let app = App::start(many(40)).await;
    let (sweep, now) = (sweep(&app), Timestamp::of_machine());
    for of in [1, 2, 4, 8, 16] {
        let mut due = 0;
        let now = now.plus(MINUTE * 20 * i32::try_from(of).unwrap());
        for index in 0..of {
            let report = sweep.run(Share { index, of }, now, LONG).await.unwrap();
            assert_eq!(
                (report.synced, report.failed, report.remaining),
                (report.due, 0, 0),
                "{index} of {of}"
            );
            due += report.due;
        }
        assert_eq!(due, 40, "{of}");
    }
}

#[tokio::test]
async fn a_sweeps_share_of_the_calls_limits_nobody_after_it() {
    let app = App::start(many(40)).await;
    let (store, now) = (app.stack.store(), Timestamp::of_machine());
    let custody = CustodyConfig { provider_calls_per_minute: 16, ..app.stack.custody_config().clone() };
    let providers = Providers::new(&custody, &app.stack.config().store, &store).unwrap();
    let syncs = Syncs::new(store.clone(), providers, 0, custody.sync_interval());
    // One of sixteen sweeps side by side has one call a minute.
    let report = Sweep::new(store.clone(), syncs.clone()).run(Share { index: 0, of: 16 }, now, LONG).await;
    assert!(report.unwrap().due > 0);
    let state = store.custody_account(CustodyAccountId::parse(&id(1)).unwrap()).await.unwrap().unwrap();
    let asked = syncs.fresh(state.account, now, sync_request("operator", now)).await;
    assert!(asked.is_ok(), "{asked:?}");
}

#[tokio::test]
async fn a_failing_account_backs_off_and_holds_up_nobody() {
    let app = App::start(many(3)).await;
    app.stack.sandbox().set_vault(
        "1".to_owned(),
        serde_json::from_value(json!({"assets": [{"id": "USDT_ERC20", "total": "-1"}]})).unwrap(),
    );
    let (sweep, mut now) = (sweep(&app), Timestamp::of_machine());
    let mut pauses = Vec::new();
    for round in 0..4 {
        let report = sweep.run(Share::WHOLE, now, LONG).await.unwrap();
        let others = if round == 0 { 2 } else { report.synced };
        assert_eq!((report.failed, report.synced, report.remaining), (1, others, 0), "{round}");
        let pause = next_due(&app, 1, now).await;
        pauses.push(pause.as_secs());
        now = now.plus(pause + SignedDuration::from_secs(1));
    }
    // A minute, doubled each time, and up to a quarter more.
    for (pause, expected) in pauses.iter().zip([60, 120, 240, 480]) {
        assert!((expected..=expected * 5 / 4 + 2).contains(pause), "{pauses:?}");
    }
    app.stack.sandbox().set_vault("1".to_owned(), serde_json::from_value(json!({"assets": []})).unwrap());
    assert_eq!(sweep.run(Share::WHOLE, now, LONG).await.unwrap().failed, 0);
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nobody() {
    let app = App::start(many(10)).await;
    // An account whose item names an asset that is no more, and vaults that are nobody's or nonsense.
    let store = app.stack.store();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let broken = store.client().update_item().table_name("AccountsTable").key("customer_id", text(ALICE));
    let broken = broken.key("account_id", text(&format!("#custody#{}", id(3))));
    let broken = broken.update_expression("SET coverage = :gone");
    let gone = AttributeValue::L(vec![text("ETH#GONE")]);
    broken.expression_attribute_values(":gone", gone).send().await.unwrap();
    for (vault, asset) in
        [("zzz", json!({"id": "ETH", "total": 5})), ("5", json!({"id": "USDT_ERC20", "total": 5}))]
    {
        app.stack
            .sandbox()
            .set_vault(vault.to_owned(), serde_json::from_value(json!({"assets": [asset]})).unwrap());
    }
    let (sweep, now) = (sweep(&app), Timestamp::of_machine());
    assert_eq!(counts(sweep.run(Share::WHOLE, now, LONG).await.unwrap()), [10, 8, 2, 0]);
    // Both are out of the way for a while.
    assert_eq!(counts(sweep.run(Share::WHOLE, now, LONG).await.unwrap()), [0; 4]);
}

#[tokio::test]
async fn a_position_that_cannot_be_stored_backs_off_and_lets_its_lease_go() {
    let app = App::start(many(3)).await;
    let store = app.stack.store();
    let account =
        store.custody_account(CustodyAccountId::parse(&id(1)).unwrap()).await.unwrap().unwrap().account;
    // An event has taken the id of a position.
    let held = account.positions.keys().next().unwrap();
    let squatter =
        crate::record::update(account.customer_id.uuid(), account.position_id(held).uuid(), "1", 1);
    store.record(&shared::domain::AccountUpdate { asset: held.asset, ..squatter }).await.unwrap();
    let (sweep, now) = (sweep(&app), Timestamp::of_machine());
    assert_eq!(counts(sweep.run(Share::WHOLE, now, LONG).await.unwrap()), [3, 2, 1, 0]);
    assert_eq!(
        counts(sweep.run(Share::WHOLE, now.plus(SignedDuration::from_secs(1)), LONG).await.unwrap()),
        [0; 4]
    );
    let state = store.custody_account(account.id).await.unwrap().unwrap();
    assert_eq!((state.failures, state.attempts.lease_until, state.account.synced_at), (1, None, None));
}

#[tokio::test]
async fn a_row_that_cannot_be_named_holds_up_nobody() {
    let app = App::start(many(3)).await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    for (name, due) in
        [("not-a-uuid", "2020-01-01T00:00:00.000000000Z"), ("00000000-0000-4000-8000-000000000001", "0000")]
    {
        let put =
            app.stack.store().client().put_item().table_name("CustodyTable").item("account_id", text(name));
        put.item("shard", text("00")).item("next_sync_at", text(due)).send().await.unwrap();
    }
    let report = sweep(&app).run(Share::WHOLE, Timestamp::of_machine(), LONG).await.unwrap();
    assert_eq!(counts(report), [3, 3, 0, 0]);
}

#[tokio::test]
async fn accounts_that_the_provider_does_not_know_cost_the_others_nothing() {
    let app = App::start(many(40)).await;
    let store = app.stack.store();
    let known =
        store.custody_account(CustodyAccountId::parse(&id(0)).unwrap()).await.unwrap().unwrap().account;
    for number in 0..30_u128 {
        let lost = CustodyAccount {
            id: uuid::Uuid::from_u128(number << 64 | 0xdead).into(),
            provider_account: ProviderAccount::parse(ProviderName::Fireblocks, &format!("lost-{number}"))
                .unwrap(),
            ..known.clone()
        };
        store.register_custody_account(&lost, Timestamp::of_machine()).await.unwrap();
    }
    app.stack.sandbox().set_delay(Duration::from_millis(20));
    let report = sweep(&app).run(Share::WHOLE, Timestamp::of_machine(), LONG).await.unwrap();
    assert_eq!(counts(report), [70, 40, 30, 0]);
}

#[tokio::test]
async fn who_asks_in_vain_does_not_move_an_account_out_of_the_schedules_reach() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    app.fault(json!({"status": 401})).await;
    for _ in 0..5 {
        assert_eq!(app.custody("?max_age=0").await.status, 500);
    }
    app.fault(json!({})).await;
    let report = sweep(&app).run(Share::WHOLE, Timestamp::of_machine(), LONG).await.unwrap();
    assert_eq!((report.due, report.synced), (1, 1));
}

#[tokio::test]
async fn a_run_stops_before_its_time_is_up_and_the_next_one_goes_on() {
    let app = App::start(many(5)).await;
    let (sweep, now) = (sweep(&app), Timestamp::of_machine());
    let stopped = sweep.run(Share::WHOLE, now, Duration::from_secs(14)).await.unwrap();
    assert_eq!(counts(stopped), [5, 0, 0, 5]);
    assert_eq!(sweep.run(Share::WHOLE, now, LONG).await.unwrap().synced, 5);
}

#[tokio::test]
async fn a_budget_is_divided_among_the_shards_and_the_rest_stays_due() {
    let app = App::start(many(4)).await;
    let mut custody = app.stack.custody_config().clone();
    custody.provider_calls_per_minute = 8;
    let store = app.stack.store();
    let providers = Providers::new(&custody, &app.stack.config().store, &store).unwrap();
    let sweep = Sweep::new(store.clone(), Syncs::new(store, providers, 0, custody.sync_interval()));
    // Each first sync takes three calls: the vault, and its transactions in both directions. One call is
    // enough for the balances; the times of the last transactions then stay unknown.
    let mut synced = 0;
    for index in 0..8 {
        let report = sweep.run(Share { index, of: 8 }, Timestamp::of_machine(), LONG).await.unwrap();
        assert_eq!((report.failed, report.synced + report.remaining), (0, report.due), "{index}");
        assert!(report.synced <= 1, "one call per shard is enough for one account: {index}");
        synced += report.synced;
    }
    assert!(synced > 0);
    let calls: u32 = app.stack.sandbox().take_calls().values().sum();
    assert!(calls <= 8, "{calls}");
}

#[tokio::test]
async fn the_control_endpoint_runs_it_once() {
    let app = App::start(custody(json!([wallet("BTC", "1", "1")]), json!({}))).await;
    let run = async || send(app.request(Method::POST, "/_local/schedules/custody-sync")).await.to_string();
    assert_eq!(run().await, r#"200 {"due":1,"synced":1,"failed":0,"remaining":0}"#);
    assert_eq!(run().await, r#"200 {"due":0,"synced":0,"failed":0,"remaining":0}"#);
    assert_eq!(app.custody("?max_age=86400").await.json()["account_id"], json!(CUSTODY));
    assert_eq!(send(app.request(Method::POST, "/_local/schedules/nothing")).await.status, 404);
}

#[tokio::test]
async fn an_event_that_names_no_shard_is_refused() {
    let app = App::start(json!({})).await;
    let job = custody_sync::Job::new(&app.stack.config().store, app.stack.custody_config(), Clock::system())
        .unwrap();
    for (shard, shards) in [(0, 0), (1, 1), (0, 3), (8, 8), (0, 32)] {
        let event = custody_sync::Event::Shard(custody_sync::ShardEvent { shard, shards });
        assert!(job.run(event, Timestamp::of_machine(), LONG).await.is_err(), "{shard} of {shards}");
    }
}
