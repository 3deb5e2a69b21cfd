//! `ballast balance`: the unified balance by the same arithmetic as the API, read with the operator's own
//! rights.

use crate::Ending;
use crate::arguments::BalanceArguments;
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::moment;
use crate::output::{Output, table};
use serde::Serialize;
use shared::balance::{BalanceQuestion, CountedAccounts, counted};
use shared::domain::gap::StaleHolder;
use shared::domain::total::{Receipt, Stack};
use shared::domain::{Asset, CustomerId, Gap, Measure, Pricing, Summary, Timestamp};
use shared::query::Filter;
use std::collections::BTreeSet;
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    customer_id: String,
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
    let BalanceArguments { customer, currency, as_of, known_at, partial } = arguments;
    let customer_id =
        CustomerId::parse(&customer).map_err(|error| CliError::argument("--customer", error))?;
    let catalogue = connection.store.catalogue().await?;
    let target = catalogue.asset(&currency).map_err(|error| CliError::argument("--currency", error))?;
    let moment = moment(as_of.as_deref(), known_at.as_deref(), connection.now())?;
    let filter = Filter::default();
    let customers = BTreeSet::from([customer_id]);
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
    if !gaps.is_empty() && !partial {
        return Err(CliError::Incomplete(gaps.join("; ")));
    }
    let at = moment.as_of.to_millis_text();
    let oldest_balance_at = oldest_balance_at.map(Timestamp::to_millis_text);
    let balance = shown(customer_id, at, target, summary, gaps, oldest_balance_at);
    output.document(&balance, printed)?;
    Ok(Ending::Done)
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
    customer_id: CustomerId,
    at: String,
    target: Asset,
    summary: Summary,
    gaps: Vec<String>,
    oldest_balance_at: Option<String>,
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
        customer_id: customer_id.to_string(),
        at,
        currency: target.code(),
        total_balance: target.print(total),
        fiat_balance: target.print(fiat),
        crypto_balance: target.print(crypto),
        accounts: stacks.iter().map(|stack| stack.accounts).sum(),
        complete: gaps.is_empty(),
        oldest_balance_at,
        gaps,
        stacks: stacks.into_iter().map(stack).collect(),
        rates: receipts.into_iter().map(rate).collect(),
    }
}

fn printed(shown: &Shown) -> String {
    let Shown {
        customer_id,
        at,
        currency,
        total_balance,
        fiat_balance,
        crypto_balance,
        accounts,
        complete,
        oldest_balance_at,
        gaps,
        stacks,
        rates,
    } = shown;
    let stacks = stacks.iter().map(|StackRow { currency, accounts, balance, balance_in_base }| {
        let in_base = balance_in_base.clone().unwrap_or_else(|| "no usable rate".to_owned());
        [(*currency).to_owned(), accounts.to_string(), balance.clone(), in_base]
    });
    let in_target = format!("in {currency}");
    let stacks = table(["currency", "accounts", "balance", &in_target], stacks);
    let rates = rates.iter().map(|RateRow { currency, usd, source, method, observed_at, peg_deviation }| {
        let deviation = peg_deviation.clone().unwrap_or_default();
        [
            (*currency).to_owned(),
            usd.clone(),
            source.clone(),
            (*method).to_owned(),
            observed_at.clone(),
            deviation,
        ]
    });
    let rates = table(["currency", "usd", "source", "method", "observed at", "off its peg"], rates);
    let remark = if *complete { "" } else { " (not complete)" };
    let gaps: Vec<String> = gaps.iter().map(|gap| format!("missing: {gap}\n")).collect();
    let gaps = gaps.concat();
    let oldest = oldest_balance_at.as_ref().map_or_else(String::new, |at| format!(", the oldest of {at}"));
    format!(
        "customer {customer_id} at {at}\n{stacks}\nfiat {fiat_balance}, crypto {crypto_balance}\n\
         total {total_balance} {currency}{remark} of {accounts} accounts{oldest}\n{gaps}\n{rates}"
    )
}
