//! A merchant's balance on the wire, as the published reference has it: decimal strings, prefixed ids, nulls
//! spelt out.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use schemars::JsonSchema;
use serde::Serialize;
use shared::domain::{Account, Label, MerchantAccountId};
use shared::http::schema;

/// The balance of one account of a merchant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MerchantBalance")]
pub(crate) struct BalanceBody {
    /// `acc_` and a UUID.
    id: String,
    /// The account number, else the IBAN, else empty.
    account_number: String,
    currency: &'static str,
    /// An exact decimal.
    balance: String,
    /// The asked `date`, or the time of the request.
    #[schemars(schema_with = "schema::instant")]
    balance_date: String,
    /// Of a crypto account.
    address: Option<String>,
    /// Of a crypto account.
    network: Option<String>,
    merchant_id: Option<String>,
    contact_id: Option<String>,
}

impl BalanceBody {
    pub(crate) fn new(account: &Account, balance_date: &str) -> Self {
        let Account { id, asset, state, scope, labels, .. } = account;
        let label = |label| labels.get(label).map(str::to_owned);
        Self {
            id: MerchantAccountId::from(*id).to_string(),
            account_number: label(Label::AccountNumber).or_else(|| label(Label::Iban)).unwrap_or_default(),
            currency: asset.code(),
            balance: asset.print(state.balance),
            balance_date: balance_date.to_owned(),
            address: label(Label::Address),
            network: scope.network.as_ref().map(|network| network.name().to_owned()),
            merchant_id: scope.merchant_id.as_ref().map(ToString::to_string),
            contact_id: label(Label::ContactId),
        }
    }
}
