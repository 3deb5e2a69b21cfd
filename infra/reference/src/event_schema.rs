//! The JSON Schema of an `AccountBalanceChanged` event's detail, made of the table of its fields.
#![expect(
    clippy::disallowed_methods,
    reason = "`json!` writes its literals with `to_value`; none is an amount"
)]

use balance_ingest::field::{EntryField, FieldGroup, FieldValue, entry_fields, field_names};
use serde_json::{Map, Value, json};
use shared::domain::account::{MAX_NETWORK_CHARACTERS, VERSION_DIGITS};
use shared::domain::label::MAX_LABEL_CHARACTERS;
use shared::domain::{MAX_VENDOR_ID, Status};

const ABOUT: &str = "The detail of an AccountBalanceChanged event: one entry, the state of an account at \
    balance_at. Events may come twice and in any order. Two entries of one account with the same balance_at and \
    version and different content are a conflict, and the second is rejected; an entry with a higher version \
    corrects one that is there.";
const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
const DECIMAL: &str = r"^-?[0-9]{1,18}(\.[0-9]{1,18}0*)?$";

/// The schema, pretty-printed, the same at every run.
pub fn event_schema() -> Result<String, serde_json::Error> {
    let properties: Map<String, Value> =
        entry_fields().map(|field| (field.name.to_owned(), property(&field))).collect();
    let labels = field_names(|field| field.group == FieldGroup::Label).join(", ");
    let scope = field_names(|field| field.group == FieldGroup::Scope).join(", ");
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "AccountBalanceChanged.v1.schema.json",
        "title": "AccountBalanceChanged",
        "description": format!(
            "{ABOUT} The scope ({scope}) is named once: another value later is rejected. The labels ({labels}) \
            are one group: an event without any of them leaves them as they are, an event with at least one \
            gives all of them and clears those it lacks."
        ),
        "type": "object",
        "additionalProperties": false,
        "required": field_names(|field| field.is_required),
        "properties": properties,
    });
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn property(field: &EntryField) -> Value {
    let mut about = field.about.to_owned();
    if field.group == FieldGroup::Label {
        about += " A label: null or an empty text is none, and clears the group where no other is given.";
    }
    let mut schema = of_value(field.value);
    // The pattern of a label is one of texts that are not empty.
    if field.group == FieldGroup::Label
        && let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
    {
        let pattern = format!("{pattern}|^$").into();
        schema.as_object_mut().and_then(|members| members.insert("pattern".to_owned(), pattern));
    }
    if !field.is_required {
        allow_null(&mut schema);
    }
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), about.into());
    }
    schema
}

/// An optional field that is null is as good as absent, but for a label.
fn allow_null(schema: &mut Value) {
    if let Some(kind) = schema.get_mut("type") {
        let kinds = kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        *kind = [kinds, vec!["null".into()]].concat().into();
    }
    if let Some(Value::Array(names)) = schema.get_mut("enum") {
        names.push(Value::Null);
    }
}

fn of_value(value: FieldValue) -> Value {
    let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match value {
        FieldValue::Uuid => pattern(UUID),
        FieldValue::Currency => json!({"type": "string"}),
        FieldValue::Amount => pattern(DECIMAL),
        FieldValue::Flag => json!({"type": "boolean"}),
        FieldValue::Status => json!({"type": "string", "enum": Status::ALL.map(Status::name)}),
        FieldValue::Instant => json!({"type": "string", "format": "date-time"}),
        FieldValue::Version => json!({
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": 10_u64.pow(18) - 1,
            "pattern": format!("^[0-9]{{1,{VERSION_DIGITS}}}$"),
        }),
        // The prefix may carry a digit before its underscore, as the vendor's own ids do.
        FieldValue::VendorId(prefix) => {
            let name = prefix.trim_end_matches('_');
            pattern(&format!("^{name}[0-9]?_[A-Za-z0-9-]{{1,{MAX_VENDOR_ID}}}$"))
        }
        FieldValue::Network => pattern(&format!("^[A-Za-z0-9_-]{{1,{MAX_NETWORK_CHARACTERS}}}$")),
        FieldValue::Label => json!({"type": "string", "maxLength": MAX_LABEL_CHARACTERS}),
    }
}
