//! The rate limit: exact for one instance, boundedly more across many, and never somebody else's.

use crate::harness::{ALICE, App, BOB, dataset, send};
use local::{Dataset, Options, Stack};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::auth::Caller;
use shared::domain::{Grants, Timestamp};
use shared::http::{RateLimiter, Verdict};
use shared::store::Store;

fn caller(id: &str) -> Caller {
    Caller { id: id.to_owned(), grants: Grants::default() }
}

fn at(second: u32) -> Timestamp {
    Timestamp::parse(&format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60)).unwrap()
}

/// How many of `calls` calls in one second are admitted, spread over the instances in turn.
async fn admitted(instances: &[RateLimiter], caller: &Caller, calls: usize, now: Timestamp) -> usize {
    let mut count = 0;
    for limiter in instances.iter().cycle().take(calls) {
        count += usize::from(limiter.check(caller, now).await == Verdict::Admitted);
    }
    count
}

fn instances(store: &Store, count: usize, per_minute: u64) -> Vec<RateLimiter> {
    (0..count).map(|_| RateLimiter::new(store.clone(), "test", per_minute)).collect()
}

#[tokio::test]
async fn one_instance_is_exact_and_a_new_minute_begins_anew() {
    let app = App::start(json!({})).await;
    for limit in [1, 7, 100, 600] {
        let (limiter, alice) = (instances(&app.stack.store(), 1, limit), caller(&format!("alice {limit}")));
        let limit = usize::try_from(limit).unwrap();
        assert_eq!(admitted(&limiter, &alice, limit * 2, at(30)).await, limit);
        assert_eq!(limiter[0].check(&alice, at(31)).await, Verdict::Refused { retry_after_seconds: 29 });
        assert_eq!(admitted(&limiter, &alice, limit * 2, at(60)).await, limit);
        assert_eq!(limiter[0].check(&alice, at(119)).await, Verdict::Refused { retry_after_seconds: 1 });
    }
}

#[tokio::test]
async fn many_instances_admit_boundedly_more() {
    let app = App::start(json!({})).await;
    for (count, limit) in [(2, 600), (5, 600), (10, 1_000), (5, 40)] {
        let (limiters, alice) = (instances(&app.stack.store(), count, limit), caller(&format!("alice {count} {limit}")));
        let total = admitted(&limiters, &alice, 3 * usize::try_from(limit).unwrap(), at(0)).await;
        let (limit, batch) = (usize::try_from(limit).unwrap(), usize::try_from((limit / 50).max(1)).unwrap());
        assert!((limit..=limit + count * (batch - 1)).contains(&total), "{count} instances, limit {limit}: {total}");
    }
}

#[tokio::test]
async fn callers_and_groups_do_not_share() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let (here, there) = (RateLimiter::new(store.clone(), "here", 5), RateLimiter::new(store, "there", 5));
    assert_eq!(admitted(std::slice::from_ref(&here), &caller("alice"), 10, at(0)).await, 5);
    assert_eq!(admitted(std::slice::from_ref(&here), &caller("bob"), 10, at(0)).await, 5);
    assert_eq!(admitted(std::slice::from_ref(&there), &caller("alice"), 10, at(0)).await, 5);
}

#[tokio::test]
async fn most_calls_cost_no_write() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let limiters = instances(&store, 1, 600);
    assert_eq!(admitted(&limiters, &caller("alice"), 600, at(0)).await, 600);
    // 600 calls in one second were posted in batches of 12: one more makes the sum visible.
    let end = at(60).unix_seconds();
    assert_eq!(store.add_calls("test#alice", 0, end).await.unwrap(), 600);
    // A slow caller is posted after two seconds, not after twelve calls.
    assert_eq!(admitted(&limiters, &caller("bob"), 1, at(0)).await, 1);
    assert_eq!(store.add_calls("test#bob", 0, end).await.unwrap(), 0);
    assert_eq!(admitted(&limiters, &caller("bob"), 1, at(2)).await, 1);
    assert_eq!(store.add_calls("test#bob", 0, end).await.unwrap(), 2);
}

#[tokio::test]
async fn a_counter_that_is_down_refuses_nobody() {
    let app = App::start(json!({})).await;
    let mut config = app.stack.config().store.clone();
    config.endpoint_url = Some("http://127.0.0.1:9".to_owned());
    let limiter = RateLimiter::new(Store::new(&config), "test", 1_000);
    let alice = caller("alice");
    let mut uncounted = 0;
    for call in 0..100 {
        match limiter.check(&alice, at(call / 50)).await {
            Verdict::AdmittedUncounted => uncounted += 1,
            Verdict::Admitted => {}
            Verdict::Refused { .. } => panic!("refused"),
        }
    }
    assert!(uncounted > 0);
}

#[tokio::test]
async fn the_limit_comes_after_the_credential_and_before_the_parameters() {
    let dataset = Dataset::parse(&dataset(vec![]).to_string(), "test").unwrap();
    let stack = Stack::start(Options { rate_limit_per_minute: 3, dataset, ..Options::default() }).await.unwrap();
    let app = App { stack, client: Client::new() };
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let ask = async |token: String, path: &str| send(app.request(Method::GET, path).bearer_auth(token)).await;
    let token = |sub: &str| app.token(json!({"sub": sub, "customer_ids": [ALICE, BOB]}));
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(ask(token("greedy"), &path).await);
    }
    // A clock minute may end among them; then as many are admitted again.
    let admitted = statuses.iter().filter(|answer| answer.status == 200).count();
    assert!((3..=6).contains(&admitted), "{admitted}");
    let refused = statuses.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json()["error"], json!("rate_limit_exceeded"));
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(ask(token("modest"), &path).await.status, 200);
    assert_eq!(ask("junk".to_owned(), &path).await.status, 401);
    assert_eq!(ask(token("modest"), "/v2/accounts/nothing").await.status, 404);
    let limited: Value = ask(token("greedy"), "/v2/accounts/balance?colour=red").await.json();
    assert!(limited["error"] == "rate_limit_exceeded" || limited["error"] == "invalid_request");
}
