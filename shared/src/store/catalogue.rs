//! A deployment's own rows of the asset catalogue: one item of the rates table, and the copy of it that each
//! instance keeps.
//!
//! The copy is read again once it is a minute old, and before a code that it lacks counts as unknown. So a
//! new row is in force everywhere within a minute, and at once where it is needed. Rejected: a read with
//! every request, which would cost more than the rows' changes, a few in a year, are worth.

use super::rates::{PLACE, SERIES};
use super::row::{Item, Row, number, text};
use super::{Store, StoreError};
use crate::asset_row::{self, CatalogueRow, RefusedRow, Replacing};
use crate::config::Table;
use crate::domain::{Catalogue, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// The item's key, both parts of it.
const CATALOGUE: &str = "catalogue";
/// A copy that is older is read again.
const MAX_COPY_AGE: SignedDuration = SignedDuration::from_secs(60);
/// Bytes of all rows: an item holds 400 KB.
const MAX_CATALOGUE_BYTES: usize = 380_000;
/// Attempts to write rows while others write some.
const MAX_ATTEMPTS: u32 = 5;

/// An instance's copy of the catalogue; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct CatalogueCopy(Arc<Mutex<Option<DatedCatalogue>>>);

#[derive(Debug, Clone)]
struct DatedCatalogue {
    catalogue: Catalogue,
    read_at: Timestamp,
}

/// A deployment's own rows, and the number of writes that made them.
#[derive(Debug, Clone, Default)]
struct StoredRows {
    rows: Vec<CatalogueRow>,
    revision: u64,
}

/// Why rows were not added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogueError {
    /// A row is not one that the catalogue can take.
    #[error(transparent)]
    Refused(#[from] RefusedRow),
    /// All rows together have one item's size.
    #[error("the catalogue is full: its rows have more than {MAX_CATALOGUE_BYTES} bytes")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The catalogue, at most a minute old. If it cannot be read, the last copy stays in force.
    pub async fn catalogue(&self) -> Result<Catalogue, StoreError> {
        let copy = self.catalogue_copy();
        let now = self.clock.now();
        match copy {
            Some(copy) if copy.read_at.age_at(now).abs() <= MAX_COPY_AGE => Ok(copy.catalogue),
            None => self.renewed_catalogue().await,
            Some(copy) => match self.renewed_catalogue().await {
                Err(cause @ StoreError::Unavailable(_)) => {
                    tracing::warn!(%cause, "the catalogue was not read again");
                    Ok(copy.catalogue)
                }
                renewed => renewed,
            },
        }
    }

    /// Reads the catalogue ahead. A failure is only logged: the first request will try again.
    pub async fn warm_catalogue(&self) {
        let catalogue = self.renewed_catalogue().await;
        catalogue.map_or_else(|cause| tracing::warn!(%cause, "the catalogue was not read at start"), drop);
    }

    /// The catalogue as it stands now: one read.
    pub async fn renewed_catalogue(&self) -> Result<Catalogue, StoreError> {
        let read_at = self.clock.now();
        let StoredRows { rows, .. } = self.catalogue_rows().await?;
        let catalogue = asset_row::catalogue(&rows).map_err(|_| CORRUPT)?;
        let copy = DatedCatalogue { catalogue: catalogue.clone(), read_at };
        *self.catalogue.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        Ok(catalogue)
    }

    fn catalogue_copy(&self) -> Option<DatedCatalogue> {
        self.catalogue.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Maps what was read. An item that cannot be read may name an asset that was added since the copy was
    /// made, so the mapping is tried once more with the catalogue read again.
    pub(super) async fn mapped<T>(
        &self,
        map: impl Fn(&Catalogue) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match map(&self.catalogue().await?) {
            Err(StoreError::Corrupt { .. }) => map(&self.renewed_catalogue().await?),
            done => done,
        }
    }

    /// The deployment's own rows, in the order in which they were added.
    pub async fn own_assets(&self) -> Result<Vec<CatalogueRow>, StoreError> {
        Ok(self.catalogue_rows().await?.rows)
    }

    /// Adds rows to the deployment's own, all of them or none; how many of them are new or changed.
    pub async fn add_assets(
        &self,
        added: &[CatalogueRow],
        replacing: Replacing,
    ) -> Result<usize, CatalogueError> {
        for _ in 0..MAX_ATTEMPTS {
            let read = self.catalogue_rows().await?;
            let rows = asset_row::merged(&read.rows, added, replacing)?;
            let changed = rows.iter().filter(|row| !read.rows.contains(row)).count();
            if changed == 0 || self.put_catalogue(&rows, read.revision).await? {
                self.renewed_catalogue().await?;
                return Ok(changed);
            }
        }
        Err(StoreError::Unavailable("concurrent writes of the catalogue".to_owned()).into())
    }

    async fn catalogue_rows(&self) -> Result<StoredRows, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Rates)).consistent_read(true);
        let answer = request.set_key(Some(key())).send().await?;
        let Some(item) = answer.item() else { return Ok(StoredRows::default()) };
        let row = Row { table: Table::Rates, item };
        Ok(StoredRows {
            rows: row.list("rows", |json| serde_json::from_str(json).ok())?,
            revision: row.number("revision", str::parse)?,
        })
    }

    /// Writes the rows unless others have written since; whether it did.
    async fn put_catalogue(&self, rows: &[CatalogueRow], read: u64) -> Result<bool, CatalogueError> {
        let json = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let json = json.map_err(|_| CORRUPT)?;
        if json.iter().map(String::len).sum::<usize>() > MAX_CATALOGUE_BYTES {
            return Err(CatalogueError::Full);
        }
        let mut item = key();
        item.insert("rows".to_owned(), AttributeValue::L(json.into_iter().map(text).collect()));
        item.insert("revision".to_owned(), number(read + 1));
        let put = self
            .client
            .put_item()
            .table_name(self.table(Table::Rates))
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#series) OR revision = :read")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_values(":read", number(read));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let service_error = error.as_service_error();
                if service_error.is_some_and(PutItemError::is_conditional_check_failed_exception) {
                    return Ok(false);
                }
                Err(StoreError::from(error).into())
            }
        }
    }
}

const CORRUPT: StoreError = StoreError::Corrupt { table: Table::Rates, attribute: "rows" };

fn key() -> Item {
    Item::from([(SERIES.to_owned(), text(CATALOGUE)), (PLACE.to_owned(), text(CATALOGUE))])
}
