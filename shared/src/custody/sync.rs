//! One sync: under a lease, ask the provider, store the answer, and leave an outcome that all who wait can
//! share.
//!
//! A sync that changed something is one transaction, and one that changed nothing is one update. So whatever
//! a sync is cut short by, the store holds the snapshot of before or the one after, and nothing between.

use super::call::within;
use super::{Holdings, ProviderError, Providers, change};
use crate::domain::{
    Amount, Catalogue, ChainAsset, Coverage, CustodyAccount, CustodyAccountId, Position, Timestamp,
    UnlistedReason,
};
use crate::store::{
    Attempts, LeaseClaim, LeasedWrite, RateLimiter, RequestClaim, SnapshotError, Store, StoreError, SyncLease,
};
use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::time::{sleep, timeout};

/// A provider read, retries included.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A read that has less time than this is not begun: the lease would block others for nothing.
const SHORTEST_READ: Duration = Duration::from_secs(3);
/// The time that is kept for storing the provider's answer, and for answering the request.
const STORE_TIME: Duration = Duration::from_secs(3);
/// [`READ_TIMEOUT`] and [`STORE_TIME`]; who takes longer may lose the lease.
const LEASE: SignedDuration = SignedDuration::from_secs(13);
/// The lease of an account in a batch, which is stored when its turn comes.
const BATCH_LEASE: SignedDuration = SignedDuration::from_secs(40);
/// An account of a batch that has changed and whose turn comes later than this is left for the next run.
pub(super) const BATCH_TIMEOUT: Duration = Duration::from_secs(25);
/// Asking when the assets of one account of a batch last moved.
const BATCH_MOVES_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction later than this is no transaction: providers' clocks differ from ours by less.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// A waiting request looks this often: a sync takes a tenth of a second or more.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// An account's syncs on request are this far apart.
pub const REQUEST_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// Ids of assets in one log line.
const MAX_LOGGED_ASSETS: usize = 20;
/// Accounts of a batch that are stored at once.
const CONCURRENT_WRITES: usize = 8;

/// Why a sync brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyncError {
    /// There is no such account.
    #[error("no such custody account")]
    Missing,
    /// It was asked for too soon after the last one, or too often by this caller.
    #[error("asked for too often; again in {retry_after_seconds} s")]
    TooOften {
        /// When it may be asked for again.
        retry_after_seconds: i64,
    },
    /// The provider did not say.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider's answer could not become a snapshot.
    #[error(transparent)]
    Snapshot(SnapshotError),
    /// Another has taken over, because this one took too long.
    #[error("the lease was lost")]
    LeaseLost,
}

impl From<SnapshotError> for SyncError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Store(error) => Self::Store(error),
            error => Self::Snapshot(error),
        }
    }
}

/// Syncs custody accounts; cheap to clone.
#[derive(Clone)]
pub struct Syncs {
    store: Store,
    providers: Providers,
    callers: RateLimiter,
    interval: SignedDuration,
}

impl std::fmt::Debug for Syncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncs").field("providers", &self.providers).finish_non_exhaustive()
    }
}

impl Syncs {
    /// Syncs by these providers. Each caller may cause `reads_per_caller` calls to providers in a clock
    /// minute (0 is no limit). An account is due again after `interval`.
    #[must_use]
    pub fn new(store: Store, providers: Providers, reads_per_caller: u64, interval: SignedDuration) -> Self {
        let callers = RateLimiter::new(store.clone(), "provider-reads", reads_per_caller);
        Self { store, providers, callers, interval }
    }

    pub(super) const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// The account as it is stored if its balances are no older than `oldest`, and otherwise as the provider
    /// answers to a call that this one makes or shares. A call that is shared may have begun before `oldest`.
    pub async fn fresh(
        &self,
        account: CustodyAccount,
        oldest: Timestamp,
        request: SyncRequest<'_>,
    ) -> Result<CustodyAccount, SyncError> {
        // Balances of the future were confirmed by a clock that has been set back since.
        let latest = request.now.plus(MAX_AHEAD);
        if account.synced_at.is_some_and(|at| oldest <= at && at <= latest) {
            return Ok(account);
        }
        self.ask(account.id, request, Payment::Due).await
    }

    /// A sync on request, of which there is one per account and [`REQUEST_INTERVAL`].
    pub async fn requested(
        &self,
        id: CustodyAccountId,
        request: SyncRequest<'_>,
    ) -> Result<CustodyAccount, SyncError> {
        // First, so that who has used up their own budget cannot use up the account's.
        self.admit(request).await?;
        let now = request.now;
        match self.store.claim_requested_sync(id, now, now.minus(REQUEST_INTERVAL)).await? {
            RequestClaim::Granted => self.ask(id, request, Payment::Made).await,
            RequestClaim::TooSoon { last } => {
                let left = REQUEST_INTERVAL - last.age_at(now);
                Err(SyncError::TooOften {
                    retry_after_seconds: left.as_secs().clamp(0, REQUEST_INTERVAL.as_secs() - 1) + 1,
                })
            }
        }
    }

    async fn admit(&self, request: SyncRequest<'_>) -> Result<(), SyncError> {
        let verdict = self.callers.check(request.caller, request.now).await;
        within(verdict).map_err(|retry_after_seconds| SyncError::TooOften { retry_after_seconds })
    }

    /// Asks the provider, or shares the outcome of whoever is asking already.
    async fn ask(
        &self,
        id: CustodyAccountId,
        request: SyncRequest<'_>,
        payment: Payment,
    ) -> Result<CustodyAccount, SyncError> {
        let (started, mut payment) = (Instant::now(), payment);
        while request.time_for_a_read() >= SHORTEST_READ {
            let now = later(request.now, started);
            let outcome = match self.store.claim_lease(id, now, now.plus(LEASE)).await? {
                LeaseClaim::Missing => Some(Err(SyncError::Missing)),
                LeaseClaim::Granted(lease) => {
                    // A request that shares another's call pays nothing, so the charge comes with the lease,
                    // and comes once.
                    let payment = std::mem::replace(&mut payment, Payment::Made);
                    Some(self.attempt(*lease, SyncRequest { now, ..request }, payment).await)
                }
                LeaseClaim::Taken(attempts) => self.outcome(id, &attempts, request, started).await?,
            };
            match outcome {
                // Another has the lease now, or it was given back: see again.
                None | Some(Err(SyncError::LeaseLost)) => {}
                Some(outcome) => return outcome,
            }
        }
        Err(ProviderError::Unavailable("no attempt has ended in time".to_owned()).into())
    }

    /// Claims an account for a batch.
    pub(super) async fn claim_for_batch(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
    ) -> Result<LeaseClaim, StoreError> {
        self.store.claim_lease(id, now, now.plus(BATCH_LEASE)).await
    }

    async fn attempt(
        &self,
        lease: SyncLease,
        request: SyncRequest<'_>,
        payment: Payment,
    ) -> Result<CustodyAccount, SyncError> {
        if payment == Payment::Due
            && let Err(refused) = self.admit(request).await
        {
            self.store.abandon_attempt(&lease).await?;
            return Err(refused);
        }
        let until = Instant::now() + request.time_for_a_read();
        let mut answers = self.holdings(std::slice::from_ref(&lease.state.account), until).await;
        let answer = answers.pop().unwrap_or(Err(ProviderError::NotReached));
        self.end(lease, answer, request.now, Mode::Requested { until }).await
    }

    /// Waits until the attempt that was seen has ended. `None`: no outcome is known, and the caller looks
    /// again.
    async fn outcome(
        &self,
        id: CustodyAccountId,
        seen: &Attempts,
        request: SyncRequest<'_>,
        started: Instant,
    ) -> Result<Option<Result<CustodyAccount, SyncError>>, StoreError> {
        while request.left() > STORE_TIME {
            sleep(POLL_INTERVAL).await;
            let Some(control) = self.store.custody_control(id).await? else { return Ok(None) };
            let attempts = &control.attempts;
            if attempts.ended_by == seen.claimant && attempts.has_failed {
                let failed = "the call that was shared has failed".to_owned();
                return Ok(Some(Err(ProviderError::Unavailable(failed).into())));
            }
            // The attempt that was seen has succeeded, or a later one has. If a later one has failed, the
            // outcome of the one that was seen is not known: go on.
            if attempts.ended_by != seen.ended_by && !attempts.has_failed {
                return Ok(Some(Ok(self.store.with_snapshot(control).await?.account)));
            }
            let now = later(request.now, started);
            if attempts.claimant != seen.claimant || attempts.lease_until.is_none_or(|until| until <= now) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Syncs accounts of one provider under their leases; the answer has an entry for each, in their order.
    pub(super) async fn sync_batch(
        &self,
        leases: Vec<SyncLease>,
        now: Timestamp,
    ) -> Vec<Result<CustodyAccount, SyncError>> {
        let started = Instant::now();
        let accounts: Vec<_> = leases.iter().map(|lease| lease.state.account.clone()).collect();
        let answers = self.holdings(&accounts, started + READ_TIMEOUT).await;
        let mode = Mode::Scheduled { until: started + BATCH_TIMEOUT };
        let ends: Vec<_> = leases
            .into_iter()
            .zip(answers)
            .map(|(lease, answer)| self.end(lease, answer, now, mode))
            .collect();
        stream::iter(ends).buffered(CONCURRENT_WRITES).collect().await
    }

    async fn holdings(
        &self,
        accounts: &[CustodyAccount],
        deadline: Instant,
    ) -> Vec<Result<Holdings, ProviderError>> {
        let all = |error: ProviderError| accounts.iter().map(|_| Err(error.clone())).collect();
        let Some(first) = accounts.first() else { return Vec::new() };
        match self.providers.get(first.provider) {
            Ok(provider) => match self.store.catalogue().await {
                Ok(catalogue) => provider.holdings(accounts, &catalogue, deadline.into()).await,
                Err(error) => all(ProviderError::Ours(error.to_string())),
            },
            Err(error) => all(error),
        }
    }

    async fn end(
        &self,
        lease: SyncLease,
        answer: Result<Holdings, ProviderError>,
        now: Timestamp,
        mode: Mode,
    ) -> Result<CustodyAccount, SyncError> {
        let synced = match answer {
            Ok(holdings) => self.moved(&lease.state.account, holdings, now, mode).await,
            Err(error) => Err(error),
        };
        match synced {
            Ok(account) => match self.store(&lease, account, now, mode.store_until()).await {
                Err(SyncError::Store(error)) => Err(self.not_stored(&lease, error, now, mode).await.into()),
                Err(error @ SyncError::Snapshot(_)) => {
                    self.store.fail_attempt(&lease, &error.to_string(), mode.next_try(&lease, now)).await?;
                    Err(error)
                }
                outcome => outcome,
            },
            // Nothing was learnt of the account, so those who wait try for themselves.
            Err(error) if error.is_not_the_accounts() => {
                self.store.abandon_attempt(&lease).await?;
                Err(error.into())
            }
            Err(error) => {
                self.store.fail_attempt(&lease, &error.to_string(), mode.next_try(&lease, now)).await?;
                Err(error.into())
            }
        }
    }

    /// Ends an attempt whose answer could not be stored. If the store is not available or the clock is wrong,
    /// the schedule does not postpone the account.
    async fn not_stored(
        &self,
        lease: &SyncLease,
        error: StoreError,
        now: Timestamp,
        mode: Mode,
    ) -> StoreError {
        let is_passing = matches!(error, StoreError::Unavailable(_) | StoreError::WrongClock(_));
        let next_sync_at = mode.next_try(lease, now).filter(|_| !is_passing);
        // If even that fails, the lease ends by itself; the first error is the one to tell.
        drop(self.store.fail_attempt(lease, &error.to_string(), next_sync_at).await);
        error
    }

    /// The account as the provider says, with the last transactions of what has changed.
    async fn moved(
        &self,
        stored: &CustodyAccount,
        holdings: Holdings,
        now: Timestamp,
        mode: Mode,
    ) -> Result<CustodyAccount, ProviderError> {
        let catalogue =
            self.store.catalogue().await.map_err(|error| ProviderError::Ours(error.to_string()))?;
        let Holdings { positions: reported, unlisted } = holdings;
        let mut positions: BTreeMap<ChainAsset, Position> = BTreeMap::new();
        for asset in stored.positions.keys().chain(reported.keys()) {
            let old = stored.positions.get(asset).copied().unwrap_or_default();
            let new = match reported.get(asset) {
                Some(new) => *new,
                None => absent(stored, asset, &catalogue)?,
            };
            let held_now = Some(now).filter(|_| new.balance() != Amount::ZERO);
            let new = new.with_last_transaction(old.last_transaction_at());
            positions.insert(asset.clone(), new.with_held_since(old.held_since()).with_held_since(held_now));
        }
        self.add_last_transactions(stored, &mut positions, &catalogue, now, mode).await?;
        let account = CustodyAccount { positions, unlisted, synced_at: Some(now), ..stored.clone() };
        warn_of_unknown(&account);
        Ok(account)
    }

    /// Asks when the assets whose amounts are new last moved. The amounts are worth more than that time: if
    /// the provider does not tell it, the time of before stays.
    async fn add_last_transactions(
        &self,
        stored: &CustodyAccount,
        positions: &mut BTreeMap<ChainAsset, Position>,
        catalogue: &Catalogue,
        now: Timestamp,
        mode: Mode,
    ) -> Result<(), ProviderError> {
        let asked: Vec<_> = change::changed(stored, positions).cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let provider = self.providers.get(stored.provider)?;
        let since = change::look_back(stored, &asked, now);
        let read = provider.last_transactions(stored, &asked, catalogue, since);
        let moves =
            timeout(mode.time_for_moves()?, read).await.unwrap_or_else(|_| Err(ProviderError::too_slow()));
        match moves {
            Ok(moves) => {
                for (asset, at) in moves.into_iter().filter(|(_, at)| *at <= now.plus(MAX_AHEAD)) {
                    let known = positions.entry(asset);
                    known.and_modify(|position| *position = position.with_last_transaction(Some(at)));
                }
            }
            Err(cause) => tracing::warn!(
                %cause,
                account_id = %stored.id,
                provider = stored.provider.name(),
                "the last transactions of a custody account were not read"
            ),
        }
        Ok(())
    }

    async fn store(
        &self,
        lease: &SyncLease,
        account: CustodyAccount,
        now: Timestamp,
        until: Instant,
    ) -> Result<CustodyAccount, SyncError> {
        let next_sync_at = now.plus(self.interval);
        let written = if lease.state.stands(&account, now) {
            self.store.confirm_snapshot(lease, now, next_sync_at).await?
        } else {
            self.store.record_snapshot(lease, &account, now, next_sync_at, until).await?
        };
        match written {
            LeasedWrite::Written => Ok(account),
            LeasedWrite::Lost => Err(SyncError::LeaseLost),
        }
    }
}

/// The position of an asset that a valid answer leaves out: nothing, if the provider has an id of the asset
/// and so could have named it.
fn absent(
    account: &CustodyAccount,
    asset: &ChainAsset,
    catalogue: &Catalogue,
) -> Result<Position, ProviderError> {
    let is_zero = account.positions.get(asset).is_none_or(|old| old.balance() == Amount::ZERO);
    let is_listed = matches!(account.coverage, Coverage::Listed(_));
    if (is_listed || !is_zero) && catalogue.provider_ids(account.provider, asset).is_empty() {
        let (blockchain, code) = (asset.blockchain.name(), asset.asset.code());
        let problem = format!("no id of the provider's stands for {blockchain}:{code} in the catalogue");
        return Err(ProviderError::Nonsense(problem));
    }
    Ok(Position::default())
}

/// Logs what an account that covers everything holds and no row of the catalogue names: an alarm counts the
/// line, and the ids say which rows are missing.
fn warn_of_unknown(account: &CustodyAccount) {
    let unknown = account.unlisted.iter().filter(|(_, holding)| holding.reason == UnlistedReason::Unknown);
    let ids: Vec<&str> = unknown.map(|(id, _)| id.as_str()).collect();
    if !ids.is_empty() {
        tracing::warn!(
            unlisted = ids.len(),
            provider = account.provider.name(),
            account_id = %account.id,
            assets = ids.into_iter().take(MAX_LOGGED_ASSETS).collect::<Vec<_>>().join(" "),
            "a custody account holds assets that the catalogue does not name"
        );
    }
}

/// A request for a sync: who makes it, when, and until when an answer is of use.
#[derive(Debug, Clone, Copy)]
pub struct SyncRequest<'a> {
    /// The caller, at whose expense a provider is asked.
    pub caller: &'a str,
    /// The time of the request.
    pub now: Timestamp,
    /// When the request is given up.
    pub deadline: Instant,
}

impl SyncRequest<'_> {
    fn left(self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long a provider read that is begun now may take.
    fn time_for_a_read(self) -> Duration {
        self.left().saturating_sub(STORE_TIME).min(READ_TIMEOUT)
    }
}

/// Whether the caller's budget has been charged for a call to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    /// It is charged when the provider is asked.
    Due,
    /// It has been.
    Made,
}

/// The purpose of a sync, and how long the sync may take.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// A caller waits; the whole read ends by then.
    Requested { until: Instant },
    /// One of a batch; none is begun to be stored after that.
    Scheduled { until: Instant },
}

impl Mode {
    /// When no further attempt to store an answer is begun.
    fn store_until(self) -> Instant {
        match self {
            Self::Requested { until } | Self::Scheduled { until } => until + STORE_TIME,
        }
    }

    /// When a failed attempt is made again by the schedule. A failed request moves nothing: who asks for an
    /// account again and again must not move it out of the schedule's reach.
    fn next_try(self, lease: &SyncLease, now: Timestamp) -> Option<Timestamp> {
        matches!(self, Self::Scheduled { .. }).then(|| now.plus(change::backoff(lease)))
    }

    fn time_for_moves(self) -> Result<Duration, ProviderError> {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        match self {
            Self::Requested { until } => Ok(left(until)),
            Self::Scheduled { until } if left(until).is_zero() => Err(ProviderError::NotReached),
            Self::Scheduled { .. } => Ok(BATCH_MOVES_TIMEOUT),
        }
    }
}

/// The request's clock, moved on by how long it has taken.
pub(super) fn later(now: Timestamp, started: Instant) -> Timestamp {
    now.plus(SignedDuration::try_from(started.elapsed()).unwrap_or(SignedDuration::MAX)).cut_to_millis()
}
