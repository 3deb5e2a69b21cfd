//! Nobody sees what is not theirs: random callers against random owners, on every route that shows accounts.

use crate::harness::{App, account, dataset, with};
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::runtime::Runtime;

const OWNERS: usize = 4;

fn customer(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012}")
}

fn organization(number: usize) -> String {
    format!("org_a0000000-0000-4000-8000-{number:012}")
}

fn merchant(number: usize) -> String {
    format!("mrc_b0000000-0000-4000-8000-{number:012}")
}

/// Account `n` belongs to customer, organization and merchant by different digits, so that no two owners
/// coincide.
fn owners(number: usize) -> (usize, usize, usize) {
    (number % OWNERS, number / OWNERS % OWNERS, number / OWNERS / OWNERS % OWNERS)
}

const ACCOUNTS: usize = OWNERS * OWNERS * OWNERS;

fn accounts() -> Vec<Value> {
    let account = |number: usize| {
        let (of_customer, of_organization, of_merchant) = owners(number);
        with(
            account(u32::try_from(number).unwrap(), "EUR", "1"),
            json!({"customer_id": customer(of_customer), "organization_id": organization(of_organization), "merchant_id": merchant(of_merchant)}),
        )
    };
    (0..ACCOUNTS).map(account).collect()
}

/// A caller: which customers, organizations and merchants are theirs, and whether all are.
#[derive(Debug, Clone)]
struct Principal {
    customers: Vec<usize>,
    organizations: Vec<usize>,
    merchants: Vec<usize>,
    is_admin: bool,
}

impl Principal {
    fn claims(&self) -> Value {
        let named = |numbers: &[usize], name: fn(usize) -> String| {
            numbers.iter().map(|number| name(*number)).collect::<Vec<_>>()
        };
        json!({
            "sub": "somebody",
            "customer_ids": named(&self.customers, customer),
            "organization_ids": named(&self.organizations, organization),
            "merchant_ids": named(&self.merchants, merchant),
            "permissions": if self.is_admin { vec!["PermReadAll"] } else { vec![] },
        })
    }

    fn sees_customer(&self, number: usize) -> bool {
        self.is_admin || self.customers.contains(&number)
    }

    fn sees_merchant(&self, of_organization: usize, of_merchant: usize) -> bool {
        self.is_admin
            || self.organizations.contains(&of_organization)
            || self.merchants.contains(&of_merchant)
    }
}

fn principals() -> impl Strategy<Value = Principal> {
    let some = || subsequence((0..OWNERS).collect::<Vec<_>>(), 0..=OWNERS);
    (some(), some(), some(), prop::bool::weighted(0.2)).prop_map(
        |(customers, organizations, merchants, is_admin)| Principal {
            customers,
            organizations,
            merchants,
            is_admin,
        },
    )
}

fn numbers(body: &Value) -> BTreeSet<usize> {
    let rows = body.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()).collect()
}

/// The accounts whose owners meet a condition.
fn expected(is_theirs: impl Fn((usize, usize, usize)) -> bool) -> BTreeSet<usize> {
    (0..ACCOUNTS).filter(|number| is_theirs(owners(*number))).collect()
}

#[test]
fn random_callers_see_exactly_what_is_theirs() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start(dataset(accounts())));
    let get = |principal: &Principal, path: &str| runtime.block_on(app.get_as(principal.claims(), path));
    let asked = (principals(), 0..OWNERS, 0..OWNERS, 0..ACCOUNTS);
    let outcome =
        TestRunner::new(Config::with_cases(128)).run(&asked, |(principal, asked, other, number)| {
            // The list: their customers, whoever else owns the accounts.
            let list = get(&principal, "/v2/accounts?limit=200").json();
            prop_assert_eq!(numbers(&list["data"]), expected(|(of, _, _)| principal.sees_customer(of)));
            let filtered = get(
                &principal,
                &format!(
                    "/v2/accounts?limit=200&search.customer_id.in={},{}",
                    customer(asked),
                    customer(other)
                ),
            );
            if principal.sees_customer(asked) && principal.sees_customer(other) {
                prop_assert_eq!(
                    numbers(&filtered.json()["data"]),
                    expected(|(of, _, _)| of == asked || of == other)
                );
            } else {
                prop_assert_eq!(filtered.status.as_u16(), 403);
            }
            // An account's id alone shows nothing of a foreign one.
            let (of_customer, of_organization, of_merchant) = owners(number);
            let id = crate::harness::id(u32::try_from(number).unwrap());
            let single = get(&principal, &format!("/v2/accounts?search.id={id}")).json();
            prop_assert_eq!(!numbers(&single["data"]).is_empty(), principal.sees_customer(of_customer));
            // The merchant view: by organization or merchant, never by customer.
            let path = |of_organization, of_merchant| {
                format!(
                    "/api/v1/organizations/{}/merchants/{}/accounts",
                    organization(of_organization),
                    merchant(of_merchant)
                )
            };
            let all = get(&principal, &format!("{}/balances", path(asked, other)));
            let theirs =
                get(&principal, &format!("{}/acc_{id}/balances", path(of_organization, of_merchant)))
                    .status
                    .as_u16();
            let elsewhere =
                get(&principal, &format!("{}/acc_{id}/balances", path(asked, other))).status.as_u16();
            if principal.sees_merchant(asked, other) {
                prop_assert_eq!(
                    numbers(&all.json()),
                    expected(|(_, organization, merchant)| (organization, merchant) == (asked, other))
                );
            } else {
                prop_assert_eq!(all.status.as_u16(), 403);
            }
            prop_assert_eq!(
                theirs,
                if principal.sees_merchant(of_organization, of_merchant) { 200 } else { 403 }
            );
            let is_there = (asked, other) == (of_organization, of_merchant);
            prop_assert_eq!(
                elsewhere,
                match principal.sees_merchant(asked, other) {
                    true if is_there => 200,
                    _ if principal.is_admin => 404,
                    _ => 403,
                }
            );
            Ok(())
        });
    outcome.unwrap();
}
