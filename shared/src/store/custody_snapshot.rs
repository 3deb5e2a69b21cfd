//! A custody account's snapshot: everything its provider said is held, as one item of the customer's
//! partition.
//!
//! The newest snapshot stands in the accounts table under `#custody#<id>`, beside the customer's accounts, so
//! that one Query reads both; every snapshot stands in history under the custody account's id. The unified
//! view's accounts are made of a snapshot when it is read. Rejected: an account item per position beside the
//! snapshot, because two copies of one fact have to be kept in step by every sync that is cut short.

use super::as_of::{HoldingRun, HoldingsAt, Places, Whereabouts};
use super::attributes::{entry_from_text, entry_text};
use super::entries_at::{CountedEntry, EntryKind};
use super::history::{self, IdOwner};
use super::item_page::PageItem;
use super::row::{Attributes, Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::custody::position_id;
use crate::domain::gap::UnknownHolding;
use crate::domain::{
    Account, AccountId, Catalogue, ChainAsset, Coverage, CustodyAccount, CustodyAccountId, CustodyGap,
    CustomerId, EntryKey, Moment, Moments, Position, PositionOwner, ProviderName, Timestamp, Unlisted,
    UnlistedHolding, UnlistedReason,
};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::BTreeMap;
use std::ops::Range;

/// Begins the sort key of a snapshot; `#` sorts before every account's id.
const SNAPSHOT: &str = "#custody#";
/// The attributes of a snapshot that no account has.
pub(super) const ATTRIBUTES: [&str; 6] =
    ["provider", "coverage", "holdings", "unlisted", "registered_at", "first_confirmed_at"];
/// Stands for the coverage of everything.
const ALL: &str = "all";
/// Positions by asset.
pub(super) type Positions = BTreeMap<ChainAsset, Position>;

/// A custody account's item in the accounts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Whose positions they are.
    pub owner: PositionOwner,
    /// The newest entry and when it was recorded; `None` before the first sync.
    pub entry: Option<(EntryKey, Timestamp)>,
    /// The assets that the account shows.
    pub(super) coverage: Coverage,
    /// The newest entry's state.
    pub(super) state: SnapshotState,
    /// When the account was registered.
    pub(super) registered_at: Timestamp,
    /// The earliest instant of any entry: nothing is known of the time before.
    pub(super) first_confirmed_at: Option<Timestamp>,
    /// Counts the writes of the item, so that a write made of an older reading is refused.
    pub(super) revision: u64,
}

/// The holdings that an entry of a custody account has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotState {
    /// Positions of which something is or was held, or of which a transaction is known.
    pub(super) holdings: Positions,
    /// Holdings that the account does not show.
    pub(super) unlisted: Unlisted,
}

/// An entry of a custody account's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSnapshot {
    /// Which entry.
    pub key: EntryKey,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its state.
    pub(super) state: SnapshotState,
}

impl StoredSnapshot {
    /// Whether the item repeats the newest entry of its history.
    #[must_use]
    pub fn repeats(&self, newest: Option<&RecordedSnapshot>) -> bool {
        let recorded = newest.map(|newest| ((newest.key, newest.recorded_at), &newest.state));
        recorded == self.entry.map(|entry| (entry, &self.state))
    }

    /// The snapshot of an account that is being registered.
    pub(super) fn new(account: &CustodyAccount, now: Timestamp) -> Self {
        let CustodyAccount { id, customer_id, provider, .. } = account;
        Self {
            owner: PositionOwner { id: *id, customer_id: *customer_id, provider: *provider },
            entry: None,
            coverage: account.coverage.clone(),
            state: SnapshotState::default(),
            registered_at: now,
            first_confirmed_at: None,
            revision: 0,
        }
    }

    /// The position of every asset that is listed, zero included; or of every asset of which something is or
    /// was held.
    pub(super) fn positions(&self) -> Positions {
        match &self.coverage {
            Coverage::All => self.state.holdings.clone(),
            Coverage::Listed(listed) => {
                let position =
                    |asset: &ChainAsset| self.state.holdings.get(asset).copied().unwrap_or_default();
                listed.iter().map(|asset| (asset.clone(), position(asset))).collect()
            }
        }
    }

    /// The accounts of the unified view in one entry's state, ordered by id.
    pub(super) fn accounts(&self, entry: EntryKey, holdings: &Positions) -> Vec<Account> {
        let shown =
            holdings.iter().filter_map(|(asset, position)| self.owner.account(asset, position, entry));
        let mut accounts: Vec<_> = shown.collect();
        accounts.sort_unstable_by_key(|account| account.id);
        accounts
    }

    /// The accounts that an entry shows, and the holdings that no row of the catalogue named when it was
    /// recorded.
    fn shown(&self, entry: EntryKey, state: &SnapshotState) -> HoldingsAt {
        let unknown = state.unlisted.iter().filter(|(_, holding)| holding.reason == UnlistedReason::Unknown);
        let gaps = unknown.map(|(id, holding)| {
            let (provider_asset, balance) = (id.clone(), holding.balance.clone());
            self.gap(Some(UnknownHolding { provider_asset, balance }))
        });
        HoldingsAt { gaps: gaps.collect(), accounts: self.accounts(entry, &state.holdings) }
    }

    /// No entry counts at the moment: nothing is known of an account that was registered by then.
    fn unsynced(&self, moment: Moment) -> HoldingsAt {
        let is_there = self.registered_at <= moment.as_of && moment.knows(self.registered_at);
        let gaps = if is_there { vec![self.gap(None)] } else { Vec::new() };
        HoldingsAt { gaps, accounts: Vec::new() }
    }

    fn gap(&self, unknown: Option<UnknownHolding>) -> CustodyGap {
        CustodyGap { custody_account_id: self.owner.id, coverage: self.coverage.clone(), unknown }
    }

    /// The accounts that show its positions now.
    pub fn position_ids(&self) -> impl Iterator<Item = AccountId> + use<'_> {
        let held = self.state.holdings.iter().filter(|(_, position)| position.held_since().is_some());
        held.map(|(asset, _)| position_id(self.owner.id, asset))
    }

    /// Where the entry that counts at a moment is to be found.
    pub(super) fn whereabouts(&self, moment: Moment) -> Whereabouts {
        match (self.entry, self.first_confirmed_at) {
            (Some((entry, recorded_at)), _)
                if entry.balance_at <= moment.as_of && moment.knows(recorded_at) =>
            {
                Whereabouts::Newest
            }
            (Some(_), Some(first)) if first <= moment.latest() => Whereabouts::History,
            _ => Whereabouts::Nowhere,
        }
    }
}

impl Store {
    /// The snapshot item of a custody account: one strongly consistent read.
    pub(super) async fn snapshot(
        &self,
        customer_id: CustomerId,
        id: CustodyAccountId,
    ) -> Result<Option<StoredSnapshot>, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Accounts)).consistent_read(true);
        let answer = request.set_key(Some(snapshot_key(customer_id, id))).send().await?;
        self.mapped(|catalogue| answer.item().map(|item| from_item(item, catalogue)).transpose()).await
    }

    /// The accounts that a snapshot stands for at each of several moments, ordered by id, and what it leaves
    /// out.
    pub(super) async fn snapshot_over(
        &self,
        snapshot: &StoredSnapshot,
        moments: &Moments,
    ) -> Result<Vec<HoldingRun>, StoreError> {
        let Places { history, newest } = Places::of(moments, |moment| snapshot.whereabouts(moment));
        let mut runs = Vec::new();
        if let Some((entry, _)) = snapshot.entry.filter(|_| !newest.is_empty()) {
            runs.push(HoldingRun {
                places: newest.clone(),
                holdings: snapshot.shown(entry, &snapshot.state),
            });
        }
        let mut first_found = newest.start;
        for CountedEntry { places, entry } in self.snapshots_at(snapshot.owner.id, moments, &history).await? {
            first_found = places.start;
            runs.push(HoldingRun { places, holdings: snapshot.shown(entry.key, &entry.state) });
        }
        let unsynced = moments.iter().take(first_found).enumerate().map(|(place, moment)| HoldingRun {
            places: place..place + 1,
            holdings: snapshot.unsynced(moment),
        });
        runs.extend(unsynced.filter(|run| !run.holdings.gaps.is_empty()));
        Ok(runs)
    }

    /// The entries of a custody account that count at the moments of some places, the latest first.
    async fn snapshots_at(
        &self,
        id: CustodyAccountId,
        moments: &Moments,
        places: &Range<usize>,
    ) -> Result<Vec<CountedEntry<RecordedSnapshot>>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let past = moments.part(places.clone());
        let read = |item: &PageItem<'_>| Ok(item.to_item());
        let items = self.entries_at(history_id(id), &past, EntryKind::Snapshot, read).await?;
        let recorded = |CountedEntry { places: counted, entry }: &CountedEntry<Item>, catalogue: &_| {
            Ok(CountedEntry {
                places: places.start + counted.start..places.start + counted.end,
                entry: recorded_from_item(entry, catalogue)?,
            })
        };
        self.mapped(|catalogue| items.iter().map(|item| recorded(item, catalogue)).collect()).await
    }

    /// The entry of a custody account that counts at a moment, if there is one.
    pub(super) async fn recorded_snapshot(
        &self,
        id: CustodyAccountId,
        moment: Moment,
    ) -> Result<Option<RecordedSnapshot>, StoreError> {
        let found = self.snapshots_at(id, &moment.into(), &(0..1)).await?;
        Ok(found.into_iter().next().map(|counted| counted.entry))
    }

    /// At most `limit` entries of a custody account, the newest first.
    pub async fn snapshot_entries(
        &self,
        id: CustodyAccountId,
        limit: u16,
    ) -> Result<Vec<RecordedSnapshot>, StoreError> {
        let items = self.entry_items(history_id(id), history::HistoryEnd::Newest, limit).await?;
        self.mapped(|catalogue| items.iter().map(|item| recorded_from_item(item, catalogue)).collect()).await
    }

    /// The account that shows a position, as of each of at most `limit` snapshots, the newest first, with
    /// when each was recorded. A snapshot of before the position was first held is left out.
    pub async fn position_entries(
        &self,
        id: CustodyAccountId,
        account_id: AccountId,
        limit: u16,
    ) -> Result<Vec<(Account, Timestamp)>, StoreError> {
        let Some(state) = self.custody_account(id).await? else { return Ok(Vec::new()) };
        let entries = self.snapshot_entries(id, limit).await?;
        let account = |entry: &RecordedSnapshot| {
            let accounts = state.snapshot.accounts(entry.key, &entry.state.holdings);
            let account = accounts.into_iter().find(|account| account.id == account_id)?;
            Some((account, entry.recorded_at))
        };
        Ok(entries.iter().filter_map(account).collect())
    }
}

pub(super) const fn id_owner(owner: PositionOwner) -> IdOwner {
    IdOwner::Custody { customer_id: owner.customer_id, custody_account_id: owner.id }
}

/// A custody account's history stands under its own id, which no account can have.
pub(super) fn history_id(id: CustodyAccountId) -> AccountId {
    AccountId::from(id.uuid())
}

pub(super) fn snapshot_key(customer_id: CustomerId, id: CustodyAccountId) -> Item {
    Item::from([
        ("customer_id".to_owned(), text(customer_id.to_string())),
        ("account_id".to_owned(), text(format!("{SNAPSHOT}{id}"))),
    ])
}

/// Whether an item of the accounts table is a snapshot.
pub(super) fn is_snapshot(item: &impl Attributes) -> bool {
    matches!(item.text("account_id"), Some(Ok(key)) if key.starts_with(SNAPSHOT))
}

/// The custody account in a sort key of the accounts table, if it is a snapshot's.
pub(super) fn snapshot_id(sort_key: &str) -> Option<CustodyAccountId> {
    CustodyAccountId::parse(sort_key.strip_prefix(SNAPSHOT)?).ok()
}

pub(super) fn to_item(snapshot: &StoredSnapshot) -> Item {
    let StoredSnapshot { owner, entry, coverage, state, registered_at, first_confirmed_at, revision } =
        snapshot;
    let mut item = snapshot_key(owner.customer_id, owner.id);
    let optional = [
        ("entry", entry.map(|(entry, _)| text(entry_text(entry)))),
        ("recorded_at", entry.map(|(_, recorded_at)| instant(recorded_at))),
        ("first_confirmed_at", first_confirmed_at.map(instant)),
    ];
    let attributes = [
        ("provider", text(owner.provider.name())),
        ("coverage", coverage_to_attribute(coverage)),
        ("registered_at", instant(*registered_at)),
        ("revision", number(revision)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    item.extend(state_to_attributes(state));
    item.extend(attributes.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(super) fn from_item(item: &Item, catalogue: &Catalogue) -> Result<StoredSnapshot, StoreError> {
    let row = Row { table: Table::Accounts, item };
    let id = row.parsed("account_id", |key| snapshot_id(key).ok_or(()))?;
    let entry = row.optional("entry", entry_from_text)?;
    let recorded_at = row.optional("recorded_at", Timestamp::parse)?;
    Ok(StoredSnapshot {
        owner: PositionOwner {
            id,
            customer_id: row.parsed("customer_id", CustomerId::parse)?,
            provider: row.parsed("provider", ProviderName::parse)?,
        },
        entry: entry.zip(recorded_at),
        coverage: coverage_of(row, catalogue)?,
        state: state_of(row, catalogue)?,
        registered_at: row.instant("registered_at")?,
        first_confirmed_at: row.optional("first_confirmed_at", Timestamp::parse)?,
        revision: row.number("revision", str::parse)?,
    })
}

pub(super) fn history_item(snapshot: &StoredSnapshot, key: EntryKey, recorded_at: Timestamp) -> Item {
    let mut item = history::key(history_id(snapshot.owner.id), key);
    item.insert("recorded_at".to_owned(), instant(recorded_at));
    item.insert("coverage".to_owned(), coverage_to_attribute(&snapshot.coverage));
    item.extend(state_to_attributes(&snapshot.state));
    item
}

pub(super) fn recorded_from_item(item: &Item, catalogue: &Catalogue) -> Result<RecordedSnapshot, StoreError> {
    let row = Row { table: Table::History, item };
    Ok(RecordedSnapshot {
        key: row.parsed("entry", entry_from_text)?,
        recorded_at: row.instant("recorded_at")?,
        state: state_of(row, catalogue)?,
    })
}

pub(super) fn asset_name(asset: &ChainAsset) -> String {
    format!("{}#{}", asset.blockchain.name(), asset.asset.code())
}

pub(super) fn parse_asset(name: &str, catalogue: &Catalogue) -> Option<ChainAsset> {
    let (blockchain, token) = name.split_once('#')?;
    catalogue.chain_asset(blockchain, token).ok()
}

fn coverage_to_attribute(coverage: &Coverage) -> AttributeValue {
    match coverage {
        Coverage::All => text(ALL),
        Coverage::Listed(listed) => {
            AttributeValue::L(listed.iter().map(|asset| text(asset_name(asset))).collect())
        }
    }
}

fn coverage_of(row: Row<'_>, catalogue: &Catalogue) -> Result<Coverage, StoreError> {
    if matches!(row.item.get("coverage"), Some(AttributeValue::S(all)) if all == ALL) {
        return Ok(Coverage::All);
    }
    row.list("coverage", |name| parse_asset(name, catalogue)).map(Coverage::Listed)
}

fn state_to_attributes(state: &SnapshotState) -> [(String, AttributeValue); 2] {
    let SnapshotState { holdings, unlisted } = state;
    [
        ("holdings".to_owned(), holdings_to_map(holdings)),
        ("unlisted".to_owned(), AttributeValue::M(unlisted.iter().map(unlisted_to_attribute).collect())),
    ]
}

fn state_of(row: Row<'_>, catalogue: &Catalogue) -> Result<SnapshotState, StoreError> {
    Ok(SnapshotState { holdings: holdings_of(row, catalogue)?, unlisted: unlisted_of(row)? })
}

fn unlisted_to_attribute((id, holding): (&String, &UnlistedHolding)) -> (String, AttributeValue) {
    let UnlistedHolding { balance, reason } = holding;
    let item =
        Item::from([("balance".to_owned(), text(balance)), ("reason".to_owned(), text(reason.name()))]);
    (id.clone(), AttributeValue::M(item))
}

fn unlisted_of(row: Row<'_>) -> Result<Unlisted, StoreError> {
    let corrupt = || row.corrupt("unlisted");
    let unlisted = row.item.get("unlisted").and_then(|value| value.as_m().ok()).ok_or_else(corrupt)?;
    let entry = |(id, value): (&String, &AttributeValue)| {
        let row = Row { table: row.table, item: value.as_m().map_err(|_| corrupt())? };
        let reason = row.parsed("reason", |reason| UnlistedReason::parse(reason).ok_or(()))?;
        let balance = row.text("balance")?.ok_or_else(corrupt)?;
        Ok((id.clone(), UnlistedHolding { balance, reason }))
    };
    unlisted.iter().map(entry).collect()
}

fn holdings_to_map(holdings: &Positions) -> AttributeValue {
    let entry = |(asset, position): (&ChainAsset, &Position)| {
        let amounts = [("balance", number(position.balance())), ("available", number(position.available()))];
        let times =
            [("last_transaction_at", position.last_transaction_at()), ("held_since", position.held_since())];
        let times = times.into_iter().filter_map(|(name, at)| at.map(|at| (name, instant(at))));
        let attributes = amounts.into_iter().chain(times).map(|(name, value)| (name.to_owned(), value));
        (asset_name(asset), AttributeValue::M(attributes.collect()))
    };
    AttributeValue::M(holdings.iter().map(entry).collect())
}

fn holdings_of(row: Row<'_>, catalogue: &Catalogue) -> Result<Positions, StoreError> {
    let corrupt = || row.corrupt("holdings");
    let holdings = row.item.get("holdings").and_then(|value| value.as_m().ok()).ok_or_else(corrupt)?;
    let entry = |(name, value): (&String, &AttributeValue)| {
        let asset = parse_asset(name, catalogue).ok_or_else(corrupt)?;
        let item = value.as_m().map_err(|_| corrupt())?;
        Ok((asset, position_of(Row { table: row.table, item })?))
    };
    holdings.iter().map(entry).collect()
}

fn position_of(row: Row<'_>) -> Result<Position, StoreError> {
    let position = Position::new(row.amount("balance")?, row.amount("available")?);
    let position = position.map_err(|_| row.corrupt("available"))?;
    let position = position.with_held_since(row.optional("held_since", Timestamp::parse)?);
    Ok(position.with_last_transaction(row.optional("last_transaction_at", Timestamp::parse)?))
}
