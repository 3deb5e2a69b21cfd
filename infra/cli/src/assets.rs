//! `ballast assets`: which assets are known, and a deployment's own rows of the catalogue.

use crate::Ending;
use crate::arguments::{AssetArguments, AssetsCommand};
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use crate::table::{Cell, Table};
use serde::Serialize;
use shared::asset_row::{AssetRowJson, CatalogueRow, Replacing};
use shared::domain::{Asset, Catalogue};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// One row of the list.
#[derive(Serialize)]
struct Listed {
    code: String,
    name: String,
    issuer: Option<String>,
    decimals: Option<u32>,
    peg: Option<String>,
    /// `built-in`, `own` or `ignored`.
    origin: &'static str,
}

/// The outcome of an addition.
#[derive(Serialize)]
struct Added {
    rows: usize,
    /// New or changed ones; the others were there already.
    changed: usize,
}

pub(crate) async fn run(
    command: AssetsCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        AssetsCommand::Add(arguments) => {
            let row = CatalogueRow::Asset(Box::new(row(*arguments)?));
            add(&[row], Replacing::Nothing, connection, output).await?;
        }
        AssetsCommand::Ignore { provider_asset } => {
            let row = CatalogueRow::ignored(&provider_asset)
                .map_err(|error| CliError::argument("PROVIDER:ID", error.problem))?;
            add(&[row], Replacing::Nothing, connection, output).await?;
        }
        AssetsCommand::Import { file } => {
            add(&read(&file)?, Replacing::Rows, connection, output).await?;
        }
        AssetsCommand::List => list(connection, output).await?,
        AssetsCommand::Show { code } => {
            let asset = connection.store.catalogue().await?.asset(&code);
            let asset = asset.map_err(|error| CliError::argument("CODE", error))?;
            let document =
                serde_json::to_string_pretty(&AssetRowJson::from(asset)).map_err(std::io::Error::from)?;
            output.document(&AssetRowJson::from(asset), |_| document)?;
        }
    }
    Ok(Ending::Done)
}

async fn add(
    rows: &[CatalogueRow],
    replacing: Replacing,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<(), CliError> {
    let changed = connection.store.add_assets(rows, replacing).await?;
    let names: Vec<String> = rows.iter().map(CatalogueRow::name).collect();
    output.document(&Added { rows: rows.len(), changed }, |added| match added.changed {
        0 => format!("{}: there already, nothing was changed", names.join(", ")),
        _ => format!(
            "{}: in force everywhere within a minute; custody accounts show it from their next sync on",
            names.join(", ")
        ),
    })
}

/// One row, or a list of them.
fn read(file: &Path) -> Result<Vec<CatalogueRow>, CliError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| CliError::File { path: file.to_owned(), source })?;
    let rows = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text)
    } else {
        serde_json::from_str(&text).map(|row| vec![row])
    };
    rows.map_err(|error| CliError::Format { path: file.to_owned(), problem: error.to_string() })
}

fn row(arguments: AssetArguments) -> Result<AssetRowJson, CliError> {
    let AssetArguments { code, name, decimals, alias, issuer, peg, par, quote_hours, prices, custody } =
        arguments;
    let mut price_ids = BTreeMap::new();
    for price in &prices {
        let form = || CliError::argument("--price", format!("{price:?} must be SOURCE=ID"));
        let (source, id) = price.split_once('=').ok_or_else(form)?;
        price_ids.insert(source.to_owned(), id.to_owned());
    }
    let mut custody_ids = BTreeMap::<String, BTreeMap<String, String>>::new();
    for own in &custody {
        let form = || CliError::argument("--custody", format!("{own:?} must be PROVIDER:ID=CHAIN[/DIGITS]"));
        let (provider, rest) = own.split_once(':').ok_or_else(form)?;
        let (id, chain) = rest.rsplit_once('=').ok_or_else(form)?;
        custody_ids.entry(provider.to_owned()).or_default().insert(id.to_owned(), chain.to_owned());
    }
    Ok(AssetRowJson {
        code,
        alias,
        name,
        issuer,
        decimals,
        peg,
        par,
        quote_hours,
        prices: price_ids,
        exchange_first: false,
        custody: custody_ids,
    })
}

async fn list(connection: &Connection, output: &mut Output<'_, impl Write>) -> Result<(), CliError> {
    let own = connection.store.own_assets().await?;
    let catalogue = connection.store.catalogue().await?;
    let is_own = |asset: Asset| own.iter().any(|row| row.name() == asset.code());
    let mut listed: Vec<Listed> = Catalogue::fiat()
        .chain(catalogue.crypto())
        .map(|asset| Listed {
            code: asset.code().to_owned(),
            name: asset.name().to_owned(),
            issuer: asset.issuer().map(str::to_owned),
            decimals: Some(asset.decimals()),
            peg: asset.peg().map(|peg| peg.code().to_owned()),
            origin: if is_own(asset) { "own" } else { "built-in" },
        })
        .collect();
    let ignored = own.iter().filter(|row| matches!(row, CatalogueRow::Ignored { .. }));
    listed.extend(ignored.map(|row| Listed {
        code: row.name(),
        name: String::new(),
        issuer: None,
        decimals: None,
        peg: None,
        origin: "ignored",
    }));
    listed.sort_by(|one, other| one.code.cmp(&other.code));
    let rows_of = |listed: &Vec<Listed>| {
        let rows = listed.iter().map(|Listed { code, name, issuer, decimals, peg, origin }| {
            let optional = |text: &Option<String>| text.clone().unwrap_or_default();
            let decimals = decimals.as_ref().map_or_else(|| Cell::from(""), Cell::number);
            [
                code.into(),
                name.into(),
                optional(issuer).into(),
                decimals,
                optional(peg).into(),
                (*origin).into(),
            ]
        });
        Table::new(["code", "name", "issuer", "decimals", "peg", "row"], rows)
    };
    output.table(&listed, rows_of, |_, table| table.to_owned())
}
