//! The answers of an operation: the 200 with its examples, the 304, and every error by its status.

use crate::examples::Examples;
use crate::openapi::{Example, Header, InOrder, MediaType, Reference, Response};
use crate::schemas::schema;
use schemars::SchemaGenerator;
use shared::http::{Answer, ErrorBody, ErrorCode, Operation, REQUEST_ID};
use std::collections::BTreeMap;

const JSON: &str = "application/json";

const ETAG: &str = "ETag";
const CACHE_CONTROL: &str = "Cache-Control";
const VARY: &str = "Vary";
const RETRY_AFTER: &str = "Retry-After";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";

/// Headers that answers carry: what they say, and whether as a number.
const HEADERS: [(&str, &str, bool); 6] = [
    (REQUEST_ID, "The request's id, which is in its log line too.", false),
    (ETAG, "The answer's tag, for `If-None-Match`.", false),
    (CACHE_CONTROL, "Who may keep the answer.", false),
    (VARY, "What else the answer depends on.", false),
    (RETRY_AFTER, "Seconds until it is worth asking again.", true),
    (WWW_AUTHENTICATE, "What a credential is to be.", false),
];

/// The headers, for the components.
pub(crate) fn headers() -> BTreeMap<&'static str, Header> {
    let header = |(name, description, is_number)| {
        let kind = if is_number { "integer" } else { "string" };
        (name, Header { description, required: true, schema: schema(&[("type", kind.into())]) })
    };
    HEADERS.into_iter().map(header).collect()
}

/// Every response of the operation, by its status.
pub(crate) fn of(
    operation: &Operation,
    generator: &mut SchemaGenerator,
    examples: &Examples,
) -> BTreeMap<String, Response> {
    let names: &[_] =
        if operation.is_read() { &[REQUEST_ID, ETAG, CACHE_CONTROL, VARY] } else { &[REQUEST_ID] };
    let mut responses = failures(operation, generator, examples);
    if operation.is_read() {
        let description = "What `If-None-Match` names is what would be answered.".to_owned();
        responses.insert(
            "304".to_owned(),
            Response { description, headers: references(names), content: BTreeMap::new() },
        );
    }
    let (media_type, schema) = match operation.answer {
        Answer::Json(schema) => (JSON, schema(generator)),
        Answer::Svg => ("image/svg+xml", schema(&[("type", "string".into())])),
    };
    let media = MediaType { schema, examples: examples.answers_of(operation.id) };
    let content = BTreeMap::from([(media_type, media)]);
    responses.insert(
        "200".to_owned(),
        Response { description: operation.about.to_owned(), headers: references(names), content },
    );
    responses
}

fn references(names: &[&'static str]) -> BTreeMap<&'static str, Reference> {
    names.iter().map(|name| (*name, Reference::to("headers", name))).collect()
}

/// One response per status, which can stand for several codes.
fn failures(
    operation: &Operation,
    generator: &mut SchemaGenerator,
    examples: &Examples,
) -> BTreeMap<String, Response> {
    let mut responses = BTreeMap::<String, Response>::new();
    for code in operation.all_errors() {
        let response = responses.entry(code.status().as_u16().to_string()).or_default();
        let about = format!("`{}`: {}.", code.name(), code.about());
        response.description = if response.description.is_empty() {
            about
        } else {
            format!("{}\n\n{about}", response.description)
        };
        response.headers.extend(references(headers_of(code)));
        let media = response.content.entry(JSON).or_insert_with(|| MediaType {
            schema: generator.subschema_for::<ErrorBody<'_>>(),
            examples: InOrder::default(),
        });
        media.examples.0.extend(example_of(code, operation, examples).map(|example| (code.name(), example)));
    }
    responses
}

/// An error that is worded by the request is shown where it was asked; the others read the same everywhere.
fn example_of(code: ErrorCode, operation: &Operation, examples: &Examples) -> Option<Example> {
    let shown = || Example::Elsewhere(Reference::to("examples", code.name()));
    examples.fault_of(code, operation.id).or_else(|| examples.has_common(code).then(shown))
}

const fn headers_of(code: ErrorCode) -> &'static [&'static str] {
    match code {
        ErrorCode::AuthenticationFailed => &[REQUEST_ID, CACHE_CONTROL, WWW_AUTHENTICATE],
        ErrorCode::RateLimitExceeded | ErrorCode::ServiceUnavailable => {
            &[REQUEST_ID, CACHE_CONTROL, RETRY_AFTER]
        }
        ErrorCode::InvalidRequest
        | ErrorCode::InsufficientPermissions
        | ErrorCode::AccountNotFound
        | ErrorCode::PositionNotFound
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UnpricedAssets
        | ErrorCode::IncompleteBalance
        | ErrorCode::CustodyProviderError
        | ErrorCode::InternalError => &[REQUEST_ID, CACHE_CONTROL],
    }
}
