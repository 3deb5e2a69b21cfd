//! A merchant's balance on the wire, as the published reference has it: decimal strings, prefixed ids, nulls spelt out.

use serde::Serialize;
use shared::domain::{Account, MerchantAccountId};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BalanceBody {
    id: String,
    account_number: String,
    currency: &'static str,
    balance: String,
    balance_date: String,
    address: Option<String>,
    network: Option<String>,
    merchant_id: Option<String>,
    contact_id: Option<String>,
}

impl BalanceBody {
    pub(crate) fn new(account: &Account, balance_date: &str) -> Self {
        let Account {
            id,
            customer_id: _,
            asset,
            balance,
            available: _,
            active: _,
            status: _,
            balance_at: _,
            created_at: _,
            iban,
            account_number,
            address,
            address_tag: _,
            network,
            description: _,
            organization_id: _,
            merchant_id,
            contact_id,
            custody_account_id: _,
        } = account;
        Self {
            id: MerchantAccountId::from(*id).to_string(),
            account_number: account_number.clone().or_else(|| iban.clone()).unwrap_or_default(),
            currency: asset.code(),
            balance: asset.print(*balance),
            balance_date: balance_date.to_owned(),
            address: address.clone(),
            network: network.clone(),
            merchant_id: merchant_id.map(|id| id.to_string()),
            contact_id: contact_id.map(|id| id.to_string()),
        }
    }
}
