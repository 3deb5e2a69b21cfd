//! `Store::record`: safe to repeat and in any order, and it says why it refuses.

use crate::harness::{ALICE, App, BOB, accounts_as_of, asset, newest_accounts};
use futures::future::join_all;
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared::domain::{
    AccountId, AccountLabels, AccountScope, AccountState, AccountUpdate, Amount, Asset, CustomerId, EntryKey,
    Label, MerchantId, Network, OrganizationId, Status, Timestamp, Version,
};
use shared::store::{Merchants, Outcome, RecordError, Rejection, Store};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Runtime;
use uuid::Uuid;

pub fn update(customer: Uuid, id: Uuid, balance: &str, minute: u32) -> AccountUpdate {
    let balance = Amount::parse(balance).unwrap();
    let text = format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let balance_at = Timestamp::parse(&text).unwrap();
    AccountUpdate {
        id: AccountId::from(id),
        customer_id: CustomerId::from(customer),
        asset: asset("EUR"),
        entry: EntryKey { balance_at, version: Version::default() },
        state: AccountState { balance, available: balance, active: true, status: Status::Active },
        scope: AccountScope::default(),
        labels: Some(described(&format!("as of minute {minute}"))),
        recorded_at: None,
    }
}

fn described(text: &str) -> AccountLabels {
    AccountLabels::described(text.to_owned())
}

/// The same with a number of the source's.
fn version(number: u64, update: AccountUpdate) -> AccountUpdate {
    let entry = EntryKey { version: Version::new(number).unwrap(), ..update.entry };
    AccountUpdate { entry, ..update }
}

/// One step of a story: what is recorded, and what comes of it.
struct Step {
    name: &'static str,
    update: AccountUpdate,
    expected: Result<Outcome, Rejection>,
}

async fn tell(store: &Store, steps: Vec<Step>) {
    for Step { name, update, expected } in steps {
        assert_eq!(store.record(&update).await, expected.map_err(RecordError::from), "{name}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason_in_the_documented_order() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (alice, bob, id) = (Uuid::parse_str(ALICE).unwrap(), Uuid::parse_str(BOB).unwrap(), Uuid::new_v4());
    let at = |balance, minute| update(alice, id, balance, minute);
    let bobs = |balance, minute| update(bob, id, balance, minute);
    let dollars = |update: AccountUpdate| AccountUpdate { asset: Asset::USD, ..update };
    let inactive = |update: AccountUpdate| {
        let state = AccountState { active: false, ..update.state };
        AccountUpdate { state, ..update }
    };
    let labelled = |labels, update: AccountUpdate| AccountUpdate { labels, ..update };
    let (recorded, superseded, duplicate) =
        (Ok(Outcome::Recorded), Ok(Outcome::Superseded), Ok(Outcome::Duplicate));
    let (conflict, other_customer, other_currency) =
        (Err(Rejection::Conflict), Err(Rejection::OtherCustomer), Err(Rejection::OtherCurrency));
    let steps = vec![
        Step { name: "new", update: at("10", 10), expected: recorded },
        Step { name: "newer", update: at("20", 20), expected: recorded },
        Step { name: "the same again", update: at("20.00", 20), expected: duplicate },
        Step { name: "the same, no labels", update: labelled(None, at("20", 20)), expected: duplicate },
        Step { name: "older", update: at("5", 5), expected: superseded },
        Step { name: "older, the same again", update: at("5", 5), expected: duplicate },
        Step { name: "older, another balance", update: at("6", 5), expected: conflict },
        Step { name: "the first, another balance", update: at("11", 10), expected: conflict },
        Step { name: "newest, another balance", update: at("21", 20), expected: conflict },
        Step { name: "newest, another flag", update: inactive(at("20", 20)), expected: conflict },
        Step {
            name: "newest, other labels",
            update: labelled(Some(described("other")), at("20", 20)),
            expected: conflict,
        },
        Step { name: "a correction", update: version(1, at("21", 20)), expected: recorded },
        Step { name: "the correction again", update: version(1, at("21", 20)), expected: duplicate },
        Step { name: "the corrected again", update: at("20", 20), expected: duplicate },
        Step { name: "another correction", update: version(1, at("22", 20)), expected: conflict },
        Step { name: "a correction of the past", update: version(7, at("9", 10)), expected: superseded },
        Step { name: "another customer", update: bobs("20", 30), expected: other_customer },
        Step { name: "another customer and balance", update: bobs("21", 20), expected: other_customer },
        Step { name: "another currency", update: dollars(at("20", 30)), expected: other_currency },
        Step { name: "another currency, older", update: dollars(at("6", 5)), expected: other_currency },
        Step { name: "newest", update: at("-1", 40), expected: recorded },
    ];
    tell(&store, steps).await;
    let stored = newest_accounts(&store, alice.into()).await;
    let [account] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!((account.entry, account.state), (at("-1", 40).entry, at("-1", 40).state));
    assert_eq!(account.created_at, at("5", 5).entry.balance_at);
    assert_eq!(store.customer_accounts(CustomerId::from(bob)).await.unwrap(), []);
}

#[tokio::test]
async fn scope_is_named_once_and_a_merchant_by_its_organization() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    let (ours, others): (OrganizationId, OrganizationId) = (Uuid::new_v4().into(), Uuid::new_v4().into());
    let (merchant, another): (MerchantId, MerchantId) = (Uuid::new_v4().into(), Uuid::new_v4().into());
    let network = |name: &str| Some(Network::parse(name).unwrap());
    let none = AccountScope::default;
    let of = |minute, scope| AccountUpdate { scope, ..update(customer, id, "1", minute) };
    let (recorded, superseded) = (Ok(Outcome::Recorded), Ok(Outcome::Superseded));
    let by_itself = AccountScope { merchant_id: Some(merchant.clone()), ..none() };
    let theirs = AccountScope { organization_id: Some(others.clone()), ..none() };
    let steps = vec![
        Step {
            name: "a merchant without an organization",
            update: of(10, by_itself.clone()),
            expected: Err(Rejection::MerchantWithoutOrganization),
        },
        Step { name: "no scope", update: of(10, none()), expected: recorded },
        Step {
            name: "an older entry names the organization",
            update: of(5, AccountScope { organization_id: Some(ours.clone()), ..none() }),
            expected: superseded,
        },
        Step { name: "the merchant follows", update: of(20, by_itself.clone()), expected: recorded },
        Step {
            name: "another organization",
            update: of(30, theirs),
            expected: Err(Rejection::OtherOrganization),
        },
        Step {
            name: "another merchant",
            update: of(30, AccountScope { merchant_id: Some(another.clone()), ..none() }),
            expected: Err(Rejection::OtherMerchant),
        },
        Step {
            name: "a network",
            update: of(30, AccountScope { network: network("ETH"), ..none() }),
            expected: recorded,
        },
        Step {
            name: "another network",
            update: of(1, AccountScope { network: network("eth"), ..none() }),
            expected: Err(Rejection::OtherNetwork),
        },
        Step { name: "the same parts again", update: of(40, by_itself), expected: recorded },
        Step {
            name: "an entry that is there, with a part that it did not name",
            update: of(10, AccountScope { organization_id: Some(ours.clone()), ..none() }),
            expected: Err(Rejection::Conflict),
        },
    ];
    tell(&store, steps).await;
    let accounts = async |organization: &OrganizationId, merchant: &MerchantId| {
        let these = Merchants::These(BTreeSet::from([merchant.clone()]));
        store.organization_accounts(organization, &these).await.unwrap()
    };
    let found = accounts(&ours, &merchant).await;
    let scope = AccountScope {
        organization_id: Some(ours.clone()),
        merchant_id: Some(merchant.clone()),
        network: network("ETH"),
    };
    assert_eq!(found.iter().map(|stored| &stored.account.scope).collect::<Vec<_>>(), [&scope]);
    assert_eq!(accounts(&others, &merchant).await, []);
    assert_eq!(accounts(&ours, &another).await, []);
}

#[tokio::test]
async fn of_equal_entries_at_once_one_is_recorded_and_the_others_are_duplicates() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    for _ in 0..20 {
        let entry = update(Uuid::new_v4(), Uuid::new_v4(), "1", 0);
        let outcomes = join_all((0..8).map(|_| store.record(&entry))).await;
        let recorded = outcomes.iter().filter(|outcome| **outcome == Ok(Outcome::Recorded)).count();
        let duplicates = outcomes.iter().filter(|outcome| **outcome == Ok(Outcome::Duplicate)).count();
        assert_eq!((recorded, duplicates), (1, 7));
    }
}

#[tokio::test]
async fn labels_are_one_group_of_the_greatest_entry_that_has_any() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    let with = |minute, labels| AccountUpdate { labels, ..update(customer, id, "1", minute) };
    let iban = |text: &str| {
        let mut labels = AccountLabels::default();
        labels.set(Label::Iban, text).unwrap();
        labels
    };
    let steps = [
        (with(10, None), AccountLabels::default()),
        (with(20, Some(iban("twenty"))), iban("twenty")),
        (with(30, None), iban("twenty")),
        (with(5, Some(described("five"))), iban("twenty")),
        (with(25, Some(described("twenty-five"))), described("twenty-five")),
        (with(40, Some(AccountLabels::default())), AccountLabels::default()),
        (version(1, with(40, Some(iban("corrected")))), iban("corrected")),
    ];
    for (update, expected) in steps {
        store.record(&update).await.unwrap();
        let stored = store.account(customer.into(), id.into()).await.unwrap().unwrap();
        assert_eq!(stored.account.labels, expected, "{:?}", update.entry);
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

#[tokio::test]
async fn an_event_of_an_account_that_exists_costs_four_write_units() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (customer, id) = (Uuid::new_v4(), Uuid::new_v4());
    let scope = AccountScope {
        organization_id: Some(Uuid::new_v4().into()),
        merchant_id: Some(Uuid::new_v4().into()),
        network: Some(Network::parse("ethereum").unwrap()),
    };
    let at = |minute| AccountUpdate { scope: scope.clone(), ..update(customer, id, "1", minute) };
    store.record(&at(10)).await.unwrap();
    for (minute, tenths) in [(20, 40), (20, 0), (15, 20)] {
        let (outcome, usage) = shared::store::measured(store.record(&at(minute))).await;
        assert!(outcome.is_ok());
        assert_eq!(usage.write_tenths, tenths, "{minute}");
    }
}

/// The account is its greatest update, created with its oldest, and at every instant it stood as the updates
/// say.
async fn assert_is_the_ordered_run(store: &Store, customer: Uuid, updates: &[AccountUpdate]) {
    let mut ordered = updates.to_vec();
    ordered.sort_by_key(|update| update.entry);
    let (first, last) = (ordered.first().unwrap(), ordered.last().unwrap());
    let stored = newest_accounts(store, customer.into()).await;
    let [account] = stored.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((account.entry, account.state), (last.entry, last.state));
    assert_eq!(account.created_at, first.entry.balance_at);
    let labels = ordered.iter().rev().find_map(|update| update.labels.clone());
    assert_eq!(account.labels, labels.unwrap_or_default());
    let nanosecond = SignedDuration::from_nanos(1);
    for at in ordered.iter().map(|update| update.entry.balance_at) {
        for at in [at.minus(nanosecond), at, at.plus(nanosecond)] {
            let expected = ordered.iter().rfind(|update| update.entry.balance_at <= at);
            let shown = accounts_as_of(store, customer.into(), at).await;
            let shown: Vec<_> = shown.iter().map(|account| (account.entry, account.state)).collect();
            let expected: Vec<_> = expected.iter().map(|update| (update.entry, update.state)).collect();
            assert_eq!(shown, expected, "at {}", at.to_stored_text());
        }
    }
}

#[test]
fn any_order_with_duplicates_ends_as_the_ordered_run_and_replays_to_every_instant() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start(json!({})));
    let store = app.stack.store();
    let case = AtomicU64::new(0);
    let entry = (0_u32..6, 0_u64..3, -1_000_i64..1_000, proptest::bool::ANY);
    let arrivals = proptest::collection::vec(entry, 1..6).prop_flat_map(|entries| {
        // One content per instant and version, then every entry twice in any order.
        let distinct: BTreeMap<_, _> = entries
            .into_iter()
            .map(|(minute, version, cents, bare)| ((minute, version), (cents, bare)))
            .collect();
        let doubled: Vec<_> = distinct.keys().chain(distinct.keys()).copied().collect();
        (Just(distinct), Just(doubled).prop_shuffle())
    });
    let mut runner = TestRunner::new(Config::with_cases(256));
    let outcome = runner.run(&arrivals, |(distinct, arrivals)| {
        // A customer of its own per case.
        let customer = Uuid::from_u128(u128::from(case.fetch_add(1, Ordering::Relaxed)) << 64);
        let id = Uuid::new_v4();
        let made = |(minute, number): (u32, u64)| {
            let (cents, is_bare) = distinct[&(minute, number)];
            let balance = format!("{}.{:02}", cents / 100, (cents % 100).abs());
            let update = version(number, update(customer, id, &balance, minute));
            AccountUpdate { labels: update.labels.filter(|_| !is_bare), ..update }
        };
        let updates: Vec<_> = distinct.keys().copied().map(made).collect();
        runtime.block_on(async {
            for arrival in arrivals {
                store.record(&made(arrival)).await.unwrap();
            }
            assert_is_the_ordered_run(&store, customer, &updates).await;
        });
        Ok(())
    });
    outcome.unwrap();
}
