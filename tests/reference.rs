//! The reference says what the routes declare, and the routes do what the reference says.

use crate::harness::{App, dataset, send};
use reqwest::Method;
use serde_json::{Value, json};
use shared::http::{ErrorCode, Operation};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

fn document() -> Value {
    serde_json::from_str(&read("docs/openapi.json")).unwrap()
}

/// An operation's parameters as the written reference tabulates them.
fn table(operation: &Operation) -> String {
    let row = |parameter: &&'static dyn shared::query::Declared| {
        format!("| `{}` | {} | {} |\n", parameter.name(), parameter.about(), parameter.expects())
    };
    let rows: String = operation.parameters.iter().map(row).collect();
    format!("### `{} {}`\n\n| parameter | | must be |\n|---|---|---|\n{rows}", operation.method, operation.path)
}

/// The path with something in the place of every parameter.
fn filled(operation: &Operation) -> String {
    operation.path.split('/').map(|segment| if segment.starts_with('{') { "EUR" } else { segment }).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_in_the_written_reference_with_every_parameter() {
    let (written, operations) = (read("API.md"), reference::operations());
    let missing: Vec<_> = operations.iter().map(table).filter(|table| !written.contains(table)).collect();
    assert!(missing.is_empty(), "API.md lacks:\n\n{}", missing.join("\n"));
    assert_eq!(written.matches("\n### `").count(), operations.len(), "API.md has a route that is none");
}

#[test]
fn every_error_is_in_the_written_reference() {
    let row = |code: ErrorCode| format!("| {} | `{}` | {} |\n", code.status().as_u16(), code.name(), code.about());
    let table: String = ErrorCode::ALL.into_iter().map(row).collect();
    assert!(read("API.md").contains(&table), "API.md lacks:\n\n{table}");
}

#[tokio::test]
async fn the_committed_document_is_what_the_handlers_say() {
    let generated = reference::document().await.unwrap();
    let differs = read("docs/openapi.json").lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(read("docs/openapi.json") == generated, "`cargo reference` renews it; the first difference is in line {differs:?}");
}

#[test]
fn every_deployed_path_is_an_operation_and_every_operation_is_deployed() {
    let deployed: BTreeSet<_> = local::template::routes().unwrap().into_iter().filter_map(|route| route.path).collect();
    let operations: BTreeSet<_> = reference::operations().into_iter().map(|operation| operation.path.to_owned()).collect();
    assert_eq!(deployed, operations);
    let document = document();
    assert!(document["paths"].as_object().unwrap().keys().eq(&operations));
}

#[tokio::test]
async fn an_operation_answers_its_own_method_alone_and_says_so() {
    let app = App::start(dataset(vec![])).await;
    for operation in reference::operations() {
        let allowed = if operation.method == "GET" { "GET,HEAD" } else { operation.method };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = app.request(method.parse().unwrap(), &filled(&operation));
            let answer = send(request).await;
            let expected = match method {
                _ if method != operation.method => 405,
                _ if operation.is_public() => 200,
                _ => 401,
            };
            assert_eq!(answer.status, expected, "{method} {}", operation.path);
            assert_eq!(answer.header("allow"), if expected == 405 { allowed } else { "" }, "{method} {}", operation.path);
        }
    }
}

#[tokio::test]
async fn what_is_said_to_be_required_is_and_nothing_else() {
    let app = App::start(dataset(vec![])).await;
    let all = json!({"sub": "all", "permissions": ["PermReadAll", "PermCustodySync"]});
    for operation in reference::operations() {
        let required: Vec<_> = operation.parameters.iter().filter(|parameter| parameter.is_required()).collect();
        let of_query = |skipped: &str| {
            let given = required.iter().filter(|parameter| parameter.name() != skipped);
            let value = |name| if name == "currency" { "EUR" } else { crate::harness::ALICE };
            given.map(|parameter| format!("{}={}", parameter.name(), value(parameter.name()))).collect::<Vec<_>>().join("&")
        };
        for parameter in &required {
            let path = format!("{}?{}", filled(&operation), of_query(parameter.name()));
            let answer = app.get_as(all.clone(), &path).await;
            assert_eq!(answer.json()["details"]["parameter"], parameter.name(), "{path}");
        }
        if !required.is_empty() {
            assert_eq!(app.get_as(all.clone(), &format!("{}?{}", filled(&operation), of_query(""))).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_value_that_a_schema_refuses_is_refused() {
    let app = App::start(dataset(vec![])).await;
    let all = json!({"sub": "all", "permissions": ["PermReadAll", "PermCustodySync"]});
    let mut tried = 0;
    for operation in reference::operations() {
        let query = operation.parameters.iter().filter(|parameter| !operation.is_in_path(**parameter));
        let is_refusable = |parameter: &&&dyn shared::query::Declared| parameter.expects().to_string() != "a text";
        for parameter in query.filter(is_refusable) {
            for value in ["", "%21", "-1e3", "EUR,", "not-a-value"] {
                let method: Method = operation.method.parse().unwrap();
                let path = format!("{}?{}={value}", example_path(&operation), parameter.name());
                let answer = send(app.request(method, &path).bearer_auth(app.token(all.clone()))).await;
                assert_eq!(answer.status, 400, "{path}");
                let named = answer.json()["details"]["parameter"].as_str().unwrap().to_owned();
                assert!(named == parameter.name() || required(&operation).contains(&named), "{path}: {named}");
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

fn required(operation: &Operation) -> Vec<String> {
    operation.parameters.iter().filter(|parameter| parameter.is_required()).map(|parameter| parameter.name().to_owned()).collect()
}

/// The path with the document's own examples in it.
fn example_path(operation: &Operation) -> String {
    let document = document();
    let parameters = &document["paths"][operation.path][operation.method.to_lowercase()]["parameters"];
    parameters.as_array().unwrap().iter().filter(|parameter| parameter["in"] == "path").fold(
        operation.path.to_owned(),
        |path, parameter| {
            path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), parameter["example"].as_str().unwrap())
        },
    )
}

#[test]
fn every_error_is_shown_but_those_that_only_a_broken_stack_gives() {
    let document = document();
    let shown = document["components"]["examples"].as_object().unwrap();
    for code in ErrorCode::ALL {
        let is_broken = matches!(code, ErrorCode::MethodNotAllowed | ErrorCode::InternalError | ErrorCode::ServiceUnavailable);
        assert_eq!(shown.contains_key(code.name()), !is_broken, "{}", code.name());
        if let Some(example) = shown.get(code.name()) {
            assert_eq!(example["value"]["error"], code.name());
        }
    }
}

#[tokio::test]
async fn the_page_is_served_with_everything_it_names_and_a_token_that_works() {
    let app = App::with(local::Dataset::demo().unwrap()).await;
    let index = read("docs/index.html");
    let named = ["href=\"", "src=\""].iter().flat_map(|mark| index.split(mark).skip(1).filter_map(|rest| rest.split('"').next()));
    let named: Vec<_> = named.filter(|name| !name.starts_with("data:")).chain(["openapi.json", "settings.json"]).collect();
    assert!(named.len() > 5 && named.iter().all(|name| !name.contains("//")), "{named:?}");
    for path in ["/docs".to_owned(), "/docs/".to_owned()].into_iter().chain(named.iter().map(|name| format!("/docs/{name}"))) {
        assert_eq!(send(app.request(Method::GET, &path)).await.status, 200, "{path}");
    }
    assert_eq!(send(app.request(Method::GET, "/docs/nothing")).await.status, 404);
    let settings = send(app.request(Method::GET, "/docs/settings.json")).await.json();
    let operations = document()["paths"].as_object().unwrap().clone();
    for (path, methods) in operations {
        for (method, operation) in methods.as_object().unwrap() {
            let given = operation["parameters"].as_array().unwrap().iter().filter_map(|parameter| {
                Some((parameter["in"].as_str()?, parameter["name"].as_str()?, parameter.get("example")?.as_str()?))
            });
            let (mut path, mut query) = (path.clone(), Vec::new());
            for (place, name, value) in given {
                path = path.replace(&format!("{{{name}}}"), value);
                query.extend((place == "query").then(|| format!("{name}={value}")));
            }
            let request = app.request(method.to_uppercase().parse().unwrap(), &format!("{path}?{}", query.join("&")));
            let answer = send(request.bearer_auth(settings["token"].as_str().unwrap())).await;
            assert_eq!(answer.status, 200, "the form of {path} as it is filled in: {answer}");
        }
    }
}

#[tokio::test]
async fn no_foreign_page_reads_the_token_of_the_page() {
    let app = App::start(json!({})).await;
    for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        assert_eq!(send(app.request(Method::GET, "/docs/settings.json").header(header, value)).await.status, 403, "{header}");
    }
    assert_eq!(read("docs/settings.json").trim(), "{}", "the hosted page brings no token");
}
