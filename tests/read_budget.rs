//! The read budget: each request may cost 20,000 read units of the store, and weighs in its caller's rate
//! limit.

use crate::harness::{ALICE, App, BOB, account, dataset, parsed, with};
use axum::body::Body;
use axum::http::Request;
use insta::assert_snapshot;
use local::{Options, Stack};
use serde_json::{Value, json};
use shared::domain::{AgeLimits, CustomerId, Moment, OrganizationId, Timestamp};
use shared::http::{self, MAX_BODY_BYTES};
use shared::store::{ItemDetail, Merchants, ReadBudgetSpent, Store, StoreError, measured_within};
use tower::ServiceExt;

const ORGANIZATION: &str = "org_1";
const MERCHANT: &str = "mrc_1";

/// An account of a merchant that held 1 in January and holds 2 since June.
fn changed(number: u32, currency: &str) -> Value {
    let past = json!([{"balance": "1", "balance_at": "2026-01-01T00:00:00Z"}]);
    let over = json!({"history": past, "organization_id": ORGANIZATION, "merchant_id": MERCHANT});
    with(account(number, currency, "2"), over)
}

/// Reads that each cost more than one unit of so many accounts.
async fn each_way(store: &Store, way: &str) -> Result<usize, StoreError> {
    let alice = CustomerId::parse(ALICE).unwrap();
    let february = Moment::as_of(Timestamp::parse("2026-02-01T00:00:00Z").unwrap());
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    match way {
        "pages" => {
            let mut pages = store.customer_pages(alice, ItemDetail::Totals);
            let mut count = 0;
            while let Some(page) = pages.next().await? {
                count += page.len();
            }
            Ok(count)
        }
        "histories" => {
            let stored = store.customer_accounts(alice).await?;
            Ok(store.accounts_at(stored, february).await?.len())
        }
        "organization" => Ok(store.organization_accounts(&organization, &Merchants::All).await?.len()),
        way => panic!("{way}"),
    }
}

#[tokio::test]
async fn each_way_to_read_many_accounts_ends_with_the_budget() {
    struct Row {
        way: &'static str,
        enough: u64,
        too_little: u64,
        /// Whether the reader knows beforehand that it would be too much.
        is_foreseen: bool,
    }
    let described = |number| with(changed(number, "EUR"), json!({"description": "x".repeat(1_000)}));
    let app = App::start(dataset((1..=300).map(described).collect())).await;
    let store = app.stack.store();
    let rows = [
        Row { way: "pages", enough: 120, too_little: 70, is_foreseen: false },
        Row { way: "histories", enough: 450, too_little: 300, is_foreseen: true },
        Row { way: "organization", enough: 350, too_little: 290, is_foreseen: true },
    ];
    for Row { way, enough, too_little, is_foreseen } in rows {
        let (read, usage) = measured_within(enough, each_way(&store, way)).await;
        assert_eq!(read, Ok(300), "{way}");
        let (needed, _) = usage.units();
        assert!((too_little..=enough).contains(&needed), "{way}: {needed}");
        let (read, usage) = measured_within(too_little, each_way(&store, way)).await;
        assert_eq!(read, Err(StoreError::ReadBudget(ReadBudgetSpent)), "{way}");
        let (spent, _) = usage.units();
        assert!(if is_foreseen { spent < too_little } else { spent <= needed }, "{way}: {spent} of {needed}");
    }
}

/// The answer of the functions' own routes to a request that may cost so many units.
async fn ask_within(app: &App, units: u64, claims: Value, path: &str) -> String {
    let (config, clock) = (app.stack.config(), app.stack.clock());
    let limits = AgeLimits::STANDARD;
    let unified = unified_balance::routes(unified_balance::App::new(config, limits, clock.clone()));
    let merchant = merchant_balances::routes(merchant_balances::App::new(config, limits, clock.clone()));
    let service = http::service(unified.merge(merchant), clock.clone());
    let request = Request::get(path).header("authorization", format!("Bearer {}", app.token(claims)));
    let asked = service.oneshot(request.body(Body::empty()).unwrap());
    let (answer, _) = measured_within(units, Box::pin(asked)).await;
    let answer = answer.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), MAX_BODY_BYTES).await.unwrap();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    if let Some(details) = body.get_mut("details").and_then(Value::as_object_mut) {
        details.remove("request_id");
    }
    format!("{status} {body}")
}

#[tokio::test]
async fn a_request_beyond_the_budget_says_what_narrows_it() {
    let mut accounts: Vec<_> = (1..=300).map(|number| changed(number, "EUR")).collect();
    accounts.push(changed(301, "USDC"));
    let app = App::start(dataset(accounts)).await;
    let organization = format!("/api/v1/organizations/{ORGANIZATION}/balances?currency=EUR");
    let merchant = format!("/api/v1/organizations/{ORGANIZATION}/merchants/{MERCHANT}/accounts/balances");
    let balance = format!("/v2/accounts/balance?customer_id={ALICE}&currency=EUR");
    let rows = [
        (200, balance.clone() + "&as_of=2026-02-01T00:00:00Z"),
        (200, balance.clone() + "&as_of=2026-02-01T00:00:00Z&search.is_crypto=true"),
        (10, balance),
        (200, "/v2/accounts?as_of=2026-02-01T00:00:00Z".to_owned()),
        (10, "/v2/accounts".to_owned()),
        (200, organization.clone()),
        (500, organization + "&date=2026-02-01T00:00:00Z"),
        (200, merchant.clone()),
        (500, merchant + "?date=2026-02-01T00:00:00Z"),
    ];
    let mut answers = Vec::new();
    for (units, path) in rows {
        let claims = json!({"sub": "a", "customer_ids": [ALICE], "organization_ids": [ORGANIZATION]});
        answers.push(ask_within(&app, units, claims, &path).await);
    }
    assert_snapshot!(answers.join("\n"), @r#"
    400 {"details":{"parameter":"as_of"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; narrow the request with `search.currency` or `search.is_crypto`, or ask for a later `as_of`."}
    422 {"details":{"currencies":["EUR"],"gaps":[{"balance":1.0,"currency":"USDC","reason":"unpriced"}]},"error":"unpriced_assets","message":"There is no rate sheet of that time or of the days before it, so nothing can be converted."}
    400 {"details":{"parameter":"customer_id"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; these customers have more accounts than one request can add up."}
    400 {"details":{"parameter":"as_of"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; ask for fewer customers, or for a later `as_of`."}
    400 {"details":{"parameter":"search.customer_id"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; ask for fewer customers, or for single accounts with `search.id.in`."}
    400 {"details":{"parameter":"merchantIds"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; narrow the request with `merchantIds`."}
    400 {"details":{"parameter":"date"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; narrow the request with `merchantIds`, or ask for a later `date`."}
    400 {"details":{"parameter":"accountId"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; ask for single accounts."}
    400 {"details":{"parameter":"date"},"error":"invalid_request","message":"More than 20000 read units of the store would be needed; narrow the request with `currency`, or ask for a later `date`."}
    "#);
}

#[tokio::test]
async fn a_request_that_reads_much_weighs_as_several_calls() {
    // 2,100 accounts of more than 1 KB are 525 read units and more: such a balance counts as two calls.
    let described = |number| with(account(number, "EUR", "1"), json!({"description": "x".repeat(1_000)}));
    let mut accounts: Vec<_> = (1..=2_100).map(described).collect();
    accounts.push(with(account(9_999, "EUR", "1"), json!({"customer_id": BOB})));
    let options =
        Options { rate_limit_per_minute: 10, dataset: parsed(&dataset(accounts)), ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    stack.clock().stop_at(Timestamp::parse("2026-06-01T00:00:10Z").unwrap());
    let app = App { stack, client: reqwest::Client::new() };
    let ask = async |customer: &str| {
        let path = format!("/v2/accounts/balance?customer_id={customer}&currency=EUR");
        app.get_as(json!({"sub": customer, "customer_ids": [customer]}), &path).await.status.as_u16()
    };
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(ask(ALICE).await);
    }
    assert_eq!(answers, [200, 200, 200, 200, 200, 429, 429]);
    for _ in 0..10 {
        assert_eq!(ask(BOB).await, 200, "a light question is one call");
    }
    assert_eq!(ask(BOB).await, 429);
}
