//! Fireblocks: a custody account is a vault, its positions are the vault's assets.
//!
//! Requests are signed one by one
//! (<https://developers.fireblocks.com/reference/signing-a-request-jwt-structure>). What an asset id stands
//! for is the catalogue's business, never a parser's: `USDT_ERC20` and `TRX_USDT_S2UZ` follow no rule.

mod sign;
pub mod wire;

use super::call::{self, Budget, CALL_TIMEOUT};
use super::{Holdings, Provider, ProviderError, plain_words};
use crate::domain::{Catalogue, ChainAsset, CustodyAccount, Timestamp};
use crate::outgoing::{self, Answer};
use crate::secret::Secret;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use sign::Credentials;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::{Instant, timeout_at};
use wire::{FireblocksFailure, Transaction, Vault, VaultPage};

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
/// Assets that one query for transactions names.
const MAX_ASSETS_ASKED: usize = 50;
const CONCURRENT_CALLS: usize = 8;
/// RFC 3986's unreserved characters stand as they are.
const NOT_IN_A_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Begins the paths that tell balances.
const VAULTS: &str = "/v1/vault/accounts";
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
    budget: Budget,
}

impl Fireblocks {
    /// A client of the API at `base_url`, such as `https://api.fireblocks.io`.
    pub fn new(base_url: String, secret: Secret, budget: Budget) -> Result<Self, ProviderError> {
        let client = outgoing::client(CALL_TIMEOUT, &base_url).map_err(ProviderError::Unavailable)?;
        Ok(Self { base_url, client, secret, budget })
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
        // A user may read vaults and no transactions: the secret is right then, and reading it again would
        // not help.
        let is_of_vaults = path.starts_with(VAULTS);
        if is_of_vaults && matches!(answer, Err(ProviderError::Credentials(_))) {
            self.secret.forget().await;
        }
        answer
    }

    async fn vault(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
    ) -> Result<Holdings, ProviderError> {
        let path = format!("{VAULTS}/{}", account.provider_account.name());
        let (vault, _) = self.get::<Vault>(&path).await?;
        vault.holdings(account, catalogue)
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
            after = format!("&after={}", encoded(&next));
        }
        Ok(found)
    }

    async fn batch(
        &self,
        accounts: &[CustodyAccount],
        catalogue: &Catalogue,
        deadline: Instant,
    ) -> Vec<Result<Holdings, ProviderError>> {
        let mut paged = Found::new();
        if accounts.len() >= MIN_PAGED_BATCH {
            match timeout_at(deadline, self.paged_vaults(accounts)).await {
                Ok(Ok(found)) => paged = found,
                // Pages that cannot be read are no fault of the vaults.
                Ok(Err(ProviderError::Nonsense(_) | ProviderError::UnknownAccount(_))) => {}
                Ok(Err(error)) => return accounts.iter().map(|_| Err(error.clone())).collect(),
                Err(_) => return accounts.iter().map(|_| Err(ProviderError::NotReached)).collect(),
            }
        }
        let reads: Vec<_> =
            accounts.iter().map(|account| self.one(account, catalogue, &paged, deadline)).collect();
        stream::iter(reads).buffered(CONCURRENT_CALLS).collect().await
    }

    async fn one(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
        paged: &Found,
        deadline: Instant,
    ) -> Result<Holdings, ProviderError> {
        match paged.get(account.provider_account.name()) {
            Some(vault) => vault.clone()?.holdings(account, catalogue),
            None if Instant::now() >= deadline => Err(ProviderError::NotReached),
            None => timeout_at(deadline, self.vault(account, catalogue))
                .await
                .unwrap_or_else(|_| Err(ProviderError::too_slow())),
        }
    }

    /// The newest transaction of each asset in one direction: `sourceType=VAULT_ACCOUNT&sourceId=…` or the
    /// destination's.
    async fn newest(
        &self,
        side: &str,
        account: &CustodyAccount,
        assets: &[ChainAsset],
        catalogue: &Catalogue,
        since: Timestamp,
    ) -> Result<LastMoves, ProviderError> {
        let ids = assets.iter().flat_map(|asset| catalogue.provider_ids(account.provider, asset));
        let ids: BTreeSet<String> = ids.map(encoded).collect();
        let assets_asked = match ids.len() {
            0 => return Ok(LastMoves::new()),
            1..=MAX_ASSETS_ASKED => format!("&assets={}", ids.into_iter().collect::<Vec<_>>().join(",")),
            // A query without assets asks for every asset's.
            _ => String::new(),
        };
        let after = since.unix_milliseconds();
        let path = format!(
            "/v1/transactions?after={after}&{side}{assets_asked}&orderBy=createdAt&sort=DESC\
             &limit={PAGE_TRANSACTIONS}"
        );
        let (mut newest, mut page) = (BTreeMap::new(), String::new());
        for _ in 0..MAX_TRANSACTION_PAGES {
            let (transactions, headers) = self.get::<Vec<Transaction>>(&format!("{path}{page}")).await?;
            let has_rows = !transactions.is_empty();
            for (chain_asset, at) in
                transactions.iter().filter_map(|transaction| transaction.moved(account, catalogue))
            {
                keep_newest(&mut newest, chain_asset.clone(), at);
            }
            let next = headers.get(NEXT_PAGE).and_then(|next| next.to_str().ok()).and_then(wire::cursor);
            let Some(next) = next.filter(|_| has_rows && newest.len() < assets.len()) else { break };
            page = format!("&next={}", encoded(&next));
        }
        Ok(newest)
    }
}

/// A value as it stands in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NOT_IN_A_QUERY).to_string()
}

impl Provider for Fireblocks {
    fn holdings<'a>(
        &'a self,
        accounts: &'a [CustodyAccount],
        catalogue: &'a Catalogue,
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Holdings, ProviderError>>> {
        self.batch(accounts, catalogue, deadline).boxed()
    }

    fn last_transactions<'a>(
        &'a self,
        account: &'a CustodyAccount,
        assets: &'a [ChainAsset],
        catalogue: &'a Catalogue,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<LastMoves, ProviderError>> {
        async move {
            let vault = account.provider_account.name();
            let (source, destination) = (
                format!("sourceType=VAULT_ACCOUNT&sourceId={vault}"),
                format!("destType=VAULT_ACCOUNT&destId={vault}"),
            );
            let (mut out, into) = futures::future::try_join(
                self.newest(&source, account, assets, catalogue, since),
                self.newest(&destination, account, assets, catalogue, since),
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
    let failure: FireblocksFailure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = failure.code();
    let code_text = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    let problem = [format!("status {}, code {code_text}", answer.status), plain_words(failure.words())];
    let problem = problem.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    match (answer.status, code) {
        (_, Some(-12..=-1)) | (401 | 403, _) => ProviderError::Credentials(problem),
        (_, Some(1004 | 11001)) => ProviderError::UnknownAccount(problem),
        _ => ProviderError::Nonsense(problem),
    }
}
