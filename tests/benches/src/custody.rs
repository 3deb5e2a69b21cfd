//! The scheduled custody sync: what one account costs, idle and changed, at a provider that takes 50 ms for
//! an answer.

use crate::Result;
use crate::capacity::{Capacity, Usage};
use crate::function::Function;
use local::{Dataset, Options, Stack};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const FUNCTION: &str = "custody-sync";

const PROVIDER_LATENCY: Duration = Duration::from_millis(50);
const RUN: &str = r#"{"shard": 0, "shards": 1}"#;

/// Syncs `accounts` custody accounts of four assets each, of which two are held.
pub(crate) async fn measure(accounts: u32) -> Result<()> {
    let stack = Stack::start(Options {
        dataset: Dataset::parse(
            &dataset(accounts).to_string(),
            "bench",
            shared::domain::Timestamp::of_machine(),
        )?,
        ..Options::default()
    })
    .await?;
    stack.sandbox().set_delay(PROVIDER_LATENCY);
    let proxy = Capacity::start(stack.dynamodb_url()).await?;
    let mut environment = stack.environment();
    // Whatever was synced is due again at once.
    environment.push(("SYNC_INTERVAL_SECONDS".to_owned(), "0".to_owned()));
    let mut counted = environment.clone();
    counted.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url.clone()));
    let (mut direct, mut observed) =
        (Function::spawn(FUNCTION, &environment).await?, Function::spawn(FUNCTION, &counted).await?);
    println!(
        "{FUNCTION}, {accounts} accounts, provider latency {PROVIDER_LATENCY:?}, per account: ms, store calls, read units, write units, provider calls"
    );
    for (title, amount) in [("first", None), ("idle", None), ("changed", Some(1))] {
        change(&stack, accounts, amount.unwrap_or(0));
        let time = run(&mut direct, accounts).await?;
        // The same again, seen through the proxy: a first sync is not repeated.
        let usage = if title == "first" {
            Usage::default()
        } else {
            change(&stack, accounts, amount.map_or(0, |amount| amount + 1));
            proxy.take();
            drop(stack.sandbox().take_calls());
            run(&mut observed, accounts).await?;
            proxy.take()
        };
        let provider: u32 = stack.sandbox().take_calls().values().sum();
        let per_account = |sum: f64| sum / f64::from(accounts);
        println!(
            "  {title:<8} {:>8.3} ms {:>6.2} {:>6.2} {:>6.2} {:>6.3}   peak memory {:.1} MiB",
            per_account(time.as_secs_f64() * 1e3),
            per_account(f64::from(usage.calls)),
            per_account(usage.read),
            per_account(usage.write),
            if title == "first" { f64::NAN } else { per_account(f64::from(provider)) },
            direct.peak_memory_kib()? as f64 / 1024.0,
        );
    }
    Ok(())
}

/// One run that must sync every account.
async fn run(function: &mut Function, accounts: u32) -> Result<Duration> {
    let (time, report) = function.job(RUN).await?;
    let synced = report["synced"].as_u64();
    if synced == Some(u64::from(accounts)) {
        Ok(time)
    } else {
        Err(format!("not every account was synced: {report}").into())
    }
}

/// Gives every vault other amounts of one asset.
fn change(stack: &Stack, accounts: u32, amount: u32) {
    for number in 0..accounts {
        if let Ok(vault) = serde_json::from_value(vault(amount)) {
            stack.sandbox().set_vault(number.to_string(), vault);
        }
    }
}

fn vault(amount: u32) -> Value {
    json!({"assets": [
        {"id": "USDT_ERC20", "total": (1_000 + amount).to_string(), "available": "900"},
        {"id": "BTC", "total": "0.5", "available": "0.5"},
    ]})
}

fn dataset(accounts: u32) -> Value {
    let assets = json!([
        {"blockchain": "ETH", "token": "USDT"}, {"blockchain": "BSC", "token": "USDT"},
        {"blockchain": "TRX", "token": "USDT"}, {"blockchain": "BTC", "token": "BTC"},
    ]);
    let account = |number: u32| {
        json!({
            "id": format!("bbbbbbbb-0000-4000-8000-{number:012}"), "customer_id": format!("cccccccc-0000-4000-8000-{:012}", number / 10),
            "provider": "fireblocks", "provider_account": number.to_string(), "assets": assets,
        })
    };
    let vaults: BTreeMap<_, _> = (0..accounts).map(|number| (number.to_string(), vault(0))).collect();
    json!({"custody_accounts": (0..accounts).map(account).collect::<Vec<_>>(), "vaults": vaults})
}
