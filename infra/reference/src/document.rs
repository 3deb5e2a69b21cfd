//! Puts the document together.

use crate::examples::Examples;
use crate::openapi::{
    Components, Credential, Document, InOrder, Info, License, Operation, Parameter, SecurityScheme,
    SecuritySchemes, Server, ServerVariable, Tag,
};
use crate::requests::REQUESTS;
use crate::schemas::{self, schema};
use crate::{ReferenceError, responses, sections};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use shared::http::{self, API_KEY};
use shared::query::Declared;
use std::collections::BTreeMap;

const IF_NONE_MATCH: &str = "If-None-Match";

/// The document of these operations.
pub(crate) fn assemble(
    operations: &[http::Operation],
    examples: &Examples,
) -> Result<Document, ReferenceError> {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut paths = InOrder::<BTreeMap<_, _>>::default();
    for operation in operations {
        let described = describe(operation, &mut generator, examples)?;
        let method = BTreeMap::from([(operation.method.to_lowercase(), described)]);
        paths.merge(operation.path, method, Extend::extend);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.values_mut().for_each(schemas::tidy);
    schemas.extend(schemas::asset_codes());
    Ok(Document {
        openapi: "3.1.1",
        info: Info {
            title: "Ballast",
            version: env!("CARGO_PKG_VERSION"),
            description: sections::preface()?,
            license: License { name: "MIT or Apache 2.0", identifier: "MIT OR Apache-2.0" },
        },
        servers: servers(),
        security: vec![Credential::Bearer([]), Credential::ApiKey([])],
        tags: tags(operations),
        paths,
        components: Components {
            schemas,
            headers: responses::headers(),
            examples: examples.common_faults(),
            security_schemes: security_schemes(),
        },
    })
}

fn servers() -> Vec<Server> {
    let elsewhere = BTreeMap::from([("host", ServerVariable { default: "api.example.com" })]);
    vec![
        Server { url: "/", description: "Where this page comes from", variables: BTreeMap::new() },
        Server { url: "https://{host}", description: "A deployment", variables: elsewhere },
    ]
}

fn security_schemes() -> SecuritySchemes {
    let bearer = SecurityScheme::Http {
        scheme: "bearer",
        bearer_format: "JWT",
        description: "A token of the configured issuer, or an API key. A request carries one credential: two are refused.",
    };
    let api_key = SecurityScheme::ApiKey {
        place: "header",
        name: API_KEY,
        description: "An API key, `bk_…`, instead of a Bearer token.",
    };
    SecuritySchemes { bearer, api_key }
}

/// The views in the order of their operations.
fn tags(operations: &[http::Operation]) -> Vec<Tag> {
    let mut tags: Vec<String> = operations.iter().map(|operation| operation.view.to_owned()).collect();
    tags.dedup();
    tags.into_iter().map(|name| Tag { name }).collect()
}

fn describe(
    operation: &http::Operation,
    generator: &mut SchemaGenerator,
    examples: &Examples,
) -> Result<Operation, ReferenceError> {
    let http::Operation { id, method, path, view, about, parameters, answer: _, errors: _ } = operation;
    let mut described: Vec<Parameter> =
        parameters.iter().map(|declared| parameter(operation, *declared)).collect();
    described.extend(operation.is_read().then(if_none_match));
    Ok(Operation {
        id,
        tags: [(*view).to_owned()],
        summary: about,
        description: sections::of_route(method, path)?,
        security: operation.is_public().then_some([]),
        parameters: described,
        responses: responses::of(operation, generator, examples),
    })
}

fn parameter(operation: &http::Operation, declared: &'static dyn Declared) -> Parameter {
    let is_in_path = operation.is_in_path(declared);
    let required = is_in_path || declared.is_required();
    let (schema, is_list) = schemas::of(declared.expects(), is_in_path);
    let shown = REQUESTS.iter().find(|request| request.operation == operation.id);
    let value = shown.and_then(|request| request.values.iter().find(|(name, _)| *name == declared.name()));
    Parameter {
        name: declared.name(),
        place: if is_in_path { "path" } else { "query" },
        description: format!("{}; must be {}", declared.about(), declared.expects()),
        required,
        explode: is_list.then_some(false),
        schema,
        // A form that is filled in with filters would ask for less than everything.
        example: value.filter(|_| required || declared.is_filled_in()).map(|(_, value)| *value),
    }
}

fn if_none_match() -> Parameter {
    Parameter {
        name: IF_NONE_MATCH,
        place: "header",
        description: "tags of answers that are already there".to_owned(),
        required: false,
        explode: None,
        schema: schema(&[("type", "string".into())]),
        example: None,
    }
}
