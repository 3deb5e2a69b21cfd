//! Merges an update into an account: pure functions, so that the order of arrival can be tested without a
//! store.
//!
//! [`merged`] folds one entry into an account item. The fold takes the greatest entry, the earliest
//! `created_at`, the earliest knowledge of each part of the scope and the labels of the greatest entry that
//! has any; so the same entries in any order end in the same item.

use super::StoredAccount;
use super::accounts::ScopeTimes;
use super::history::{IdOwner, RecordedEntry};
use crate::domain::{Account, AccountLabels, AccountScope, AccountUpdate, Timestamp};
use thiserror::Error;

/// Why an update can never be accepted. Each text names the field first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejection {
    /// An account belongs to one customer for ever.
    #[error("customer_id: the account belongs to another customer")]
    OtherCustomer,
    /// An account holds one currency for ever.
    #[error("currency: the account holds another currency")]
    OtherCurrency,
    /// An account belongs to one organization for ever.
    #[error("organization_id: the account belongs to another organization")]
    OtherOrganization,
    /// An account belongs to one merchant for ever.
    #[error("merchant_id: the account belongs to another merchant")]
    OtherMerchant,
    /// An account is on one network for ever.
    #[error("network: the account is on another network")]
    OtherNetwork,
    /// A merchant is found by its organization.
    #[error("merchant_id: an organization_id must be given with it or before it")]
    MerchantWithoutOrganization,
    /// The id is a custody account's, or that of one of its positions.
    #[error("id: the account is kept by a custody sync")]
    InCustody,
    /// The same entry was recorded with another content.
    #[error("balance_at: this balance_at and version were recorded with other values; give a higher version")]
    Conflict,
}

/// The items that were read before a decision.
#[derive(Debug, Clone, Default)]
pub(super) struct UpdateContext {
    /// The account's item.
    pub(super) account: Option<StoredAccount>,
    /// The entry of the update's key. It is read if there is no account, if the account's entry is as great
    /// or greater, or if an earlier attempt was sent.
    pub(super) entry: Option<RecordedEntry>,
    /// Whose the id is, looked for where there is no account.
    pub(super) owner: Option<IdOwner>,
}

/// The decision on an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: the entry is there, recorded at that time.
    Repeated(Timestamp),
    /// The entry is put into history, and the account with it if it is another now.
    Record { entry: RecordedEntry, account: Option<StoredAccount> },
    /// History has the entry and the account lacks it, because the accounts table was restored to an earlier
    /// time: the account alone is written.
    Restore(StoredAccount),
}

/// Decides on an update that would be recorded at `recorded_at`.
///
/// Refusals come in this order: another customer, an id in custody, another currency or scope, and then
/// another entry of the same key.
pub(super) fn decide(
    update: &AccountUpdate,
    context: &UpdateContext,
    recorded_at: Timestamp,
) -> Result<Decision, Rejection> {
    let UpdateContext { account, entry, owner } = context;
    if let Some(owner) = owner {
        check_owner(update, *owner)?;
    }
    let account_then = merged(account.as_ref(), update, recorded_at)?;
    let has_as_great = account.as_ref().is_some_and(|stored| stored.account.entry >= update.entry);
    match entry {
        Some(entry) if !entry.agrees_with(update) => Err(Rejection::Conflict),
        Some(entry) if has_as_great => Ok(Decision::Repeated(entry.recorded_at)),
        Some(entry) => Ok(Decision::Restore(merged(account.as_ref(), update, entry.recorded_at)?)),
        None => Ok(Decision::Record {
            entry: RecordedEntry::of(update, recorded_at),
            account: Some(account_then).filter(|then| account.as_ref() != Some(then)),
        }),
    }
}

fn check_owner(update: &AccountUpdate, owner: IdOwner) -> Result<(), Rejection> {
    match owner {
        owner if owner.customer_id() != update.customer_id => Err(Rejection::OtherCustomer),
        IdOwner::Custody { .. } => Err(Rejection::InCustody),
        IdOwner::Account { asset, .. } if asset != update.asset => Err(Rejection::OtherCurrency),
        IdOwner::Account { .. } => Ok(()),
    }
}

/// The account with one more entry.
pub(super) fn merged(
    stored: Option<&StoredAccount>,
    update: &AccountUpdate,
    recorded_at: Timestamp,
) -> Result<StoredAccount, Rejection> {
    let new = || of_first(update, recorded_at);
    let mut merged = stored.cloned().unwrap_or_else(new);
    let account = &mut merged.account;
    if account.asset != update.asset {
        return Err(Rejection::OtherCurrency);
    }
    name_scope(&mut account.scope, &mut merged.scope_times, &update.scope, recorded_at)?;
    account.created_at = account.created_at.min(update.entry.balance_at);
    if update.entry > account.entry {
        account.entry = update.entry;
        account.state = update.state;
        merged.recorded_at = recorded_at;
    }
    if let Some(labels) = &update.labels
        && merged.labels_entry.is_none_or(|entry| entry < update.entry)
    {
        account.labels = labels.clone();
        merged.labels_entry = Some(update.entry);
    }
    Ok(merged)
}

/// An account of which nothing is known but one entry, its scope and labels aside.
fn of_first(update: &AccountUpdate, recorded_at: Timestamp) -> StoredAccount {
    let AccountUpdate { id, customer_id, asset, entry, state, .. } = update;
    StoredAccount {
        account: Account {
            id: *id,
            customer_id: *customer_id,
            asset: *asset,
            entry: *entry,
            state: *state,
            created_at: entry.balance_at,
            scope: AccountScope::default(),
            labels: AccountLabels::default(),
            custody_account_id: None,
        },
        recorded_at,
        scope_times: ScopeTimes::default(),
        labels_entry: None,
        revision: 0,
    }
}

/// Adds the parts that `given` names; a part that is named already must be the same.
fn name_scope(
    scope: &mut AccountScope,
    times: &mut ScopeTimes,
    given: &AccountScope,
    recorded_at: Timestamp,
) -> Result<(), Rejection> {
    let AccountScope { organization_id, merchant_id, network } = given;
    let organization = (&mut scope.organization_id, &mut times.organization);
    name_part(organization, organization_id.as_ref(), recorded_at, Rejection::OtherOrganization)?;
    let merchant = (&mut scope.merchant_id, &mut times.merchant);
    name_part(merchant, merchant_id.as_ref(), recorded_at, Rejection::OtherMerchant)?;
    let of_network = (&mut scope.network, &mut times.network);
    name_part(of_network, network.as_ref(), recorded_at, Rejection::OtherNetwork)?;
    if scope.merchant_id.is_some() && scope.organization_id.is_none() {
        return Err(Rejection::MerchantWithoutOrganization);
    }
    Ok(())
}

fn name_part<T: Clone + PartialEq>(
    (value, known_at): (&mut Option<T>, &mut Option<Timestamp>),
    given: Option<&T>,
    recorded_at: Timestamp,
    other: Rejection,
) -> Result<(), Rejection> {
    let Some(given) = given else { return Ok(()) };
    if value.as_ref().is_some_and(|value| value != given) {
        return Err(other);
    }
    *value = Some(given.clone());
    *known_at = Some(known_at.map_or(recorded_at, |known_at| known_at.min(recorded_at)));
    Ok(())
}
