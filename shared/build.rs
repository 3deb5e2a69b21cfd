//! Turns the built-in catalogue `assets.json` into static tables, so that no start of a function parses it.

use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

#[path = "src/asset_row/json.rs"]
#[expect(unreachable_pub, reason = "the file is a module of the crate too")]
mod asset_row;
use asset_row::AssetRowJson;

const SOURCE: &str = "assets.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltIn {
    fiat: Vec<AssetRowJson>,
    crypto: Vec<AssetRowJson>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=src/asset_row/json.rs");
    let BuiltIn { mut fiat, mut crypto } = serde_json::from_str(&fs::read_to_string(SOURCE)?)?;
    // Lookups search by the code's bytes.
    fiat.sort_by(|one, other| one.code.cmp(&other.code));
    crypto.sort_by(|one, other| one.code.cmp(&other.code));
    let mut tables = String::new();
    write_table(&mut tables, "FIAT", "AssetKind::Fiat", &fiat)?;
    write_table(&mut tables, "CRYPTO", "AssetKind::Crypto", &crypto)?;
    for code in ["USD", "EUR"] {
        let index = fiat.iter().position(|row| row.code == code).ok_or("no such money")?;
        writeln!(tables, "pub(in crate::domain) const {code}: usize = {index};")?;
    }
    let path = Path::new(&env::var("OUT_DIR")?).join("assets.rs");
    Ok(fs::write(path, tables)?)
}

fn write_table(
    to: &mut String,
    name: &str,
    kind: &str,
    rows: &[AssetRowJson],
) -> Result<(), Box<dyn std::error::Error>> {
    writeln!(to, "pub(in crate::domain) static {name}: [AssetRow; {}] = [", rows.len())?;
    for row in rows {
        let AssetRowJson {
            code,
            alias,
            name,
            issuer,
            decimals,
            peg,
            par,
            quote_hours,
            prices,
            exchange_first,
            custody,
        } = row;
        let mut ids = String::new();
        for (provider, provider_ids) in custody {
            let provider = match provider.as_str() {
                "fireblocks" => "Fireblocks",
                "bitgo" => "BitGo",
                other => return Err(format!("{code}: {other} is no provider").into()),
            };
            for (id, value) in provider_ids {
                let (chain, digits) = row.chain_and_digits(value).ok_or("digits")?;
                write!(
                    ids,
                    "CustodyId {{ provider: ProviderName::{provider}, id: {id:?}, blockchain: {chain:?}, \
                     digits: {digits} }}, "
                )?;
            }
        }
        let (coingecko, coinbase) = (prices.get("coingecko"), prices.get("coinbase"));
        writeln!(
            to,
            "AssetRow {{ code: {code:?}, alias: {alias:?}, name: {name:?}, kind: {kind}, issuer: {issuer:?}, \
             decimals: {decimals}, peg: {peg:?}, par: Par::{}, quote_hours: {quote_hours:?}, \
             coingecko: {coingecko:?}, coinbase: {coinbase:?}, exchange_first: {exchange_first}, \
             custody: &[{ids}] }},",
            if *par { "Allowed" } else { "Refused" },
        )?;
    }
    writeln!(to, "];")?;
    Ok(())
}
