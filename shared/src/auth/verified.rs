//! Tokens that were verified a moment ago: a client sends the same token with every request, and a signature
//! costs more than a small balance.

use super::Caller;
use crate::domain::Timestamp;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use jiff::SignedDuration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long a token is believed without a look at its signature and its key.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(60);
/// Tokens that are remembered at once: each takes some kilobytes where it names many customers.
const MAX_TOKENS: usize = 1_000;

/// Only a hash of each token is kept.
type TokenHash = [u8; SHA256_OUTPUT_LEN];

#[derive(Debug, Default)]
pub(super) struct VerifiedTokens(Mutex<HashMap<TokenHash, Verified>>);

#[derive(Debug, Clone)]
struct Verified {
    caller: Caller,
    at: Timestamp,
    /// The first instant at which it is looked at again.
    until: Timestamp,
}

impl VerifiedTokens {
    /// Whose token it is, if it was verified a moment before `now` and is still good.
    pub(super) fn find(&self, token: &str, now: Timestamp) -> Option<Caller> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back must not make a token last longer.
        let verified =
            tokens.get(&hash(token)?).filter(|verified| verified.at <= now && now < verified.until)?;
        Some(verified.caller.clone())
    }

    /// Remembers a token that was verified at `now` and is good until `expires_at`.
    pub(super) fn keep(&self, token: &str, caller: &Caller, now: Timestamp, expires_at: Timestamp) {
        let Some(hash) = hash(token) else { return };
        let until = now.plus(REMEMBERED_FOR).min(expires_at);
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, verified| now < verified.until);
        }
        if tokens.len() < MAX_TOKENS {
            tokens.insert(hash, Verified { caller: caller.clone(), at: now, until });
        }
    }
}

fn hash(token: &str) -> Option<TokenHash> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Grants;

    #[test]
    fn a_token_is_remembered_for_a_minute_or_until_it_expires() {
        let at = |second: u32| {
            Timestamp::parse(&format!("2026-06-01T00:{:02}:{:02}Z", second / 60, second % 60)).unwrap()
        };
        let caller = Caller { id: "caller".to_owned(), grants: Grants::default() };
        let tokens = VerifiedTokens::default();
        tokens.keep("long", &caller, at(10), at(3_000));
        tokens.keep("short", &caller, at(10), at(30));
        for (token, second, is_found) in [
            ("long", 10, true),
            ("long", 69, true),
            ("long", 70, false),
            ("long", 9, false),
            ("short", 29, true),
            ("short", 30, false),
            ("another", 10, false),
        ] {
            assert_eq!(tokens.find(token, at(second)).is_some(), is_found, "{token} {second}");
        }
    }

    #[test]
    fn no_flood_of_tokens_displaces_those_in_use() {
        let at = Timestamp::default();
        let caller = Caller { id: "caller".to_owned(), grants: Grants::default() };
        let tokens = VerifiedTokens::default();
        for number in 0..2 * MAX_TOKENS {
            tokens.keep(&number.to_string(), &caller, at, at.plus(REMEMBERED_FOR));
        }
        assert!(tokens.find("0", at).is_some());
        assert!(tokens.find(&MAX_TOKENS.to_string(), at).is_none());
        let later = at.plus(REMEMBERED_FOR);
        tokens.keep("new", &caller, later, later.plus(REMEMBERED_FOR));
        assert!(tokens.find("new", later).is_some());
    }
}
