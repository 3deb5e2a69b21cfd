//! The one item of the rates table that is no sheet: what the sources said last, by which the next run is
//! checked.

use super::rates::to_item;
use super::record::Transaction;
use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{Asset, Quote, QuoteBook, RateSheet, SourceName, Suspect, UsdPrice};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use std::collections::BTreeMap;

const TABLE: &str = "rates";
/// Stands beside the sheets under a key of its own.
const QUOTES: &str = "quotes";
const NEWEST: &str = "newest";

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
    /// What is remembered; nothing before the first run.
    pub book: Option<QuoteBook>,
    revision: u64,
}

impl Store {
    /// What the sources said last.
    pub async fn quote_book(&self) -> Result<StoredBook, StoreError> {
        let request = self.client.get_item().table_name(&self.tables.rates).consistent_read(true);
        let answer = request.key("sheet", text(QUOTES)).key("observed_at", text(NEWEST)).send().await?;
        let Some(item) = answer.item() else { return Ok(StoredBook::default()) };
        let row = Row { table: TABLE, item };
        Ok(StoredBook { book: Some(book(row)?), revision: row.number("revision", str::parse)? })
    }

    /// Keeps a sheet for ever and remembers the book it was made with, unless another run has written since
    /// `read`.
    pub async fn put_sheet_and_book(
        &self,
        sheet: &RateSheet,
        book: &QuoteBook,
        read: &StoredBook,
    ) -> Result<Kept, StoreError> {
        let revision = number(read.revision + 1);
        let put_book = Put::builder()
            .table_name(&self.tables.rates)
            .set_item(Some(book_to_item(book, revision)))
            .condition_expression("attribute_not_exists(sheet) OR revision = :read")
            .expression_attribute_values(":read", number(read.revision));
        let put_sheet = Put::builder().table_name(&self.tables.rates).set_item(Some(to_item(sheet)));
        let put_sheet = put_sheet.condition_expression("attribute_not_exists(sheet)");
        let writes =
            [put_book, put_sheet].map(|put| Ok(TransactWriteItem::builder().put(put.build()?).build()));
        let writes = writes.into_iter().collect::<Result<Vec<_>, StoreError>>()?;
        Ok(match self.transact(writes).await? {
            Transaction::Committed => Kept::Written,
            Transaction::Collided | Transaction::Refused(_) => Kept::Overtaken,
        })
    }
}

fn book_to_item(book: &QuoteBook, revision: AttributeValue) -> Item {
    let QuoteBook { answers, accepted, suspects } = book;
    let answers = answers
        .iter()
        .map(|(source, quotes)| (source.name().to_owned(), to_map(quotes, quote_to_item)))
        .collect();
    Item::from([
        ("sheet".to_owned(), text(QUOTES)),
        ("observed_at".to_owned(), text(NEWEST)),
        ("revision".to_owned(), revision),
        ("answers".to_owned(), AttributeValue::M(answers)),
        ("accepted".to_owned(), to_map(accepted, |usd| number(usd))),
        ("suspects".to_owned(), to_map(suspects, suspect_to_item)),
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

fn suspect_to_item(Suspect { quote, seen_at }: &Suspect) -> AttributeValue {
    AttributeValue::M(
        [("quote".to_owned(), quote_to_item(quote)), ("seen_at".to_owned(), instant(*seen_at))].into(),
    )
}

fn book(row: Row<'_>) -> Result<QuoteBook, StoreError> {
    let map = |attribute| row.item.get(attribute).and_then(|value| value.as_m().ok());
    let known = |answers: &Item| {
        let known = answers.iter().filter_map(|(name, quotes)| Some((SourceName::parse(name)?, quotes)));
        known
            .map(|(source, quotes)| Some((source, by_asset(quotes.as_m().ok()?, quote)?)))
            .collect::<Option<_>>()
    };
    let price = |value: &AttributeValue| value.as_n().ok().and_then(|usd| UsdPrice::parse(usd).ok());
    Ok(QuoteBook {
        answers: map("answers").and_then(known).ok_or_else(|| row.corrupt("answers"))?,
        accepted: map("accepted")
            .and_then(|values| by_asset(values, price))
            .ok_or_else(|| row.corrupt("accepted"))?,
        suspects: map("suspects")
            .and_then(|values| by_asset(values, suspect))
            .ok_or_else(|| row.corrupt("suspects"))?,
    })
}

fn quote(value: &AttributeValue) -> Option<Quote> {
    let row = Row { table: TABLE, item: value.as_m().ok()? };
    Some(Quote {
        usd: row.number("usd", UsdPrice::parse).ok()?,
        observed_at: row.instant("observed_at").ok()?,
    })
}

fn suspect(value: &AttributeValue) -> Option<Suspect> {
    let row = Row { table: TABLE, item: value.as_m().ok()? };
    Some(Suspect { quote: quote(row.item.get("quote")?)?, seen_at: row.instant("seen_at").ok()? })
}

/// Values by asset; those of assets that have left the table are passed over.
fn by_asset<T>(values: &Item, parse: impl Fn(&AttributeValue) -> Option<T>) -> Option<BTreeMap<Asset, T>> {
    let known = values.iter().filter_map(|(code, value)| Some((Asset::parse(code).ok()?, value)));
    known.map(|(asset, value)| Some((asset, parse(value)?))).collect()
}
