//! Custody balances on the wire, as the published reference has them. Numbers are exact literals.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use crate::query::BalancesQuery;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use shared::domain::{
    Amount, Asset, ChainAsset, CustodyAccount, Gap, Position, Pricing, Timestamp, TooLarge, UnlistedHolding,
};
use shared::http::{AmountForm, ApiError, Number, schema};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The holdings of a custody account, as its provider says; numbers are exact decimals.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustodyBalances")]
pub(crate) struct BalancesBody {
    #[schemars(schema_with = "schema::uuid")]
    account_id: String,
    /// When the provider said so.
    #[schemars(schema_with = "optional_instant")]
    last_updated: Option<String>,
    /// The sum of the rows.
    total_usd_value: Number,
    /// Whether nothing is missing: every holding has a rate, and of an account that covers everything each is
    /// named.
    complete: bool,
    /// With `partial`: what was left out of the total.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<UnpricedBody>,
    /// Every asset that the account supports, zero included; the dearest first, unpriced last.
    balances: Vec<RowBody>,
    /// Holdings that are not zero and that the account does not show.
    unlisted: Vec<UnlistedBody>,
}

/// A holding without a usable rate.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnpricedCustodyHolding")]
struct UnpricedBody {
    blockchain: String,
    currency: &'static str,
    balance: Number,
}

/// A holding that the account does not show.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnlistedCustodyHolding")]
struct UnlistedBody {
    /// The provider's own id of the asset.
    provider_asset: String,
    /// The amount as the provider writes it.
    balance: Number,
}

/// One token on one blockchain.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustodyBalance")]
struct RowBody {
    blockchain: String,
    token: &'static str,
    /// `available` plus `locked`.
    balance: Number,
    /// Rounded half-even to cents; null without a usable rate.
    usd_value: Option<Number>,
    available: Number,
    locked: Number,
    /// Null until a transaction is known.
    #[schemars(schema_with = "optional_instant")]
    last_transaction_at: Option<String>,
}

fn optional_instant(generator: &mut SchemaGenerator) -> Schema {
    schema::nullable(schema::instant(generator))
}

/// A position with what it is worth, if that is known.
struct Valued<'a> {
    chain_asset: &'a ChainAsset,
    position: &'a Position,
    usd: Option<Amount>,
}

impl BalancesBody {
    pub(crate) fn new(
        account: &CustodyAccount,
        pricing: Pricing<'_>,
        query: &BalancesQuery,
    ) -> Result<Self, ApiError> {
        let form = query.amounts;
        let rows = valued(account, pricing).map_err(|TooLarge| too_large())?;
        let unpriced: Vec<_> = rows.iter().filter(|row| row.usd.is_none()).collect();
        if !query.is_partial && !unpriced.is_empty() {
            return Err(ApiError::incomplete(&gaps(&unpriced)?, pricing, &BTreeMap::new(), form));
        }
        let total = rows.iter().filter_map(|row| row.usd).map(Amount::wide).sum();
        let total = Amount::from_wide(total).map_err(|TooLarge| too_large())?;
        Ok(Self {
            account_id: account.id.to_string(),
            last_updated: account.synced_at.map(Timestamp::to_millis_text),
            total_usd_value: form.of(Asset::USD, total),
            complete: unpriced.is_empty() && account.is_complete(),
            unpriced: unpriced.into_iter().map(|row| unpriced_body(row, form)).collect(),
            balances: rows.iter().map(|row| row_body(row, form)).collect(),
            unlisted: account.unlisted.iter().map(|unlisted| unlisted_body(unlisted, form)).collect(),
        })
    }
}

/// The dearest first, then by blockchain and token; what has no price comes last.
fn valued<'a>(account: &'a CustodyAccount, pricing: Pricing<'_>) -> Result<Vec<Valued<'a>>, TooLarge> {
    let value = |(chain_asset, position): (&'a ChainAsset, &'a Position)| {
        Ok(Valued {
            chain_asset,
            position,
            usd: pricing.convert(chain_asset.asset, position.balance().wide())?,
        })
    };
    let mut rows = account.positions.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| (row.usd.is_none(), Reverse(row.usd), row.chain_asset));
    Ok(rows)
}

/// The holdings without a rate, each currency once.
fn gaps(unpriced: &[&Valued<'_>]) -> Result<Vec<Gap>, ApiError> {
    let mut sums = BTreeMap::<Asset, Amount>::new();
    for row in unpriced {
        let sum = sums.entry(row.chain_asset.asset).or_default();
        let more = Amount::from_wide(sum.wide() + row.position.balance().wide());
        *sum = more.map_err(|TooLarge| too_large())?;
    }
    Ok(sums.into_iter().map(|(asset, balance)| Gap::Unpriced { asset, balance }).collect())
}

fn row_body(row: &Valued<'_>, form: AmountForm) -> RowBody {
    let Valued { chain_asset: ChainAsset { blockchain, asset }, position, usd } = row;
    RowBody {
        blockchain: blockchain.name().to_owned(),
        token: asset.code(),
        balance: form.of(*asset, position.balance()),
        usd_value: usd.map(|usd| form.of(Asset::USD, usd)),
        available: form.of(*asset, position.available()),
        locked: form.of(*asset, position.locked()),
        last_transaction_at: position.last_transaction_at().map(Timestamp::to_millis_text),
    }
}

fn unpriced_body(row: &Valued<'_>, form: AmountForm) -> UnpricedBody {
    let ChainAsset { blockchain, asset } = row.chain_asset;
    let balance = form.of(*asset, row.position.balance());
    UnpricedBody { blockchain: blockchain.name().to_owned(), currency: asset.code(), balance }
}

fn unlisted_body((id, holding): (&String, &UnlistedHolding), form: AmountForm) -> UnlistedBody {
    UnlistedBody { provider_asset: id.clone(), balance: form.vendors(&holding.balance) }
}

/// No parameter makes it smaller: a holding of 10¹⁸ dollars is an error of the rates or of the provider.
fn too_large() -> ApiError {
    ApiError::Internal { cause: "a USD value has more than 18 digits before the point".to_owned() }
}

/// A sync that was made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustodySync")]
pub(crate) struct SyncBody {
    success: bool,
    #[schemars(schema_with = "schema::uuid")]
    account_id: String,
    #[schemars(schema_with = "schema::instant")]
    last_synced: String,
    message: &'static str,
}

impl SyncBody {
    pub(crate) fn new(account: &CustodyAccount, now: Timestamp) -> Self {
        Self {
            success: true,
            account_id: account.id.to_string(),
            last_synced: account.synced_at.unwrap_or(now).to_millis_text(),
            message: "Account balances successfully synchronized",
        }
    }
}
