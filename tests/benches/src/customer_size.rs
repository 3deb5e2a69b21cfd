//! CPU and memory of a total by the number of a customer's accounts; beside another build of the function, if
//! one is given, in turns with it.

use crate::function::{Function, binary};
use crate::{Bench, CUSTOMERS, Credential, FUNCTION, median, ms};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Accounts that all rounds of a size read together.
const ACCOUNTS_READ: u32 = 300_000;
const MOST_ROUNDS: u32 = 300;

impl Bench {
    /// Each build's latency, CPU and peak memory, for each size of customer.
    pub(crate) async fn customer_sizes(&self, against: Option<&Path>) -> Result<(), Box<dyn Error>> {
        println!("a total by the customer's size: latency p50, CPU per request, peak memory");
        let builds: Vec<(&str, PathBuf)> = std::iter::once(("this build", binary(FUNCTION)))
            .chain(against.map(|path| ("the other", path.to_owned())))
            .collect();
        for accounts in CUSTOMERS {
            let rounds = (ACCOUNTS_READ / accounts).min(MOST_ROUNDS).min(u32::try_from(self.rounds.warm)?);
            let mut functions = Vec::new();
            for (name, path) in &builds {
                let event = self.event(&format!("size {name}"), accounts, false, Credential::Jwt)?;
                let mut function = Function::spawn_at(path, FUNCTION, &self.stack.environment()).await?;
                match function.first(&event).await {
                    Ok(_) => functions.push((name, event, function, Vec::new())),
                    Err(answer) => println!("  {accounts:>7} accounts  {name:<10}  {answer}"),
                }
            }
            let mut starts = Vec::new();
            for (_, _, function, _) in &functions {
                starts.push(function.cpu()?);
            }
            for _ in 0..rounds {
                for (_, event, function, times) in &mut functions {
                    times.push(function.warm(event).await?);
                }
            }
            for ((name, _, function, times), start) in functions.iter().zip(starts) {
                println!(
                    "  {accounts:>7} accounts  {name:<10} {:>8.2} ms {:>8.2} ms CPU {:>6.1} MiB",
                    ms(median(times)),
                    ms((function.cpu()? - start) / rounds),
                    function.peak_memory_kib()? as f64 / 1024.0,
                );
            }
        }
        Ok(())
    }
}
