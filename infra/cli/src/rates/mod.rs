//! `ballast rates`: the rates in force, new ones, and those of the past.

mod backfill;
mod import;
mod past_rates;
mod show;

use crate::Ending;
use crate::arguments::RatesCommand;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{self, Output, fields};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::Suspect;
use std::io::Write;

#[derive(Serialize)]
struct Accepted {
    currency: &'static str,
    usd: String,
    source: &'static str,
    last_usd: String,
}

pub(crate) async fn run(
    command: RatesCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        RatesCommand::Show { as_of } => show::run(as_of.as_deref(), connection, output).await,
        RatesCommand::Sync => sync(connection, output).await,
        RatesCommand::Accept { code } => accept(&code, connection, output).await,
        RatesCommand::Import { file } => import::run(&file, connection, output).await,
        RatesCommand::Backfill { source: _, from, to } => {
            backfill::run(&from, to.as_deref(), connection, output).await
        }
    }
}

async fn sync(connection: &Connection, output: &mut Output<'_, impl Write>) -> Result<Ending, CliError> {
    let report = connection.invoke("rates-sync", &Value::Object(Map::new())).await?;
    output.document(&report, output::report)?;
    let sources = report.get("sources").and_then(Value::as_array).into_iter().flatten();
    let is_heard = |source: &Value| source.get("error").is_none_or(Value::is_null);
    Ok(if sources.into_iter().all(is_heard) { Ending::Done } else { Ending::InPart })
}

async fn accept(
    code: &str,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    let asset = connection.store.catalogue().await?.asset(code);
    let asset = asset.map_err(|error| CliError::argument("CODE", error))?;
    let accepted = connection.store.accept_suspect(asset).await?;
    let Suspect { source, quote, last, .. } =
        accepted.ok_or_else(|| CliError::NotFound(format!("no rate of {} is held", asset.code())))?;
    let accepted = Accepted {
        currency: asset.code(),
        usd: quote.usd.to_string(),
        source: source.name(),
        last_usd: last.to_string(),
    };
    output.document(&accepted, |Accepted { currency, usd, source, last_usd }| {
        let rows = [
            ("currency", Some((*currency).to_owned())),
            ("accepted usd", Some(usd.clone())),
            ("source", Some((*source).to_owned())),
            ("last usd", Some(last_usd.clone())),
            ("in force", Some("from the next sheet on, if the source still says so".to_owned())),
        ];
        fields(&rows)
    })?;
    Ok(Ending::Done)
}
