//! `ballast accounts`: many in, one shown.

mod import;
mod lines;
mod rejects;
mod rows;
mod show;

use crate::Ending;
use crate::arguments::AccountsCommand;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use std::io::Write;

pub(crate) async fn run(
    command: AccountsCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        AccountsCommand::Import(arguments) => import::run(arguments, &connection.store, output).await,
        AccountsCommand::Show { id, history } => show::run(&id, history, &connection.store, output).await,
    }
}
