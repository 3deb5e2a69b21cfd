//! What the function costs: cold start, warm latency, CPU, memory and store capacity, against yardsticks in
//! the same run.
//!
//! `tests/benches/run` builds the release binaries and starts this. Yardsticks and function take turns, so
//! that a slow moment of the machine hits all of them; figures are medians, and what is worth quoting are the
//! ratios.

mod capacity;
mod custody;
mod customer_size;
mod event;
mod function;
mod intake;
mod merchant;
mod positions;
mod runtime_api;
mod series;

use capacity::{Capacity, Usage};
use function::{Function, binary};
use local::{Dataset, Options, Stack};
use serde_json::{Map, Value, json};
use shared::config::DEFAULT_RATE_LIMIT_PER_MINUTE;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use Credential::{ApiKey, Jwt};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Customers by the number of their accounts.
const CUSTOMERS: [u32; 5] = [10, 50, 1_000, 10_000, 100_000];
/// Answers with a row for each account of a larger customer are refused, and each of its requests takes a
/// second.
const LARGEST_WITH_ROWS: u32 = 10_000;
/// A whole number of the rate limit's batches, whose writes are part of the figure.
const CAPACITY_REQUESTS: u32 = 24;
const FUNCTION: &str = "unified-balance";

/// Rounds of each measurement.
struct Rounds {
    cold: usize,
    warm: usize,
    custody_accounts: u32,
    intake: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut rounds = Rounds { cold: 50, warm: 300, custody_accounts: 2_000, intake: 100_000 };
    let (mut against, mut only, mut arguments) = (None, None, std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => rounds = Rounds { cold: 2, warm: 3, custody_accounts: 50, intake: 3_000 },
            "--against" => against = Some(PathBuf::from(arguments.next().ok_or("--against needs a path")?)),
            "--only" => only = Some(arguments.next().ok_or("--only needs series or positions")?),
            other => {
                return Err(
                    format!("unknown argument {other}: there are --quick, --against and --only").into()
                );
            }
        }
    }
    let is_quick = rounds.warm < 10;
    let positions = || positions::measure(&positions::SIZES[..if is_quick { 2 } else { 4 }], is_quick);
    match only.as_deref() {
        Some("series") => return series::measure(is_quick).await,
        Some("positions") => return positions().await,
        Some(other) => return Err(format!("no part {other}: there are series and positions").into()),
        None => {}
    }
    let dataset = Dataset::parse(&dataset().to_string(), "bench", shared::domain::Timestamp::of_machine())?;
    let stack = Stack::start(Options {
        dataset,
        rate_limit_per_minute: DEFAULT_RATE_LIMIT_PER_MINUTE,
        ..Options::default()
    })
    .await?;
    let bench = Bench { stack, rounds };
    bench.sizes()?;
    bench.customer_sizes(against.as_deref()).await?;
    bench.cold().await?;
    bench.warm().await?;
    bench.capacity().await?;
    series::measure(is_quick).await?;
    positions().await?;
    merchant::measure(&bench.stack, bench.rounds.warm.div_ceil(20)).await?;
    custody::measure(bench.rounds.custody_accounts).await?;
    intake::events(bench.rounds.intake).await?;
    intake::import(bench.rounds.intake).await
}

struct Bench {
    stack: Stack,
    rounds: Rounds,
}

impl Bench {
    fn sizes(&self) -> Result<()> {
        println!("binary, MB");
        for name in [
            "bench-noop",
            "bench-bare-query",
            FUNCTION,
            merchant::FUNCTION,
            "custody-balances",
            custody::FUNCTION,
            "rates-sync",
            "balance-ingest",
            positions::FUNCTION,
        ] {
            println!("  {name:<18} {:>6.1}", std::fs::metadata(binary(name))?.len() as f64 / 1e6);
        }
        Ok(())
    }

    /// Spawn to first answer, for a customer of 10 accounts.
    async fn cold(&self) -> Result<()> {
        let event = self.event("cold", 10, false, Jwt)?;
        let names = ["bench-noop", "bench-bare-query", FUNCTION];
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..self.rounds.cold {
            for (name, times) in names.iter().zip(&mut times) {
                times.push(self.spawn(name, 10).await?.first(&event).await?);
            }
        }
        let [noop, _, _] = &times;
        let base = median(noop);
        println!("cold start, p50 of {} runs", self.rounds.cold);
        for (name, times) in names.iter().zip(&times) {
            println!(
                "  {name:<18} {:>8.2} ms  {:>5.2} × no-op",
                ms(median(times)),
                ratio(median(times), base)
            );
        }
        Ok(())
    }

    /// A request to a running function, against a bare Query of the same customer.
    async fn warm(&self) -> Result<()> {
        println!(
            "warm request, p50 of {} runs: latency, ratio to the bare Query of the same accounts, CPU per request, peak memory",
            self.rounds.warm
        );
        for accounts in CUSTOMERS.into_iter().filter(|accounts| *accounts <= LARGEST_WITH_ROWS) {
            let rounds = if accounts > 1_000 { self.rounds.warm.div_ceil(10) } else { self.rounds.warm };
            let bare_event = self.event("bare", accounts, false, Jwt)?;
            for (has_details, credential) in [(false, Jwt), (false, ApiKey), (true, Jwt), (true, ApiKey)] {
                let event = self.event(&format!("warm {has_details}"), accounts, has_details, credential)?;
                let (mut bare, mut own) =
                    (self.spawn("bench-bare-query", accounts).await?, self.spawn(FUNCTION, accounts).await?);
                bare.first(&bare_event).await?;
                own.first(&event).await?;
                let (mut bare_times, mut own_times) = (Vec::new(), Vec::new());
                let cpu = own.cpu()?;
                for _ in 0..rounds {
                    bare_times.push(bare.warm(&bare_event).await?);
                    own_times.push(own.warm(&event).await?);
                }
                let cpu = (own.cpu()? - cpu) / u32::try_from(rounds)?;
                let (bare_median, own_median) = (median(&bare_times), median(&own_times));
                println!(
                    "  {accounts:>6} accounts {:<8} {:<8} {:>8.2} ms  {:>5.2} ×  {:>7.2} ms CPU  {:>5.1} MiB",
                    if has_details { "details" } else { "totals" },
                    credential.name(),
                    ms(own_median),
                    ratio(own_median, bare_median),
                    ms(cpu),
                    own.peak_memory_kib()? as f64 / 1024.0,
                );
            }
        }
        Ok(())
    }

    /// Calls and read units of one warm request, after the start has filled the caches.
    async fn capacity(&self) -> Result<()> {
        let proxy = Capacity::start(self.stack.dynamodb_url()).await?;
        println!("store, per warm request, mean of {CAPACITY_REQUESTS}: calls, read units, write units");
        for accounts in CUSTOMERS {
            let mut environment = self.stack.environment();
            environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url.clone()));
            let mut function = Function::spawn(FUNCTION, &environment).await?;
            let event = self.event("capacity", accounts, false, Jwt)?;
            function.first(&event).await?;
            proxy.take();
            for _ in 0..CAPACITY_REQUESTS {
                function.warm(&event).await?;
            }
            let Usage { calls, read, write } = proxy.take();
            let per_request = |sum: f64| sum / f64::from(CAPACITY_REQUESTS);
            println!(
                "  {accounts:>6} accounts {:>6.2} {:>8.2} {:>6.2}",
                per_request(f64::from(calls)),
                per_request(read),
                per_request(write)
            );
        }
        Ok(())
    }

    async fn spawn(&self, name: &str, accounts: u32) -> Result<Function> {
        let mut environment = self.stack.environment();
        environment.push(("BENCH_CUSTOMER".to_owned(), customer(accounts)));
        Function::spawn(name, &environment).await
    }

    /// A question of a caller: one for each measurement, who stays within the deployed rate limit.
    fn event(
        &self,
        caller: &str,
        accounts: u32,
        has_details: bool,
        credential: Credential,
    ) -> Result<String> {
        let details = if has_details { "&details=true" } else { "" };
        let (name, value) = match credential {
            Jwt => {
                ("authorization", format!("Bearer {}", token(&self.stack, &format!("{caller} {accounts}"))?))
            }
            ApiKey => ("x-api-key", api_key(accounts, has_details)),
        };
        let query = format!("customer_id={}&currency=EUR{details}", customer(accounts));
        Ok(event::get("/v2/accounts/balance", &query, (name, value)))
    }
}

#[derive(Clone, Copy)]
enum Credential {
    Jwt,
    ApiKey,
}

impl Credential {
    const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::ApiKey => "API key",
        }
    }
}

fn customer(accounts: u32) -> String {
    format!("00000000-0000-4000-8000-{accounts:012}")
}

/// Customers whose accounts are in four currencies and half of whom have an address, as in life; a sheet of
/// today.
fn dataset() -> Value {
    let now = shared::domain::Timestamp::of_machine().to_millis_text();
    let account = |of: u32, number: u32| {
        let currency = ["EUR", "USD", "USDC", "BTC"][usize::try_from(number % 4).unwrap_or_default()];
        json!({
            "id": format!("{of:08}-0000-4000-8000-{number:012}"), "customer_id": customer(of), "currency": currency, "balance": format!("{number}.25"),
            "balance_at": "2026-01-01T00:00:00Z", "address": number.is_multiple_of(2).then_some("0x00000000219ab540356cbb839cbe05303d7705fa"),
        })
    };
    let accounts = CUSTOMERS.iter().flat_map(|of| (0..*of).map(move |number| account(*of, number)));
    let accounts: Vec<_> = accounts.chain(merchant::accounts()).collect();
    let rate = |(currency, usd): (&str, &str)| json!({"currency": currency, "usd": usd, "source": "bench", "method": "market"});
    let rates: Vec<_> = [("EUR", "1.1353"), ("USDC", "0.99991"), ("BTC", "97000.5")].map(rate).into();
    let customers: Vec<_> = CUSTOMERS.iter().map(|of| customer(*of)).collect();
    let key = |(of, has_details)| json!({"key": api_key(of, has_details), "claims": {"sub": "bench", "customer_ids": customers}});
    let keys: Vec<_> = CUSTOMERS.iter().flat_map(|of| [(*of, false), (*of, true)]).map(key).collect();
    json!({
        "accounts": accounts, "rate_sheets": [{"observed_at": now, "entries": rates}],
        "api_keys": keys,
    })
}

fn api_key(accounts: u32, has_details: bool) -> String {
    format!("bk_bench_{}_{accounts:0>40}", u8::from(has_details))
}

fn token(stack: &Stack, caller: &str) -> Result<String> {
    token_of(stack, caller, &CUSTOMERS.map(customer))
}

fn token_of(stack: &Stack, caller: &str, customers: &[String]) -> Result<String> {
    let claims: Map<_, _> =
        [("sub".to_owned(), caller.into()), ("customer_ids".to_owned(), json!(customers))]
            .into_iter()
            .collect();
    Ok(stack.token(claims)?)
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ratio(time: Duration, base: Duration) -> f64 {
    time.as_secs_f64() / base.as_secs_f64()
}
