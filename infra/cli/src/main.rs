//! `cargo ballast`: runs one command and says how it ended.

use ballast::{Arguments, CliError, run};
use clap::Parser;
use std::io::{ErrorKind, stdout};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse(), &mut stdout()).await {
        Ok(ending) => ending.exit_code().into(),
        // Whoever reads has had enough, as `head` has.
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code().into()
        }
    }
}
