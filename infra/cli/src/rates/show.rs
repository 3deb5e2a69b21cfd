//! `ballast rates show`: every rate as of one time, and the quotes that are held back.

use crate::Ending;
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::{local_zone, moment};
use crate::output::Output;
use crate::table::{Cell, Table};
use serde::Serialize;
use shared::domain::{AgeLimits, Asset, HeldReason, RatesInForce, Suspect, Timestamp};
use std::io::Write;

#[derive(Serialize)]
struct Shown {
    /// The time that was asked about, or now.
    at: String,
    /// When the newest sheet of that time was made.
    observed_at: String,
    entries: Vec<Entry>,
    /// Quotes that jumped and are not believed. They are those of now, so a question about the past has none.
    held: Vec<Held>,
}

#[derive(Serialize)]
struct Entry {
    currency: &'static str,
    usd: String,
    source: String,
    method: &'static str,
    observed_at: String,
    /// Whether it may price something at the time that was asked about.
    usable: bool,
}

#[derive(Serialize)]
struct Held {
    currency: &'static str,
    usd: String,
    last_usd: String,
    source: &'static str,
    since: String,
    reason: &'static str,
}

pub(super) async fn run(
    as_of: Option<&str>,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let store = &connection.store;
    let asked = moment(as_of, None, &local_zone(), connection.now())?;
    let at = asked.moment.as_of;
    let rates = store.rates_at(asked.moment, AgeLimits::NONE).await?;
    let newest = rates
        .newest()
        .ok_or_else(|| CliError::NotFound(format!("there is no rate sheet at {}", asked.at())))?;
    let catalogue = store.catalogue().await?;
    let assets = rates.codes().into_iter().filter_map(|code| catalogue.asset(code).ok());
    let entries = assets.filter_map(|asset| entry(asset, &rates, at, connection.age_limits)).collect();
    let book = if as_of.is_none() { store.quote_book().await?.book } else { None };
    let held = book.unwrap_or_default().suspects.into_iter();
    let held = held.map(|(asset, suspect)| held_quote(asset, suspect, &rates)).collect();
    let shown =
        Shown { at: at.to_millis_text(), observed_at: newest.observed_at.to_millis_text(), entries, held };
    let now = output.now();
    let asked_at = as_of.map(|_| asked.at());
    output.table(&shown, rates_table, |shown, table| printed(shown, table, asked_at.as_deref(), now))?;
    Ok(Ending::Done)
}

/// The rate in force, or the newest entry that is too old.
fn entry(asset: Asset, rates: &RatesInForce, at: Timestamp, limits: AgeLimits) -> Option<Entry> {
    let in_force = rates.usable(asset, at, limits);
    let usable = in_force.is_some();
    let rate = in_force.map_or_else(|| rates.entry(asset).cloned(), |rate| Some(rate.into_owned()))?;
    Some(Entry {
        currency: asset.code(),
        usd: rate.usd.to_string(),
        source: rate.source,
        method: rate.method.name(),
        observed_at: rate.observed_at.to_millis_text(),
        usable,
    })
}

fn held_quote(asset: Asset, suspect: Suspect, rates: &RatesInForce) -> Held {
    // The sheet that was made without the quote has a rate of the asset: another source's.
    let is_outvoted = rates.complete().is_some_and(|sheet| sheet.entries.contains_key(asset.code()));
    let reason = if is_outvoted { HeldReason::Outvoted } else { suspect.reason() };
    Held {
        currency: asset.code(),
        usd: suspect.quote.usd.to_string(),
        last_usd: suspect.last.to_string(),
        source: suspect.source.name(),
        since: suspect.seen_at.to_millis_text(),
        reason: reason.text(),
    }
}

fn rates_table(shown: &Shown) -> Table {
    let rows = shown.entries.iter().map(|Entry { currency, usd, source, method, observed_at, usable }| {
        let observed_at = Cell::age_or(Timestamp::parse(observed_at).ok(), "");
        let note = if *usable { "" } else { "too old" };
        [
            (*currency).into(),
            Cell::Rate(usd.clone()),
            source.into(),
            (*method).into(),
            observed_at,
            note.into(),
        ]
    });
    Table::new(["currency", "usd", "source", "method", "observed", "remark"], rows)
}

fn printed(shown: &Shown, rates: &str, asked_at: Option<&str>, now: Timestamp) -> String {
    let sheet = format!("rates of {}", shown.observed_at);
    // A day stands for an instant of this machine's zone, so the instant is printed beside the day.
    let heading = asked_at.map_or_else(|| sheet.clone(), |at| format!("{sheet}, at {at}"));
    let text = format!("{heading}\n{rates}");
    if shown.held.is_empty() {
        return text;
    }
    let rows = shown.held.iter().map(|Held { currency, usd, last_usd, source, since, reason }| {
        let since = Cell::age_or(Timestamp::parse(since).ok(), "");
        let rate = |usd: &String| Cell::Rate(usd.clone());
        [(*currency).into(), rate(usd), rate(last_usd), (*source).into(), since, (*reason).into()]
    });
    let held = Table::new(["held", "usd", "last usd", "source", "since", "why"], rows).shown(now);
    format!("{text}\n\n{held}")
}
