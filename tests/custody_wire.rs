//! Providers' JSON under random and hostile input: an amount is exact or refused, and nothing panics.

use crate::harness::{chain_asset, listed};
use bolero::check;
use proptest::prelude::*;
use serde_json::json;
use shared::custody::bitgo::wire::Wallet;
use shared::custody::fireblocks::wire::{Transaction, Vault, VaultPage};
use shared::domain::{Amount, Catalogue, CustodyAccount, Position, ProviderAccount, ProviderName};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use uuid::Uuid;

fn account(provider: ProviderName, name: &str) -> CustodyAccount {
    CustodyAccount {
        id: Uuid::nil().into(),
        customer_id: Uuid::nil().into(),
        provider,
        provider_account: ProviderAccount::parse(provider, name).unwrap(),
        coverage: listed(&[("ETH", "USDT"), ("ETH", "ETH"), ("POLYGON", "USDC")]),
        positions: BTreeMap::new(),
        unlisted: BTreeMap::new(),
        synced_at: None,
    }
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

/// Reads a body as each kind of answer there is.
fn read(body: &[u8]) {
    let (vault, wallet) = (account(ProviderName::Fireblocks, "12"), account(ProviderName::BitGo, "eth/w1"));
    let holdings = [
        serde_json::from_slice::<Vault>(body).ok().map(|answer| answer.holdings(&vault, &BUILT_IN)),
        serde_json::from_slice::<Wallet>(body).ok().map(|answer| answer.holdings(&wallet, &BUILT_IN)),
    ];
    for holdings in holdings.into_iter().flatten().flatten() {
        for position in holdings.positions.values() {
            assert!(Amount::ZERO <= position.available() && position.available() <= position.balance());
            assert_eq!(position.balance().wide(), position.available().wide() + position.locked().wide());
        }
    }
    if let Ok(page) = serde_json::from_slice::<VaultPage>(body) {
        assert!(page.next().is_none_or(|next| !next.is_empty()));
        page.wanted(|_| true).for_each(|(_, read)| drop(read.map(|read| read.holdings(&vault, &BUILT_IN))));
    }
    for transaction in serde_json::from_slice::<Vec<Transaction>>(body).unwrap_or_default() {
        let _ = transaction.moved(&vault, &BUILT_IN);
    }
}

#[test]
fn fuzz_answers() {
    check!().for_each(read);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_decimal_is_kept_to_the_digit_and_anything_else_refused(total in "[0-9]{1,20}(\\.[0-9]{0,20})?|[-+]?[0-9]{1,3}(e[0-9])?|NaN| 1|1_0", share in 0_u8..=2) {
        let available = match share { 0 => "0".to_owned(), 1 => total.clone(), _ => format!("{total}1") };
        let body = json!({"id": "12", "assets": [{"id": "USDT_ERC20", "total": total, "available": available}]}).to_string();
        let read = serde_json::from_str::<Vault>(&body).unwrap().holdings(&account(ProviderName::Fireblocks, "12"), &BUILT_IN);
        let expected = Amount::parse(&total).ok().zip(Amount::parse(&available).ok()).and_then(|(total, available)| Position::new(total, available).ok());
        prop_assert_eq!(read.ok().map(|holdings| holdings.positions.into_values().next().unwrap()), expected);
    }

    #[test]
    fn base_units_move_their_point_and_nothing_else(units in 0_u128..10_u128.pow(30), digits in 0_usize..=1) {
        let (coin, digits) = [("eth", 18), ("usdt", 6)][digits];
        let own = if coin == "eth" { units.to_string() } else { "0".to_owned() };
        let tokens = if coin == "eth" { json!({}) } else { json!({"usdt": {"balanceString": units.to_string()}}) };
        let body = json!({"id": "w1", "coin": "eth", "balanceString": own, "tokens": tokens}).to_string();
        let read = serde_json::from_str::<Wallet>(&body).unwrap().holdings(&account(ProviderName::BitGo, "eth/w1"), &BUILT_IN);
        let expected = i128::try_from(units).ok().and_then(|units| units.checked_mul(10_i128.pow(18 - digits))).and_then(|units| Amount::from_units(units).ok());
        let held = chain_asset("ETH", if coin == "eth" { "ETH" } else { "USDT" });
        prop_assert_eq!(read.ok().map(|holdings| holdings.positions[&held].balance()), expected);
    }

    #[test]
    fn two_contracts_of_one_asset_are_added_up(left in 0_u64..u64::MAX, right in 0_u64..u64::MAX) {
        let asset = |id: &str, total: u64| json!({"id": id, "total": total.to_string(), "available": "0"});
        let body = json!({"id": "12", "assets": [asset("USDC_POLYGON", left), asset("USDC_POLYGON_NXTB", right)]}).to_string();
        let read = serde_json::from_str::<Vault>(&body).unwrap().holdings(&account(ProviderName::Fireblocks, "12"), &BUILT_IN);
        let sum = (u128::from(left) + u128::from(right)).to_string();
        let fits = [left.to_string(), right.to_string(), sum.clone()].iter().all(|text| Amount::parse(text).is_ok());
        prop_assert_eq!(read.ok().map(|holdings| holdings.positions.into_values().next().unwrap().balance().to_string()), fits.then_some(sum));
    }
}
