//! An organization's balance on the wire: amounts are decimal strings, names are the merchant view's.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::query::OrganizationQuery;
use schemars::JsonSchema;
use serde::Serialize;
use shared::domain::total::Stack;
use shared::domain::{Asset, Gap, GroupedSummary, MerchantId, Summary};
use shared::http::{AmountForm, GapsBody, RateReceipt, schema};

/// All merchants of an organization in one currency; its amounts are exact decimals.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OrganizationBalance")]
pub(crate) struct OrganizationBody {
    organization_id: String,
    /// The currency everything was converted into.
    currency: &'static str,
    /// The asked `date`, or the time of the request.
    #[schemars(schema_with = "schema::instant")]
    balance_date: String,
    /// The sum over all merchants, converted once per currency.
    total_balance: String,
    /// `totalBalance` minus the sum of the merchants' `totalBalance`.
    rounding: String,
    /// Whether nothing was left out.
    complete: bool,
    /// With `partial`: what was left out of the totals.
    #[serde(flatten)]
    gaps: Option<GapsBody>,
    /// Every merchant with an account, ordered by id; the row of accounts without a merchant is the last.
    merchants: Vec<MerchantBody>,
    /// The receipt, every rate that was used.
    rates: Vec<RateReceipt>,
}

/// One merchant's accounts together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OrganizationMerchant")]
struct MerchantBody {
    /// Null for the organization's accounts without a merchant.
    merchant_id: Option<String>,
    /// How many accounts.
    accounts: usize,
    /// The sum of the stacks.
    total_balance: String,
    /// Every currency that the merchant holds, ordered by its code.
    stacks: Vec<MerchantStackBody>,
}

/// A merchant's holding in one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MerchantStack")]
struct MerchantStackBody {
    currency: &'static str,
    /// How many accounts.
    accounts: usize,
    /// The exact sum, in this currency.
    balance: String,
    /// The sum, converted once and rounded half-even; null without a usable rate.
    balance_in_base: Option<String>,
}

impl OrganizationBody {
    pub(super) fn new(
        query: &OrganizationQuery,
        totals: &GroupedSummary<MerchantId>,
        balance_date: &str,
    ) -> Self {
        let GroupedSummary { whole, groups, rounding } = totals;
        let gaps: Vec<Gap> = whole.gaps().collect();
        let merchants = groups.iter().map(|(id, summary)| merchant_body(id.as_ref(), summary, query.target));
        Self {
            organization_id: query.id.to_string(),
            currency: query.target.code(),
            balance_date: balance_date.to_owned(),
            total_balance: query.target.print(whole.total),
            rounding: query.target.print(*rounding),
            complete: gaps.is_empty(),
            gaps: (!gaps.is_empty()).then(|| GapsBody::new(&gaps, AmountForm::Text)),
            merchants: merchants.collect(),
            rates: whole
                .receipts
                .iter()
                .map(|receipt| RateReceipt::new(receipt, AmountForm::Number))
                .collect(),
        }
    }
}

fn merchant_body(id: Option<&MerchantId>, summary: &Summary, target: Asset) -> MerchantBody {
    MerchantBody {
        merchant_id: id.map(ToString::to_string),
        accounts: summary.accounts(),
        total_balance: target.print(summary.total),
        stacks: summary.stacks.iter().map(|stack| stack_body(stack, target)).collect(),
    }
}

fn stack_body(stack: &Stack, target: Asset) -> MerchantStackBody {
    let Stack { asset, accounts, balance, balance_in_base } = *stack;
    MerchantStackBody {
        currency: asset.code(),
        accounts,
        balance: asset.print(balance),
        balance_in_base: balance_in_base.map(|amount| target.print(amount)),
    }
}
