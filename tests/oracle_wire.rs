//! How the tests meet the system: the oracle's entries as the interfaces take them, and answers as texts that
//! the oracle can write too.

use crate::harness::{ALICE, Answer, App, BOB, admin, asset, send, with};
use crate::oracle::{OracleAccount, OracleEntry, OracleSheet, literal};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::domain::{
    self, AccountId, AccountScope, AccountState, AccountUpdate, Amount, CustomerId, EntryKey, MerchantId,
    Network, OrganizationId, Status, Version,
};
use std::collections::BTreeMap;
use std::fmt::Write;

pub const CAROL: &str = "0ca00100-0000-4000-8000-000000000003";
pub const CUSTOMERS: [&str; 3] = [ALICE, BOB, CAROL];
/// Each merchant with its organization.
pub const MERCHANTS: [(&str, &str); 2] = [
    ("org_a0000000-0000-4000-8000-00000000000a", "mrc_b0000000-0000-4000-8000-00000000000a"),
    ("org_a0000000-0000-4000-8000-00000000000b", "mrc_b0000000-0000-4000-8000-00000000000b"),
];
/// Requests under way at once: each reads up to 16 histories at once itself, and a read must end within 2 s.
pub const CONCURRENCY: usize = 4;

pub const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);
pub const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The instant that the clocks of the stacks here are set to.
pub fn now() -> Timestamp {
    "2026-06-20T12:00:00Z".parse().unwrap()
}

pub fn domain_time(at: Timestamp) -> domain::Timestamp {
    domain::Timestamp::parse(&at.to_string()).unwrap()
}

pub fn plain_time(at: domain::Timestamp) -> Timestamp {
    at.to_stored_text().parse().unwrap()
}

/// An entry of an EUR account of Alice's, recorded on time.
pub fn entry(account: String, balance_at: Timestamp, version: u64, balance: i128) -> OracleEntry {
    OracleEntry {
        account,
        customer: ALICE.to_owned(),
        currency: "EUR",
        organization: None,
        merchant: None,
        network: None,
        balance_at,
        version,
        balance,
        available: balance,
        active: true,
        status: "active",
        recorded_at: balance_at,
    }
}

/// The entry as an event's `detail`.
pub fn detail(entry: &OracleEntry) -> Value {
    json!({
        "id": entry.account, "customer_id": entry.customer, "currency": entry.currency,
        "organization_id": entry.organization, "merchant_id": entry.merchant, "network": entry.network,
        "balance": literal(entry.balance, entry.currency),
        "available": literal(entry.available, entry.currency),
        "active": entry.active, "status": entry.status,
        "balance_at": entry.balance_at.to_string(), "version": entry.version,
    })
}

/// The accounts of a dataset: each account's greatest entry is its own, and the others are its history.
pub fn dataset_accounts<'a>(entries: impl IntoIterator<Item = &'a OracleEntry>) -> Vec<Value> {
    let mut accounts = BTreeMap::<&str, BTreeMap<_, &OracleEntry>>::new();
    for entry in entries {
        let of_account = accounts.entry(&entry.account).or_default();
        of_account.insert((entry.balance_at, entry.version), entry);
    }
    let account = |mut entries: BTreeMap<_, &OracleEntry>| {
        let (_, newest) = entries.pop_last().unwrap();
        let of_history = |entry: &OracleEntry| {
            let mut element = with(detail(entry), json!({"recorded_at": entry.recorded_at.to_string()}));
            let of_account = ["id", "customer_id", "currency", "organization_id", "merchant_id", "network"];
            element.as_object_mut().unwrap().retain(|name, _| !of_account.contains(&name.as_str()));
            element
        };
        let history: Vec<_> = entries.into_values().map(of_history).collect();
        let recorded_at = newest.recorded_at.to_string();
        with(detail(newest), json!({"recorded_at": recorded_at, "history": history}))
    };
    accounts.into_values().map(account).collect()
}

/// The entry for [`Store::record`], which takes its `recorded_at` from the clock unless one is given.
pub fn update(entry: &OracleEntry, recorded_at: Option<Timestamp>) -> AccountUpdate {
    let amount = |units| Amount::parse(&literal(units, entry.currency)).unwrap();
    AccountUpdate {
        id: AccountId::parse(&entry.account).unwrap(),
        customer_id: CustomerId::parse(&entry.customer).unwrap(),
        asset: asset(entry.currency),
        entry: EntryKey {
            balance_at: domain_time(entry.balance_at),
            version: Version::new(entry.version).unwrap(),
        },
        state: AccountState {
            balance: amount(entry.balance),
            available: amount(entry.available),
            active: entry.active,
            status: Status::parse(entry.status).unwrap(),
        },
        scope: AccountScope {
            organization_id: entry.organization.as_deref().map(|id| OrganizationId::parse(id).unwrap()),
            merchant_id: entry.merchant.as_deref().map(|id| MerchantId::parse(id).unwrap()),
            network: entry.network.as_deref().map(|name| Network::parse(name).unwrap()),
        },
        labels: None,
        recorded_at: recorded_at.map(domain_time),
    }
}

/// Sends an entry as an event; the answer's `result`.
pub async fn post(app: &App, detail: Value) -> String {
    let event = json!({"detail-type": "AccountBalanceChanged", "detail": detail});
    let answer = send(app.request(Method::POST, "/_local/events").body(event.to_string())).await;
    assert_eq!(answer.status, 200, "{answer} to {event}");
    answer.json()["result"].as_str().unwrap().to_owned()
}

/// The sheet of a dataset.
pub fn dataset_sheet(sheet: &OracleSheet) -> Value {
    let OracleSheet { observed_at, recorded_at, usd } = sheet;
    let entry = |(code, usd): (&&str, &i128)| {
        let usd = literal(*usd, code);
        json!({"currency": code, "usd": usd, "source": "test", "method": "market"})
    };
    let entries: Vec<_> = usd.iter().map(entry).collect();
    json!({
        "observed_at": observed_at.to_string(), "recorded_at": recorded_at.to_string(), "entries": entries,
    })
}

#[derive(Deserialize)]
pub struct BalanceLiterals<'a> {
    #[serde(borrow)]
    pub total_balance: &'a RawValue,
    #[serde(borrow)]
    pub fiat_balance: &'a RawValue,
    #[serde(borrow)]
    pub crypto_balance: &'a RawValue,
    #[serde(borrow)]
    pub stacks: Vec<StackLiterals<'a>>,
}

#[derive(Deserialize)]
pub struct StackLiterals<'a> {
    pub currency: &'a str,
    pub is_crypto: bool,
    pub accounts: usize,
    #[serde(borrow)]
    pub balance: &'a RawValue,
    #[serde(borrow)]
    pub balance_in_base: &'a RawValue,
}

#[derive(Deserialize)]
struct ListLiterals<'a> {
    #[serde(borrow)]
    data: Vec<RowLiterals<'a>>,
    pagination: ListTotal,
}

#[derive(Deserialize)]
struct ListTotal {
    total: usize,
}

#[derive(Deserialize)]
struct RowLiterals<'a> {
    id: &'a str,
    currency: &'a str,
    #[serde(borrow)]
    balance: &'a RawValue,
    #[serde(borrow)]
    available: &'a RawValue,
    #[serde(borrow)]
    locked: &'a RawValue,
    active: bool,
    status: &'a str,
    network: Option<&'a str>,
}

#[derive(Deserialize)]
struct MerchantLiterals<'a> {
    id: &'a str,
    currency: &'a str,
    balance: &'a str,
    #[serde(rename = "balanceDate")]
    balance_date: &'a str,
    network: Option<&'a str>,
}

pub fn balance_text(answer: &Answer) -> String {
    let body = answer.json();
    if body["error"] == "unpriced_assets" {
        let codes =
            body["details"]["currencies"].as_array().unwrap().iter().map(|code| code.as_str().unwrap());
        return format!("unpriced {}", codes.collect::<Vec<_>>().join(","));
    }
    assert_eq!(answer.status, 200, "{answer}");
    let read: BalanceLiterals<'_> = serde_json::from_slice(&answer.body).unwrap();
    let mut text = format!("{} {} {}", read.total_balance, read.fiat_balance, read.crypto_balance);
    for StackLiterals { currency, is_crypto, accounts, balance, balance_in_base } in read.stacks {
        write!(text, "; {currency} {is_crypto} {accounts} {balance} {balance_in_base}").unwrap();
    }
    text
}

pub fn list_text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer}");
    let read: ListLiterals<'_> = serde_json::from_slice(&answer.body).unwrap();
    let mut text = read.pagination.total.to_string();
    for RowLiterals { id, currency, balance, available, locked, active, status, network } in read.data {
        let network = network.unwrap_or("-");
        let amounts = format!("{balance} {available} {locked}");
        write!(text, "; {id} {currency} {amounts} {active} {status} {network}").unwrap();
    }
    text
}

pub fn list_expected(accounts: &[&OracleAccount<'_>]) -> String {
    let mut text = accounts.len().to_string();
    for OracleAccount { entry, network, .. } in accounts {
        let OracleEntry { account, currency, balance, available, active, status, .. } = entry;
        let locked = (balance - available).max(0);
        let amounts = [*balance, *available, locked].map(|amount| literal(amount, currency)).join(" ");
        let network = network.unwrap_or("-");
        write!(text, "; {account} {currency} {amounts} {active} {status} {network}").unwrap();
    }
    text
}

pub fn merchant_text(answer: &Answer) -> String {
    if answer.status != 200 {
        return answer.json()["error"].as_str().unwrap().to_owned();
    }
    let is_list = answer.text().starts_with('[');
    let body = if is_list { answer.text().to_owned() } else { format!("[{}]", answer.text()) };
    let row = |MerchantLiterals { id, currency, balance, balance_date, network }: &MerchantLiterals<'_>| {
        format!("{id} {currency} {balance} {balance_date} {}", network.unwrap_or("-"))
    };
    let rows: Vec<_> = serde_json::from_str::<Vec<_>>(&body).unwrap().iter().map(row).collect();
    rows.join("; ")
}

pub fn merchant_expected(accounts: &[&OracleAccount<'_>], date: Timestamp) -> String {
    let row = |OracleAccount { entry, network, .. }: &&OracleAccount<'_>| {
        let OracleEntry { account, currency, balance, .. } = entry;
        let (balance, network) = (literal(*balance, currency), network.unwrap_or("-"));
        format!("acc_{account} {currency} {balance} {date:.3} {network}")
    };
    accounts.iter().map(row).collect::<Vec<_>>().join("; ")
}

pub fn organization_text(answer: &Answer) -> String {
    let body = answer.json();
    if body["error"] == "unpriced_assets" {
        let codes = body["details"]["currencies"].as_array().unwrap();
        return format!(
            "unpriced {}",
            codes.iter().map(|code| code.as_str().unwrap()).collect::<Vec<_>>().join(",")
        );
    }
    assert_eq!((answer.status.as_u16(), &body["complete"]), (200, &json!(true)), "{answer}");
    let text_of = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut text = format!("{} {}", text_of(&body["totalBalance"]), text_of(&body["rounding"]));
    for row in body["merchants"].as_array().unwrap() {
        let (merchant, total) = (text_of(&row["merchantId"]), text_of(&row["totalBalance"]));
        write!(text, "; {merchant} {} {total}", row["accounts"]).unwrap();
        for stack in row["stacks"].as_array().unwrap() {
            let [currency, balance, in_base] =
                ["currency", "balance", "balanceInBase"].map(|name| text_of(&stack[name]));
            write!(text, " {currency} {} {balance} {in_base}", stack["accounts"]).unwrap();
        }
    }
    text
}

pub fn is_of_merchant(account: &OracleAccount<'_>, (organization, merchant): (&str, &str)) -> bool {
    account.organization == Some(organization) && account.merchant == Some(merchant)
}

pub fn merchant_path((organization, merchant): (&str, &str), rest: &str) -> String {
    format!("/api/v1/organizations/{organization}/merchants/{merchant}/accounts{rest}")
}

/// A path, and the text of its answer.
pub struct Expectation {
    pub path: String,
    pub text_of: fn(&Answer) -> String,
    pub expected: String,
}

/// Asks everything, with one token: to sign one takes longer than some answers. All disagreements are counted
/// before the first few are shown, because one cause has many.
pub async fn check(app: &App, expectations: Vec<Expectation>) {
    let (token, asked) = (app.token(admin()), expectations.len());
    let disagreement = async |Expectation { path, text_of, expected }| {
        let answer = send(app.request(Method::GET, &path).bearer_auth(&token)).await;
        let text = text_of(&answer);
        (text != expected).then(|| format!("{path}\n  expected {expected}\n  answered {text}\n"))
    };
    let answers = stream::iter(expectations).map(disagreement).buffer_unordered(CONCURRENCY);
    let disagreements: Vec<_> = answers.filter_map(async |disagreement| disagreement).collect().await;
    let first = disagreements.iter().take(5).cloned().collect::<String>();
    assert!(disagreements.is_empty(), "{} of {asked} differ:\n{first}", disagreements.len());
}
