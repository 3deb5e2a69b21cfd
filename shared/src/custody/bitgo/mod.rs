//! BitGo: a custody account is a wallet of one coin, with its tokens; it is named `coin/wallet`.
//!
//! The wallet call tells no transactions, so `last_transaction_at` stays unknown for these accounts.

pub mod wire;

use super::call::{self, Budget, CALL_TIMEOUT};
use super::{Holdings, Provider, ProviderError, plain_words};
use crate::domain::{Catalogue, ChainAsset, CustodyAccount, Timestamp};
use crate::outgoing::{self, Answer};
use crate::secret::Secret;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, StreamExt};
use reqwest::Client;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use tokio::time::{Instant, timeout_at};
use wire::{BitGoFailure, Wallet};

const CONCURRENT_CALLS: usize = 4;

/// A thin client of the vendor's API. The secret's text is the access token.
#[derive(Debug)]
pub struct BitGo {
    base_url: String,
    client: Client,
    secret: Secret,
    budget: Budget,
}

impl BitGo {
    /// A client of the API at `base_url`, such as `https://app.bitgo.com`.
    pub fn new(base_url: String, secret: Secret, budget: Budget) -> Result<Self, ProviderError> {
        let client = outgoing::client(CALL_TIMEOUT, &base_url).map_err(ProviderError::Unavailable)?;
        Ok(Self { base_url, client, secret, budget })
    }

    async fn wallet_by(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
        deadline: Instant,
    ) -> Result<Holdings, ProviderError> {
        if Instant::now() >= deadline {
            return Err(ProviderError::NotReached);
        }
        let read = timeout_at(deadline, self.wallet(account, catalogue)).await;
        read.unwrap_or_else(|_| Err(ProviderError::too_slow()))
    }

    async fn wallet(
        &self,
        account: &CustodyAccount,
        catalogue: &Catalogue,
    ) -> Result<Holdings, ProviderError> {
        let (coin, wallet) = account.provider_account.name().split_once('/').unwrap_or_default();
        let token = self.secret.text(self.budget.now()).await?;
        let url = format!("{}/api/v2/{coin}/wallet/{wallet}?allTokens=true", self.base_url);
        let request = || Ok(self.client.get(&url).bearer_auth(token.expose_secret()));
        let answer = call::get::<Wallet>(&self.budget, request, refusal).await;
        if matches!(answer, Err(ProviderError::Credentials(_))) {
            self.secret.forget().await;
        }
        let (answer, _) = answer?;
        answer.holdings(account, catalogue)
    }
}

/// Sorts an answer that is no success. BitGo names its errors and numbers none, and a 400 can be about the
/// wallet, the token or the coin.
fn refusal(answer: &Answer) -> ProviderError {
    let failure: BitGoFailure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (name, error) = failure.name_and_words();
    let problem = [format!("status {}", answer.status), plain_words(name), plain_words(error)];
    let problem = problem.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let says = |words: &[&str]| {
        let text = format!("{name} {error}").to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    match answer.status {
        401 | 403 => ProviderError::Credentials(problem),
        400 if says(&["unlock", "ip-restricted", "ip restricted"]) => ProviderError::Credentials(problem),
        404 => ProviderError::UnknownAccount(problem),
        400 if says(&["wallet id", "walletnotfound", "wallet not found"]) => {
            ProviderError::UnknownAccount(problem)
        }
        _ => ProviderError::Nonsense(problem),
    }
}

impl Provider for BitGo {
    fn holdings<'a>(
        &'a self,
        accounts: &'a [CustodyAccount],
        catalogue: &'a Catalogue,
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Holdings, ProviderError>>> {
        let reads: Vec<_> =
            accounts.iter().map(|account| self.wallet_by(account, catalogue, deadline)).collect();
        stream::iter(reads).buffered(CONCURRENT_CALLS).collect().boxed()
    }

    fn last_transactions<'a>(
        &'a self,
        _: &'a CustodyAccount,
        _: &'a [ChainAsset],
        _: &'a Catalogue,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<BTreeMap<ChainAsset, Timestamp>, ProviderError>> {
        ready(Ok(BTreeMap::new())).boxed()
    }
}
