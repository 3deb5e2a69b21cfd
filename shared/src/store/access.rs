//! The access table: API keys by the hash of the key, and the one cached JWKS.

use super::row::{Item, Row, instant, text};
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{CustomerId, Grants, MerchantId, OrganizationId, Permission, Timestamp};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use uuid::Uuid;

const JWKS: &str = "jwks";
const REFRESH_CLAIMED_AT: &str = "refresh_claimed_at";
/// One instance of all may ask the issuer for its keys in this time, whatever tokens arrive.
const REFRESH_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// An API key as it is stored: not the key itself, only its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// SHA-256 of the key, in hex; also its name in logs and counters.
    pub sha256: String,
    /// Whose key it is.
    pub subject: String,
    /// The rights it gives.
    pub grants: Grants,
    /// The first instant at which it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The issuer's key set as last fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJwks {
    /// The JSON document.
    pub document: String,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

const API_KEY_PREFIX: &str = "api_key#";

fn api_key_key(sha256: &str) -> AttributeValue {
    text(format!("{API_KEY_PREFIX}{sha256}"))
}

/// The API key that an item of the table is, if it is one.
pub(super) fn api_key_of(item: &Item) -> Result<Option<ApiKey>, StoreError> {
    let key =
        item.get("key").and_then(|key| key.as_s().ok()).and_then(|key| key.strip_prefix(API_KEY_PREFIX));
    key.map(|sha256| api_key_from_item(sha256, item)).transpose()
}

impl Store {
    /// The API key of that hash.
    pub async fn api_key(&self, sha256: &str) -> Result<Option<ApiKey>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table(Table::Access))
            .consistent_read(true)
            .key("key", api_key_key(sha256))
            .send()
            .await?;
        answer.item().map(|item| api_key_from_item(sha256, item)).transpose()
    }

    /// Creates or replaces an API key; one that was revoked stays as it is. Only operators' tools call this.
    ///
    /// `false`: there is such a key, and it was revoked.
    pub async fn put_api_key(&self, key: &ApiKey) -> Result<bool, StoreError> {
        let answer = self
            .client
            .put_item()
            .table_name(self.table(Table::Access))
            .set_item(Some(api_key_to_item(key)))
            .condition_expression("attribute_not_exists(revoked_at)")
            .send()
            .await;
        is_made(answer)
    }

    /// Revokes a key as of `now`; one that was revoked before stays so since then. `false`: there is no such
    /// key.
    pub async fn revoke_api_key(&self, sha256: &str, now: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(self.table(Table::Access))
            .key("key", api_key_key(sha256))
            .update_expression("SET revoked_at = if_not_exists(revoked_at, :now)")
            .condition_expression("attribute_exists(subject)")
            .expression_attribute_values(":now", instant(now))
            .send()
            .await;
        is_made(answer)
    }

    /// The cached JWKS, if one was ever fetched.
    pub async fn jwks(&self) -> Result<Option<StoredJwks>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(self.table(Table::Access))
            .consistent_read(true)
            .key("key", text(JWKS));
        let answer = request.send().await?;
        let Some(item) = answer.item() else { return Ok(None) };
        let row = Row { table: Table::Access, item };
        // The first claim to refresh creates the item before there is a document.
        let Some(document) = row.text("document")? else { return Ok(None) };
        Ok(Some(StoredJwks { document, fetched_at: row.instant("fetched_at")? }))
    }

    /// Claims the right to ask the issuer for its keys. `false`: another has claimed it within the last
    /// minute. A claim from further ahead than that was made by a wrong clock and binds nobody; a claim that
    /// is sent twice recognises itself.
    pub async fn claim_jwks_refresh(&self, now: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(self.table(Table::Access))
            .key("key", text(JWKS))
            .update_expression("SET #claimed = :now, claimed_by = :me")
            .condition_expression(
                "attribute_not_exists(#claimed) OR NOT #claimed BETWEEN :earliest AND :latest OR claimed_by = :me",
            )
            .expression_attribute_values(":me", text(Uuid::new_v4().to_string()))
            .expression_attribute_names("#claimed", REFRESH_CLAIMED_AT)
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":earliest", instant(now.minus(REFRESH_INTERVAL)))
            .expression_attribute_values(":latest", instant(now.plus(REFRESH_INTERVAL)))
            .send()
            .await;
        is_made(answer)
    }

    /// Keeps a fetched JWKS for every instance.
    pub async fn put_jwks(&self, jwks: &StoredJwks) -> Result<(), StoreError> {
        let StoredJwks { document, fetched_at } = jwks;
        self.client
            .update_item()
            .table_name(self.table(Table::Access))
            .key("key", text(JWKS))
            .update_expression("SET document = :document, fetched_at = :fetched_at")
            .expression_attribute_values(":document", text(document))
            .expression_attribute_values(":fetched_at", instant(*fetched_at))
            .send()
            .await?;
        Ok(())
    }
}

/// Whether a write's condition held.
fn is_made<T, E>(answer: Result<T, SdkError<E>>) -> Result<bool, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let is_refusal = |error: &SdkError<E>| {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        code == Some("ConditionalCheckFailedException")
    };
    match answer {
        Ok(_) => Ok(true),
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn list(elements: impl Iterator<Item = String>) -> AttributeValue {
    AttributeValue::L(elements.map(text).collect())
}

fn api_key_to_item(key: &ApiKey) -> Item {
    let ApiKey { sha256, subject, grants, expires_at, revoked_at } = key;
    let Grants { customers, organizations, merchants, permissions } = grants;
    let required = [
        ("key", api_key_key(sha256)),
        ("subject", text(subject)),
        ("customer_ids", list(customers.iter().map(ToString::to_string))),
        ("organization_ids", list(organizations.iter().map(ToString::to_string))),
        ("merchant_ids", list(merchants.iter().map(ToString::to_string))),
        ("permissions", list(permissions.iter().map(|permission| permission.name().to_owned()))),
    ];
    let optional = [("expires_at", expires_at), ("revoked_at", revoked_at)];
    let optional = optional.into_iter().filter_map(|(name, at)| at.map(|at| (name, instant(at))));
    required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn api_key_from_item(sha256: &str, item: &Item) -> Result<ApiKey, StoreError> {
    let row = Row { table: Table::Access, item };
    Ok(ApiKey {
        sha256: sha256.to_owned(),
        subject: row.parsed("subject", |text| Ok::<_, StoreError>(text.to_owned()))?,
        grants: Grants {
            customers: row.list("customer_ids", |text| CustomerId::parse(text).ok())?,
            organizations: row.list("organization_ids", |text| OrganizationId::parse(text).ok())?,
            merchants: row.list("merchant_ids", |text| MerchantId::parse(text).ok())?,
            permissions: row.list("permissions", Permission::parse)?,
        },
        expires_at: row.optional("expires_at", Timestamp::parse)?,
        revoked_at: row.optional("revoked_at", Timestamp::parse)?,
    })
}
