//! The changes of one sync, computed from the stored account and the provider's answer: pure, so that it can
//! be told without a provider.

use crate::domain::{ChainAsset, CustodyAccount, CustodyAccountId, Position, Timestamp};
use crate::store::SyncLease;
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// How far back the first sync looks for transactions.
const FIRST_LOOK_BACK: SignedDuration = SignedDuration::from_hours(90 * 24);
/// A failed account is tried again after this, then twice this, and so on.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_mins(1);
/// Doublings until the pause stops growing: four to five hours.
const MAX_DOUBLINGS: u32 = 8;

/// Assets whose amounts are new; all of them the first time.
pub(super) fn changed<'a>(
    stored: &'a CustodyAccount,
    new: &'a BTreeMap<ChainAsset, Position>,
) -> impl Iterator<Item = &'a ChainAsset> {
    let is_first = stored.synced_at.is_none();
    let differs = move |chain_asset: &ChainAsset, position: &Position| {
        is_first || stored.positions.get(chain_asset).is_none_or(|old| !old.has_amounts_of(position))
    };
    new.iter()
        .filter(move |(chain_asset, position)| differs(chain_asset, position))
        .map(|(chain_asset, _)| chain_asset)
}

/// From the earliest last transaction known of these assets; 90 days where there is one of which none is
/// known.
pub(super) fn look_back(stored: &CustodyAccount, assets: &[ChainAsset], now: Timestamp) -> Timestamp {
    let first = now.minus(FIRST_LOOK_BACK);
    let known = assets.iter().map(|chain_asset| {
        stored.positions.get(chain_asset).and_then(Position::last_transaction_at).unwrap_or(first)
    });
    known.min().unwrap_or(first)
}

/// Doubles with every failure, and differs from account to account by up to a quarter, so that they do not
/// come back as one.
pub(super) fn backoff(lease: &SyncLease) -> SignedDuration {
    pause(lease.state.account.id, lease.state.failures)
}

fn pause(id: CustodyAccountId, failures: u32) -> SignedDuration {
    let pause = FIRST_BACKOFF.saturating_mul(1 << failures.min(MAX_DOUBLINGS));
    let (_, low) = id.uuid().as_u64_pair();
    let spread = i64::try_from(low % 256).unwrap_or_default();
    let jitter =
        SignedDuration::from_millis(i64::try_from(pause.as_millis()).unwrap_or_default() / 4 * spread / 256);
    pause + jitter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Amount, Catalogue, Coverage, ProviderAccount, ProviderName};
    use uuid::Uuid;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn position(total: &str, moved: Option<&str>) -> Position {
        let total = Amount::parse(total).unwrap();
        Position::new(total, total).unwrap().with_last_transaction(moved.map(at))
    }

    fn chain_asset(token: &str) -> ChainAsset {
        Catalogue::default().chain_asset("ETH", token).unwrap()
    }

    fn account(synced_at: Option<&str>) -> CustodyAccount {
        let positions = [
            ("ETH", "1", Some("2026-01-02T00:00:00Z")),
            ("USDT", "2", Some("2026-01-01T00:00:00Z")),
            ("USDC", "0", None),
        ];
        CustodyAccount {
            id: Uuid::from_u128(1).into(),
            customer_id: Uuid::nil().into(),
            provider: ProviderName::Fireblocks,
            provider_account: ProviderAccount::parse(ProviderName::Fireblocks, "1").unwrap(),
            positions: positions
                .map(|(token, total, moved)| (chain_asset(token), position(total, moved)))
                .into(),
            coverage: Coverage::All,
            unlisted: BTreeMap::new(),
            synced_at: synced_at.map(at),
        }
    }

    #[test]
    fn only_amounts_that_differ_are_asked_about_after_the_first_sync() {
        for (synced_at, expected) in [(Some("2026-01-03T00:00:00Z"), 1), (None, 3)] {
            let stored = account(synced_at);
            let mut new = stored.positions.clone();
            new.insert(chain_asset("USDT"), position("3", None));
            assert_eq!(changed(&stored, &new).count(), expected, "{synced_at:?}");
        }
    }

    #[test]
    fn transactions_are_asked_for_from_the_earliest_that_is_known() {
        let now = at("2026-06-01T00:00:00Z");
        let rows: [(&[&str], &str); 4] = [
            (&["ETH"], "2026-01-02T00:00:00Z"),
            (&["ETH", "USDT"], "2026-01-01T00:00:00Z"),
            (&["ETH", "USDC"], "2026-01-02T00:00:00Z"),
            (&["USDC"], "2026-03-03T00:00:00Z"),
        ];
        let account = account(None);
        for (tokens, expected) in rows {
            let asked: Vec<_> = tokens.iter().map(|token| chain_asset(token)).collect();
            assert_eq!(look_back(&account, &asked, now), at(expected), "{tokens:?}");
        }
    }

    #[test]
    fn a_failing_account_waits_longer_each_time_and_no_two_alike() {
        let pause = |failures, id| pause(Uuid::from_u128(id).into(), failures).as_secs();
        for (failures, minutes) in [(0, 1), (1, 2), (5, 32), (8, 256), (9, 256), (u32::MAX, 256)] {
            for id in [0, 1, 77, 255] {
                let pause = pause(failures, id);
                assert!((minutes * 60..=minutes * 75).contains(&pause), "{failures} {id}: {pause}");
            }
        }
        assert_ne!(pause(3, 1), pause(3, 200));
    }
}
