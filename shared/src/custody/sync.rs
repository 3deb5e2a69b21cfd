//! One sync: under a lease, ask the provider, store what differs, and leave an outcome that all who wait can
//! share.
//!
//! Whatever a sync is cut short by, nothing stored is lost or contradicts itself, and the next one completes
//! it: projections are written first, the snapshot last, each only by the holder of the newest lease.

use super::call::within;
use super::{Holdings, ProviderError, Providers, change};
use crate::domain::{ChainAsset, CustodyAccount, CustodyAccountId, Position, Timestamp};
use crate::store::{Claim, CustodyState, Fenced, Lease, RateLimiter, Store, StoreError, Written};
use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::time::{sleep, timeout};

/// A provider read, retries included.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A provider read and what is stored after it; who takes longer may lose the lease.
const LEASE: SignedDuration = SignedDuration::from_secs(12);
/// The lease of an account in a batch, which is stored when its turn comes.
const BATCH_LEASE: SignedDuration = SignedDuration::from_secs(40);
/// An account of a batch whose turn comes later than this is left for the next run.
pub(super) const BATCH_TIMEOUT: Duration = Duration::from_secs(25);
/// Asking when the assets of one account of a batch last moved.
const BATCH_MOVES_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction later than this is no transaction: providers' clocks differ from ours by less.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Who waits for another's attempt gives up after this.
const MAX_WAIT: Duration = Duration::from_secs(13);
/// Who waits looks this often: a sync takes a tenth of a second or more.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// An account's syncs on request are this far apart.
pub const REQUEST_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// Accounts of a batch that are stored at once.
const CONCURRENT_WRITES: usize = 8;

/// The calls to the store that a sync makes, named so that a test can stop it before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Claiming the lease.
    Claim,
    /// Comparing projections with what is stored.
    PlanProjection,
    /// Writing one transaction of projections.
    WriteProjection,
    /// Writing the snapshot and ending the attempt.
    Complete,
    /// Ending a failed attempt.
    Fail,
    /// Giving the lease back.
    Abandon,
}

/// What runs before each step; nothing, outside tests.
pub type Hook = Arc<dyn Fn(Step) -> BoxFuture<'static, ()> + Send + Sync>;

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
    /// Another has taken over, because this one took too long.
    #[error("the lease was lost")]
    LeaseLost,
}

/// Syncs custody accounts; cheap to clone.
#[derive(Clone)]
pub struct Syncs {
    store: Store,
    providers: Providers,
    callers: RateLimiter,
    interval: SignedDuration,
    hook: Hook,
}

impl std::fmt::Debug for Syncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncs").field("providers", &self.providers).finish_non_exhaustive()
    }
}

impl Syncs {
    /// Syncs by these providers. A caller may make one be asked `reads_per_caller` times in a clock minute (0
    /// is no limit), and an account is due again after `interval`.
    #[must_use]
    pub fn new(store: Store, providers: Providers, reads_per_caller: u64, interval: SignedDuration) -> Self {
        let callers = RateLimiter::new(store.clone(), "provider-reads", reads_per_caller);
        Self { store, providers, callers, interval, hook: Arc::new(|_| ready(()).boxed()) }
    }

    /// The same with something to run before each step.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook, ..self }
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
        caller: &str,
        now: Timestamp,
    ) -> Result<CustodyAccount, SyncError> {
        if account.synced_at.is_some_and(|at| at >= oldest) {
            Ok(account)
        } else {
            self.ask(account.id, Some(caller), now).await
        }
    }

    /// A sync on request, of which there is one per account and [`REQUEST_INTERVAL`].
    pub async fn requested(
        &self,
        id: CustodyAccountId,
        caller: &str,
        now: Timestamp,
    ) -> Result<CustodyAccount, SyncError> {
        // First, so that who has used up their own budget cannot use up the account's.
        self.admit(caller, now).await?;
        match self.store.claim_requested_sync(id, now, now.minus(REQUEST_INTERVAL)).await? {
            Ok(()) => self.ask(id, None, now).await,
            Err(last) => {
                let left = REQUEST_INTERVAL - last.age_at(now);
                Err(SyncError::TooOften {
                    retry_after_seconds: left.as_secs().clamp(0, REQUEST_INTERVAL.as_secs() - 1) + 1,
                })
            }
        }
    }

    async fn admit(&self, caller: &str, now: Timestamp) -> Result<(), SyncError> {
        let verdict = self.callers.check(caller, now).await;
        within(verdict).map_err(|retry_after_seconds| SyncError::TooOften { retry_after_seconds })
    }

    /// Asks the provider, at the expense of a caller unless it is paid for, or shares the outcome of whoever
    /// is asking already.
    async fn ask(
        &self,
        id: CustodyAccountId,
        caller: Option<&str>,
        now: Timestamp,
    ) -> Result<CustodyAccount, SyncError> {
        let started = Instant::now();
        while started.elapsed() < MAX_WAIT {
            let outcome = match self.claim(id, later(now, started), LEASE).await? {
                Claim::Missing => Some(Err(SyncError::Missing)),
                Claim::Granted(lease) => Some(self.attempt(*lease, caller, now).await),
                Claim::Held(attempts) => self.outcome(id, attempts.newest, now, started).await?,
            };
            match outcome {
                // Another has it now, or it was given back: see again.
                None | Some(Err(SyncError::LeaseLost)) => {}
                Some(outcome) => return outcome,
            }
        }
        Err(ProviderError::Unavailable("no attempt has ended in time".to_owned()).into())
    }

    async fn claim(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Claim, StoreError> {
        (self.hook)(Step::Claim).await;
        self.store.claim_lease(id, now, now.plus(lease)).await
    }

    /// Claims an account for a batch.
    pub(super) async fn claim_for_batch(
        &self,
        id: CustodyAccountId,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        self.claim(id, now, BATCH_LEASE).await
    }

    async fn attempt(
        &self,
        lease: Lease,
        caller: Option<&str>,
        now: Timestamp,
    ) -> Result<CustodyAccount, SyncError> {
        if let Some(caller) = caller
            && let Err(refused) = self.admit(caller, now).await
        {
            self.abandon(&lease).await?;
            return Err(refused);
        }
        let until = Instant::now() + READ_TIMEOUT;
        let mut answers = self.holdings(std::slice::from_ref(&lease.state.account), until).await;
        let answer = answers.pop().unwrap_or(Err(ProviderError::NotReached));
        self.end(lease, answer, now, Mode::Requested { until }).await
    }

    /// Waits until the attempt that was seen has ended. `None`: it ended without an outcome.
    async fn outcome(
        &self,
        id: CustodyAccountId,
        token: u64,
        now: Timestamp,
        started: Instant,
    ) -> Result<Option<Result<CustodyAccount, SyncError>>, StoreError> {
        while started.elapsed() < MAX_WAIT {
            sleep(POLL_INTERVAL).await;
            let Some(CustodyState { account, attempts, .. }) = self.store.custody_account(id).await? else {
                return Ok(None);
            };
            match attempts.ended.cmp(&token) {
                Ordering::Less => {}
                Ordering::Equal if attempts.has_failed => {
                    let failed = "the call that was shared has failed".to_owned();
                    return Ok(Some(Err(ProviderError::Unavailable(failed).into())));
                }
                // A later attempt has failed, which says nothing of the one that was seen.
                Ordering::Greater if attempts.has_failed => return Ok(None),
                Ordering::Equal | Ordering::Greater => return Ok(Some(Ok(account))),
            }
            if attempts.held_until.is_none_or(|until| until <= later(now, started)) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Syncs accounts of one provider under their leases; the answer has an entry for each, in their order.
    pub(super) async fn sync_batch(
        &self,
        leases: Vec<Lease>,
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
            Ok(provider) => provider.holdings(accounts, deadline.into()).await,
            Err(error) => all(error),
        }
    }

    async fn end(
        &self,
        lease: Lease,
        answer: Result<Holdings, ProviderError>,
        now: Timestamp,
        mode: Mode,
    ) -> Result<CustodyAccount, SyncError> {
        let synced = match answer {
            Ok(holdings) => self.moved(&lease.state.account, holdings, now, mode).await,
            Err(error) => Err(error),
        };
        match synced {
            Ok(account) => match self.store(&lease, account, now).await {
                Err(SyncError::Store(error)) => Err(self.not_stored(&lease, error, now, mode).await.into()),
                outcome => outcome,
            },
            Err(error) if error.is_not_the_accounts() => {
                self.abandon(&lease).await?;
                Err(error.into())
            }
            Err(error) => {
                (self.hook)(Step::Fail).await;
                // Who asks for an account again and again must not move it out of the schedule's reach.
                let next_sync_at = mode.is_scheduled().then(|| now.plus(change::backoff(&lease)));
                self.store.fail_attempt(&lease, Written::Nothing, next_sync_at).await?;
                Err(error.into())
            }
        }
    }

    /// Ends an attempt whose answer could not be stored. A store that is not available now is no reason to
    /// wait longer than for it.
    async fn not_stored(&self, lease: &Lease, error: StoreError, now: Timestamp, mode: Mode) -> StoreError {
        let is_passing = matches!(error, StoreError::Unavailable(_));
        let next_sync_at = (mode.is_scheduled() && !is_passing).then(|| now.plus(change::backoff(lease)));
        (self.hook)(Step::Fail).await;
        // If even that fails, the lease ends by itself; the first error is the one to tell.
        drop(self.store.fail_attempt(lease, Written::Perhaps, next_sync_at).await);
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
        let Holdings { positions: told, unlisted } = holdings;
        if unlisted > 0 {
            tracing::warn!(
                unlisted,
                provider = stored.provider.name(),
                "the provider holds assets that the account does not list"
            );
        }
        let mut positions: BTreeMap<ChainAsset, Position> = BTreeMap::new();
        for (held, old) in &stored.positions {
            let new = told.get(held).copied().unwrap_or_default();
            positions.insert(held.clone(), new.last_moved(old.last_transaction_at()));
        }
        let asked: Vec<_> = change::changed(stored, &positions).cloned().collect();
        if !asked.is_empty() {
            let provider = self.providers.get(stored.provider)?;
            let read = provider.last_transactions(stored, &asked, change::look_back(stored, &asked, now));
            let moves =
                timeout(mode.time_for_moves()?, read).await.map_err(|_| ProviderError::too_slow())??;
            for (held, at) in moves.into_iter().filter(|(_, at)| *at <= now.plus(MAX_AHEAD)) {
                positions.entry(held).and_modify(|position| *position = position.last_moved(Some(at)));
            }
        }
        Ok(CustodyAccount { positions, synced_at: Some(now), ..stored.clone() })
    }

    async fn store(
        &self,
        lease: &Lease,
        account: CustodyAccount,
        now: Timestamp,
    ) -> Result<CustodyAccount, SyncError> {
        let projections = change::projections(lease, &account, now);
        if !projections.is_empty() {
            (self.hook)(Step::PlanProjection).await;
            for writes in self.store.plan_projection(projections).await?.transactions() {
                (self.hook)(Step::WriteProjection).await;
                kept(self.store.write_projection(lease, writes).await?)?;
            }
        }
        (self.hook)(Step::Complete).await;
        kept(self.store.complete_attempt(lease, &account, now.plus(self.interval)).await?)?;
        Ok(account)
    }

    async fn abandon(&self, lease: &Lease) -> Result<(), StoreError> {
        (self.hook)(Step::Abandon).await;
        self.store.abandon_attempt(lease).await.map(drop)
    }
}

/// Who a sync is for, and how long it may take.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// A caller waits; the whole read ends by then.
    Requested { until: Instant },
    /// One of a batch; none is begun to be stored after that.
    Scheduled { until: Instant },
}

impl Mode {
    const fn is_scheduled(self) -> bool {
        matches!(self, Self::Scheduled { .. })
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

const fn kept(fenced: Fenced) -> Result<(), SyncError> {
    match fenced {
        Fenced::Written => Ok(()),
        Fenced::Lost => Err(SyncError::LeaseLost),
    }
}

/// The request's clock, moved on by how long it has taken.
pub(super) fn later(now: Timestamp, started: Instant) -> Timestamp {
    now.plus(SignedDuration::try_from(started.elapsed()).unwrap_or(SignedDuration::MAX)).cut_to_millis()
}
