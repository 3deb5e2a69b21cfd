//! `ballast positions`: the whole book, as `book-positions` has made it.

use crate::Ending;
use crate::arguments::{PositionsCommand, SeriesArguments};
use crate::chart::{ChartPoint, chart_above};
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::{local_zone, moment};
use crate::output::{self, Output};
use crate::series::Series;
use crate::table::{Cell, Table, grouped};
use serde::Serialize;
use serde_json::Value;
use shared::domain::book_totals::BookGroup;
use shared::domain::{
    Asset, BookDimension, BookFilter, BookQuestion, BookTotals, Measure, Pricing, Timestamp,
};
use shared::store::StoredPosition;
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    position_at: String,
    known_at: String,
    currency: &'static str,
    accounts: u64,
    total_balance: String,
    fiat_balance: String,
    crypto_balance: String,
    overdrawn: String,
    complete: bool,
    /// How many custody gaps there are.
    custody_gaps: u64,
    /// Currencies without a usable rate.
    unpriced: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    /// The value that the row's accounts share; absent for accounts that have none.
    value: Option<String>,
    accounts: u64,
    balance_in_base: String,
}

/// The event that `book-positions` is invoked with.
#[derive(Serialize)]
struct Event {
    as_of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_at: Option<String>,
}

pub(crate) async fn run(
    command: PositionsCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        PositionsCommand::Show { currency, as_of, known_at, stack } => {
            let target = asset(&currency, connection).await?;
            let stack = BookDimension::parse(&stack).ok_or_else(|| {
                let names = BookDimension::ALL.map(BookDimension::name).join(", ");
                CliError::argument("--stack", format!("{stack:?} is none of {names}"))
            })?;
            let asked = moment(as_of.as_deref(), known_at.as_deref(), &local_zone(), connection.now())?;
            let found = connection.store.newest_position(asked.moment.as_of, asked.moment.known_at).await?;
            let none =
                || CliError::NotFound(format!("no position has been made of {} or before", asked.at()));
            let shown = shown(connection, target, Some(stack), found.ok_or_else(none)?).await?;
            output.table(&shown, |shown| rows_table(shown, stack), printed)?;
            Ok(Ending::Done)
        }
        PositionsCommand::History { currency, series } => {
            history(&currency, &series, connection, output).await
        }
        PositionsCommand::Close { as_of, known_at } => {
            let report = connection.invoke("book-positions", &Event { as_of, known_at }).await?;
            output.document(&report, output::report)?;
            let is_under_way = report.get("parts_left").and_then(Value::as_u64).is_some();
            Ok(if is_under_way { Ending::InPart } else { Ending::Done })
        }
    }
}

async fn asset(currency: &str, connection: &Connection) -> Result<Asset, CliError> {
    let catalogue = connection.store.catalogue().await?;
    catalogue.asset(currency).map_err(|error| CliError::argument("--currency", error))
}

/// The newest close of each interval.
async fn history(
    currency: &str,
    arguments: &SeriesArguments,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let target = asset(currency, connection).await?;
    let Series { from, points, .. } = Series::of(arguments, connection.now())?;
    let (mut closes, mut after) = (Vec::new(), from);
    for until in points {
        let close = connection.store.newest_close(until).await?;
        if let Some(close) = close.filter(|close| close.key.position_at > after) {
            closes.push(shown(connection, target, None, close).await?);
        }
        after = until;
    }
    let drawn = |closes: &Vec<Shown>, table: &str| {
        let point = |close: &Shown| {
            let at = Timestamp::parse(&close.position_at).ok()?;
            Some(ChartPoint { at, total: close.total_balance.clone() })
        };
        let points: Vec<ChartPoint> = closes.iter().filter_map(point).collect();
        chart_above(table, target.code(), &points)
    };
    output.table(&closes, |closes| closes_table(closes), drawn)?;
    Ok(Ending::Done)
}

async fn shown(
    connection: &Connection,
    target: Asset,
    stack: Option<BookDimension>,
    position: StoredPosition,
) -> Result<Shown, CliError> {
    let StoredPosition { key, summary, gaps } = position;
    let cells = if stack.is_some_and(BookDimension::needs_cube) {
        connection.store.cube(key).await?
    } else {
        summary
    };
    let rates = connection.store.rates_at(key.moment(), connection.age_limits).await?;
    let pricing = Pricing { target, rates: &rates, at: key.position_at, limits: connection.age_limits };
    let question =
        BookQuestion { filter: &BookFilter::default(), group_by: stack, measure: Measure::default() };
    let BookTotals { accounts, total, fiat, crypto, overdrawn, stacks, groups, unpriced, .. } =
        question.totals(&cells, pricing)?;
    let print = |amount| target.print_wide(amount);
    let rows = if stack == Some(BookDimension::Currency) {
        let row = |stack: &shared::domain::book_totals::BookStack| Row {
            value: Some(stack.asset.code().to_owned()),
            accounts: stack.accounts,
            balance_in_base: stack.in_base.map(print).unwrap_or_default(),
        };
        stacks.iter().map(row).collect()
    } else {
        let row = |group: BookGroup| Row {
            value: group.value,
            accounts: group.accounts,
            balance_in_base: print(group.in_base),
        };
        groups.into_iter().map(row).collect()
    };
    Ok(Shown {
        position_at: key.position_at.to_millis_text(),
        known_at: key.known_at.to_millis_text(),
        currency: target.code(),
        accounts,
        total_balance: print(total),
        fiat_balance: print(fiat),
        crypto_balance: print(crypto),
        overdrawn: print(overdrawn),
        complete: unpriced.is_empty() && gaps.count() == 0,
        custody_gaps: gaps.count(),
        unpriced: unpriced.iter().map(|(asset, _)| asset.code()).collect(),
        rows,
    })
}

fn rows_table(shown: &Shown, stack: BookDimension) -> Table {
    let rows = shown.rows.iter().map(|Row { value, accounts, balance_in_base }| {
        let value = value.clone().unwrap_or_else(|| "(none)".to_owned());
        [value.into(), Cell::number(accounts), Cell::number(balance_in_base)]
    });
    Table::new([stack.name(), "accounts", &format!("in {}", shown.currency)], rows)
}

fn printed(shown: &Shown, table: &str) -> String {
    let Shown { position_at, known_at, currency, accounts, unpriced, custody_gaps, .. } = shown;
    let [total, fiat, crypto, overdrawn] =
        [&shown.total_balance, &shown.fiat_balance, &shown.crypto_balance, &shown.overdrawn]
            .map(|amount| grouped(amount));
    let mut missing = String::new();
    if !unpriced.is_empty() {
        missing = format!("missing: no usable rate for {}\n", unpriced.join(", "));
    }
    if *custody_gaps > 0 {
        missing = format!("{missing}missing: {custody_gaps} custody accounts or holdings\n");
    }
    let remark = if shown.complete { "" } else { " (not complete)" };
    format!(
        "total {total} {currency}{remark} of {accounts} accounts\nfiat {fiat}, crypto {crypto}, overdrawn \
         {overdrawn}\nat {position_at}, known at {known_at}\n{missing}\n{table}"
    )
}

fn closes_table(closes: &[Shown]) -> Table {
    let rows = closes.iter().map(|close| {
        let remark = if close.complete { "" } else { "not complete" };
        [
            Cell::from(&close.position_at),
            Cell::number(&close.total_balance),
            Cell::number(&close.fiat_balance),
            Cell::number(&close.crypto_balance),
            Cell::number(&close.overdrawn),
            Cell::number(&close.accounts),
            remark.into(),
        ]
    });
    Table::new(["close", "total", "fiat", "crypto", "overdrawn", "accounts", "remark"], rows)
}
