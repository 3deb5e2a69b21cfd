//! `ballast balance`: the unified balance by the same arithmetic as the API, read with the operator's own
//! rights.

use crate::Ending;
use crate::arguments::BalanceArguments;
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::moment;
use crate::output::{Output, table};
use serde::Serialize;
use shared::domain::total::{Receipt, Stack};
use shared::domain::{Asset, CustomerId, Moment, NativeSums, Pricing, Summary};
use shared::store::{ItemDetail, Store};
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    customer_id: String,
    at: String,
    currency: &'static str,
    total_balance: String,
    fiat_balance: String,
    crypto_balance: String,
    complete: bool,
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
    let sums = sums(&connection.store, customer_id, moment).await?;
    let sheet = connection.store.sheet_at(moment, connection.age_limits).await?;
    let pricing = Pricing { target, sheet: sheet.as_ref(), at: moment.as_of, limits: connection.age_limits };
    let summary = sums.summary(pricing, false)?;
    if !summary.unpriced.is_empty() && !partial {
        let currencies: Vec<_> = summary.unpriced.iter().map(|(asset, _)| asset.code()).collect();
        return Err(CliError::Unpriced(currencies.join(", ")));
    }
    let balance = shown(customer_id, moment.as_of.to_millis_text(), target, summary);
    output.document(&balance, printed)?;
    Ok(Ending::Done)
}

/// The sums of the customer's accounts as they stood at the moment.
async fn sums(store: &Store, customer_id: CustomerId, moment: Moment) -> Result<NativeSums, CliError> {
    let mut sums = NativeSums::default();
    let mut pages = store.customer_pages(customer_id, ItemDetail::Totals);
    while let Some(page) = pages.next().await? {
        for account in store.accounts_at(page, moment).await? {
            sums.add(&account)?;
        }
    }
    Ok(sums)
}

fn shown(customer_id: CustomerId, at: String, target: Asset, summary: Summary) -> Shown {
    let Summary { total, fiat, crypto, stacks, unpriced, receipts } = summary;
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
        complete: unpriced.is_empty(),
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
        complete,
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
    let remark = if *complete { "" } else { " (without what has no usable rate)" };
    format!(
        "customer {customer_id} at {at}\n{stacks}\nfiat {fiat_balance}, crypto {crypto_balance}\ntotal {total_balance} {currency}{remark}\n\n{rates}"
    )
}
