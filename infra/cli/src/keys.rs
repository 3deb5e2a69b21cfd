//! `ballast keys`: API keys, of which only the SHA-256 is stored.

use crate::Ending;
use crate::arguments::KeysCommand;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{Output, fields};
use crate::table::{Cell, Table};
use serde::Serialize;
use shared::auth::{API_KEY_PREFIX, GrantClaims, new_api_key, sha256_hex};
use shared::domain::{CustomerId, Grants, MerchantId, OrganizationId, Permission, Timestamp};
use shared::store::ApiKey;
use std::io::Write;

/// Hex digits of the SHA-256 that are shown as the key's id: 64 bits.
const SHOWN_CHARACTERS: usize = 16;
/// The least of a hash by which a key may be revoked.
const MIN_ID_CHARACTERS: usize = 8;

#[derive(Serialize)]
struct Created {
    /// The key itself, this once.
    key: String,
    #[serde(flatten)]
    shown: Shown,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    subject: String,
    customer_ids: Vec<String>,
    organization_ids: Vec<String>,
    merchant_ids: Vec<String>,
    permissions: Vec<&'static str>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

pub(crate) async fn run(
    command: KeysCommand,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<Ending, CliError> {
    match command {
        KeysCommand::Create { subject, customers, organizations, merchants, permissions, expires_at } => {
            ids("--customer", &customers, |id| CustomerId::parse(id).is_ok())?;
            ids("--organization", &organizations, |id| OrganizationId::parse(id).is_ok())?;
            ids("--merchant", &merchants, |id| MerchantId::parse(id).is_ok())?;
            let claims = GrantClaims::new(customers, organizations, merchants, known(permissions)?);
            let grants = claims.grants().map_err(|error| CliError::argument("--customer", error))?;
            create(&subject, grants, expires_at.as_deref(), connection, output).await?;
        }
        KeysCommand::List => list(connection, output).await?,
        KeysCommand::Revoke { id } => revoke(&id, connection, output).await?,
    }
    Ok(Ending::Done)
}

fn ids(argument: &'static str, texts: &[String], is_id: impl Fn(&str) -> bool) -> Result<(), CliError> {
    match texts.iter().find(|text| !is_id(text)) {
        Some(text) => Err(CliError::argument(argument, format!("{text:?} is not a valid identifier"))),
        None => Ok(()),
    }
}

/// A token's unknown permission is ignored; whoever types one wants to know.
fn known(permissions: Vec<String>) -> Result<Vec<String>, CliError> {
    match permissions.iter().find(|name| Permission::parse(name).is_none()) {
        Some(name) => Err(CliError::argument(
            "--permission",
            format!("{name:?} is none of {}", Permission::ALL.map(Permission::name).join(", ")),
        )),
        None => Ok(permissions),
    }
}

async fn create(
    subject: &str,
    grants: Grants,
    expires_at: Option<&str>,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<(), CliError> {
    if subject.trim().is_empty() {
        return Err(CliError::argument("--subject", "empty"));
    }
    if grants == Grants::default() {
        return Err(CliError::argument(
            "keys create",
            "the key would see nothing: give --customer, --organization, --merchant or --permission",
        ));
    }
    let expires_at = expires_at
        .map(Timestamp::parse)
        .transpose()
        .map_err(|error| CliError::argument("--expires-at", error))?;
    if expires_at.is_some_and(|at| at <= connection.now()) {
        return Err(CliError::argument("--expires-at", "in the past"));
    }
    let key =
        new_api_key().ok_or_else(|| CliError::Connection("the system gave no random bits".to_owned()))?;
    let stored = ApiKey {
        sha256: sha256_hex(&key),
        subject: subject.to_owned(),
        grants,
        expires_at,
        revoked_at: None,
    };
    connection.store.put_api_key(&stored).await?;
    output.document(&Created { key, shown: shown(&stored) }, |Created { key, shown }| {
        let rows = [
            ("key", Some(key.clone())),
            ("id", Some(shown.id.clone())),
            ("subject", Some(shown.subject.clone())),
        ];
        format!("{}\nThe key is shown this once; it works within a few seconds.", fields(&rows))
    })
}

fn shown(key: &ApiKey) -> Shown {
    let ApiKey { sha256, subject, grants, expires_at, revoked_at } = key;
    let Grants { customers, organizations, merchants, permissions } = grants;
    Shown {
        id: sha256.chars().take(SHOWN_CHARACTERS).collect(),
        subject: subject.clone(),
        customer_ids: customers.iter().map(ToString::to_string).collect(),
        organization_ids: organizations.iter().map(ToString::to_string).collect(),
        merchant_ids: merchants.iter().map(ToString::to_string).collect(),
        permissions: permissions.iter().map(|permission| permission.name()).collect(),
        expires_at: expires_at.map(Timestamp::to_millis_text),
        revoked_at: revoked_at.map(Timestamp::to_millis_text),
    }
}

async fn list(connection: &Connection, output: &mut Output<'_, impl Write>) -> Result<(), CliError> {
    let mut keys: Vec<Shown> = connection.store.api_keys().await?.iter().map(shown).collect();
    keys.sort_by(|one, other| (&one.subject, &one.id).cmp(&(&other.subject, &other.id)));
    let now = connection.now().to_millis_text();
    let rows_of = |keys: &Vec<Shown>| {
        let rows = keys.iter().map(|key| {
            let Shown {
                id,
                subject,
                customer_ids,
                organization_ids,
                merchant_ids,
                permissions,
                expires_at,
                revoked_at,
            } = key;
            let granted =
                [(customer_ids, "customer"), (organization_ids, "organization"), (merchant_ids, "merchant")];
            let sees = if permissions.contains(&Permission::ReadAll.name()) {
                Cell::from("everything")
            } else {
                seen(granted)
            };
            let state = match (revoked_at, expires_at) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(at)) if *at <= now => format!("expired {at}"),
                (None, Some(at)) => format!("until {at}"),
                (None, None) => "good".to_owned(),
            };
            [id.into(), subject.into(), sees, permissions.join(", ").into(), state.into()]
        });
        Table::new(["id", "subject", "sees", "permissions", "state"], rows)
    };
    output.table(&keys, rows_of, |_, table| table.to_owned())
}

/// The ids that a key sees: for people how many of each kind, in the CSV every one.
fn seen(granted: [(&Vec<String>, &str); 3]) -> Cell {
    let kinds = granted.iter().filter(|(ids, _)| !ids.is_empty());
    let shown: Vec<String> = kinds.map(|(ids, kind)| some(ids, kind)).collect();
    let exact: Vec<&str> = granted.iter().flat_map(|(ids, _)| ids.iter().map(String::as_str)).collect();
    Cell::Words { shown: shown.join(", "), exact: exact.join(" ") }
}

/// The one id, or how many of a kind there are.
fn some(ids: &[String], kind: &str) -> String {
    match ids {
        [id] => id.clone(),
        several => format!("{} {kind}s", several.len()),
    }
}

async fn revoke(
    id: &str,
    connection: &Connection,
    output: &mut Output<'_, impl Write>,
) -> Result<(), CliError> {
    if id.starts_with(API_KEY_PREFIX) {
        return Err(CliError::argument(
            "ID",
            "give the id that `keys list` shows, not the key: the key would stay in your shell's history",
        ));
    }
    if id.len() < MIN_ID_CHARACTERS {
        return Err(CliError::argument("ID", format!("shorter than {MIN_ID_CHARACTERS} characters")));
    }
    let keys = connection.store.api_keys().await?;
    let mut found = keys.into_iter().filter(|key| key.sha256.starts_with(&id.to_ascii_lowercase()));
    let key = match (found.next(), found.next()) {
        (Some(key), None) => key,
        (None, _) => return Err(CliError::NotFound(format!("no key has an id that starts with {id}"))),
        (Some(_), Some(_)) => {
            return Err(CliError::NotFound(format!(
                "several keys have an id that starts with {id}; give more of it"
            )));
        }
    };
    if !connection.store.revoke_api_key(&key.sha256, connection.now()).await? {
        return Err(CliError::NotFound(format!("key {id} is gone")));
    }
    let key = connection.store.api_key(&key.sha256).await?.unwrap_or(key);
    output.document(&shown(&key), |key| {
        format!("key {} of {} is revoked, in force everywhere within a minute", key.id, key.subject)
    })
}
