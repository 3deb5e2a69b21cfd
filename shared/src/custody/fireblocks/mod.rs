//! Fireblocks: a custody account is a vault, its positions are the vault's assets.
//!
//! Requests are signed one by one
//! (<https://developers.fireblocks.com/reference/signing-a-request-jwt-structure>). What an asset id stands
//! for is a table's business, never a parser's: `USDT_ERC20` and `TRX_USDT_S2UZ` follow no rule.

pub mod assets;
mod sign;
pub mod wire;

use super::call::{self, Budget, CALL_TIMEOUT};
use super::{Holdings, Provider, ProviderError};
use crate::domain::{ChainAsset, CustodyAccount, Timestamp};
use crate::outgoing::{self, Answer};
use crate::secret::Secret;
use assets::AssetIds;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use reqwest::Client;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use sign::Credentials;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::{Instant, timeout_at};
use wire::{Failure, Transaction, Vault, VaultPage};

/// The vendor's largest page of vaults.
const PAGE_VAULTS: usize = 500;
/// A batch of at least so many vaults is looked for in pages; below, each is asked for by itself.
const MIN_PAGED_BATCH: usize = 5;
/// Vaults of a batch that must still be missing for each page that was read, or the rest is asked for one by
/// one.
const MISSING_PER_PAGE: usize = 10;
/// Transactions of one page; the newest come first, so the first page nearly always tells.
const PAGE_TRANSACTIONS: usize = 200;
const MAX_TRANSACTION_PAGES: usize = 5;
const CONCURRENT_CALLS: usize = 8;
const API_KEY: &str = "X-API-Key";
/// Names the next page of transactions.
const NEXT_PAGE: &str = "next-page";

/// Vaults that were found in pages, each readable or not.
type Found = HashMap<String, Result<Vault, ProviderError>>;
/// When assets last moved.
type LastMoves = BTreeMap<ChainAsset, Timestamp>;

/// A thin client of the vendor's API.
#[derive(Debug)]
pub struct Fireblocks {
    base_url: String,
    client: Client,
    secret: Secret,
    ids: AssetIds,
    budget: Budget,
}

impl Fireblocks {
    /// A client of the API at `base_url`, such as `https://api.fireblocks.io`.
    pub fn new(
        base_url: String,
        secret: Secret,
        ids: AssetIds,
        budget: Budget,
    ) -> Result<Self, ProviderError> {
        let client = outgoing::client(CALL_TIMEOUT, &base_url).map_err(ProviderError::Unavailable)?;
        Ok(Self { base_url, client, secret, ids, budget })
    }

    /// `path` starts with `/v1` and carries the query: it is what is signed.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, HeaderMap), ProviderError> {
        let credentials = Credentials::parse(&self.secret.text(self.budget.now()).await?)?;
        let request = || {
            let token = credentials.sign(path, self.budget.now())?;
            let request = self.client.get(format!("{}{path}", self.base_url));
            Ok(request.header(API_KEY, credentials.api_key()).bearer_auth(token))
        };
        let answer = call::get(&self.budget, request, refusal).await;
        if matches!(answer, Err(ProviderError::Credentials(_))) {
            self.secret.forget().await;
        }
        answer
    }

    async fn vault(&self, account: &CustodyAccount) -> Result<Holdings, ProviderError> {
        let path = format!("/v1/vault/accounts/{}", account.provider_account.name());
        match self.get::<Vault>(&path).await {
            Ok((vault, _)) => vault.holdings(account, &self.ids),
            Err(ProviderError::NoWallet) => Ok(Holdings::default()),
            Err(error) => Err(error),
        }
    }

    /// The batch's vaults as far as the first pages have them, by id. A page is worth its call while ten
    /// vaults are missing for each that was read: in a workspace of few pages all are found so, and in a
    /// large one the rest is asked for one by one.
    async fn paged_vaults(&self, accounts: &[CustodyAccount]) -> Result<Found, ProviderError> {
        let wanted: BTreeSet<&str> = accounts.iter().map(|account| account.provider_account.name()).collect();
        let (mut found, mut after) = (Found::new(), String::new());
        for pages in 1.. {
            let path = format!("/v1/vault/accounts_paged?limit={PAGE_VAULTS}{after}");
            let (page, _) = self.get::<VaultPage>(&path).await?;
            found.extend(page.wanted(|id| wanted.contains(id)));
            let missing = wanted.len().saturating_sub(found.len());
            let Some(next) = page.next().filter(|_| missing >= pages * MISSING_PER_PAGE) else { break };
            after = format!("&after={next}");
        }
        Ok(found)
    }

    async fn batch(
        &self,
        accounts: &[CustodyAccount],
        deadline: Instant,
    ) -> Vec<Result<Holdings, ProviderError>> {
        let mut paged = Found::new();
        if accounts.len() >= MIN_PAGED_BATCH {
            match timeout_at(deadline, self.paged_vaults(accounts)).await {
                Ok(Ok(found)) => paged = found,
                // Pages that cannot be read are no fault of the vaults.
                Ok(Err(
                    ProviderError::Nonsense(_) | ProviderError::UnknownAccount(_) | ProviderError::NoWallet,
                )) => {}
                Ok(Err(error)) => return accounts.iter().map(|_| Err(error.clone())).collect(),
                Err(_) => return accounts.iter().map(|_| Err(ProviderError::NotReached)).collect(),
            }
        }
        let reads: Vec<_> = accounts.iter().map(|account| self.one(account, &paged, deadline)).collect();
        stream::iter(reads).buffered(CONCURRENT_CALLS).collect().await
    }

    async fn one(
        &self,
        account: &CustodyAccount,
        paged: &Found,
        deadline: Instant,
    ) -> Result<Holdings, ProviderError> {
        match paged.get(account.provider_account.name()) {
            Some(vault) => vault.clone()?.holdings(account, &self.ids),
            None if Instant::now() >= deadline => Err(ProviderError::NotReached),
            None => timeout_at(deadline, self.vault(account))
                .await
                .unwrap_or_else(|_| Err(ProviderError::too_slow())),
        }
    }

    /// The newest transaction of each asset in one direction: `sourceType=VAULT_ACCOUNT&sourceId=…` or the
    /// destination's.
    async fn newest(
        &self,
        side: &str,
        assets: &[ChainAsset],
        since: Timestamp,
    ) -> Result<LastMoves, ProviderError> {
        let (after, ids) = (since.unix_milliseconds(), self.ids.of(assets).join(","));
        // None at all would ask for every asset's.
        if ids.is_empty() {
            return Ok(LastMoves::new());
        }
        let path = format!(
            "/v1/transactions?after={after}&{side}&assets={ids}&orderBy=createdAt&sort=DESC&limit={PAGE_TRANSACTIONS}"
        );
        let (mut newest, mut page) = (BTreeMap::new(), String::new());
        for _ in 0..MAX_TRANSACTION_PAGES {
            let (transactions, headers) = match self.get::<Vec<Transaction>>(&format!("{path}{page}")).await {
                Err(ProviderError::NoWallet) => break,
                answer => answer?,
            };
            let is_last = transactions.len() < PAGE_TRANSACTIONS;
            for (chain_asset, at) in
                transactions.iter().filter_map(|transaction| transaction.moved(&self.ids))
            {
                keep_newest(&mut newest, chain_asset, at);
            }
            let next =
                headers.get(NEXT_PAGE).and_then(|next| next.to_str().ok()).filter(|next| is_token(next));
            let Some(next) = next.filter(|_| !is_last && newest.len() < assets.len()) else { break };
            page = format!("&next={next}");
        }
        Ok(newest)
    }
}

/// What may stand in a query as it is.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'='))
}

impl Provider for Fireblocks {
    fn holdings<'a>(
        &'a self,
        accounts: &'a [CustodyAccount],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Holdings, ProviderError>>> {
        self.batch(accounts, deadline).boxed()
    }

    fn last_transactions<'a>(
        &'a self,
        account: &'a CustodyAccount,
        assets: &'a [ChainAsset],
        since: Timestamp,
    ) -> BoxFuture<'a, Result<LastMoves, ProviderError>> {
        async move {
            let vault = account.provider_account.name();
            let (source, destination) = (
                format!("sourceType=VAULT_ACCOUNT&sourceId={vault}"),
                format!("destType=VAULT_ACCOUNT&destId={vault}"),
            );
            let (mut out, into) = futures::future::try_join(
                self.newest(&source, assets, since),
                self.newest(&destination, assets, since),
            )
            .await?;
            for (chain_asset, at) in into {
                keep_newest(&mut out, chain_asset, at);
            }
            Ok(out)
        }
        .boxed()
    }
}

fn keep_newest(moves: &mut LastMoves, chain_asset: ChainAsset, at: Timestamp) {
    let known = moves.entry(chain_asset).or_insert(at);
    *known = at.max(*known);
}

/// Sorts an answer that is no success: by the vendor's code, whatever status it comes with, else by the
/// status.
fn refusal(answer: &Answer) -> ProviderError {
    let Failure { code } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let problem = format!(
        "status {}, code {}",
        answer.status,
        code.map_or_else(|| "none".to_owned(), |code| code.to_string())
    );
    match (answer.status, code) {
        (_, Some(-12..=-1)) | (401 | 403, _) => ProviderError::Credentials(problem),
        (_, Some(1004 | 11001)) => ProviderError::UnknownAccount(problem),
        (_, Some(1006)) => ProviderError::NoWallet,
        _ => ProviderError::Nonsense(problem),
    }
}
