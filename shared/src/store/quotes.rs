//! The one item of the rates table that is no sheet: what the sources said last, by which the next run is
//! checked.

use super::rates::{PLACE, PointerUpdate, SERIES};
use super::record::pauses;
use super::row::{Item, Row, instant, number, text};
use super::transaction::Transaction;
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{Asset, Catalogue, Quote, QuoteBook, RateSheet, SourceName, Suspect, UsdPrice};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use backon::BackoffBuilder;
use std::collections::BTreeMap;
use tokio::time::sleep;

/// The item's key, both parts of it.
const QUOTES: &str = "quotes";

/// Whether a sheet was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was.
    Written,
    /// Another run has written since the book was read; nothing was kept.
    Overtaken,
}

/// The book as it was read: what is written must be made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBook {
    /// The book; `None` before the first run.
    pub book: Option<QuoteBook>,
    revision: u64,
}

impl Store {
    /// The last answers of the sources.
    pub async fn quote_book(&self) -> Result<StoredBook, StoreError> {
        let request = self.client.get_item().table_name(self.table(Table::Rates)).consistent_read(true);
        let answer = request.key(SERIES, text(QUOTES)).key(PLACE, text(QUOTES)).send().await?;
        let Some(item) = answer.item() else { return Ok(StoredBook::default()) };
        let row = Row { table: Table::Rates, item };
        let book = self.mapped(|catalogue| book(row, catalogue)).await?;
        Ok(StoredBook { book: Some(book), revision: row.number("revision", str::parse)? })
    }

    /// Keeps a sheet for ever and remembers the book it was made with, unless another run has written since
    /// `read`.
    pub async fn put_sheet_and_book(
        &self,
        sheet: &RateSheet,
        book: &QuoteBook,
        read: &StoredBook,
    ) -> Result<Kept, StoreError> {
        let sheet = &RateSheet { recorded_at: self.clock.now(), ..sheet.clone() };
        for update in [PointerUpdate::Move, PointerUpdate::Keep] {
            let writes =
                [self.book_put(book, read)?, self.sheet_put(sheet)?, self.pointer_update(sheet, update)?];
            match self.transact(writes).await? {
                Transaction::Committed => {
                    self.count_if_late(sheet.recorded_at);
                    return Ok(Kept::Written);
                }
                // A sheet of a later time is there: this one is kept beside it.
                Transaction::Refused(refused) if refused == [false, false, true] => {}
                Transaction::Collided | Transaction::Refused(_) => return Ok(Kept::Overtaken),
            }
        }
        Ok(Kept::Overtaken)
    }

    /// Believes the quote of an asset that jumped, from the next run on; `None` if no quote of the asset is
    /// held.
    pub async fn accept_suspect(&self, asset: Asset) -> Result<Option<Suspect>, StoreError> {
        let mut pauses = pauses().build();
        loop {
            let read = self.quote_book().await?;
            let mut book = read.book.clone().unwrap_or_default();
            let Some(suspect) = book.suspects.get(&asset).copied() else { return Ok(None) };
            book.vouched.insert(asset, suspect.quote.usd);
            match self.transact([self.book_put(&book, &read)?]).await? {
                Transaction::Committed => return Ok(Some(suspect)),
                // A run of the rate feed has written since: the book is read again.
                Transaction::Refused(_) | Transaction::Collided => {
                    let busy = || StoreError::Unavailable("runs of the rate feed".to_owned());
                    sleep(pauses.next().ok_or_else(busy)?).await;
                }
            }
        }
    }

    fn book_put(&self, book: &QuoteBook, read: &StoredBook) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(self.table(Table::Rates))
            .set_item(Some(book_to_item(book, number(read.revision + 1))))
            .condition_expression("attribute_not_exists(#series) OR revision = :read")
            .expression_attribute_names("#series", SERIES)
            .expression_attribute_values(":read", number(read.revision));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }
}

fn book_to_item(book: &QuoteBook, revision: AttributeValue) -> Item {
    let QuoteBook { answers, accepted, suspects, vouched } = book;
    let answers = answers
        .iter()
        .map(|(source, quotes)| (source.name().to_owned(), to_map(quotes, quote_to_item)))
        .collect();
    Item::from([
        (SERIES.to_owned(), text(QUOTES)),
        (PLACE.to_owned(), text(QUOTES)),
        ("revision".to_owned(), revision),
        ("answers".to_owned(), AttributeValue::M(answers)),
        ("accepted".to_owned(), to_map(accepted, |usd| number(usd))),
        ("suspects".to_owned(), to_map(suspects, suspect_to_item)),
        ("vouched".to_owned(), to_map(vouched, |usd| number(usd))),
    ])
}

fn to_map<T>(values: &BTreeMap<Asset, T>, to_item: impl Fn(&T) -> AttributeValue) -> AttributeValue {
    AttributeValue::M(values.iter().map(|(asset, value)| (asset.code().to_owned(), to_item(value))).collect())
}

fn quote_to_item(Quote { usd, observed_at }: &Quote) -> AttributeValue {
    AttributeValue::M(
        [("usd".to_owned(), number(usd)), ("observed_at".to_owned(), instant(*observed_at))].into(),
    )
}

fn suspect_to_item(Suspect { source, quote, last, seen_at }: &Suspect) -> AttributeValue {
    AttributeValue::M(
        [
            ("source".to_owned(), text(source.name())),
            ("quote".to_owned(), quote_to_item(quote)),
            ("last".to_owned(), number(last)),
            ("seen_at".to_owned(), instant(*seen_at)),
        ]
        .into(),
    )
}

fn book(row: Row<'_>, catalogue: &Catalogue) -> Result<QuoteBook, StoreError> {
    let map = |attribute| row.item.get(attribute).and_then(|value| value.as_m().ok());
    let known = |answers: &Item| {
        let known = answers.iter().filter_map(|(name, quotes)| Some((SourceName::parse(name)?, quotes)));
        known
            .map(|(source, quotes)| Some((source, by_asset(quotes.as_m().ok()?, catalogue, quote)?)))
            .collect::<Option<_>>()
    };
    let price = |value: &AttributeValue| value.as_n().ok().and_then(|usd| UsdPrice::parse(usd).ok());
    Ok(QuoteBook {
        answers: map("answers").and_then(known).ok_or_else(|| row.corrupt("answers"))?,
        accepted: map("accepted")
            .and_then(|values| by_asset(values, catalogue, price))
            .ok_or_else(|| row.corrupt("accepted"))?,
        suspects: map("suspects")
            .and_then(|values| by_asset(values, catalogue, suspect))
            .ok_or_else(|| row.corrupt("suspects"))?,
        vouched: map("vouched")
            .and_then(|values| by_asset(values, catalogue, price))
            .ok_or_else(|| row.corrupt("vouched"))?,
    })
}

fn quote(value: &AttributeValue) -> Option<Quote> {
    let row = Row { table: Table::Rates, item: value.as_m().ok()? };
    Some(Quote {
        usd: row.number("usd", UsdPrice::parse).ok()?,
        observed_at: row.instant("observed_at").ok()?,
    })
}

fn suspect(value: &AttributeValue) -> Option<Suspect> {
    let row = Row { table: Table::Rates, item: value.as_m().ok()? };
    Some(Suspect {
        source: row.parsed("source", |name| SourceName::parse(name).ok_or(())).ok()?,
        quote: quote(row.item.get("quote")?)?,
        last: row.number("last", UsdPrice::parse).ok()?,
        seen_at: row.instant("seen_at").ok()?,
    })
}

/// Values by asset; those of assets that have left the catalogue are passed over.
fn by_asset<T>(
    values: &Item,
    catalogue: &Catalogue,
    parse: impl Fn(&AttributeValue) -> Option<T>,
) -> Option<BTreeMap<Asset, T>> {
    let known = values.iter().filter_map(|(code, value)| Some((catalogue.asset(code).ok()?, value)));
    known.map(|(asset, value)| Some((asset, parse(value)?))).collect()
}
