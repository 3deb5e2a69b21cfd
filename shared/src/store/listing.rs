//! Accounts of many customers: by their ids, or table order page by page.

use super::as_of::HoldingsAt;
use super::row::{Item, Row};
use super::{IdOwner, Store, StoreError, StoredAccount, StoredHolding, accounts, custody_snapshot, holdings};
use crate::config::Table;
use crate::domain::{Account, AccountId, CustodyAccountId, CustomerId, Moment};
use crate::query::Filter;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// Reads under way at once for one request.
const CONCURRENT_READS: usize = 8;
/// Items one Scan looks at when a filter may pass over most of them.
const SCANNED_ITEMS: usize = 1_000;
/// Scans one page may cost: beyond, it is short and its cursor leads on.
const MAX_SCANS: usize = 10;

/// Where a walk through the whole table stands: after an item, or inside a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TablePlace {
    /// After this account of this customer.
    Account(CustomerId, AccountId),
    /// Inside the snapshot of this custody account: after the account that shows this position.
    Position(CustomerId, CustodyAccountId, AccountId),
    /// After this custody account's snapshot.
    Snapshot(CustomerId, CustodyAccountId),
}

impl TablePlace {
    /// The place after an account, as a view shows it.
    fn after(account: &Account) -> Self {
        let Account { customer_id, id, .. } = account;
        match account.custody_account_id {
            Some(custody) => Self::Position(*customer_id, custody, *id),
            None => Self::Account(*customer_id, *id),
        }
    }

    /// The place after the snapshot that it is inside of.
    const fn after_snapshot(self) -> Self {
        match self {
            Self::Position(customer_id, custody, _) => Self::Snapshot(customer_id, custody),
            place => place,
        }
    }

    /// The item that the place is after or inside of.
    pub(super) fn key(self) -> Item {
        match self {
            Self::Account(customer_id, id) => accounts::key(customer_id, id),
            Self::Position(customer_id, id, _) | Self::Snapshot(customer_id, id) => {
                custody_snapshot::snapshot_key(customer_id, id)
            }
        }
    }

    pub(super) fn of_key(key: &Item) -> Result<Self, StoreError> {
        let row = Row { table: Table::Accounts, item: key };
        let customer_id = row.parsed("customer_id", CustomerId::parse)?;
        let place = |text: &str| {
            let snapshot = custody_snapshot::snapshot_id(text).map(|id| Self::Snapshot(customer_id, id));
            snapshot.or_else(|| AccountId::parse(text).ok().map(|id| Self::Account(customer_id, id)))
        };
        row.parsed("account_id", |text| place(text).ok_or(()))
    }
}

/// A part of the whole table, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePage {
    /// The accounts that the filter admits.
    pub accounts: Vec<Account>,
    /// Where to go on, unless the table has ended.
    pub next: Option<TablePlace>,
}

impl Store {
    /// The items that stand for the accounts of these ids, as far as there are such accounts. `#owner` says
    /// where each lies, so nothing is searched.
    pub async fn accounts_by_id(&self, ids: BTreeSet<AccountId>) -> Result<Vec<StoredHolding>, StoreError> {
        let owners = stream::iter(ids.iter().copied())
            .map(|id| async move { Ok::<_, StoreError>(self.owner(id).await?.map(|owner| (owner, id))) });
        let owners: Vec<Option<(IdOwner, AccountId)>> =
            owners.buffered(CONCURRENT_READS).try_collect().await?;
        let places: BTreeSet<TablePlace> = owners
            .into_iter()
            .flatten()
            .map(|(owner, id)| match owner {
                IdOwner::Account { customer_id, .. } => TablePlace::Account(customer_id, id),
                // Several positions of one custody account lie in one item.
                IdOwner::Custody { customer_id, custody_account_id } => {
                    TablePlace::Snapshot(customer_id, custody_account_id)
                }
            })
            .collect();
        let found = stream::iter(places).map(|place| self.holding(place)).buffered(CONCURRENT_READS);
        found.try_filter_map(|holding| async { Ok(holding) }).try_collect().await
    }

    /// The item that a place is after or inside of.
    async fn holding(&self, place: TablePlace) -> Result<Option<StoredHolding>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Accounts)).consistent_read(true);
        let answer = request.set_key(Some(place.key())).send().await?;
        let holding =
            |catalogue: &_| answer.item().map(|item| holdings::from_item(item, catalogue)).transpose();
        self.mapped(holding).await
    }

    /// The account of this id, if it has an item of its own.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Option<StoredAccount>, StoreError> {
        match self.owner(id).await? {
            Some(IdOwner::Account { customer_id, .. }) => self.account(customer_id, id).await,
            Some(IdOwner::Custody { .. }) | None => Ok(None),
        }
    }

    /// At most `limit` accounts that the filter admits as they stand at `moment`, in table order, from the
    /// accounts after `after`.
    ///
    /// A page reads a bounded part of the table. When little of it is admitted the page is short, even empty,
    /// and `next` leads on.
    pub async fn table_page(
        &self,
        after: Option<TablePlace>,
        filter: &Filter,
        moment: Moment,
        limit: usize,
    ) -> Result<TablePage, StoreError> {
        let mut page = TablePage { accounts: Vec::new(), next: after };
        for _ in 0..MAX_SCANS {
            let wanted = limit - page.accounts.len();
            let looked_at = if filter.is_empty() { wanted } else { SCANNED_ITEMS };
            let scanned = self.scan(page.next, moment, looked_at).await?;
            let mut admitted = scanned.accounts.into_iter().filter(|account| filter.admits(account));
            page.accounts.extend(admitted.by_ref().take(wanted));
            page.next = scanned.next;
            if admitted.next().is_some() {
                page.next = page.accounts.last().map(TablePlace::after);
            }
            if page.next.is_none() || page.accounts.len() == limit {
                break;
            }
        }
        Ok(page)
    }

    async fn scan(
        &self,
        after: Option<TablePlace>,
        moment: Moment,
        items: usize,
    ) -> Result<TablePage, StoreError> {
        let mut accounts = Vec::new();
        // A page may have ended inside a snapshot: the rest of its accounts comes first.
        if let Some(place @ TablePlace::Position(.., shown)) = after
            && let Some(snapshot) = self.holding(place).await?
        {
            accounts = self.holding_at(snapshot, moment).await?.accounts;
            accounts.retain(|account| account.id > shown);
            if accounts.len() >= items {
                return Ok(TablePage { accounts, next: Some(place.after_snapshot()) });
            }
        }
        let answer = self
            .client
            .scan()
            .table_name(self.table(Table::Accounts))
            .consistent_read(true)
            .limit(i32::try_from(items).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(TablePlace::key))
            .send()
            .await?;
        // A page of a scan bounds the history reads of its accounts.
        let stored = self.mapped(|catalogue| {
            let stored = answer.items().iter().map(|item| holdings::from_item(item, catalogue));
            stored.collect::<Result<Vec<_>, _>>()
        });
        let stored = stored.await?;
        let shown =
            stream::iter(stored).map(|holding| self.holding_at(holding, moment)).buffered(CONCURRENT_READS);
        let shown: Vec<HoldingsAt> = shown.try_collect().await?;
        accounts.extend(shown.into_iter().flat_map(|shown| shown.accounts));
        Ok(TablePage { accounts, next: answer.last_evaluated_key().map(TablePlace::of_key).transpose()? })
    }
}
