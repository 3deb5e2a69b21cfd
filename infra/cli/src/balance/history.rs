//! `ballast balance --history`: the balance as a line and a table.

use super::{asked, gap_line};
use crate::Ending;
use crate::arguments::BalanceArguments;
use crate::chart::{ChartPoint, chart_above};
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::known;
use crate::output::Output;
use crate::series::Series;
use crate::table::{Cell, Table};
use serde::Serialize;
use shared::balance::{SeriesPoint, SeriesQuestion, counted_over};
use shared::domain::{Asset, Measure, Moment, Moments, Pricing, RatesInForce, Timestamp};
use shared::query::Filter;
use std::collections::BTreeSet;
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    customers: Vec<String>,
    currency: &'static str,
    interval: &'static str,
    timezone: String,
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    at: String,
    total_balance: String,
    fiat_balance: String,
    crypto_balance: String,
    accounts: usize,
    complete: bool,
    /// The gaps in the totals, a line each.
    gaps: Vec<String>,
}

pub(super) async fn run(
    arguments: &BalanceArguments,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let (customers, target) = asked(&arguments.customers, &arguments.currency, connection).await?;
    let Series { interval, zone, from: _, points } = Series::of(&arguments.series, connection.now())?;
    let known_at = arguments.known_at.as_ref();
    let known_at = known_at.map(|text| known(text, connection.now())).transpose()?;
    let moments = Moments::new(points, known_at);
    let question = SeriesQuestion {
        customers: &customers,
        filter: &Filter::default(),
        moments: &moments,
        measure: Measure::default(),
    };
    let counted = counted_over(&connection.store, question).await?;
    let assets: BTreeSet<Asset> =
        counted.iter().flat_map(|point| point.sums.held()).chain([target]).collect();
    let rates = connection.store.rates_over(&moments, connection.age_limits, &assets).await?;
    let points = moments.iter().zip(counted).zip(&rates);
    let points: Vec<Point> = points
        .map(|((moment, counted), rates)| point(connection, target, moment, counted, rates))
        .collect::<Result<_, _>>()?;
    if let Some(incomplete) = points.iter().find(|point| !point.complete && !arguments.partial) {
        return Err(CliError::Incomplete(format!("{}: {}", incomplete.at, incomplete.gaps.join("; "))));
    }
    let shown = Shown {
        customers: customers.iter().map(ToString::to_string).collect(),
        currency: target.code(),
        interval: interval.name(),
        timezone: zone.name().to_owned(),
        points,
    };
    output.table(&shown, points_table, printed)?;
    Ok(Ending::Done)
}

fn point(
    connection: &Connection,
    target: Asset,
    moment: Moment,
    counted: SeriesPoint,
    rates: &RatesInForce,
) -> Result<Point, CliError> {
    let pricing = Pricing { target, rates, at: moment.as_of, limits: connection.age_limits };
    let SeriesPoint { sums, mut gaps } = counted;
    let summary = sums.summary(pricing, false)?;
    gaps.extend(summary.gaps());
    Ok(Point {
        at: moment.as_of.to_millis_text(),
        total_balance: target.print(summary.total),
        fiat_balance: target.print(summary.fiat),
        crypto_balance: target.print(summary.crypto),
        accounts: summary.accounts(),
        complete: gaps.is_empty(),
        gaps: gaps.iter().map(gap_line).collect(),
    })
}

fn points_table(shown: &Shown) -> Table {
    let rows = shown.points.iter().map(|point| {
        let remark = if point.complete { "" } else { "not complete" };
        [
            Cell::from(&point.at),
            Cell::number(&point.total_balance),
            Cell::number(&point.fiat_balance),
            Cell::number(&point.crypto_balance),
            Cell::number(&point.accounts),
            remark.into(),
        ]
    });
    let total = format!("total {}", shown.currency);
    Table::new(["at", &total, "fiat", "crypto", "accounts", "remark"], rows)
}

fn printed(shown: &Shown, table: &str) -> String {
    let points: Vec<ChartPoint> = shown
        .points
        .iter()
        .filter_map(|point| {
            Some(ChartPoint { at: Timestamp::parse(&point.at).ok()?, total: point.total_balance.clone() })
        })
        .collect();
    chart_above(table, shown.currency, &points)
}
