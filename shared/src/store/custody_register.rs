//! How a custody account comes to be known, and how the assets that it covers change.
//!
//! Registration is one transaction: the control item, the snapshot item, the reservation of the provider's
//! account, and that of the custody account's own id. So one provider account belongs to one custody account,
//! and no event can write into a custody account's history.

use super::custody::{self, RESERVED_FOR, reservation_key};
use super::custody_snapshot::{self, StoredSnapshot, history_id, id_owner};
use super::row::{Item, Row, instant, text};
use super::transaction::{Transaction, put_absent, replace};
use super::{CustodyState, Store, StoreError, history};
use crate::config::Table;
use crate::domain::custody::MAX_HOLDINGS;
use crate::domain::{
    Amount, ChainAsset, Coverage, CustodyAccount, CustodyAccountId, Position, ProviderAccount, ProviderName,
    Timestamp,
};
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use thiserror::Error;
use uuid::Uuid;

/// Why an account could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// A snapshot is one item, written whole.
    #[error("more than {MAX_HOLDINGS} assets")]
    TooManyAssets,
    /// The provider could hold the asset and no row would recognise it, so it would be shown as zero.
    #[error(
        "no id of {}'s stands for {}:{} in the catalogue: add it to the asset's row (ballast assets), or leave \
         the asset out",
        .provider.name(), .asset.blockchain.name(), .asset.asset.code()
    )]
    Nameless {
        /// The asset.
        asset: ChainAsset,
        /// The provider.
        provider: ProviderName,
    },
    /// An account keeps its customer, provider and provider's account for ever.
    #[error("the account is registered with another customer, provider or provider account")]
    OtherOwner,
    /// One provider account belongs to one custody account.
    #[error("the provider account belongs to the custody account {0}")]
    ProviderAccountTaken(CustodyAccountId),
    /// An account that came by an event has the id.
    #[error("the id is another account's")]
    IdTaken,
    /// A holding cannot be forgotten.
    #[error("{} on {} cannot be removed while it is held", .0.asset.code(), .0.blockchain.name())]
    StillHeld(ChainAsset),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Registers an account, due at once, or changes which assets a registered one covers. Safe to repeat.
    pub async fn register_custody_account(
        &self,
        account: &CustodyAccount,
        now: Timestamp,
    ) -> Result<(), RegisterError> {
        if account.coverage.listed().count() > MAX_HOLDINGS {
            return Err(RegisterError::TooManyAssets);
        }
        let catalogue = self.catalogue().await?;
        let is_nameless = |asset: &&ChainAsset| catalogue.provider_ids(account.provider, asset).is_empty();
        if let Some(asset) = account.coverage.listed().find(is_nameless) {
            return Err(RegisterError::Nameless { asset: asset.clone(), provider: account.provider });
        }
        if let Some(state) = self.custody_account(account.id).await? {
            return self.change_coverage(&state, account, now).await;
        }
        match self.transact(self.registration(account, now)?).await? {
            Transaction::Committed => Ok(()),
            Transaction::Collided => {
                Err(StoreError::Unavailable("concurrent registrations of one account".to_owned()).into())
            }
            Transaction::Refused(_) => self.refused(account, now).await,
        }
    }

    fn registration(
        &self,
        account: &CustodyAccount,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let snapshot = StoredSnapshot::new(account, now);
        let mut reservation = reservation_key(account.provider, &account.provider_account);
        reservation.insert(RESERVED_FOR.to_owned(), text(account.id.to_string()));
        let owner = history::owner_to_item(history_id(account.id), id_owner(snapshot.owner));
        Ok(vec![
            put_absent(self.table(Table::Custody), custody::new_item(account, now))?,
            put_absent(self.table(Table::Custody), reservation)?,
            put_absent(self.table(Table::Accounts), custody_snapshot::to_item(&snapshot))?,
            put_absent(self.table(Table::History), owner)?,
        ])
    }

    /// Says why a registration was refused; one that another call has made meanwhile is no refusal.
    async fn refused(&self, account: &CustodyAccount, now: Timestamp) -> Result<(), RegisterError> {
        if let Some(state) = self.custody_account(account.id).await? {
            return self.change_coverage(&state, account, now).await;
        }
        match self.reserved_for(account.provider, &account.provider_account).await? {
            Some(other) => Err(RegisterError::ProviderAccountTaken(other)),
            None => Err(RegisterError::IdTaken),
        }
    }

    /// The custody account that a provider's account is reserved for.
    pub async fn reserved_for(
        &self,
        provider: ProviderName,
        account: &ProviderAccount,
    ) -> Result<Option<CustodyAccountId>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Custody)).consistent_read(true);
        let answer = request.set_key(Some(reservation_key(provider, account))).send().await?;
        let id =
            |item: &Item| (Row { table: Table::Custody, item }).parsed(RESERVED_FOR, CustodyAccountId::parse);
        answer.item().map(id).transpose()
    }

    /// Writes the snapshot with another coverage, and takes the lease from a sync that is under way: that
    /// sync asked the provider for the coverage of before.
    async fn change_coverage(
        &self,
        state: &CustodyState,
        account: &CustodyAccount,
        now: Timestamp,
    ) -> Result<(), RegisterError> {
        let (stored, read) = (&state.account, &state.snapshot);
        let owner = |account: &CustodyAccount| {
            (account.customer_id, account.provider, account.provider_account.clone())
        };
        if owner(stored) != owner(account) {
            return Err(RegisterError::OtherOwner);
        }
        let is_lost = |asset: &&ChainAsset| {
            let balance = read.state.holdings.get(*asset).map_or(Amount::ZERO, Position::balance);
            !account.coverage.covers(asset) && balance != Amount::ZERO
        };
        if let Some(asset) = stored.positions.keys().find(is_lost) {
            return Err(RegisterError::StillHeld(asset.clone()));
        }
        let coverage = account.coverage.clone();
        if read.coverage == coverage {
            return Ok(());
        }
        let has_more =
            coverage == Coverage::All || coverage.listed().any(|asset| !read.coverage.covers(asset));
        let snapshot = StoredSnapshot { coverage, revision: read.revision + 1, ..read.clone() };
        let writes = [
            replace(self.table(Table::Accounts), custody_snapshot::to_item(&snapshot), read.revision)?,
            self.coverage_change(account.id, has_more, now)?,
        ];
        match self.transact(writes).await? {
            Transaction::Committed => Ok(()),
            Transaction::Collided | Transaction::Refused(_) => {
                Err(StoreError::Unavailable("the account was written meanwhile".to_owned()).into())
            }
        }
    }

    fn coverage_change(
        &self,
        id: CustodyAccountId,
        has_more: bool,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        // An asset that was just added is not known to be zero: the provider is asked before it is shown, and
        // at once.
        let forget = if has_more { ", confirmed_at" } else { "" };
        let update = Update::builder()
            .table_name(self.table(Table::Custody))
            .set_key(Some(custody::key(id)))
            .update_expression(format!("SET lease_by = :me, next_sync_at = :now REMOVE lease_until{forget}"))
            .expression_attribute_values(":me", text(Uuid::new_v4().to_string()))
            .expression_attribute_values(":now", instant(now));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }
}
