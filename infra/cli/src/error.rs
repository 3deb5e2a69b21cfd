//! The errors of commands, in words that say what to do.

use shared::balance::CountError;
use shared::domain::total::SumTooLarge;
use shared::store::{CatalogueError, RegisterError, StoreError};
use std::fmt::Display;
use std::path::PathBuf;
use thiserror::Error;

/// Why a command did not do what was asked.
#[derive(Debug, Error)]
pub enum CliError {
    /// A value of the command line is not what it must be.
    #[error("{argument}: {problem}")]
    Argument {
        /// Which.
        argument: &'static str,
        /// The fault.
        problem: String,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The deployed stack could not be found or reached.
    #[error("{0}")]
    Connection(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not of the format it should be.
    #[error("{}: {problem}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// The fault.
        problem: String,
    },
    /// A CSV file has a record that is not well-formed, and was read no further.
    #[error(
        "{}: line {line}: {fault}\nThe import ended there. {rows} rows before it are done; mend the file \
            and run the same command again, what is there is not written again",
        path.display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line on which the record begins.
        line: u64,
        /// The fault.
        fault: String,
        /// Rows before it, which are recorded or rejected.
        rows: u64,
    },
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    /// A function was invoked and failed.
    #[error("{function}: {problem}")]
    Function {
        /// Its name.
        function: String,
        /// Its words.
        problem: String,
    },
    /// An import ended early.
    #[error("{source}\n{rows} rows are done; run the same command again, what is there is not written again")]
    Interrupted {
        /// Rows that are done.
        rows: u64,
        /// Why.
        source: StoreError,
    },
    /// A balance that lacks something.
    #[error("{0}; --partial leaves what is missing out of the totals and names it")]
    Incomplete(String),
    /// A total is too long to be shown.
    #[error(transparent)]
    TooLarge(#[from] SumTooLarge),
    /// Accounts could not be added up.
    #[error(transparent)]
    Count(#[from] CountError),
    /// Rows could not be added to the catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A custody account could not be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CliError {
    /// The exit code: 2 for a wrong command line, 1 for anything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, Self::Argument { .. }) { 2 } else { 1 }
    }

    /// A value of the command line that did not parse.
    pub(crate) fn argument(argument: &'static str, problem: impl Display) -> Self {
        Self::Argument { argument, problem: format!("{problem}") }
    }
}
