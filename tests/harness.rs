//! A stack per test, a client for it, and answers that print the same at every run.

use balance_ingest::field::field_names;
use local::{Dataset, Options, Stack};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shared::domain::{Account, Asset, Catalogue, ChainAsset, Coverage, CustomerId, Moment, Timestamp};
use shared::store::Store;
use std::fmt::{self, Display};

pub const ALICE: &str = "0a11ce00-0000-4000-8000-000000000001";
pub const BOB: &str = "0b0b0000-0000-4000-8000-000000000002";

/// A running stack and someone to ask it.
pub struct App {
    pub stack: Stack,
    pub client: Client,
}

/// One answer, whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl App {
    /// A stack with this dataset.
    pub async fn start(dataset: Value) -> Self {
        Self::with(parsed(&dataset)).await
    }

    pub async fn with(dataset: Dataset) -> Self {
        let stack = Stack::start(Options { dataset, ..Options::default() }).await.unwrap();
        Self { stack, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// A token with these claims.
    pub fn token(&self, claims: Value) -> String {
        self.stack.token(claims.as_object().unwrap().clone()).unwrap()
    }

    /// A token that sees these customers.
    pub fn token_of(&self, customers: &[&str]) -> String {
        self.token(json!({"sub": "test", "customer_ids": customers}))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.stack.url()))
    }

    /// `GET path` as a caller who sees Alice.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_as(json!({"sub": "test", "customer_ids": [ALICE]}), path).await
    }

    /// `GET path` as a caller with these claims.
    pub async fn get_as(&self, claims: Value, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(self.token(claims))).await
    }

    /// The custody account's balances.
    pub async fn custody(&self, query: &str) -> Answer {
        self.get(&format!("/custody/accounts/{CUSTODY}/balances{query}")).await
    }

    /// `POST` of a sync by a caller with these claims.
    pub async fn sync(&self, claims: Value) -> Answer {
        let request = self.request(Method::POST, &format!("/custody/accounts/{CUSTODY}/sync"));
        send(request.bearer_auth(self.token(claims))).await
    }

    /// Sets vault 12 of the sandbox.
    pub async fn vault(&self, assets: Value) {
        let request =
            self.request(Method::PUT, "/_local/custody/12").body(json!({"assets": assets}).to_string());
        assert_eq!(send(request).await.status, 200);
    }

    /// Sets what goes wrong with the sandbox.
    pub async fn fault(&self, fault: Value) {
        let request = self.request(Method::PUT, "/_local/custody-faults").body(fault.to_string());
        assert_eq!(send(request).await.status, 200);
    }

    /// How often the vault was read since the last time this was asked.
    pub fn vault_reads(&self) -> u32 {
        self.stack.sandbox().take_calls().get("/v1/vault/accounts/12").copied().unwrap_or_default()
    }

    /// Alice's balance in `currency`, with more parameters.
    pub async fn balance(&self, currency: &str, more: &str) -> Answer {
        self.get(&format!("/v2/accounts/balance?customer_id={ALICE}&currency={currency}{more}")).await
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON. Its numbers are floats: compare texts where amounts matter.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Status and body, with the request's id left out.
impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.header("x-request-id");
        let body = if id.is_empty() { self.text().to_owned() } else { self.text().replace(id, "…") };
        write!(f, "{} {body}", self.status.as_u16())
    }
}

/// An account of Alice's with an id made of a number.
pub fn account(number: u32, currency: &str, balance: &str) -> Value {
    json!({"id": id(number), "customer_id": ALICE, "currency": currency, "balance": balance, "balance_at": "2026-06-01T00:00:00Z"})
}

/// A text without the list of an entry's fields, so that a new field changes no snapshot.
pub fn brief(text: &str) -> String {
    text.replace(&field_names(|_| true).join(", "), "EVERY FIELD")
}

pub fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A custody account of Alice's in vault 12, and the vault, with more put over the dataset.
pub fn custody(assets: Value, over: Value) -> Value {
    let supported = json!([
        {"blockchain": "ETH", "token": "USDT"}, {"blockchain": "BSC", "token": "USDT"}, {"blockchain": "TRX", "token": "USDT"},
        {"blockchain": "BTC", "token": "BTC"},
    ]);
    let account = json!({
        "id": CUSTODY, "customer_id": ALICE, "provider": "fireblocks", "provider_account": "12", "assets": supported,
    });
    let prices = [("EUR", "1.1353"), ("USDT", "1.0001"), ("BTC", "97000.5")];
    let dataset = json!({
        "rates_never_expire": true, "custody_accounts": [account], "vaults": {"12": {"assets": assets}},
        "rate_sheets": [sheet("2026-06-01T00:00:00Z", &prices)],
    });
    with(dataset, over)
}

/// The custody account of [`custody`].
pub const CUSTODY: &str = "550e8400-e29b-41d4-a716-446655440000";

/// One wallet of a sandbox vault.
pub fn wallet(id: &str, total: &str, available: &str) -> Value {
    json!({"id": id, "total": total, "available": available})
}

/// A caller who sees Alice and may sync.
pub fn syncer() -> Value {
    json!({"sub": "syncer", "customer_ids": [ALICE], "permissions": ["PermCustodySync"]})
}

/// A caller who sees everybody.
pub fn admin() -> Value {
    json!({"sub": "admin", "permissions": ["PermReadAll"]})
}

/// The object with other fields put over it.
pub fn with(base: Value, over: Value) -> Value {
    let (Value::Object(mut base), Value::Object(over)) = (base, over) else { panic!("objects") };
    base.extend(over);
    Value::Object(base)
}

/// A sheet of these prices at an instant.
pub fn sheet(observed_at: &str, prices: &[(&str, &str)]) -> Value {
    let entry = |(currency, usd): &(&str, &str)| json!({"currency": currency, "usd": usd, "source": "test", "method": "market"});
    json!({"observed_at": observed_at, "entries": prices.iter().map(entry).collect::<Vec<_>>()})
}

/// A dataset of accounts and the prices of the published example, for ever.
pub fn dataset(accounts: Vec<Value>) -> Value {
    let prices =
        [("EUR", "1.1353"), ("USDC", "0.99991"), ("BTC", "97000.5"), ("JPY", "0.0066318"), ("GBP", "1.3315")];
    json!({"rates_never_expire": true, "accounts": accounts, "rate_sheets": [sheet("2026-06-01T00:00:00Z", &prices)]})
}

/// A customer's accounts, each in its newest state.
pub async fn newest_accounts(store: &Store, customer: CustomerId) -> Vec<Account> {
    accounts_as_of(store, customer, Timestamp::parse("9999-01-01T00:00:00Z").unwrap()).await
}

pub async fn accounts_as_of(store: &Store, customer: CustomerId, at: Timestamp) -> Vec<Account> {
    let stored = store.customer_accounts(customer).await.unwrap();
    store.accounts_at(stored, Moment::as_of(at)).await.unwrap()
}

/// A dataset whose relative instants are counted from now.
pub fn parsed(dataset: &Value) -> Dataset {
    Dataset::parse(&dataset.to_string(), "test", Timestamp::of_machine()).unwrap()
}

/// A built-in asset.
pub fn asset(code: &str) -> Asset {
    Catalogue::default().asset(code).unwrap()
}

/// A built-in asset on a blockchain.
pub fn chain_asset(blockchain: &str, token: &str) -> ChainAsset {
    Catalogue::default().chain_asset(blockchain, token).unwrap()
}

/// A custody account's list of what it covers.
pub fn listed(assets: &[(&str, &str)]) -> Coverage {
    Coverage::Listed(assets.iter().map(|(blockchain, token)| chain_asset(blockchain, token)).collect())
}
