//! API keys: found by their SHA-256, remembered for less than the minute in which a revocation must be in
//! force.

use super::{AuthError, Caller};
use crate::domain::Timestamp;
use crate::store::{ApiKey, Store};
use aws_lc_rs::{digest, rand};
use jiff::SignedDuration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The beginning of every key.
pub const PREFIX: &str = "bk_";
/// Of a key that is made here.
const SECRET_BYTES: usize = 32;
/// Keys made here have 64; of base 62, 43 characters hold 256 random bits.
const MIN_SECRET_CHARACTERS: usize = 40;
/// Nobody needs longer ones, and each is hashed.
const MAX_SECRET_CHARACTERS: usize = 128;
/// A revocation is in force within 60 s; this leaves half of them for clocks and requests under way.
const KNOWN_TTL: SignedDuration = SignedDuration::from_secs(30);
/// Long enough that a wrong key costs one read per burst, short enough that a new key works at once.
const UNKNOWN_TTL: SignedDuration = SignedDuration::from_secs(5);
/// Keys one instance remembers. Beyond, it forgets the unknown ones first: anybody can make up as many.
const MAX_REMEMBERED: usize = 1_000;

/// Whether the text has the form of a key; anything else is refused without a read.
#[must_use]
pub fn is_api_key(text: &str) -> bool {
    let is_secret = |secret: &str| {
        (MIN_SECRET_CHARACTERS..=MAX_SECRET_CHARACTERS).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.strip_prefix(PREFIX).is_some_and(is_secret)
}

/// A new key of 256 random bits; `None` if the system has none to give.
#[must_use]
pub fn new_api_key() -> Option<String> {
    let mut secret = [0; SECRET_BYTES];
    rand::fill(&mut secret).ok()?;
    Some(format!("{PREFIX}{}", hex(&secret)))
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[derive(Debug)]
pub(super) struct ApiKeys {
    store: Store,
    remembered: Mutex<HashMap<String, Remembered>>,
}

#[derive(Debug, Clone)]
struct Remembered {
    key: Option<ApiKey>,
    read_at: Timestamp,
}

impl Remembered {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let ttl = if self.key.is_some() { KNOWN_TTL } else { UNKNOWN_TTL };
        self.read_at.age_at(now).abs() < ttl
    }
}

impl ApiKeys {
    pub(super) fn new(store: Store) -> Self {
        Self { store, remembered: Mutex::default() }
    }

    pub(super) async fn verify(&self, text: &str, now: Timestamp) -> Result<Caller, AuthError> {
        if !is_api_key(text) {
            return Err(AuthError::Refused("the API key is malformed"));
        }
        let key =
            self.find(sha256_hex(text), now).await?.ok_or(AuthError::Refused("the API key is unknown"))?;
        if key.revoked_at.is_some_and(|at| at <= now) {
            return Err(AuthError::Refused("the API key is revoked"));
        }
        if key.expires_at.is_some_and(|at| at <= now) {
            return Err(AuthError::Refused("the API key has expired"));
        }
        Ok(Caller { id: key.sha256, grants: key.grants })
    }

    async fn find(&self, sha256: String, now: Timestamp) -> Result<Option<ApiKey>, AuthError> {
        let remembered = self.lock().get(&sha256).filter(|remembered| remembered.is_fresh(now)).cloned();
        if let Some(remembered) = remembered {
            return Ok(remembered.key);
        }
        let key = self.store.api_key(&sha256).await?;
        remember(&mut self.lock(), sha256, Remembered { key: key.clone(), read_at: now });
        Ok(key)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(all: &mut HashMap<String, Remembered>, sha256: String, found: Remembered) {
    if all.len() >= MAX_REMEMBERED {
        all.retain(|_, remembered| remembered.key.is_some() && remembered.is_fresh(found.read_at));
    }
    if all.len() >= MAX_REMEMBERED {
        // All are known keys. An unknown one costs a read each time instead of one of them.
        if found.key.is_none() {
            return;
        }
        all.clear();
    }
    all.insert(sha256, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_keys_do_not_displace_those_that_are_in_use() {
        let now = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        let known = |number: usize| ApiKey {
            sha256: number.to_string(),
            subject: "test".to_owned(),
            grants: crate::domain::Grants::default(),
            expires_at: None,
            revoked_at: None,
        };
        let mut all = HashMap::new();
        let found = |key: Option<ApiKey>| Remembered { key, read_at: now };
        for number in 0..10 {
            remember(&mut all, number.to_string(), found(Some(known(number))));
        }
        for number in 0..5 * MAX_REMEMBERED {
            remember(&mut all, format!("made up {number}"), found(None));
            assert!(all.len() <= MAX_REMEMBERED);
        }
        assert!((0..10).all(|number| all.contains_key(&number.to_string())));
        for number in 0..=MAX_REMEMBERED {
            remember(&mut all, number.to_string(), found(Some(known(number))));
        }
        remember(&mut all, "made up".to_owned(), found(None));
        assert!(all.len() <= MAX_REMEMBERED && all.contains_key(&MAX_REMEMBERED.to_string()));
    }

    #[test]
    fn the_form_of_a_key_is_checked_before_anything_is_read() {
        let rows = [
            (format!("bk_{}", "a".repeat(40)), true),
            (format!("bk_{}", "Z_9".repeat(20)), true),
            (format!("bk_{}", "a".repeat(39)), false),
            (format!("bk_{}", "a".repeat(129)), false),
            (format!("bk_{}-", "a".repeat(40)), false),
            (format!("BK_{}", "a".repeat(40)), false),
            (format!("bk_{}é", "a".repeat(40)), false),
        ];
        for (key, expected) in rows {
            assert_eq!(is_api_key(&key), expected, "{key}");
        }
    }

    #[test]
    fn a_new_key_has_the_form_of_one_and_is_no_other() {
        let (one, other) = (new_api_key().unwrap(), new_api_key().unwrap());
        assert!(is_api_key(&one) && is_api_key(&other) && one != other);
    }

    #[test]
    fn the_hash_is_sha256() {
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
