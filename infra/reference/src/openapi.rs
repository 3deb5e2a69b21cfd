//! The part of OpenAPI 3.1 that the reference uses, as types that serialise to it.
//!
//! Source: <https://spec.openapis.org/oas/v3.1.1.html>. Examples are kept as the bytes that were answered: a
//! model whose values are parsed would turn exact numbers into floats.

use schemars::Schema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A map that keeps the order it was made in: what a page shows first is meant to be first.
#[derive(Debug, Clone)]
pub(crate) struct InOrder<V>(pub(crate) Vec<(&'static str, V)>);

impl<V> Default for InOrder<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> InOrder<V> {
    /// Puts a value at the end, or merges it into the one that is there.
    pub(crate) fn merge(&mut self, key: &'static str, value: V, merge: impl FnOnce(&mut V, V)) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => merge(known, value),
            None => self.0.push((key, value)),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Serialize> Serialize for InOrder<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The whole document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) openapi: &'static str,
    pub(crate) info: Info,
    pub(crate) servers: Vec<Server>,
    /// Any one of these is enough.
    pub(crate) security: Vec<Credential>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) paths: InOrder<BTreeMap<String, Operation>>,
    pub(crate) components: Components,
}

/// A security scheme by its name; none of ours has scopes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Credential {
    Bearer([(); 0]),
    ApiKey([(); 0]),
}

#[derive(Debug, Serialize)]
pub(crate) struct Info {
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    pub(crate) description: String,
    pub(crate) license: License,
}

#[derive(Debug, Serialize)]
pub(crate) struct License {
    pub(crate) name: &'static str,
    pub(crate) identifier: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) url: &'static str,
    pub(crate) description: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<&'static str, ServerVariable>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ServerVariable {
    pub(crate) default: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tag {
    pub(crate) name: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Operation {
    #[serde(rename = "operationId")]
    pub(crate) id: &'static str,
    pub(crate) tags: [String; 1],
    pub(crate) summary: &'static str,
    pub(crate) description: String,
    /// Only where it differs from the document's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security: Option<[(); 0]>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) responses: BTreeMap<String, Response>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    #[serde(rename = "in")]
    pub(crate) place: &'static str,
    pub(crate) description: String,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explode: Option<bool>,
    pub(crate) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Response {
    pub(crate) description: String,
    pub(crate) headers: BTreeMap<&'static str, Reference>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) content: BTreeMap<&'static str, MediaType>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MediaType {
    pub(crate) schema: Schema,
    #[serde(skip_serializing_if = "InOrder::is_empty")]
    pub(crate) examples: InOrder<Example>,
}

/// One example, here or among the components.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Example {
    Here { summary: &'static str, value: Box<RawValue> },
    Elsewhere(Reference),
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reference {
    #[serde(rename = "$ref")]
    target: String,
}

impl Reference {
    /// To a component of this kind.
    pub(crate) fn to(kind: &str, name: &str) -> Self {
        Self { target: format!("#/components/{kind}/{name}") }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Components {
    pub(crate) schemas: serde_json::Map<String, serde_json::Value>,
    pub(crate) headers: BTreeMap<&'static str, Header>,
    pub(crate) examples: InOrder<Example>,
    pub(crate) security_schemes: SecuritySchemes,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecuritySchemes {
    pub(crate) bearer: SecurityScheme,
    pub(crate) api_key: SecurityScheme,
}

#[derive(Debug, Serialize)]
pub(crate) struct Header {
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Schema,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum SecurityScheme {
    #[serde(rename_all = "camelCase")]
    Http { scheme: &'static str, bearer_format: &'static str, description: &'static str },
    ApiKey {
        #[serde(rename = "in")]
        place: &'static str,
        name: &'static str,
        description: &'static str,
    },
}
