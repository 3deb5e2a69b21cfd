//! Schemas of what bodies hold, for their `JsonSchema`: the reference is derived from the types that are
//! serialised.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// A UUID.
#[must_use]
pub fn uuid(_: &mut SchemaGenerator) -> Schema {
    text("uuid")
}

/// A date-time in UTC with milliseconds.
#[must_use]
pub fn instant(_: &mut SchemaGenerator) -> Schema {
    text("date-time")
}

/// One of these names.
#[must_use]
pub fn names(names: Vec<&'static str>) -> Schema {
    schema([("type", "string".into()), ("enum", names.into())])
}

/// An object of texts that may each be absent, with a sentence about each.
#[must_use]
pub fn texts(members: impl IntoIterator<Item = (&'static str, &'static str)>) -> Schema {
    let text = |about: &str| Value::from(schema([("type", "string".into()), ("description", about.into())]));
    let members: Map<String, Value> =
        members.into_iter().map(|(name, about)| (name.to_owned(), text(about))).collect();
    schema([("type", "object".into()), ("properties", members.into())])
}

/// The same, or null.
#[must_use]
pub fn nullable(mut schema: Schema) -> Schema {
    if let Some(one) = schema.remove("type") {
        schema.insert("type".to_owned(), Value::Array(vec![one, "null".into()]));
    }
    schema
}

/// The same, or null, of a field that may also be left out. [`nullable`] would not do: of a field that may be
/// left out, the reference takes a null among the types for Rust's way to say so.
#[must_use]
pub fn or_null(one: Schema) -> Schema {
    let null = schema([("type", "null".into())]);
    schema([("anyOf", Value::Array(vec![one.into(), null.into()]))])
}

fn text(format: &'static str) -> Schema {
    schema([("type", "string".into()), ("format", format.into())])
}

pub(super) fn schema<const N: usize>(entries: [(&str, Value); N]) -> Schema {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
}
