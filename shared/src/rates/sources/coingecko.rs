//! `CoinGecko`'s prices by id: one batched call for every asset that has an id in the asset table.
//! <https://docs.coingecko.com/reference/simple-price>

use super::read;
use crate::config::CoinGeckoPlan;
use crate::domain::{Asset, Catalogue, SourceName, Timestamp, UsdPrice};
use crate::entries::Entries;
use crate::rates::{Answer, Source, SourceError};
use crate::secret::Secret;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

const PATH: &str = "/api/v3/simple/price?vs_currencies=usd&include_last_updated_at=true&precision=full&ids=";
/// Ids of one call: a URL of a few kilobytes.
const IDS_PER_CALL: usize = 250;
/// The vendor's codes of a key that it does not take: none, an invalid one, one that does not belong to the
/// host.
const KEY_CODES: [i64; 4] = [10_002, 10_005, 10_010, 10_011];
const THROTTLED_CODE: i64 = 429;
/// Their clock and ours.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// A client of the index.
#[derive(Debug)]
pub struct CoinGecko {
    url: String,
    client: Client,
    api_key: Option<Secret>,
    /// Carries the key; each plan has its own.
    key_header: &'static str,
}

impl CoinGecko {
    /// A client of the server at `base_url`, whose plan names the header of the key. Without a key the server
    /// answers a few calls a minute.
    pub fn new(base_url: &str, plan: CoinGeckoPlan, api_key: Option<Secret>) -> Result<Self, String> {
        let (url, client) = (format!("{base_url}{PATH}"), read::client(base_url)?);
        Ok(Self { url, client, api_key, key_header: plan.key_header() })
    }

    async fn ask(&self, catalogue: &Catalogue, now: Timestamp) -> Result<Answer, SourceError> {
        let ids: BTreeSet<&str> = catalogue.crypto().filter_map(|asset| asset.row().coingecko).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut answer = Answer::default();
        for ids in ids.chunks(IDS_PER_CALL) {
            answer.extend(self.ask_for(ids, catalogue, now).await?);
        }
        Ok(answer)
    }

    async fn ask_for(
        &self,
        ids: &[&str],
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Answer, SourceError> {
        let url = format!("{}{}", self.url, ids.join(","));
        let api_key = match &self.api_key {
            Some(secret) => {
                Some(secret.text(now).await.map_err(|error| SourceError::Unavailable(error.to_string()))?)
            }
            None => None,
        };
        let request = || {
            let request = self.client.get(&url);
            match &api_key {
                Some(key) => request.header(self.key_header, key.expose_secret()),
                None => request,
            }
        };
        let answer = read::document(request, refusal).await;
        if let (Err(SourceError::Credentials(_)), Some(secret)) = (&answer, &self.api_key) {
            secret.forget().await;
        }
        parse(&answer?, catalogue, now)
    }
}

impl Source for CoinGecko {
    fn name(&self) -> SourceName {
        SourceName::CoinGecko
    }

    fn quotes<'a>(
        &'a self,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Answer, SourceError>> {
        self.ask(catalogue, now).boxed()
    }
}

/// The body of a failure, which can come with status 200: the code stands beside `status` or in it.
#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    status: Value,
}

/// The vendor's own error, if the body is one.
fn refusal(body: &[u8]) -> Option<SourceError> {
    let Failure { error_code, status } = serde_json::from_slice(body).unwrap_or_default();
    let code = error_code.as_i64().or_else(|| status.get("error_code")?.as_i64())?;
    Some(match code {
        THROTTLED_CODE => SourceError::Throttled,
        code if KEY_CODES.contains(&code) => {
            SourceError::Credentials(format!("code {code}; is CoinGeckoPlan that of the key?"))
        }
        code => SourceError::Nonsense(format!("code {code}")),
    })
}

#[derive(Deserialize)]
struct Price {
    /// A number, whose literal is read: it never becomes a float.
    usd: Option<Box<RawValue>>,
    last_updated_at: Option<i64>,
}

/// The document's prices, each as of the time it names. A price without one, or of the future, is not
/// believed.
pub fn parse(document: &[u8], catalogue: &Catalogue, now: Timestamp) -> Result<Answer, SourceError> {
    let Entries(prices): Entries<Box<RawValue>> = serde_json::from_slice(document).map_err(|error| {
        SourceError::Nonsense(format!("not the document: line {} column {}", error.line(), error.column()))
    })?;
    // Two rows may share an id, such as a token and its wrapped form.
    let mut assets: BTreeMap<&str, Vec<Asset>> = BTreeMap::new();
    for asset in catalogue.crypto() {
        assets.entry(asset.row().coingecko.unwrap_or_default()).or_default().push(asset);
    }
    let mut answer = Answer::default();
    for (name, price) in prices {
        let Some(assets) = assets.get(name.as_str()).filter(|_| !name.is_empty()) else { continue };
        let Price { usd, last_updated_at } =
            serde_json::from_str(price.get()).unwrap_or(Price { usd: None, last_updated_at: None });
        let observed_at =
            last_updated_at.and_then(|seconds| Timestamp::from_unix_milliseconds(seconds.checked_mul(1000)?));
        let observed_at = observed_at.filter(|at| *at <= now.plus(MAX_AHEAD));
        // A price without a time of its own is no quote.
        let literal = observed_at.and(usd.as_ref()).map_or("", |usd| usd.get());
        for asset in assets {
            answer.add(*asset, UsdPrice::quoted(literal, "1"), observed_at.unwrap_or(now));
        }
    }
    Ok(answer)
}
