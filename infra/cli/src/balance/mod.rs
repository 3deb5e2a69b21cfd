//! `ballast balance`: the unified balance by the same arithmetic as the API, read with the operator's own
//! rights.

mod history;

use crate::Ending;
use crate::arguments::BalanceArguments;
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::{Asked, local_zone, moment};
use crate::output::Output;
use crate::table::{Cell, Table, grouped};
use serde::Serialize;
use shared::balance::{BalanceQuestion, CountedAccounts, counted};
use shared::domain::gap::StaleHolder;
use shared::domain::total::{Receipt, Stack};
use shared::domain::{Asset, CustomerId, Gap, Measure, Pricing, Summary, Timestamp};
use shared::query::Filter;
use std::collections::BTreeSet;
use std::io::Write;

/// Most customers of one question.
const MAX_CUSTOMERS: usize = 100;

#[derive(Serialize)]
struct Shown {
    customers: Vec<String>,
    at: String,
    currency: &'static str,
    total_balance: String,
    fiat_balance: String,
    crypto_balance: String,
    accounts: usize,
    complete: bool,
    /// Of the accounts' last confirmations the oldest; null for a question about the past.
    oldest_balance_at: Option<String>,
    /// The gaps in the totals, a line each.
    gaps: Vec<String>,
    stacks: Vec<StackRow>,
    rates: Vec<RateRow>,
}

#[derive(Serialize)]
struct StackRow {
    currency: &'static str,
    accounts: usize,
    balance: String,
    /// Absent where no rate prices it.
    balance_in_base: Option<String>,
}

#[derive(Serialize)]
struct RateRow {
    currency: &'static str,
    usd: String,
    source: String,
    method: &'static str,
    observed_at: String,
    peg_deviation: Option<String>,
}

pub(crate) async fn run(
    arguments: BalanceArguments,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    if arguments.history {
        return history::run(&arguments, connection, output).await;
    }
    let BalanceArguments { customers, currency, as_of, known_at, partial, .. } = &arguments;
    let (customers, target) = asked(customers, currency, connection).await?;
    let asked = moment(as_of.as_deref(), known_at.as_deref(), &local_zone(), connection.now())?;
    let Asked { moment, .. } = asked;
    let filter = Filter::default();
    let question = BalanceQuestion {
        customers: &customers,
        filter: &filter,
        moment: (as_of.is_some() || known_at.is_some()).then_some(moment),
        now: connection.now(),
        measure: Measure::default(),
        confirmed_within: None,
        group_by: None,
        rows: None,
    };
    let CountedAccounts { sums, mut gaps, oldest_balance_at, .. } =
        counted(&connection.store, question).await?;
    let rates = connection.store.rates_at(moment, connection.age_limits).await?;
    let pricing = Pricing { target, rates: &rates, at: moment.as_of, limits: connection.age_limits };
    let summary = sums.summary(pricing, false)?.whole;
    gaps.extend(summary.gaps());
    let gaps: Vec<String> = gaps.iter().map(gap_line).collect();
    if !gaps.is_empty() && !*partial {
        return Err(CliError::Incomplete(gaps.join("; ")));
    }
    let at = moment.as_of.to_millis_text();
    let balance = shown(&customers, at, target, summary, gaps, oldest_balance_at);
    output.table(&balance, stacks_table, |balance, stacks| {
        printed(balance, stacks, &asked, connection.now())
    })?;
    Ok(Ending::Done)
}

/// The customers and the currency of a command line.
async fn asked(
    customers: &[String],
    currency: &str,
    connection: &Connection,
) -> Result<(BTreeSet<CustomerId>, Asset), CliError> {
    let malformed = |text: &str| CliError::argument("--customer", format!("{text:?} is not a UUID"));
    let customers: BTreeSet<CustomerId> = customers
        .iter()
        .map(|text| CustomerId::parse(text).map_err(|_| malformed(text)))
        .collect::<Result<_, _>>()?;
    if customers.len() > MAX_CUSTOMERS {
        return Err(CliError::argument("--customer", format!("more than {MAX_CUSTOMERS}")));
    }
    let catalogue = connection.store.catalogue().await?;
    let target = catalogue.asset(currency).map_err(|error| CliError::argument("--currency", error))?;
    Ok((customers, target))
}

/// A gap in one line, with what fills it.
fn gap_line(gap: &Gap) -> String {
    match gap {
        Gap::Unpriced { asset, balance } => {
            format!("no usable rate for {}: {}", asset.code(), asset.print(*balance))
        }
        Gap::Unsynced(id) => format!("custody account {id} has never been synced: ballast custody sync {id}"),
        Gap::UnknownAsset { custody_account_id, provider_asset, balance } => format!(
            "custody account {custody_account_id} holds {balance} of {provider_asset}, which the catalogue does \
             not name: ballast assets add"
        ),
        Gap::Stale { holder, confirmed_at } => {
            let holder = match holder {
                StaleHolder::Account(id) => format!("account {id}"),
                StaleHolder::Custody(id) => format!("custody account {id}"),
            };
            format!("{holder} was last confirmed at {}", confirmed_at.to_millis_text())
        }
    }
}

fn shown(
    customers: &BTreeSet<CustomerId>,
    at: String,
    target: Asset,
    summary: Summary,
    gaps: Vec<String>,
    oldest_balance_at: Option<Timestamp>,
) -> Shown {
    let Summary { total, fiat, crypto, stacks, unpriced: _, receipts } = summary;
    let stack = |Stack { asset, accounts, balance, balance_in_base }: Stack| StackRow {
        currency: asset.code(),
        accounts,
        balance: asset.print(balance),
        balance_in_base: balance_in_base.map(|amount| target.print(amount)),
    };
    let rate = |Receipt { asset, rate, in_target: _, peg_deviation }: Receipt| RateRow {
        currency: asset.code(),
        usd: rate.usd.to_string(),
        source: rate.source,
        method: rate.method.name(),
        observed_at: rate.observed_at.to_millis_text(),
        peg_deviation,
    };
    Shown {
        customers: customers.iter().map(ToString::to_string).collect(),
        at,
        currency: target.code(),
        total_balance: target.print(total),
        fiat_balance: target.print(fiat),
        crypto_balance: target.print(crypto),
        accounts: stacks.iter().map(|stack| stack.accounts).sum(),
        complete: gaps.is_empty(),
        oldest_balance_at: oldest_balance_at.map(Timestamp::to_millis_text),
        gaps,
        stacks: stacks.into_iter().map(stack).collect(),
        rates: receipts.into_iter().map(rate).collect(),
    }
}

fn stacks_table(shown: &Shown) -> Table {
    let rows = shown.stacks.iter().map(|StackRow { currency, accounts, balance, balance_in_base }| {
        let in_base = balance_in_base.as_ref().map_or_else(|| Cell::absent("no usable rate"), Cell::number);
        [(*currency).into(), Cell::number(accounts), Cell::number(balance), in_base]
    });
    let in_target = format!("in {}", shown.currency);
    Table::new(["currency", "accounts", "balance", &in_target], rows)
}

fn printed(shown: &Shown, stacks: &str, asked: &Asked, now: Timestamp) -> String {
    let Shown {
        customers, currency, total_balance, fiat_balance, crypto_balance, accounts, complete, ..
    } = shown;
    let rates =
        shown.rates.iter().map(|RateRow { currency, usd, source, method, observed_at, peg_deviation }| {
            [
                (*currency).into(),
                Cell::Rate(usd.clone()),
                source.into(),
                (*method).into(),
                Cell::age_or(Timestamp::parse(observed_at).ok(), ""),
                peg_deviation.clone().unwrap_or_default().into(),
            ]
        });
    let rates = Table::new(["currency", "usd", "source", "method", "observed", "off its peg"], rates);
    let whose = match customers.as_slice() {
        [customer] => format!("customer {customer}"),
        several => format!("{} customers", several.len()),
    };
    let remark = if *complete { "" } else { " (not complete)" };
    let gaps: Vec<String> = shown.gaps.iter().map(|gap| format!("missing: {gap}\n")).collect();
    let oldest = shown.oldest_balance_at.as_ref().and_then(|at| Timestamp::parse(at).ok());
    let oldest = oldest
        .map_or_else(String::new, |at| format!(", the oldest confirmed {}", crate::table::age(at, now)));
    let [total, fiat, crypto] = [total_balance, fiat_balance, crypto_balance].map(|amount| grouped(amount));
    format!(
        "total {total} {currency}{remark} of {accounts} accounts{oldest}\nfiat {fiat}, crypto {crypto}\n\
         {whose} at {}\n\n{stacks}\n{}\n{}",
        asked.at(),
        gaps.concat(),
        rates.shown(now)
    )
}
