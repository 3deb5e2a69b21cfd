//! Coinbase's exchange rates: units of hundreds of currencies per dollar, without a time of their own.
//! <https://docs.cdp.coinbase.com/coinbase-app/track-apis/exchange-rates>

use super::{Answer, Source, SourceError, read};
use crate::domain::asset::Market;
use crate::domain::{Asset, SourceName, Timestamp, UsdPrice};
use crate::entries::Entries;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Client;
use serde::Deserialize;
use serde_json::value::RawValue;

const PATH: &str = "/v2/exchange-rates?currency=USD";

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

    fn quotes(&self, now: Timestamp) -> BoxFuture<'_, Result<Answer, SourceError>> {
        async move { parse(&read::document(|| self.client.get(&self.url)).await?, now) }.boxed()
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
pub fn parse(document: &[u8], now: Timestamp) -> Result<Answer, SourceError> {
    let nonsense = |what: String| SourceError::Nonsense(what);
    let Envelope { data: Data { currency, rates } } = serde_json::from_slice(document).map_err(|error| {
        nonsense(format!("not the document: line {} column {}", error.line(), error.column()))
    })?;
    if currency != Asset::USD.code() {
        return Err(nonsense("not the rates of the dollar".to_owned()));
    }
    let mut answer = Answer::default();
    for (code, rate) in rates.0 {
        if let Some(asset) = Asset::parse(&code).ok().filter(|asset| is_meant(*asset)) {
            // A rate is a string; what is none is no price.
            let rate = serde_json::from_str::<String>(rate.get()).unwrap_or_default();
            answer.add(asset, UsdPrice::quoted("1", &rate), now);
        }
    }
    Ok(answer)
}

/// Whether what trades there under an asset's code is that asset.
fn is_meant(asset: Asset) -> bool {
    asset != Asset::USD && asset.market() != Market::None
}
