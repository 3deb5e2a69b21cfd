//! `ballast`, the operator's command line: accounts in, custody accounts and API keys, and a look at what is
//! held.
//!
//! It works on the deployed tables with the operator's own AWS credentials, through the same code as the
//! functions; what needs a custody provider or a source of rates is done by the deployed functions, which it
//! invokes. Whoever may write the tables may do all it does: it checks values, not rights.

mod accounts;
mod arguments;
mod assets;
mod balance;
mod chart;
mod connection;
mod csv_records;
mod custody;
mod error;
mod keys;
mod moment;
mod output;
mod positions;
mod rates;
mod series;
mod table;
mod verify;

pub use arguments::Arguments;
pub use error::CliError;

use arguments::{Command, Format};
use connection::Connection;
use output::Output;
use std::io::Write;

/// How a command that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As asked.
    Done,
    /// In part: rows were rejected, differences found, accounts not synced or sources not heard. What was
    /// printed says which.
    InPart,
}

impl Ending {
    /// The exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::InPart => 3,
        }
    }
}

/// Runs one command and writes what it shows to `out`; progress and remarks go to stderr.
pub async fn run(arguments: Arguments, out: &mut impl Write) -> Result<Ending, CliError> {
    let Arguments { command, connection, output } = arguments;
    if output == Format::Csv && !command.has_table() {
        return Err(CliError::argument("--output", "csv is for commands that show a table"));
    }
    let connection = Connection::open(connection).await?;
    let mut output = Output::new(output, connection.now(), out);
    match command {
        Command::Accounts(command) => accounts::run(command, &connection, &mut output).await,
        Command::Assets(command) => assets::run(command, &connection, &mut output).await,
        Command::Custody(command) => custody::run(command, &connection, &mut output).await,
        Command::Keys(command) => keys::run(command, &connection, &mut output).await,
        Command::Rates(command) => rates::run(command, &connection, &mut output).await,
        Command::Positions(command) => positions::run(command, &connection, &mut output).await,
        Command::Balance(query) => balance::run(query, &connection, &mut output).await,
        Command::Verify => verify::run(&connection, &mut output).await,
    }
}
