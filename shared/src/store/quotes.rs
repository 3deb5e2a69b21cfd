//! The one item of the rates table that is no sheet: what the sources said last, by which the next run is checked.

use super::rates::to_item;
use super::record::Transaction;
use super::row::{Item, Row, instant, number, text};
use super::{Store, StoreError};
use crate::domain::{Asset, Quote, QuoteBook, Quotes, RateSheet, SourceName, UsdPrice};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use std::collections::{BTreeMap, HashMap};

const TABLE: &str = "rates";
/// Stands beside the sheets under a key of its own.
const QUOTES: &str = "quotes";
const NEWEST: &str = "newest";

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

    /// Keeps a sheet for ever and remembers the book it was made with. `false`: another run has written since `read`, and nothing
    /// was kept.
    pub async fn put_sheet_and_book(&self, sheet: &RateSheet, book: &QuoteBook, read: &StoredBook) -> Result<bool, StoreError> {
        let revision = number(read.revision + 1);
        let put_book = Put::builder()
            .table_name(&self.tables.rates)
            .set_item(Some(book_to_item(book, revision)))
            .condition_expression("attribute_not_exists(sheet) OR revision = :read")
            .expression_attribute_values(":read", number(read.revision));
        let put_sheet = Put::builder().table_name(&self.tables.rates).set_item(Some(to_item(sheet)));
        let put_sheet = put_sheet.condition_expression("attribute_not_exists(sheet)");
        let writes = [put_book, put_sheet].map(|put| Ok(TransactWriteItem::builder().put(put.build()?).build()));
        let writes = writes.into_iter().collect::<Result<Vec<_>, StoreError>>()?;
        Ok(matches!(self.transact(writes).await?, Transaction::Committed))
    }
}

fn book_to_item(book: &QuoteBook, revision: AttributeValue) -> Item {
    let QuoteBook { answers, accepted, suspects } = book;
    let answers = answers.iter().map(|(source, quotes)| (source.name().to_owned(), quotes_to_map(quotes))).collect();
    let accepted = accepted.iter().map(|(asset, usd)| (asset.code().to_owned(), number(usd))).collect();
    Item::from([
        ("sheet".to_owned(), text(QUOTES)),
        ("observed_at".to_owned(), text(NEWEST)),
        ("revision".to_owned(), revision),
        ("answers".to_owned(), AttributeValue::M(answers)),
        ("accepted".to_owned(), AttributeValue::M(accepted)),
        ("suspects".to_owned(), quotes_to_map(suspects)),
    ])
}

fn quotes_to_map(quotes: &Quotes) -> AttributeValue {
    let quote = |Quote { usd, observed_at }: &Quote| {
        AttributeValue::M(HashMap::from([("usd".to_owned(), number(usd)), ("observed_at".to_owned(), instant(*observed_at))]))
    };
    AttributeValue::M(quotes.iter().map(|(asset, value)| (asset.code().to_owned(), quote(value))).collect())
}

fn book(row: Row<'_>) -> Result<QuoteBook, StoreError> {
    let answers = map(row, "answers")?.iter().filter_map(|(name, value)| Some((SourceName::parse(name)?, value)));
    Ok(QuoteBook {
        answers: answers
            .map(|(source, value)| Ok((source, quotes(row, value)?)))
            .collect::<Result<BTreeMap<_, _>, StoreError>>()?,
        accepted: by_asset(map(row, "accepted")?, |value| value.as_n().ok().and_then(|usd| UsdPrice::parse(usd).ok()))
            .ok_or_else(|| row.corrupt("accepted"))?,
        suspects: quotes(row, row.item.get("suspects").ok_or_else(|| row.corrupt("suspects"))?)?,
    })
}

fn map<'a>(row: Row<'a>, attribute: &'static str) -> Result<&'a Item, StoreError> {
    row.item.get(attribute).and_then(|value| value.as_m().ok()).ok_or_else(|| row.corrupt(attribute))
}

fn quotes(row: Row<'_>, value: &AttributeValue) -> Result<Quotes, StoreError> {
    let quote = |value: &AttributeValue| {
        let row = Row { table: TABLE, item: value.as_m().ok()? };
        Some(Quote { usd: row.number("usd", UsdPrice::parse).ok()?, observed_at: row.instant("observed_at").ok()? })
    };
    value.as_m().ok().and_then(|values| by_asset(values, quote)).ok_or_else(|| row.corrupt("answers"))
}

/// Values by asset; those of assets that have left the table are passed over.
fn by_asset<T>(values: &Item, parse: impl Fn(&AttributeValue) -> Option<T>) -> Option<BTreeMap<Asset, T>> {
    let known = values.iter().filter_map(|(code, value)| Some((Asset::parse(code).ok()?, value)));
    known.map(|(asset, value)| Some((asset, parse(value)?))).collect()
}
