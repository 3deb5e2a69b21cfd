//! Coinbase's exchange rates: units of hundreds of currencies per dollar, without a time of their own.
//! <https://docs.cdp.coinbase.com/coinbase-app/track-apis/exchange-rates>

use super::read;
use crate::domain::{Asset, Catalogue, SourceName, Timestamp, UsdPrice};
use crate::entries::Entries;
use crate::rates::{Answer, Source, SourceError};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const PATH: &str = "/v2/exchange-rates?currency=USD";

/// Codes of money that are tickers of tokens there: Ethernity and Mantle, not nakfa and tugrik.
const TOKENS: [&str; 2] = ["ERN", "MNT"];

/// A client of the exchange.
#[derive(Debug)]
pub struct Coinbase {
    url: String,
    client: Client,
}

impl Coinbase {
    /// A client of the server at `base_url`.
    pub fn new(base_url: &str) -> Result<Self, String> {
        Ok(Self { url: format!("{base_url}{PATH}"), client: read::client(base_url)? })
    }
}

impl Source for Coinbase {
    fn name(&self) -> SourceName {
        SourceName::Coinbase
    }

    fn quotes<'a>(
        &'a self,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move { parse(&read::document(|| self.client.get(&self.url), |_| None).await?, catalogue, now) }
            .boxed()
    }
}

#[derive(Deserialize)]
struct Envelope {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    currency: String,
    rates: Entries<Box<RawValue>>,
}

/// The document's rates in dollars, `1 ÷ units per dollar`, as of `now`.
pub fn parse(document: &[u8], catalogue: &Catalogue, now: Timestamp) -> Result<Answer, SourceError> {
    let nonsense = |what: String| SourceError::Nonsense(what);
    let Envelope { data: Data { currency, rates } } = serde_json::from_slice(document).map_err(|error| {
        nonsense(format!("not the document: line {} column {}", error.line(), error.column()))
    })?;
    if currency != Asset::USD.code() {
        return Err(nonsense("not the rates of the dollar".to_owned()));
    }
    let by_ticker: BTreeMap<&str, Asset> =
        catalogue.crypto().filter_map(|asset| Some((asset.row().coinbase?, asset))).collect();
    let mut answer = Answer::default();
    for (ticker, rate) in rates.0 {
        // Money by its code, a crypto asset by the ticker in its row alone: several tokens share a ticker.
        let money = || Catalogue::money(&ticker).filter(|_| !TOKENS.contains(&ticker.as_str()));
        let asset = by_ticker.get(ticker.as_str()).copied().or_else(money);
        if let Some(asset) = asset.filter(|asset| *asset != Asset::USD) {
            // A rate is a string; what is none is no price.
            let rate = serde_json::from_str::<String>(rate.get()).unwrap_or_default();
            answer.add(asset, UsdPrice::quoted("1", &rate), now);
        }
    }
    Ok(answer)
}
