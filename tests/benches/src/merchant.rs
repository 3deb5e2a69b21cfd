//! A merchant's balances at a date: what the history reads cost, by how many accounts have changed since.

use crate::capacity::{Capacity, Usage};
use crate::function::Function;
use crate::{Result, event, median, ms};
use local::Stack;
use serde_json::{Value, json};

pub(crate) const FUNCTION: &str = "merchant-balances";

const ORGANIZATION: &str = "org_00000000-0000-4000-8000-000000000001";
const MERCHANT: &str = "mrc_00000000-0000-4000-8000-000000000001";
/// Half of them last changed in March, half in June; all began in January.
const ACCOUNTS: u32 = 2_000;
const DATES: [(&str, &str, u32); 4] = [
    ("no date", "", 0),
    ("none changed since", "date=2026-07-01T00:00:00Z", 0),
    ("half changed since", "date=2026-04-01T00:00:00Z", ACCOUNTS / 2),
    ("all changed since", "date=2026-02-01T00:00:00Z", ACCOUNTS),
];

pub(crate) fn accounts() -> impl Iterator<Item = Value> {
    (0..ACCOUNTS).map(|number| {
        let month = if number.is_multiple_of(2) { 3 } else { 6 };
        json!({
            "id": format!("aaaaaaaa-0000-4000-8000-{number:012}"), "customer_id": "aaaaaaaa-0000-4000-8000-000000000000",
            "currency": "CLP", "balance": number.to_string(), "balance_at": format!("2026-0{month}-01T00:00:00Z"),
            "organization_id": ORGANIZATION, "merchant_id": MERCHANT, "account_number": format!("{number:012}"),
            "history": [{"balance": "1", "balance_at": "2026-01-01T00:00:00Z"}],
        })
    })
}

/// Latency straight to the store, then calls and read units through the proxy that counts them.
pub(crate) async fn measure(stack: &Stack, rounds: usize) -> Result<()> {
    let proxy = Capacity::start(stack.dynamodb_url()).await?;
    let mut counted = stack.environment();
    counted.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url.clone()));
    println!(
        "{FUNCTION}, {ACCOUNTS} accounts, p50 of {rounds} runs: latency, ms per history read, store calls, read units, peak memory"
    );
    let mut base = None;
    for (title, query, history_reads) in DATES {
        let path = format!("/api/v1/organizations/{ORGANIZATION}/merchants/{MERCHANT}/accounts/balances");
        let claims = [("sub".to_owned(), title.into()), ("merchant_ids".to_owned(), json!([MERCHANT]))]
            .into_iter()
            .collect();
        let event = event::get(&path, query, ("authorization", format!("Bearer {}", stack.token(claims)?)));
        let mut function = Function::spawn(FUNCTION, &stack.environment()).await?;
        function.first(&event).await?;
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(function.warm(&event).await?);
        }
        let latency = median(&times);
        let without = *base.get_or_insert(latency);
        let per_read = match history_reads {
            0 => "-".to_owned(),
            reads => format!("{:.3}", ms(latency.saturating_sub(without)) / f64::from(reads)),
        };
        let mut observed = Function::spawn(FUNCTION, &counted).await?;
        observed.first(&event).await?;
        proxy.take();
        observed.warm(&event).await?;
        let Usage { calls, read, write: _ } = proxy.take();
        let memory = function.peak_memory_kib()? as f64 / 1024.0;
        println!(
            "  {title:<20} {:>8.2} ms {per_read:>8} {calls:>6} {read:>8.1} {memory:>6.1} MiB",
            ms(latency)
        );
    }
    Ok(())
}
