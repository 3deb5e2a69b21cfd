//! The European Central Bank's reference rates: units of some thirty currencies per euro, once on every
//! TARGET day at about 16:00 in Frankfurt.
//! <https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates>

use super::read;
use crate::domain::time::TimestampError;
use crate::domain::{Asset, Catalogue, SourceName, Timestamp, UsdPrice};
use crate::rates::{Answer, Source, SourceError};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use reqwest::Client;
use roxmltree::Document;

/// Every day's rates since 1999: a zip archive of one CSV file.
pub const HISTORY_PATH: &str = "/stats/eurofxref/eurofxref-hist.zip";
const PATH: &str = "/stats/eurofxref/eurofxref-daily.xml";
/// The document names a day. Its rates stand from 16:00 in Frankfurt in summer, an hour later in winter.
const TIME_OF_DAY: &str = "T14:00:00Z";
/// A document that is published early, or read by a clock that is slow, is no nonsense.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(3);

/// A client of the bank's.
#[derive(Debug)]
pub struct Ecb {
    url: String,
    client: Client,
}

impl Ecb {
    /// A client of the server at `base_url`.
    pub fn new(base_url: &str) -> Result<Self, String> {
        Ok(Self { url: format!("{base_url}{PATH}"), client: read::client(base_url)? })
    }
}

impl Source for Ecb {
    fn name(&self) -> SourceName {
        SourceName::Ecb
    }

    fn quotes<'a>(&'a self, _: &'a Catalogue, now: Timestamp) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move { parse(&read::document(|| self.client.get(&self.url), |_| None).await?, now) }.boxed()
    }
}

/// The instant of a day's rates; the day is a date such as `2026-09-24`.
pub fn published_at(day: &str) -> Result<Timestamp, TimestampError> {
    Timestamp::parse(&format!("{day}{TIME_OF_DAY}"))
}

/// The document's rates in dollars: `USD per EUR ÷ units per EUR`. Without a rate of the dollar there are
/// none.
pub fn parse(document: &[u8], now: Timestamp) -> Result<Answer, SourceError> {
    let nonsense = |what: &str| SourceError::Nonsense(what.to_owned());
    let text = std::str::from_utf8(document).map_err(|_| nonsense("not UTF-8"))?;
    let document = Document::parse(text).map_err(|_| nonsense("not XML"))?;
    let mut days =
        document.descendants().filter(|node| node.tag_name().name() == "Cube" && node.has_attribute("time"));
    let (Some(day), None) = (days.next(), days.next()) else { return Err(nonsense("not one day's rates")) };
    let observed_at = published_at(day.attribute("time").unwrap_or_default());
    let observed_at = observed_at.map_err(|_| nonsense("the day is no date"))?;
    if observed_at > now.plus(MAX_AHEAD) {
        return Err(nonsense("the day is in the future"));
    }
    let rates = day
        .children()
        .filter_map(|rate| Some((rate.attribute("currency")?, rate.attribute("rate").unwrap_or_default())));
    let (dollars, rates): (Vec<_>, Vec<_>) = rates.partition(|(currency, _)| *currency == Asset::USD.code());
    let [(_, dollar)] = dollars.as_slice() else { return Err(nonsense("not one rate of the dollar")) };
    let euro = UsdPrice::quoted(dollar, "1").map_err(|_| nonsense("the rate of the dollar is no price"))?;
    let mut answer = Answer::default();
    answer.add(Asset::EUR, Ok(euro), observed_at);
    for (currency, rate) in rates {
        if let Some(asset) = Catalogue::money(currency) {
            answer.add(asset, UsdPrice::quoted(dollar, rate), observed_at);
        }
    }
    Ok(answer)
}
