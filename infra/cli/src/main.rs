//! `cargo ballast`: runs one command and says how it ended.

use ballast::{Arguments, Ending, run};
use clap::Parser;
use std::io::stdout;
use std::process::ExitCode;

/// What was asked for was done in part: rows were rejected, or differences were found. The command's output says which.
const EXIT_IN_PART: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse(), &mut stdout()).await {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::InPart) => ExitCode::from(EXIT_IN_PART),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
