//! The rate limit: exact for one instance, boundedly more across many, and never somebody else's.

use crate::harness::{ALICE, App, BOB, dataset, parsed, send};
use futures::future::join_all;
use local::{Options, Stack};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::auth::Caller;
use shared::clock::Clock;
use shared::config::StoreConfig;
use shared::domain::{Grants, Timestamp};
use shared::store::{RateLimiter, RateVerdict, Store};
use std::time::Duration;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

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
        count += usize::from(limiter.check(&caller.id, now).await == RateVerdict::Admitted);
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
        assert_eq!(
            limiter[0].check(&alice.id, at(31)).await,
            RateVerdict::Refused { retry_after_seconds: 29 }
        );
        assert_eq!(admitted(&limiter, &alice, limit * 2, at(60)).await, limit);
        assert_eq!(
            limiter[0].check(&alice.id, at(119)).await,
            RateVerdict::Refused { retry_after_seconds: 1 }
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_is_followed_and_a_call_that_comes_late_is_not_lost() {
    let app = App::start(json!({})).await;
    let (limiter, alice) = (instances(&app.stack.store(), 1, 5), caller("alice"));
    let years_ahead = Timestamp::parse("2030-01-01T00:00:30Z").unwrap();
    assert_eq!(admitted(&limiter, &alice, 10, years_ahead).await, 5);
    assert_eq!(admitted(&limiter, &alice, 10, at(30)).await, 5);
    // A call of the minute before counts in the one that has begun.
    assert_eq!(admitted(&limiter, &alice, 3, at(90)).await, 3);
    assert_eq!(admitted(&limiter, &alice, 10, at(59)).await, 2);
    assert_eq!(admitted(&limiter, &alice, 10, at(91)).await, 0);
}

#[tokio::test]
async fn many_instances_admit_boundedly_more() {
    let app = App::start(json!({})).await;
    for (count, limit) in [(2, 600), (5, 600), (10, 1_000), (5, 40)] {
        let (limiters, alice) =
            (instances(&app.stack.store(), count, limit), caller(&format!("alice {count} {limit}")));
        let total = admitted(&limiters, &alice, 3 * usize::try_from(limit).unwrap(), at(0)).await;
        let (limit, batch) = (usize::try_from(limit).unwrap(), usize::try_from((limit / 50).max(1)).unwrap());
        assert!(
            (limit..=limit + count * (batch - 1)).contains(&total),
            "{count} instances, limit {limit}: {total}"
        );
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
async fn one_instance_is_exact_under_concurrency_and_when_callers_hang_up() {
    let app = App::start(json!({})).await;
    for limit in [99_usize, 600] {
        let (limiters, alice) = (
            instances(&app.stack.store(), 1, u64::try_from(limit).unwrap()),
            caller(&format!("alice {limit}")),
        );
        // Some leave while their count is being posted: they have called all the same.
        for _ in 0..20 {
            let _ = tokio::time::timeout(Duration::ZERO, limiters[0].check(&alice.id, at(0))).await;
        }
        let verdicts = join_all((0..limit * 2).map(|_| limiters[0].check(&alice.id, at(1)))).await;
        assert_eq!(
            verdicts.into_iter().filter(|verdict| *verdict == RateVerdict::Admitted).count(),
            limit - 20
        );
    }
}

#[tokio::test]
async fn most_calls_cost_no_write() {
    let app = App::start(json!({})).await;
    let store = app.stack.store();
    let limiters = instances(&store, 1, 600);
    assert_eq!(admitted(&limiters, &caller("alice"), 600, at(0)).await, 600);
    // 600 calls in one second were posted in batches of 12.
    let end = at(60).unix_seconds();
    assert_eq!(store.add_calls("test#alice", 0, end).await.unwrap(), 600);
    // A slow caller is posted with every third call, once two seconds have passed.
    for (second, posted) in [(0, 0), (2, 0), (4, 3), (6, 3), (8, 3), (10, 6)] {
        assert_eq!(admitted(&limiters, &caller("bob"), 1, at(second)).await, 1);
        assert_eq!(store.add_calls("test#bob", 0, end).await.unwrap(), posted, "{second}");
    }
}

fn limiter_over(endpoint: String, app: &App, per_minute: u64) -> RateLimiter {
    let config = StoreConfig { endpoint_url: Some(endpoint), ..app.stack.config().store.clone() };
    RateLimiter::new(Store::new(&config, Clock::system()), "test", per_minute)
}

#[tokio::test]
async fn while_the_counter_is_down_an_instance_limits_by_itself() {
    let app = App::start(json!({})).await;
    let limiter = limiter_over("http://127.0.0.1:9".to_owned(), &app, 200);
    let mut verdicts = Vec::new();
    for _ in 0..250 {
        verdicts.push(limiter.check(&caller("alice").id, at(0)).await);
    }
    let count =
        |expected: fn(&RateVerdict) -> bool| verdicts.iter().filter(|verdict| expected(verdict)).count();
    assert_eq!(count(|verdict| matches!(verdict, RateVerdict::Refused { .. })), 50);
    // One call in four, a batch of this limit, tried to post.
    assert_eq!(count(|verdict| *verdict == RateVerdict::AdmittedUncounted), 50);
}

#[tokio::test]
async fn a_batch_that_may_have_been_counted_is_not_posted_again() {
    let (app, counter) = (App::start(json!({})).await, MockServer::start().await);
    let answer = json!({"Attributes": {"calls": {"N": "8"}}});
    let late = ResponseTemplate::new(200).set_body_json(answer).set_delay(Duration::from_secs(2));
    Mock::given(method("POST")).respond_with(late).mount(&counter).await;
    let limiter = limiter_over(counter.uri(), &app, 400);
    for call in 0..20 {
        let verdict = limiter.check(&caller("alice").id, at(0)).await;
        assert_eq!(verdict == RateVerdict::AdmittedUncounted, call % 8 == 7, "{call}: {verdict:?}");
    }
    let posted = |request: &wiremock::Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["ExpressionAttributeValues"][":calls"]["N"].as_str().unwrap().parse::<u64>().unwrap()
    };
    let requests = counter.received_requests().await.unwrap();
    assert_eq!(requests.iter().map(posted).collect::<Vec<_>>(), [8, 8]);
}

#[tokio::test]
async fn the_limit_comes_after_the_credential_and_before_the_parameters() {
    let dataset = parsed(&dataset(vec![]));
    let stack =
        Stack::start(Options { rate_limit_per_minute: 3, dataset, ..Options::default() }).await.unwrap();
    let app = App { stack, client: Client::new() };
    let path = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let ask = async |token: String, path: &str| send(app.request(Method::GET, path).bearer_auth(token)).await;
    let token = |sub: &str| app.token(json!({"sub": sub, "customer_ids": [ALICE, BOB]}));
    // What is refused before the limit, or never reaches it, is not counted: more of it than the limit
    // changes nothing.
    for _ in 0..4 {
        assert_eq!(ask("junk".to_owned(), &path).await.status, 401);
        assert_eq!(ask(token("greedy"), "/v2/accounts/nothing").await.status, 404);
    }
    // Eight faulty questions cannot all fall within the limit, even if a clock minute ends among them.
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(ask(token("greedy"), "/v2/accounts/balance?colour=red").await);
    }
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(400) + count(429) == 8 && (3..=6).contains(&count(400)), "{} {}", count(400), count(429));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json()["error"], json!("rate_limit_exceeded"));
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(ask(token("modest"), &path).await.status, 200);
}
