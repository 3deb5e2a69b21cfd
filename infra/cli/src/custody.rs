//! `ballast custody`: which accounts are kept where, and a sync of them.

use crate::Ending;
use crate::arguments::CustodyCommand;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{self, Output};
use crate::table::{Cell, Table};
use serde::Serialize;
use serde_json::Value;
use shared::domain::{
    Catalogue, ChainAsset, Coverage, CustodyAccount, CustodyAccountId, CustomerId, ProviderAccount,
    ProviderName, Timestamp,
};
use shared::store::{CorruptRow, CustodyState};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

#[derive(Serialize)]
struct Registered {
    id: String,
    customer_id: String,
    provider: &'static str,
    provider_account: String,
    /// Chain and code of each; the word `all` for an account that shows whatever is held.
    assets: Vec<String>,
    /// Holdings that the account does not show, in the provider's own words.
    unlisted: Vec<String>,
    last_synced: Option<String>,
    /// Syncs that have failed since one succeeded.
    failures: u32,
    /// Why the newest one failed, if it did.
    last_error: Option<String>,
}

/// The event that `custody-sync` is invoked with.
#[derive(Serialize)]
#[serde(untagged)]
enum Event {
    Shard { shard: u32, shards: u32 },
    Account { account_id: String },
}

impl Event {
    /// All accounts that are due, of all shards.
    const WHOLE: Self = Self::Shard { shard: 0, shards: 1 };
}

pub(crate) async fn run(
    command: CustodyCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        CustodyCommand::Add { id, customer, provider, provider_account, assets } => {
            let catalogue = connection.store.catalogue().await?;
            let account = account(&id, &customer, &provider, &provider_account, &assets, &catalogue)?;
            connection.store.register_custody_account(&account, connection.now()).await?;
            let state = connection.store.custody_account(account.id).await?;
            let state =
                state.ok_or_else(|| CliError::NotFound(format!("custody account {id} is gone again")))?;
            output.document(&registered(&state), |registered| {
                let id = &registered.id;
                format!(
                    "custody account {id} is registered and due for its first sync, by the schedule or by\n  \
                     ballast custody sync {id}\nUntil then balances of its customer lack it."
                )
            })?;
        }
        CustodyCommand::List => list(connection, output).await?,
        CustodyCommand::Sync { id } => {
            let id = id
                .map(|id| CustodyAccountId::parse(&id))
                .transpose()
                .map_err(|error| CliError::argument("ID", error))?;
            let event = id.map_or(Event::WHOLE, |id| Event::Account { account_id: id.to_string() });
            let report = connection.invoke("custody-sync", &event).await?;
            output.document(&report, output::report)?;
            let has_failed = report.get("failed").and_then(Value::as_u64).is_some_and(|failed| failed > 0);
            return Ok(if has_failed { Ending::InPart } else { Ending::Done });
        }
    }
    Ok(Ending::Done)
}

fn account(
    id: &str,
    customer: &str,
    provider: &str,
    provider_account: &str,
    assets: &[String],
    catalogue: &Catalogue,
) -> Result<CustodyAccount, CliError> {
    let provider = ProviderName::parse(provider).map_err(|error| CliError::argument("--provider", error))?;
    let mut listed = BTreeSet::new();
    for asset in assets {
        let (blockchain, token) = asset.split_once(':').unwrap_or_default();
        let chain_asset = catalogue
            .chain_asset(blockchain, token)
            .map_err(|error| CliError::argument("--asset", format!("{asset:?} is {error}")))?;
        if !listed.insert(chain_asset) {
            return Err(CliError::argument("--asset", format!("{asset} is given twice")));
        }
    }
    let coverage = if listed.is_empty() { Coverage::All } else { Coverage::Listed(listed) };
    Ok(CustodyAccount {
        id: CustodyAccountId::parse(id).map_err(|error| CliError::argument("--id", error))?,
        customer_id: CustomerId::parse(customer).map_err(|error| CliError::argument("--customer", error))?,
        provider,
        provider_account: ProviderAccount::parse(provider, provider_account)
            .map_err(|error| CliError::argument("--provider-account", error))?,
        coverage,
        positions: BTreeMap::new(),
        unlisted: BTreeMap::new(),
        synced_at: None,
    })
}

fn registered(state: &CustodyState) -> Registered {
    let CustodyAccount {
        id,
        customer_id,
        provider,
        provider_account,
        coverage,
        positions: _,
        unlisted,
        synced_at,
    } = &state.account;
    Registered {
        id: id.to_string(),
        customer_id: customer_id.to_string(),
        provider: provider.name(),
        provider_account: provider_account.name().to_owned(),
        assets: match coverage {
            Coverage::All => vec!["all".to_owned()],
            Coverage::Listed(listed) => listed.iter().map(chain_asset_name).collect(),
        },
        unlisted: unlisted.iter().map(|(id, holding)| format!("{} {id}", holding.balance)).collect(),
        last_synced: synced_at.map(Timestamp::to_millis_text),
        failures: state.failures,
        last_error: state.last_error.clone(),
    }
}

fn chain_asset_name(chain_asset: &ChainAsset) -> String {
    format!("{}:{}", chain_asset.blockchain.name(), chain_asset.asset.code())
}

async fn list(connection: &Connection, output: &mut Output<'_, impl Write>) -> Result<(), CliError> {
    let (mut accounts, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = connection.store.custody_page(after).await?;
        for row in page {
            let control = row.map_err(|CorruptRow { key, error }| {
                CliError::NotFound(format!("custody account {key} cannot be read: {error}"))
            })?;
            accounts.push(registered(&connection.store.with_snapshot(control).await?));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    accounts.sort_by(|one, other| one.id.cmp(&other.id));
    let rows_of = |accounts: &Vec<Registered>| {
        let rows = accounts.iter().map(|account| {
            let Registered {
                id,
                customer_id,
                provider,
                provider_account,
                assets,
                unlisted,
                last_synced,
                failures,
                last_error,
            } = account;
            let last_synced = last_synced.as_ref().and_then(|at| Timestamp::parse(at).ok());
            [
                id.into(),
                customer_id.into(),
                format!("{provider} {provider_account}").into(),
                assets.join(" ").into(),
                unlisted.join(", ").into(),
                Cell::age_or(last_synced, "never"),
                Cell::number(failures),
                last_error.clone().unwrap_or_default().into(),
            ]
        });
        Table::new(
            ["id", "customer", "kept by", "assets", "not shown", "last synced", "failures", "last error"],
            rows,
        )
    };
    output.table(&accounts, rows_of, |_, table| table.to_owned())
}
