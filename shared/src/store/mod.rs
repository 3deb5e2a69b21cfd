//! Accounts, their history, rate sheets and credentials in DynamoDB.
//!
//! Nothing else knows attribute values. A [`Store`] is a concrete client with no trait above it: tests run it
//! against the embedded DynamoDB. It knows no parameters and no status codes, and it takes the time from its
//! callers.

mod access;
mod accounts;
mod client;
mod custody;
mod custody_projection;
mod custody_register;
mod error;
mod history;
mod limiter;
mod limits;
mod listing;
mod quotes;
mod rates;
mod record;
mod record_batch;
mod row;
mod usage;
mod walk;

pub use access::{ApiKey, StoredJwks};
pub use accounts::{ListError, MAX_LISTED_ACCOUNTS};
pub use client::https_client;
pub use custody::{Attempts, Claim, CustodyState, Fenced, LOGICAL_SHARDS, Lease, Written};
pub use custody_projection::{ProjectionPlan, ProjectionWrites};
pub use custody_register::RegisterError;
pub use error::StoreError;
pub use history::{End, MAX_HISTORY_READS, PastError};
pub use limiter::{RateLimiter, Verdict};
pub use listing::{TablePage, TablePlace};
pub use quotes::{Kept, StoredBook};
pub use rates::Sheets;
pub use record::{Outcome, RecordError, Rejection};
pub use record_batch::UPDATES_AT_ONCE;

pub use usage::{Usage, measured};
pub use walk::{AccountRows, CorruptRow, OwnerPlace, OwnerRows};

use crate::config::{StoreConfig, Tables};
use aws_sdk_dynamodb::Client;
use std::sync::Arc;

/// The tables and a client to reach them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Arc<Tables>,
}

impl Store {
    /// A store by configuration. No connection is made before the first call.
    #[must_use]
    pub fn new(config: &StoreConfig) -> Self {
        Self { client: client::new(config), tables: Arc::new(config.tables.clone()) }
    }

    /// A store over a client that was configured elsewhere, with an operator's credentials.
    #[must_use]
    pub fn over(client: Client, tables: Tables) -> Self {
        Self { client, tables: Arc::new(tables) }
    }

    /// The client itself, for tools that create tables.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }
}
