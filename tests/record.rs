//! `Store::record`: safe to repeat and in any order, and it says why it refuses.

use crate::harness::{ALICE, App, BOB};
use futures::future::join_all;
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared::domain::{Account, AccountId, Amount, Asset, CustomerId, Status, Timestamp};
use shared::store::{Outcome, RecordError, Rejection, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Runtime;
use uuid::Uuid;

pub fn update(customer: Uuid, id: Uuid, balance: &str, minute: u32) -> Account {
    let balance = Amount::parse(balance).unwrap();
    let balance_at =
        Timestamp::parse(&format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60)).unwrap();
    Account {
        id: AccountId::from(id),
        customer_id: CustomerId::from(customer),
        asset: Asset::parse("EUR").unwrap(),
        balance,
        available: balance,
        active: true,
        status: Status::Active,
        balance_at,
        created_at: balance_at,
        iban: None,
        account_number: None,
        address: None,
        address_tag: None,
        network: None,
        description: Some(format!("as of minute {minute}")),
        organization_id: None,
        merchant_id: None,
        contact_id: None,
        custody_account_id: None,
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason_in_the_documented_order() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (alice, bob, id) = (Uuid::parse_str(ALICE).unwrap(), Uuid::parse_str(BOB).unwrap(), Uuid::new_v4());
    let dollars = |account: Account| Account { asset: Asset::USD, ..account };
    let rejected = |rejection| Err(RecordError::Rejected(rejection));
    let rows = [
        ("new", update(alice, id, "10", 10), Ok(Outcome::Recorded)),
        ("newer", update(alice, id, "20", 20), Ok(Outcome::Recorded)),
        ("the same again", update(alice, id, "20.00", 20), Ok(Outcome::Duplicate)),
        ("older", update(alice, id, "5", 5), Ok(Outcome::Superseded)),
        ("older, the same again", update(alice, id, "5", 5), Ok(Outcome::Superseded)),
        ("older, another balance", update(alice, id, "6", 5), rejected(Rejection::Conflict)),
        ("the first one, another balance", update(alice, id, "11", 10), rejected(Rejection::Conflict)),
        ("latest, another balance", update(alice, id, "21", 20), rejected(Rejection::Conflict)),
        (
            "latest, another field",
            Account { active: false, ..update(alice, id, "20", 20) },
            rejected(Rejection::Conflict),
        ),
        ("another customer", update(bob, id, "20", 30), rejected(Rejection::OtherCustomer)),
        ("another customer and balance", update(bob, id, "21", 20), rejected(Rejection::OtherCustomer)),
        ("another currency", dollars(update(alice, id, "20", 30)), rejected(Rejection::OtherCurrency)),
        ("another currency, older", dollars(update(alice, id, "6", 5)), rejected(Rejection::OtherCurrency)),
        ("newest", update(alice, id, "-1", 40), Ok(Outcome::Recorded)),
    ];
    for (name, update, expected) in rows {
        assert_eq!(store.record(&update).await, expected, "{name}");
    }
    let stored = store.customer_accounts(CustomerId::from(alice)).await.unwrap();
    assert_eq!(
        stored,
        [Account { created_at: update(alice, id, "5", 5).balance_at, ..update(alice, id, "-1", 40) }]
    );
    assert_eq!(store.customer_accounts(CustomerId::from(bob)).await.unwrap(), []);
}

#[tokio::test]
async fn an_absent_field_is_cleared() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    let some = |text: &str| Some(text.to_owned());
    let full = Account {
        iban: some("i"),
        account_number: some("n"),
        address: some("a"),
        address_tag: some("t"),
        network: some("w"),
        available: Amount::parse("7.5").unwrap(),
        organization_id: Some(Uuid::new_v4().into()),
        merchant_id: Some(Uuid::new_v4().into()),
        contact_id: Some(Uuid::new_v4().into()),
        ..update(customer, id, "1", 1)
    };
    let bare = Account { description: None, ..update(customer, id, "2", 2) };
    for (account, created_at) in [(&full, full.created_at), (&bare, full.created_at)] {
        store.record(account).await.unwrap();
        assert_eq!(
            store.customer_accounts(customer.into()).await.unwrap(),
            [Account { created_at, ..account.clone() }]
        );
    }
}

#[tokio::test]
async fn twenty_writers_at_once_lose_nothing() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    let updates: Vec<_> = (0..20).map(|minute| update(customer, id, &minute.to_string(), minute)).collect();
    for outcome in join_all(updates.iter().map(|update| store.record(update))).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_is_the_ordered_run(&store, customer, &updates).await;
}

#[tokio::test]
async fn a_batch_has_the_outcomes_of_single_records() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let customer = Uuid::new_v4();
    let accounts: Vec<_> =
        (0..100).map(|number| update(customer, Uuid::from_u128(number), "1", 10)).collect();
    store.record(&accounts[40]).await.unwrap();
    store.record(&update(customer, Uuid::from_u128(50), "2", 20)).await.unwrap();
    let outcomes = store.record_many(&accounts).await.unwrap();
    let of = |number: usize| outcomes[number].clone();
    assert_eq!(
        (of(40), of(50), of(0), of(99)),
        (Ok(Outcome::Duplicate), Ok(Outcome::Superseded), Ok(Outcome::Recorded), Ok(Outcome::Recorded))
    );
    assert_eq!(store.customer_accounts(customer.into()).await.unwrap().len(), 100);
}

/// The account is its newest update, created with its oldest, and at every instant it stood as the updates
/// say.
async fn assert_is_the_ordered_run(store: &Store, customer: Uuid, updates: &[Account]) {
    let mut ordered = updates.to_vec();
    ordered.sort_by_key(|update| update.balance_at);
    let (first, last) = (ordered.first().unwrap(), ordered.last().unwrap());
    let stored = store.customer_accounts(customer.into()).await.unwrap();
    assert_eq!(stored, [Account { created_at: first.balance_at, ..last.clone() }]);
    for (index, update) in ordered.iter().enumerate() {
        for at in [update.balance_at, just_before(ordered.get(index + 1))] {
            let past = store.accounts_as_of(stored.clone(), at).await.unwrap();
            let balances: Vec<_> = past.iter().map(|account| (account.balance, account.balance_at)).collect();
            assert_eq!(balances, [(update.balance, update.balance_at)], "at {}", at.to_stored_text());
        }
    }
    let before = Timestamp::parse("2025-12-31T23:59:59.999999999Z").unwrap();
    assert_eq!(store.accounts_as_of(stored, before).await.unwrap(), []);
}

fn just_before(next: Option<&Account>) -> Timestamp {
    let text = next.map_or("2026-12-31T00:00:00Z".to_owned(), |next| {
        next.balance_at.minus(SignedDuration::from_nanos(1)).to_stored_text()
    });
    Timestamp::parse(&text).unwrap()
}

#[test]
fn any_order_with_duplicates_ends_as_the_ordered_run_and_replays_to_every_instant() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start(json!({})));
    let store = app.stack.store();
    let case = AtomicU64::new(0);
    let arrivals = proptest::collection::vec((0_u32..12, -1_000_i64..1_000), 1..6).prop_flat_map(|updates| {
        // One balance per instant, then every update once or twice in any order.
        let distinct: std::collections::BTreeMap<_, _> = updates.into_iter().collect();
        let doubled: Vec<_> =
            distinct.iter().chain(distinct.iter()).map(|(minute, cents)| (*minute, *cents)).collect();
        let shuffled = Just(doubled).prop_shuffle();
        (Just(distinct), shuffled, 0_usize..6)
    });
    let mut runner = TestRunner::new(Config::with_cases(256));
    let outcome = runner.run(&arrivals, |(distinct, shuffled, dropped)| {
        // A customer of its own per case; some duplicates are left out, never an update.
        let customer = Uuid::from_u128(u128::from(case.fetch_add(1, Ordering::Relaxed)) << 64);
        let id = Uuid::new_v4();
        let state = |minute: u32, cents: i64| {
            update(customer, id, &format!("{}.{:02}", cents / 100, (cents % 100).abs()), minute)
        };
        let mut seen = std::collections::BTreeSet::new();
        let kept = shuffled
            .iter()
            .enumerate()
            .filter(|(index, (minute, _))| seen.insert(*minute) || index % (dropped + 1) == 0);
        let arrivals: Vec<_> = kept.map(|(_, (minute, cents))| state(*minute, *cents)).collect();
        let updates: Vec<_> = distinct.iter().map(|(minute, cents)| state(*minute, *cents)).collect();
        runtime.block_on(async {
            for arrival in &arrivals {
                store.record(arrival).await.unwrap();
            }
            assert_is_the_ordered_run(&store, customer, &updates).await;
        });
        Ok(())
    });
    outcome.unwrap();
}
