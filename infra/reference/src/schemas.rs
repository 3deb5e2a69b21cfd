//! JSON Schemas of what parameters expect.

use schemars::Schema;
use serde_json::{Map, Value};
use shared::domain::account::MAX_NETWORK_CHARACTERS;
use shared::domain::amount::{FRACTION_DIGITS, INTEGER_DIGITS};
use shared::domain::{Asset, Catalogue, MAX_VENDOR_ID};
use shared::http::schema::names;
use shared::query::Expected;
use std::collections::BTreeSet;

/// The form of an asset's code, named once.
const ASSET_CODE: &str = "AssetCode";
/// The same for a path, which is never decoded.
const ASCII_ASSET_CODE: &str = "AsciiAssetCode";

const UUID: &str = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";
/// The form of the names of time zones; which there are, the IANA database says.
const TIME_ZONE: &str = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$";
const BASE64_URL: &str = "^[A-Za-z0-9_-]+$";

/// The schema of one value, and whether several are written with commas between them.
pub(crate) fn of(expected: Expected, is_in_path: bool) -> (Schema, bool) {
    let one = |entries: &[(&str, Value)]| (schema(entries), false);
    let text = |entries: &[(&str, Value)]| (schema(&[&[("type", "string".into())], entries].concat()), false);
    match expected {
        Expected::Text => text(&[("minLength", 1.into())]),
        Expected::Boolean => one(&[("type", "boolean".into())]),
        Expected::Id("") => text(&[("format", "uuid".into())]),
        Expected::Id(prefix) => text(&[("pattern", format!("^{prefix}{UUID}$").into())]),
        Expected::VendorId(prefix) => text(&[("pattern", vendor_id(prefix).into())]),
        Expected::VendorIds(prefix) => {
            list(schema(&[("type", "string".into()), ("pattern", vendor_id(prefix).into())]))
        }
        Expected::Asset => (reference(if is_in_path { ASCII_ASSET_CODE } else { ASSET_CODE }), false),
        Expected::Decimal => text(&[("pattern", decimal().into())]),
        Expected::Whole { min, max } => {
            one(&[("type", "integer".into()), ("minimum", min.into()), ("maximum", max.into())])
        }
        Expected::PastInstant => text(&[("format", "date-time".into())]),
        Expected::Network => {
            text(&[("pattern", format!("^[A-Za-z0-9_-]{{1,{MAX_NETWORK_CHARACTERS}}}$").into())])
        }
        Expected::TimeZone => text(&[("pattern", TIME_ZONE.into())]),
        Expected::OneOf(choice) => (names(choice()), false),
        Expected::Order(fields) => {
            let field = format!("-?({})", fields().join("|"));
            text(&[("pattern", format!("^{field}(,{field})*$").into())])
        }
        Expected::Cursor { max_bytes } => {
            text(&[("pattern", BASE64_URL.into()), ("maxLength", max_bytes.into())])
        }
        Expected::Ids => list(schema(&[("type", "string".into()), ("pattern", format!("^{UUID}$").into())])),
        Expected::Assets => list(reference(ASSET_CODE)),
    }
}

/// A vendor's id; a digit may stand before the `_` of its prefix.
fn vendor_id(prefix: &str) -> String {
    format!("^{}[0-9]?_[A-Za-z0-9-]{{1,{MAX_VENDOR_ID}}}$", prefix.trim_end_matches('_'))
}

fn decimal() -> String {
    format!("^-?[0-9]{{1,{INTEGER_DIGITS}}}(\\.[0-9]{{1,{FRACTION_DIGITS}}})?$")
}

fn list(of: Schema) -> (Schema, bool) {
    (schema(&[("type", "array".into()), ("items", of.to_value()), ("minItems", 1.into())]), true)
}

fn reference(name: &str) -> Schema {
    Schema::new_ref(format!("#/components/schemas/{name}"))
}

/// A code as a query and an answer have it, and as a path has it. A deployment adds assets of its own, so a
/// code is a pattern, and the built-in codes are its examples.
pub(crate) fn asset_codes() -> [(String, Value); 2] {
    let code = |pattern: &str, code: fn(Asset) -> &'static str| {
        let catalogue = Catalogue::default();
        let assets = Catalogue::fiat().chain(catalogue.crypto());
        let codes: BTreeSet<&'static str> = assets.map(code).collect();
        let codes: Vec<Value> = codes.into_iter().map(Value::from).collect();
        schema(&[("type", "string".into()), ("pattern", pattern.into()), ("examples", codes.into())])
            .to_value()
    };
    [
        (ASSET_CODE.to_owned(), code("^[A-Za-z0-9][A-Za-z0-9.Ø_-]{1,19}$", Asset::code)),
        (ASCII_ASSET_CODE.to_owned(), code("^[A-Za-z0-9][A-Za-z0-9._-]{1,19}$", Asset::ascii_code)),
    ]
}

/// Says of a body's schema what the types cannot: a field that may be left out is never null, and a width in
/// bits is Rust's own.
pub(crate) fn tidy(body: &mut Value) {
    let required: Vec<String> =
        body.get("required").and_then(|names| serde_json::from_value(names.clone()).ok()).unwrap_or_default();
    let properties = body.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let Some(property) = property.as_object_mut() else { continue };
        property.retain(|key, value| key != "format" || value != "uint");
        if !required.contains(name) {
            forbid_null(property);
        }
    }
}

fn forbid_null(property: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = property.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            property.insert("type".to_owned(), kind);
        }
    }
    let choice = property.get("anyOf").and_then(Value::as_array);
    let only = choice
        .and_then(|choice| choice.iter().find(|one| one.get("$ref").is_some()))
        .and_then(Value::as_object)
        .cloned();
    if let Some(only) = only {
        property.remove("anyOf");
        property.extend(only);
    }
}

pub(crate) fn schema(entries: &[(&str, Value)]) -> Schema {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map<_, _>>().into()
}
