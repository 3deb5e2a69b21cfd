//! `cargo ballast`: runs one command and says how it ended.

use ballast::{Arguments, run};
use clap::Parser;
use std::io::stdout;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse(), &mut stdout()).await {
        Ok(ending) => ending.exit_code().into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code().into()
        }
    }
}
