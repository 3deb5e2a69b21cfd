//! A page of a Query or a Scan, parsed by `serde_json` straight from the bytes of the answer.
//!
//! The SDK copies each attribute's name and value into a map of its own: more than half of the CPU time of a
//! total. [`query_page`] and [`scan_page`] replace the part of the SDK that parses this one answer. Signing,
//! retries, time-outs, the meter, the clock check and errors stay the SDK's. Rejected: an HTTP client of our
//! own, which would need all of those again.

use super::StoreError;
use super::row::{Attributes, Item};
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use aws_smithy_runtime_api::client::interceptors::context::{Output, OutputOrError};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Attributes of most items: a larger item makes its list grow.
const USUAL_ATTRIBUTES: usize = 16;

/// The items of one page, each as it could be read, and where the Query goes on unless it has ended.
pub(super) type ItemPage<T> = (Vec<Result<T, StoreError>>, Option<Item>);

/// An item whose names and texts are borrowed from the answer.
#[derive(Debug, PartialEq)]
pub(super) struct PageItem<'a>(Vec<(Cow<'a, str>, PageValue<'a>)>);

/// An attribute's value in DynamoDB's JSON: `{"S": "EUR"}`.
#[derive(Debug, PartialEq, Deserialize)]
enum PageValue<'a> {
    #[serde(borrow)]
    S(Cow<'a, str>),
    #[serde(borrow)]
    N(Cow<'a, str>),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(borrow)]
    L(Vec<PageValue<'a>>),
    #[serde(borrow)]
    M(PageItem<'a>),
    /// Kinds that no table of ours has.
    #[serde(rename = "NULL", alias = "B", alias = "SS", alias = "NS", alias = "BS")]
    Other(IgnoredAny),
}

impl<'de: 'a, 'a> Deserialize<'de> for PageItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = PageItem<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an item")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut attributes = Vec::with_capacity(USUAL_ATTRIBUTES);
                while let Some((AttributeName(name), value)) = map.next_entry()? {
                    attributes.push((name, value));
                }
                Ok(PageItem(attributes))
            }
        }
        deserializer.deserialize_map(ItemVisitor)
    }
}

/// A name that is borrowed unless it has escapes; serde copies every `Cow` that is not the field of a struct.
#[derive(Deserialize)]
struct AttributeName<'a>(#[serde(borrow)] Cow<'a, str>);

impl Attributes for PageItem<'_> {
    fn text(&self, name: &str) -> Option<Result<&str, ()>> {
        self.value(name).map(|value| if let PageValue::S(text) = value { Ok(text.as_ref()) } else { Err(()) })
    }

    fn number(&self, name: &str) -> Option<&str> {
        self.value(name)
            .and_then(|value| if let PageValue::N(digits) = value { Some(digits.as_ref()) } else { None })
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.value(name).and_then(|value| if let PageValue::Bool(flag) = value { Some(*flag) } else { None })
    }
}

impl PageItem<'_> {
    fn value(&self, name: &str) -> Option<&PageValue<'_>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The item as the SDK would have parsed it.
    pub(super) fn to_item(&self) -> Item {
        self.0.iter().map(|(name, value)| (name.to_string(), value.to_attribute())).collect()
    }
}

impl PageValue<'_> {
    fn to_attribute(&self) -> AttributeValue {
        match self {
            Self::S(text) => AttributeValue::S(text.to_string()),
            Self::N(digits) => AttributeValue::N(digits.to_string()),
            Self::Bool(flag) => AttributeValue::Bool(*flag),
            Self::L(values) => AttributeValue::L(values.iter().map(Self::to_attribute).collect()),
            Self::M(item) => AttributeValue::M(item.to_item()),
            Self::Other(IgnoredAny) => AttributeValue::Null(true),
        }
    }
}

/// One page of a Query, each item read by `read`.
pub(super) async fn query_page<T: Send + 'static>(
    query: QueryFluentBuilder,
    read: impl Fn(&PageItem<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<ItemPage<T>, StoreError> {
    let output = |last_key, capacity| {
        let output = QueryOutput::builder().set_last_evaluated_key(last_key).set_consumed_capacity(capacity);
        Output::erase(output.build())
    };
    let (items, page_parser) = PageParser::new(read, output);
    let answer = query.customize().interceptor(page_parser).send().await?;
    Ok((taken(&items), answer.last_evaluated_key))
}

/// One page of a Scan, each item read by `read`.
pub(super) async fn scan_page<T: Send + 'static>(
    scan: ScanFluentBuilder,
    read: impl Fn(&PageItem<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<ItemPage<T>, StoreError> {
    let output = |last_key, capacity| {
        let output = ScanOutput::builder().set_last_evaluated_key(last_key).set_consumed_capacity(capacity);
        Output::erase(output.build())
    };
    let (items, page_parser) = PageParser::new(read, output);
    let answer = scan.customize().interceptor(page_parser).send().await?;
    Ok((taken(&items), answer.last_evaluated_key))
}

/// The items of an answer that has been parsed.
fn taken<T>(items: &ParsedItems<T>) -> Vec<Result<T, StoreError>> {
    std::mem::take(&mut *items.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Parses the answer of the call that it is given to, as its interceptor.
struct PageParser<T> {
    /// Written when the answer is parsed, and taken once the call has ended.
    items: ParsedItems<T>,
    read: Arc<ReadItem<T>>,
    output: MakeOutput,
}

impl<T> PageParser<T> {
    fn new(
        read: impl Fn(&PageItem<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
        output: MakeOutput,
    ) -> (ParsedItems<T>, Self) {
        let items = ParsedItems::default();
        (Arc::clone(&items), Self { items, read: Arc::new(read), output })
    }
}

type ParsedItems<T> = Arc<Mutex<Vec<Result<T, StoreError>>>>;
/// The answer as the operation's own, of where it goes on and what it consumed.
type MakeOutput = fn(Option<Item>, Option<ConsumedCapacity>) -> Output;

type ReadItem<T> = dyn Fn(&PageItem<'_>) -> Result<T, StoreError> + Send + Sync;

/// The body of a successful answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageBody<'a> {
    #[serde(borrow, default)]
    items: Vec<PageItem<'a>>,
    last_evaluated_key: Option<PageItem<'a>>,
    #[serde(borrow)]
    consumed_capacity: Option<PageCapacity<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageCapacity<'a> {
    #[serde(borrow)]
    capacity_units: &'a RawValue,
}

impl<T> Clone for PageParser<T> {
    fn clone(&self) -> Self {
        Self { items: Arc::clone(&self.items), read: Arc::clone(&self.read), output: self.output }
    }
}

impl<T> fmt::Debug for PageParser<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PageParser")
    }
}

impl<T: Send + 'static> Intercept for PageParser<T> {
    fn name(&self) -> &'static str {
        "PageParser"
    }

    /// Errors are left to the SDK's own parser, which is in the bag already.
    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            bag.interceptor_state().store_put(SharedResponseDeserializer::new(self.clone()));
        }
        Ok(())
    }
}

impl<T: Send + 'static> DeserializeResponse for PageParser<T> {
    fn deserialize_nonstreaming_with_config(&self, response: &HttpResponse, _: &ConfigBag) -> OutputOrError {
        // The parser of an attempt whose body was cut stays in the bag for the next attempt.
        if !response.status().is_success() {
            return Err(OrchestratorError::response("an error after a page that was cut".into()));
        }
        let body = response.body().bytes().unwrap_or_default();
        let PageBody { items, last_evaluated_key, consumed_capacity } =
            serde_json::from_slice(body).map_err(|error| OrchestratorError::response(error.into()))?;
        let read = items.iter().map(|item| (self.read)(item)).collect();
        *self.items.lock().unwrap_or_else(PoisonError::into_inner) = read;
        let capacity = consumed_capacity.map(|PageCapacity { capacity_units }| {
            let units = serde_json::from_str(capacity_units.get()).ok();
            ConsumedCapacity::builder().set_capacity_units(units).build()
        });
        Ok((self.output)(last_evaluated_key.map(|key| key.to_item()), capacity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::{number, text};

    #[test]
    fn an_item_is_the_one_that_the_sdk_would_have_parsed() {
        let body = r#"{"account_id": {"S": "a\"b"}, "balance": {"N": "1.50"}, "active": {"BOOL": true},
            "coverage": {"L": [{"S": "BTC#BTC"}]}, "holdings": {"M": {"BTC#BTC": {"M": {"balance": {"N": "1"}}}}},
            "set": {"SS": ["x"]}}"#;
        let item: PageItem<'_> = serde_json::from_str(body).unwrap();
        let inner = |name: &str, value| AttributeValue::M(Item::from([(name.to_owned(), value)]));
        let expected = Item::from([
            ("account_id".to_owned(), text("a\"b")),
            ("balance".to_owned(), number("1.50")),
            ("active".to_owned(), AttributeValue::Bool(true)),
            ("coverage".to_owned(), AttributeValue::L(vec![text("BTC#BTC")])),
            ("holdings".to_owned(), inner("BTC#BTC", inner("balance", number("1")))),
            ("set".to_owned(), AttributeValue::Null(true)),
        ]);
        assert_eq!(item.to_item(), expected);
        assert_eq!(item.text("account_id"), Some(Ok("a\"b")));
        assert_eq!((item.text("balance"), item.text("absent")), (Some(Err(())), None));
        assert_eq!((item.number("balance"), item.number("active")), (Some("1.50"), None));
        assert_eq!((item.flag("active"), item.flag("balance")), (Some(true), None));
    }

    #[test]
    fn names_and_texts_without_escapes_are_borrowed() {
        let item: PageItem<'_> = serde_json::from_str(r#"{"currency": {"S": "EUR"}}"#).unwrap();
        assert!(matches!(
            item.0.as_slice(),
            [(Cow::Borrowed("currency"), PageValue::S(Cow::Borrowed("EUR")))]
        ));
    }
}
