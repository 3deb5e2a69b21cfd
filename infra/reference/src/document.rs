//! Puts the document together.

use crate::examples::{Examples, REQUESTS};
use crate::openapi::{
    Components, Credential, Document, Example, Header, InOrder, Info, License, MediaType, Operation, Parameter, Reference,
    Response, SecurityScheme, SecuritySchemes, Server, ServerVariable, Tag,
};
use crate::schemas::{self, schema};
use crate::sections;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::value::RawValue;
use shared::http::{self, Answer, ErrorBody, ErrorCode};
use shared::query::Declared;
use std::collections::BTreeMap;

const REQUEST_ID: &str = "x-request-id";
const ETAG: &str = "ETag";
const CACHE_CONTROL: &str = "Cache-Control";
const VARY: &str = "Vary";
const RETRY_AFTER: &str = "Retry-After";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";
const IF_NONE_MATCH: &str = "If-None-Match";

/// Headers that answers carry: what they say, and whether as a number.
const HEADERS: [(&str, &str, bool); 6] = [
    (REQUEST_ID, "The request's id, which is in its log line too.", false),
    (ETAG, "The answer's tag, for `If-None-Match`.", false),
    (CACHE_CONTROL, "Who may keep the answer.", false),
    (VARY, "What else the answer depends on.", false),
    (RETRY_AFTER, "Seconds until it is worth asking again.", true),
    (WWW_AUTHENTICATE, "What a credential is to be.", false),
];

/// The document of these operations.
pub(crate) fn assemble(operations: &[http::Operation], examples: Examples) -> Document {
    let Examples { answers, errors } = examples;
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut paths = Vec::new();
    for operation in operations {
        let shown = REQUESTS.iter().zip(&answers).filter(|(request, _)| request.operation == operation.id);
        let shown = shown.map(|(request, answer)| (request.name, here(request.about, answer.clone()))).collect();
        let described = describe(operation, &mut generator, InOrder(shown), &errors);
        // No two operations share a path.
        paths.push((operation.path, BTreeMap::from([(operation.method.to_lowercase(), described)])));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.values_mut().for_each(schemas::tidy);
    schemas.extend(schemas::asset_codes());
    Document {
        openapi: "3.1.1",
        info: Info {
            title: "Ballast",
            version: env!("CARGO_PKG_VERSION"),
            description: sections::preface(),
            license: License { name: "MIT or Apache 2.0", identifier: "MIT OR Apache-2.0" },
        },
        servers: servers(),
        security: vec![Credential::Bearer([]), Credential::ApiKey([])],
        tags: tags(operations),
        paths: InOrder(paths),
        components: Components {
            schemas,
            headers: HEADERS.into_iter().map(header).collect(),
            examples: InOrder(errors.iter().map(|(code, body)| (code.name(), here(code.about(), body.clone()))).collect()),
            security_schemes: security_schemes(),
        },
    }
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
        description: "A token of the configured issuer, or an API key.",
    };
    let api_key = SecurityScheme::ApiKey { place: "header", name: "X-Api-Key", description: "An API key, `bk_…`." };
    SecuritySchemes { bearer, api_key }
}

/// The views in the order of their operations.
fn tags(operations: &[http::Operation]) -> Vec<Tag> {
    let mut tags: Vec<String> = operations.iter().map(|operation| operation.view.to_owned()).collect();
    tags.dedup();
    tags.into_iter().map(|name| Tag { name }).collect()
}

fn here(summary: &'static str, value: Box<RawValue>) -> Example {
    Example::Here { summary, value }
}

fn header((name, description, is_number): (&'static str, &'static str, bool)) -> (&'static str, Header) {
    let kind = if is_number { "integer" } else { "string" };
    (name, Header { description, required: true, schema: schema(&[("type", kind.into())]) })
}

fn describe(
    operation: &http::Operation,
    generator: &mut SchemaGenerator,
    shown: InOrder<Example>,
    errors: &[(ErrorCode, Box<RawValue>)],
) -> Operation {
    let http::Operation { id, method, path, view, about, parameters, answer: _, errors: _ } = operation;
    let is_read = *method == "GET";
    let mut described: Vec<Parameter> = parameters.iter().map(|declared| parameter(operation, *declared)).collect();
    let mut responses = BTreeMap::from([("200".to_owned(), success(operation, is_read, generator, shown))]);
    if is_read {
        described.push(if_none_match());
        let description = "What `If-None-Match` names is what would be answered.".to_owned();
        responses.insert("304".to_owned(), Response { description, headers: headers(true), content: BTreeMap::new() });
    }
    responses.extend(failures(&operation.all_errors(), generator, errors));
    Operation {
        id,
        tags: [(*view).to_owned()],
        summary: about,
        description: sections::of_route(method, path),
        security: operation.is_public().then_some([]),
        parameters: described,
        responses,
    }
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
        example: value.filter(|_| required).map(|(_, value)| *value),
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

fn headers(is_read: bool) -> BTreeMap<&'static str, Reference> {
    let names: &[&str] = if is_read { &[REQUEST_ID, ETAG, CACHE_CONTROL, VARY] } else { &[REQUEST_ID] };
    references(names)
}

fn references(names: &[&'static str]) -> BTreeMap<&'static str, Reference> {
    names.iter().map(|name| (*name, Reference::to("headers", name))).collect()
}

fn success(operation: &http::Operation, is_read: bool, generator: &mut SchemaGenerator, examples: InOrder<Example>) -> Response {
    let (media_type, schema) = match operation.answer {
        Answer::Json(schema) => ("application/json", schema(generator)),
        Answer::Svg => ("image/svg+xml", schema(&[("type", "string".into())])),
    };
    Response {
        description: operation.about.to_owned(),
        headers: headers(is_read),
        content: BTreeMap::from([(media_type, MediaType { schema, examples })]),
    }
}

/// One response per status, which can stand for several codes.
fn failures(
    codes: &[ErrorCode],
    generator: &mut SchemaGenerator,
    examples: &[(ErrorCode, Box<RawValue>)],
) -> BTreeMap<String, Response> {
    let mut responses = BTreeMap::<String, Response>::new();
    for code in codes {
        let response = responses.entry(code.status().as_u16().to_string()).or_default();
        let about = format!("`{}`: {}.", code.name(), code.about());
        response.description =
            if response.description.is_empty() { about } else { format!("{}\n\n{about}", response.description) };
        response.headers = references(match code {
            ErrorCode::AuthenticationFailed => &[REQUEST_ID, WWW_AUTHENTICATE],
            ErrorCode::RateLimitExceeded | ErrorCode::ServiceUnavailable => &[REQUEST_ID, RETRY_AFTER],
            _ => &[REQUEST_ID],
        });
        let media = response.content.entry("application/json");
        let media = media
            .or_insert_with(|| MediaType { schema: generator.subschema_for::<ErrorBody<'_>>(), examples: InOrder(Vec::new()) });
        if examples.iter().any(|(shown, _)| shown == code) {
            media.examples.0.push((code.name(), Example::Elsewhere(Reference::to("examples", code.name()))));
        }
    }
    responses
}
