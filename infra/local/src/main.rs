//! `cargo local`: starts the stack, prints how to use it, and serves until interrupted.

use clap::Parser;
use local::greeting::Greeting;
use local::{Dataset, Options, Stack, examples, state};
use shared::clock::Clock;
use std::error::Error;
use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the whole of Ballast in this process, on loopback only. Logs go to stderr as JSON lines.
#[derive(Debug, Parser)]
#[command(name = "cargo local", version)]
struct Arguments {
    /// The API's port; 0 takes any free one.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// The embedded DynamoDB's port, for other tools; 0 takes any free one.
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// A dataset (JSON) instead of the demo data.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Keeps the tables in this directory; without it they are in memory. The dataset is recorded again at
    /// every start.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Calls per caller, route group and clock minute; no limit without it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate_limit: u64,
    /// Runs no schedule.
    #[arg(long)]
    no_schedules: bool,
    /// Asks the real sources of rates instead of the sandbox, every five minutes.
    #[arg(long)]
    live_rates: bool,
    /// Prints a curl command for every view, each with a token. Where stdout is no terminal, they are printed
    /// in any case.
    #[arg(long)]
    examples: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // The embedded database logs every refused condition; to Ballast those are answers, not events.
    shared::telemetry::init(std::io::stderr, &["dynoxide"]);
    match Box::pin(run(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { port, dynamodb_port, data, state, rate_limit, no_schedules, live_rates, examples } =
        arguments;
    let clock = Clock::system();
    let now = clock.now();
    let start = state::first_start(state.as_deref(), now)?;
    let dataset = match data {
        Some(path) => Dataset::read(&path, start)?,
        None => Dataset::demo(start)?,
    };
    let requests = examples::examples(&dataset, now)?;
    let key = dataset.api_keys.first().map(|entry| entry.key().to_owned());
    let stack = Stack::start(Options {
        port,
        dynamodb_port,
        state,
        rate_limit_per_minute: rate_limit,
        has_schedules: !no_schedules,
        has_live_rates: live_rates,
        dataset,
        clock,
    })
    .await?;
    if examples || !stdout().is_terminal() {
        announce(&stack, &requests)?;
    } else {
        greet(&stack, key.as_deref(), &requests)?;
    }
    tokio::signal::ctrl_c().await?;
    stack.stop().await;
    Ok(())
}

/// Eight lines for a person.
fn greet(stack: &Stack, key: Option<&str>, requests: &[examples::Example]) -> Result<(), Box<dyn Error>> {
    let path = requests.first().map(|request| request.path.as_str()).filter(|_| key.is_some());
    let greeting = Greeting { api: &stack.url(), dynamodb: &stack.dynamodb_url(), key, path };
    let mut out = stdout().lock();
    writeln!(out, "{}", greeting.lines().join("\n"))?;
    Ok(out.flush()?)
}

fn announce(stack: &Stack, examples: &[examples::Example]) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    for example in examples {
        writeln!(out, "# {}\n{}\n", example.title, example.curl(stack)?)?;
    }
    writeln!(out, "# The API reference, to read and to try: {}/docs\n", stack.url())?;
    writeln!(out, "dynamodb {}\nready {}", stack.dynamodb_url(), stack.url())?;
    Ok(out.flush()?)
}
