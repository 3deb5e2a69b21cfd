//! Accounts of many customers: by their ids, or table order page by page.

use super::row::{Item, Row};
use super::{AccountOwner, Store, StoreError, StoredAccount, accounts};
use crate::domain::{Account, AccountId, CustomerId, Moment};
use crate::query::Filter;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// Reads under way at once for one request.
const CONCURRENT_READS: usize = 8;
/// Items one Scan looks at when a filter may pass over most of them.
const SCANNED_ITEMS: usize = 1_000;
/// Scans one page may cost: beyond, it is short and its cursor leads on.
const MAX_SCANS: usize = 10;

/// Where a walk through the whole table stands: after this account of this customer.
pub type TablePlace = (CustomerId, AccountId);

/// A part of the whole table, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePage {
    /// The accounts that the filter admits.
    pub accounts: Vec<Account>,
    /// Where to go on, unless the table has ended.
    pub next: Option<TablePlace>,
}

impl Store {
    /// The accounts of these ids that exist, ordered by id. `#owner` says where each lies, so nothing is
    /// searched.
    pub async fn accounts_by_id(&self, ids: BTreeSet<AccountId>) -> Result<Vec<StoredAccount>, StoreError> {
        let found = stream::iter(ids).map(|id| self.account_by_id(id)).buffered(CONCURRENT_READS);
        found.try_filter_map(|account| async { Ok(account) }).try_collect().await
    }

    /// The account of this id, if there is one.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Option<StoredAccount>, StoreError> {
        let Some(AccountOwner { customer_id, .. }) = self.owner(id).await? else { return Ok(None) };
        self.account(customer_id, id).await
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
                page.next = page.accounts.last().map(|account| (account.customer_id, account.id));
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
        let answer = self
            .client
            .scan()
            .table_name(&self.tables.accounts)
            .consistent_read(true)
            .limit(i32::try_from(items).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|(customer_id, id)| accounts::key(customer_id, id)))
            .send()
            .await?;
        let stored: Vec<_> = answer.items().iter().map(accounts::from_item).collect::<Result<_, _>>()?;
        let shown =
            stream::iter(stored).map(|stored| self.account_at(stored, moment)).buffered(CONCURRENT_READS);
        let accounts = shown.try_filter_map(|account| async { Ok(account) }).try_collect().await?;
        Ok(TablePage { accounts, next: answer.last_evaluated_key().map(place).transpose()? })
    }
}

pub(super) fn place(key: &Item) -> Result<TablePlace, StoreError> {
    let row = Row { table: accounts::TABLE, item: key };
    Ok((row.parsed("customer_id", CustomerId::parse)?, row.parsed("account_id", AccountId::parse)?))
}
