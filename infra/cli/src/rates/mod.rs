//! `ballast rates`: the sheet in force, and a new one.

use crate::Ending;
use crate::arguments::RatesCommand;
use crate::connection::Connection;
use crate::error::CliError;
use crate::moment::moment;
use crate::output::{self, Output, table};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::{AgeLimits, Rate};
use std::io::Write;

#[derive(Serialize)]
struct Sheet {
    observed_at: String,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    currency: String,
    usd: String,
    source: String,
    method: &'static str,
    observed_at: String,
    /// Whether it may price something at the time that was asked about.
    usable: bool,
}

pub(crate) async fn run(
    command: RatesCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        RatesCommand::Show { as_of } => show(as_of, connection, output).await,
        RatesCommand::Sync => {
            let report = connection.invoke("rates-sync", &Value::Object(Map::new())).await?;
            output.document(&report, output::report)?;
            let sources = report.get("sources").and_then(Value::as_array).into_iter().flatten();
            let is_heard = |source: &Value| source.get("error").is_none_or(Value::is_null);
            Ok(if sources.into_iter().all(is_heard) { Ending::Done } else { Ending::InPart })
        }
    }
}

async fn show(
    as_of: Option<String>,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let moment = moment(as_of.as_deref(), None, connection.now())?;
    let at = moment.as_of;
    let sheet = connection.store.sheet_at(moment, AgeLimits::NONE).await?;
    let sheet = sheet
        .ok_or_else(|| CliError::NotFound(format!("there is no rate sheet at {}", at.to_millis_text())))?;
    let catalogue = connection.store.catalogue().await?;
    let is_usable = |code: &str| {
        catalogue.asset(code).is_ok_and(|asset| sheet.usable(asset, at, connection.age_limits).is_some())
    };
    let entry = |(code, rate): (&String, &Rate)| Entry {
        currency: code.clone(),
        usd: rate.usd.to_string(),
        source: rate.source.clone(),
        method: rate.method.name(),
        observed_at: rate.observed_at.to_millis_text(),
        usable: is_usable(code),
    };
    let shown = Sheet {
        observed_at: sheet.observed_at.to_millis_text(),
        entries: sheet.entries.iter().map(entry).collect(),
    };
    output.document(&shown, |sheet| {
        let rows =
            sheet.entries.iter().map(|Entry { currency, usd, source, method, observed_at, usable }| {
                let usable = if *usable { "" } else { "too old, or not permitted" };
                [
                    currency.clone(),
                    usd.clone(),
                    source.clone(),
                    (*method).to_owned(),
                    observed_at.clone(),
                    usable.to_owned(),
                ]
            });
        let rows = table(["currency", "usd", "source", "method", "observed at", ""], rows);
        format!("rate sheet of {}\n{rows}", sheet.observed_at)
    })?;
    Ok(Ending::Done)
}
