//! Accounts, their history, rate sheets and credentials in DynamoDB.
//!
//! Nothing else knows attribute values. A [`Store`] is a concrete client with no trait above it: tests run it
//! against the embedded DynamoDB. It knows no parameters and no status codes, and it takes the time from its
//! callers.

mod access;
mod accounts;
mod as_of;
mod attributes;
mod batch_get;
mod book_work;
mod catalogue;
mod client;
mod clock_check;
mod conditional;
mod custody;
mod custody_record;
mod custody_register;
mod custody_snapshot;
mod entries_at;
mod error;
mod history;
mod holdings;
mod item_page;
mod limiter;
mod limits;
mod listing;
mod merge;
mod organizations;
mod positions;
mod quotes;
mod rates;
mod record;
mod row;
mod transaction;
mod usage;
mod walk;

pub use access::{ApiKey, StoredJwks};
pub use accounts::StoredAccount;
pub(crate) use as_of::check_histories;
pub use as_of::{HoldingRun, HoldingsAt};
pub use book_work::{BOOK_PARTS, BookPage, BookPlace, ClaimedPart, PartClaim, PartState, PositionUnderWay};
pub use catalogue::CatalogueError;
pub use client::https_client;
pub use clock_check::WrongClock;
pub use custody::{
    Attempts, CustodyControl, CustodyState, LOGICAL_SHARDS, LeaseClaim, LeasedWrite, RequestClaim, SyncLease,
};
pub use custody_record::SnapshotError;
pub use custody_register::RegisterError;
pub use custody_snapshot::{RecordedSnapshot, SnapshotState, StoredSnapshot};
pub use error::StoreError;
pub use history::{HistoryEnd, IdOwner, RecordedEntry};
pub use holdings::{CustomerPages, ItemDetail, StoredHolding};
pub use limiter::{RateLimiter, RateVerdict};
pub use listing::{TablePage, TablePlace};
pub use merge::Rejection;
pub use organizations::Merchants;
pub use positions::{PositionKey, PositionKind, StoredPosition};
pub use quotes::{Kept, StoredBook};
pub use rates::{MAX_OVERLAYS_AT_ONCE, MAX_RATES_AT_ONCE, RateReader};
pub use record::{Outcome, RecordError, UPDATES_AT_ONCE};
pub use usage::{READ_BUDGET, ReadBudgetSpent, Usage, measured, measured_within, usage_so_far};
pub use walk::{AccountRows, CorruptRow, CustodyPlace, CustodyRows, OwnerPlace, OwnerRows};

use crate::clock::Clock;
use crate::config::{StoreConfig, Table, Tables};
use aws_sdk_dynamodb::{Client, config};
use catalogue::CatalogueCopy;
use clock_check::ClockCheck;
use std::sync::Arc;

/// The tables, a client to reach them and the clock that dates what is recorded; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Arc<Tables>,
    clock: Clock,
    clock_check: ClockCheck,
    catalogue: CatalogueCopy,
}

impl Store {
    /// A store by configuration. No connection is made before the first call.
    #[must_use]
    pub fn new(config: &StoreConfig, clock: Clock) -> Self {
        let clock_check = ClockCheck::new(clock.clone());
        let client = client::new(config, clock_check.clone());
        let tables = Arc::new(config.tables.clone());
        Self { client, tables, clock, clock_check, catalogue: CatalogueCopy::default() }
    }

    /// A store over a client that was configured elsewhere, with an operator's credentials.
    #[must_use]
    pub fn over(config: config::Builder, tables: Tables, clock: Clock) -> Self {
        let clock_check = ClockCheck::new(clock.clone());
        let client = client::observed(config, clock_check.clone());
        let tables = Arc::new(tables);
        Self { client, tables, clock, clock_check, catalogue: CatalogueCopy::default() }
    }

    /// The same store with its tables known by these names.
    #[must_use]
    pub fn with_tables(self, tables: Tables) -> Self {
        Self { tables: Arc::new(tables), ..self }
    }

    /// A table's name.
    fn table(&self, table: Table) -> &str {
        self.tables.name(table)
    }

    /// The client itself, for tools that create tables or look for them.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The clock that dates what is recorded.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sets the clock by the store's if the last answer showed that it is wrong, and says how wrong it was.
    /// For the command line, which runs on machines whose clocks nobody watches.
    #[must_use]
    pub fn follow_store_clock(&self) -> Option<WrongClock> {
        self.clock_check.follow()
    }
}
