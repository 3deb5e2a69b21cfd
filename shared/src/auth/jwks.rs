//! The issuer's published keys, cached in memory and in the store, and refreshed in a way that junk tokens
//! cannot drive.
//!
//! A request that names an unknown key leads to at most one read of the stored set per instance and cooldown,
//! and, once there is a set, to at most one request to the issuer per minute over all instances. Requests
//! that wait for a refresh, and those within its cooldown, share its outcome.

use super::AuthError;
use super::key::{KeysById, VerificationKey, parse};
use crate::domain::Timestamp;
use crate::outgoing;
use crate::store::{Store, StoredJwks};
use jiff::SignedDuration;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// A set this old is fetched again, so that a key the issuer withdrew stops working.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A set this old is not believed, even if the issuer cannot be reached.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// After a look at the store and the issuer, this instance does not look again for an unknown key.
const COOLDOWN: SignedDuration = SignedDuration::from_secs(5);
/// The issuer answers within this or counts as unavailable.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest set that is read.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// A set without a usable key does not take the place of a good one. An alarm looks for these words.
const NO_KEYS: &str = "the issuer publishes no usable key";

#[derive(Debug)]
pub(super) struct Jwks {
    url: String,
    store: Store,
    current: RwLock<Option<Arc<KeySet>>>,
    /// Held by the one request that refreshes; says when that last was and how it ended.
    refresh: tokio::sync::Mutex<Option<(Timestamp, Result<(), AuthError>)>>,
}

#[derive(Debug)]
struct KeySet {
    keys: KeysById,
    fetched_at: Timestamp,
}

impl KeySet {
    /// Whether the set is younger than `age`. A set dated by a clock that ran ahead by more than `age` is
    /// not: such a set would otherwise be kept until that date has passed.
    fn is_younger(&self, age: SignedDuration, now: Timestamp) -> bool {
        self.fetched_at.age_at(now).abs() < age
    }
}

impl Jwks {
    pub(super) fn new(url: String, store: Store) -> Self {
        Self { url, store, current: RwLock::default(), refresh: tokio::sync::Mutex::default() }
    }

    /// Reads the stored set.
    pub(super) async fn warm(&self, now: Timestamp) -> Result<(), AuthError> {
        if let Some(stored) = self.store.jwks().await? {
            self.install(&stored, now)?;
        }
        Ok(())
    }

    /// The keys of that id, after a refresh if none is known or the set is old.
    pub(super) async fn keys(&self, kid: &str, now: Timestamp) -> Result<Vec<VerificationKey>, AuthError> {
        if let Some(keys) = self.find(kid, now, REFRESH_AFTER) {
            return Ok(keys);
        }
        let mut last = self.refresh.lock().await;
        // Another request may have refreshed while this one waited for its turn.
        if let Some(keys) = self.find(kid, now, REFRESH_AFTER) {
            return Ok(keys);
        }
        let outcome = match last.take().filter(|(at, _)| at.age_at(now).abs() < COOLDOWN) {
            Some(recent) => last.insert(recent),
            None => last.insert((now, self.refresh(kid, now).await)),
        };
        // An old set serves on for a day while the issuer is down. A key that is not in it may be one of a
        // rotation meanwhile, so its tokens are not called bad.
        match (self.find(kid, now, MAX_AGE), &outcome.1) {
            (Some(keys), _) => Ok(keys),
            (None, Err(error)) => Err(error.clone()),
            (None, Ok(())) => Ok(Vec::new()),
        }
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_set(&self, now: Timestamp, max_age: SignedDuration) -> bool {
        self.current().is_some_and(|current| current.is_younger(max_age, now))
    }

    fn find(&self, kid: &str, now: Timestamp, max_age: SignedDuration) -> Option<Vec<VerificationKey>> {
        let current = self.current().filter(|current| current.is_younger(max_age, now))?;
        current.keys.get(kid).cloned()
    }

    async fn refresh(&self, kid: &str, now: Timestamp) -> Result<(), AuthError> {
        if let Err(cause) = self.warm(now).await {
            tracing::warn!(%cause, "the stored key set could not be used; asking the issuer");
        }
        // Before the first fetch ever there is nothing to fall back on, and waiting for another instance's
        // would refuse callers.
        let is_first = !self.has_set(now, MAX_AGE);
        if self.find(kid, now, REFRESH_AFTER).is_some()
            || !(self.store.claim_jwks_refresh(now).await? || is_first)
        {
            return Ok(());
        }
        let document = fetch(&self.url).await.map_err(|cause| {
            tracing::warn!(cause, "the issuer's keys could not be fetched");
            AuthError::KeysUnavailable(cause)
        })?;
        let fetched = StoredJwks { document, fetched_at: now };
        self.install(&fetched, now)?;
        Ok(self.store.put_jwks(&fetched).await?)
    }

    /// Takes the set unless a newer one is here already, which may not have reached the store. A set that is
    /// dated later than `now` is not newer: the clock that dated the set was wrong, or has been set back.
    fn install(&self, stored: &StoredJwks, now: Timestamp) -> Result<(), AuthError> {
        let keys = parse(&stored.document).map_err(|error| AuthError::KeysUnavailable(error.to_string()))?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_newer_here = current
            .as_ref()
            .is_some_and(|here| stored.fetched_at < here.fetched_at && here.fetched_at <= now);
        if !is_newer_here {
            *current = Some(Arc::new(KeySet { keys, fetched_at: stored.fetched_at }));
        }
        Ok(())
    }
}

async fn fetch(url: &str) -> Result<String, String> {
    // Built here, because it is rarely needed and costs milliseconds of a cold start.
    let request = outgoing::client(FETCH_TIMEOUT, url)?.get(url);
    let answer = outgoing::send(request, MAX_DOCUMENT_BYTES).await?;
    if answer.status != 200 {
        return Err(format!("the issuer answered with status {}", answer.status));
    }
    let document = String::from_utf8(answer.body).map_err(|error| error.to_string())?;
    let keys = parse(&document).map_err(|error| error.to_string())?;
    if keys.is_empty() { Err(NO_KEYS.to_owned()) } else { Ok(document) }
}
