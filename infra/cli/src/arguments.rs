//! The command line, as `--help` shows it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The operator's command line of Ballast.
///
/// Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 done in part: rows were rejected, differences
/// found, accounts not synced, or sources of rates not heard.
#[derive(Debug, Parser)]
#[command(name = "ballast", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document, amounts as strings.
    Json,
    /// For spreadsheets: the table with exact values, where the command shows one.
    Csv,
}

/// Where the tables are. The variables of the AWS CLI work too.
#[derive(Debug, Args)]
pub(crate) struct ConnectionArguments {
    /// Another endpoint than AWS's own, such as the local stack's <http://127.0.0.1:8000>, which needs no
    /// other option.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// A profile of the AWS configuration.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The AWS region.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// The deployed stack.
    #[arg(long, global = true, value_name = "NAME", default_value = "ballast")]
    pub(crate) stack: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accounts: bring them in, look at one.
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Custody accounts: register, list, sync.
    #[command(subcommand)]
    Custody(CustodyCommand),
    /// API keys: create, list, revoke.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Rates: those of any time, new ones, and those of the past.
    #[command(subcommand)]
    Rates(RatesCommand),
    /// Known assets, and rows of this deployment's own.
    #[command(subcommand)]
    Assets(AssetsCommand),
    /// A customer's balance in one currency, or its development.
    Balance(BalanceArguments),
    /// The whole book: what all customers hold together.
    #[command(subcommand)]
    Positions(PositionsCommand),
    /// Compares accounts and custody snapshots with their history, and ids with their owners.
    Verify,
}

impl Command {
    /// Whether it shows a table, which can be a CSV.
    pub(crate) const fn has_table(&self) -> bool {
        matches!(
            self,
            Self::Balance(_)
                | Self::Custody(CustodyCommand::List)
                | Self::Keys(KeysCommand::List)
                | Self::Rates(RatesCommand::Show { .. })
                | Self::Assets(AssetsCommand::List)
                | Self::Positions(PositionsCommand::Show { .. } | PositionsCommand::History { .. })
        )
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Records accounts from a CSV file with a header, or JSON Lines.
    ///
    /// An entry is the whole account, with the fields of an `AccountBalanceChanged` event: id, `customer_id`,
    /// currency, balance and `balance_at` are required. What is there already is not written again, so an
    /// import that was cut short is simply run again.
    Import(ImportArguments),
    /// One account with its newest balances.
    Show {
        /// The account's id.
        id: String,
        /// How many balances of its history.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        history: u16,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The file; .csv, .jsonl or .ndjson says what it is.
    pub(crate) file: PathBuf,
    /// The file's format, whatever its name says.
    #[arg(long, value_enum)]
    pub(crate) format: Option<ImportFormat>,
    /// Where rejected rows are listed, with line numbers and reasons. Nothing may stand there yet. By default
    /// beside the file, with .rejects added.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Values separated by commas, semicolons or tabs, under a header; an empty cell is an absent field.
    Csv,
    /// One JSON object per line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CustodyCommand {
    /// Registers an account, due for its first sync at once, or changes which assets a registered one has.
    Add {
        /// Its id, a UUID.
        #[arg(long)]
        id: String,
        /// Whose it is, a UUID.
        #[arg(long)]
        customer: String,
        /// fireblocks or bitgo.
        #[arg(long)]
        provider: String,
        /// A vault's id (Fireblocks), or coin/wallet (BitGo).
        #[arg(long)]
        provider_account: String,
        /// A blockchain and an asset on it, such as ETH:USDT; once for each.
        /// Without any the account shows whatever the provider holds and the catalogue names.
        #[arg(long = "asset", value_name = "CHAIN:ASSET")]
        assets: Vec<String>,
    },
    /// Every registered account.
    List,
    /// Asks the provider now: for one account, or for whatever is due.
    Sync {
        /// The custody account's id.
        id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AssetsCommand {
    /// Adds an asset under a free code. The same row again changes nothing.
    Add(Box<AssetArguments>),
    /// Leaves a provider's asset out of every account, such as spam: it is shown as unlisted and is no gap.
    Ignore {
        /// The provider and its own id of the asset, such as `fireblocks:SPAM_ETH`.
        #[arg(value_name = "PROVIDER:ID")]
        provider_asset: String,
    },
    /// Takes rows from a JSON file, one row or a list. A row replaces the whole row of its code.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Every asset, and whether its row is built in or this deployment's own.
    List,
    /// One asset's row, in the form that `import` takes.
    Show {
        /// Its code.
        code: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AssetArguments {
    /// Its code: 2 to 20 letters, digits, Ø and . _ -
    pub(crate) code: String,
    /// Its name.
    #[arg(long)]
    pub(crate) name: String,
    /// Digits after the point of its smallest unit, on the chain where they are most.
    #[arg(long)]
    pub(crate) decimals: u32,
    /// Another spelling of the code that is understood.
    #[arg(long, value_name = "CODE")]
    pub(crate) alias: Option<String>,
    /// Its issuer.
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// The money of which it promises to be worth one.
    #[arg(long, value_name = "FIAT")]
    pub(crate) peg: Option<String>,
    /// It may be priced at its peg where no source quotes it.
    #[arg(long)]
    pub(crate) par: bool,
    /// How old its quotes may be; one hour unless given.
    #[arg(long, value_name = "N")]
    pub(crate) quote_hours: Option<u32>,
    /// Its id at a source of prices, coingecko or coinbase; once for each.
    #[arg(long = "price", value_name = "SOURCE=ID")]
    pub(crate) prices: Vec<String>,
    /// A custody provider's id of it with the chain, and the digits of a base unit where they differ; once
    /// for each.
    #[arg(long = "custody", value_name = "PROVIDER:ID=CHAIN[/DIGITS]")]
    pub(crate) custody: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Creates a key and shows it, this once.
    Create {
        /// Whose key it is, for logs and lists.
        #[arg(long)]
        subject: String,
        /// A customer whose accounts it sees; once for each, at most 100.
        #[arg(long = "customer", value_name = "UUID")]
        customers: Vec<String>,
        /// An organization all of whose merchants it sees (org_…).
        #[arg(long = "organization", value_name = "ID")]
        organizations: Vec<String>,
        /// A merchant that it sees (mrc_…).
        #[arg(long = "merchant", value_name = "ID")]
        merchants: Vec<String>,
        /// `PermReadAll`, `PermReadBook` or `PermCustodySync`.
        #[arg(long = "permission", value_name = "NAME")]
        permissions: Vec<String>,
        /// The first instant at which it is no longer good (RFC 3339).
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Every key by the start of its SHA-256: the keys themselves are not stored.
    List,
    /// Revokes a key; in force everywhere within a minute.
    Revoke {
        /// The key's SHA-256 as `keys list` shows it, or enough of its start.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RatesCommand {
    /// The rates in force, and those that are held back.
    Show {
        /// At another time: RFC 3339, a date (its end here), or `yesterday`.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
    },
    /// Has a new sheet written now.
    Sync,
    /// Believes a rate that jumped so far that one source alone is not believed.
    ///
    /// `ballast rates show` lists such rates. The next sheet has the rate, if its source still says so.
    Accept {
        /// The currency or token.
        code: String,
    },
    /// Records rates of the past, and corrections, from a file.
    ///
    /// The file is a CSV with the columns `observed_at`, currency and usd, and if you like source and method
    /// (market or reference); or the ECB's own history file eurofxref-hist.csv, plain or zipped. What is
    /// there already is not written again, nothing is overwritten, and files may come in any order.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Fetches the history file of a source and records the rates of its days.
    Backfill {
        /// The source.
        #[arg(long, value_enum)]
        source: HistorySource,
        /// The first day, such as 2004-01-01. There are no rates of weekends and holidays: for a question
        /// about such a day, begin some days before.
        #[arg(long, value_name = "DATE")]
        from: String,
        /// The last day; without it, today.
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
    },
}

/// Sources that publish their rates of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistorySource {
    /// The European Central Bank: a rate a day since 1999.
    Ecb,
}

#[derive(Debug, Args)]
pub(crate) struct BalanceArguments {
    /// The customer's id; once for each, at most 100, whose balances are added up.
    #[arg(long = "customer", value_name = "UUID", required = true)]
    pub(crate) customers: Vec<String>,
    /// The currency everything is converted into.
    #[arg(long)]
    pub(crate) currency: String,
    /// At another time: RFC 3339, a date (its end here), or `yesterday`.
    #[arg(long, value_name = "TIME", conflicts_with = "history")]
    pub(crate) as_of: Option<String>,
    /// Only what was recorded by that time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) known_at: Option<String>,
    /// Leaves holdings without a usable rate out of the totals, and names them.
    #[arg(long)]
    pub(crate) partial: bool,
    /// Shows how the balance developed, as a line and a table.
    #[arg(long)]
    pub(crate) history: bool,
    #[command(flatten)]
    pub(crate) series: SeriesArguments,
}

/// The range of a series.
#[derive(Debug, Args)]
pub(crate) struct SeriesArguments {
    /// Where the series begins, such as 2026-01-01; 30 days before its end unless given.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Where it ends; now unless given.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// A point at the end of each.
    #[arg(long, value_enum, default_value_t = IntervalArgument::Day)]
    pub(crate) interval: IntervalArgument,
    /// The zone of days, such as Europe/Berlin; this machine's unless given.
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntervalArgument {
    Hour,
    Day,
    Week,
    Month,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PositionsCommand {
    /// One position: the newest, or that of another time.
    Show {
        /// The currency everything is converted into.
        #[arg(long)]
        currency: String,
        /// The newest position at or before a time: RFC 3339, a date (its end here), or `yesterday`.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
        /// The newest knowledge at or before that time (RFC 3339).
        #[arg(long, value_name = "TIME")]
        known_at: Option<String>,
        /// Rows by this.
        #[arg(
            long,
            default_value = "currency",
            value_name = "currency|issuer|peg|network|provider|status|house"
        )]
        stack: String,
    },
    /// The closes, as a line and a table.
    History {
        /// The currency everything is converted into.
        #[arg(long)]
        currency: String,
        #[command(flatten)]
        series: SeriesArguments,
    },
    /// Makes a position, or makes it again with later knowledge.
    Close {
        /// As of when (RFC 3339). The last millisecond of a day is a close, which is kept for ever.
        #[arg(long, value_name = "TIME")]
        as_of: String,
        /// Known at when (RFC 3339); a minute ago unless given.
        #[arg(long, value_name = "TIME")]
        known_at: Option<String>,
    },
}
