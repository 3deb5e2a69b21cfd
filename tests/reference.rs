//! The reference says what the routes declare, and the routes do what the reference says.

use crate::harness::{App, account, custody, dataset, send, syncer, wallet, with};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::http::{ErrorCode, Operation};
use shared::query::{Declared, Expected};
use std::collections::{BTreeMap, BTreeSet};
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
    let row = |parameter: &&'static dyn Declared| {
        format!("| `{}` | {} | {} |\n", parameter.name(), parameter.about(), parameter.expects())
    };
    let rows: String = operation.parameters.iter().map(row).collect();
    format!(
        "### `{} {}`\n\n| parameter | | must be |\n|---|---|---|\n{rows}",
        operation.method, operation.path
    )
}

/// The path with something in the place of every parameter.
fn filled(operation: &Operation) -> String {
    operation
        .path
        .split('/')
        .map(|segment| if segment.starts_with('{') { "EUR" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
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
    let row =
        |code: ErrorCode| format!("| {} | `{}` | {} |\n", code.status().as_u16(), code.name(), code.about());
    let table: String = ErrorCode::ALL.into_iter().map(row).collect();
    assert!(read("API.md").contains(&table), "API.md lacks:\n\n{table}");
}

#[tokio::test]
async fn the_committed_document_is_what_the_handlers_say() {
    let generated = reference::document().await.unwrap();
    let differs = read("docs/openapi.json").lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(
        read("docs/openapi.json") == generated,
        "`cargo reference` renews it; the first difference is in line {differs:?}"
    );
}

#[test]
fn every_deployed_path_is_an_operation_and_every_operation_is_deployed() {
    let deployed: BTreeSet<_> =
        local::template::routes().unwrap().into_iter().filter_map(|route| route.path).collect();
    let operations: BTreeSet<_> =
        reference::operations().into_iter().map(|operation| operation.path.to_owned()).collect();
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
            assert_eq!(
                answer.header("allow"),
                if expected == 405 { allowed } else { "" },
                "{method} {}",
                operation.path
            );
        }
    }
}

/// The operation's request with the document's own examples in it, and other values put over them; `None`
/// leaves one out.
fn request(app: &App, operation: &Operation, over: &[(&str, Option<&str>)]) -> RequestBuilder {
    let document = document();
    let parameters = &document["paths"][operation.path][operation.method.to_lowercase()]["parameters"];
    let examples = parameters.as_array().unwrap().iter().filter_map(|parameter| {
        Some((parameter["name"].as_str()?.to_owned(), parameter.get("example")?.as_str()?.to_owned()))
    });
    let mut values: BTreeMap<String, String> = examples.collect();
    for (name, value) in over {
        match value {
            Some(value) => drop(values.insert((*name).to_owned(), (*value).to_owned())),
            None => drop(values.remove(*name)),
        }
    }
    let (mut path, mut query) = (operation.path.to_owned(), Vec::new());
    for (name, value) in values {
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            path = path.replace(&place, &value)
        } else {
            query.push(format!("{name}={value}"))
        }
    }
    app.request(operation.method.parse().unwrap(), &format!("{path}?{}", query.join("&")))
}

async fn demo() -> App {
    let app = App::with(local::Dataset::demo(Timestamp::of_machine()).unwrap()).await;
    // The demo's own closes are made by its schedules.
    let position = json!({"as_of": "2026-06-01T00:00:00Z"}).to_string();
    let made = app.request(Method::POST, "/_local/schedules/book-positions").body(position);
    assert_eq!(send(made).await.status, 200);
    app
}

#[tokio::test]
async fn the_examples_are_answered_and_what_is_required_is_missed() {
    let app = demo().await;
    let token = app.token(json!({"sub": "all", "permissions": ["PermReadAll", "PermCustodySync"]}));
    for operation in reference::operations() {
        let answer = send(request(&app, &operation, &[]).bearer_auth(&token)).await;
        assert_eq!(answer.status, 200, "{}: {answer}", operation.id);
        for parameter in operation.parameters.iter().filter(|parameter| parameter.is_required()) {
            let answer =
                send(request(&app, &operation, &[(parameter.name(), None)]).bearer_auth(&token)).await;
            assert_eq!(answer.status, 400, "{}", operation.id);
            assert_eq!(answer.json()["details"]["parameter"], parameter.name(), "{}", operation.id);
        }
    }
}

#[tokio::test]
async fn what_a_parameter_does_not_expect_is_refused_by_its_name() {
    let app = demo().await;
    let token = app.token(json!({"sub": "all", "permissions": ["PermReadAll", "PermCustodySync"]}));
    let mut tried = 0;
    for operation in reference::operations() {
        let is_text =
            |parameter: &&&dyn Declared| matches!(parameter.expects(), Expected::Text | Expected::Network);
        for parameter in operation.parameters.iter().filter(|parameter| !is_text(parameter)) {
            let bad: &[_] = if operation.is_in_path(*parameter) {
                &["-1e3", "EUR,", "1"]
            } else {
                &["", "%21", "-1e3", "EUR,", "not-a-value"]
            };
            for value in bad {
                let answer =
                    send(request(&app, &operation, &[(parameter.name(), Some(value))]).bearer_auth(&token))
                        .await;
                assert_eq!(answer.status, 400, "{} {}={value}", operation.id, parameter.name());
                assert_eq!(
                    answer.json()["details"]["parameter"],
                    parameter.name(),
                    "{} {value}",
                    operation.id
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

/// The organization that the document's own examples ask about.
const ORGANIZATION: &str = "org_a0000000-0000-4000-8000-00000000000a";

/// What each operation declares beyond the errors of all, made to happen.
#[tokio::test]
async fn every_error_that_an_operation_declares_happens_and_is_declared() {
    let app = App::start(custody(
        json!([wallet("USDT_ERC20", "10", "10")]),
        json!({"accounts": [with(account(1, "SOL", "1"), json!({"organization_id": ORGANIZATION}))]}),
    ))
    .await;
    app.sync(syncer()).await;
    let unpriced =
        App::start(custody(json!([wallet("USDT_ERC20", "10", "10")]), json!({"rate_sheets": []}))).await;
    let broken = App::start(custody(json!([]), json!({}))).await;
    broken.fault(json!({"status": 500})).await;
    let (nobody, merchant) =
        ("00000000-0000-4000-8000-000000000000", "acc_00000000-0000-4000-8000-000000000000");
    type Row<'a> = (&'a App, &'a str, &'a [(&'a str, Option<&'a str>)], ErrorCode);
    let rows: [Row<'_>; 12] = [
        (&app, "getBalance", &[("currency", Some("XAF"))], ErrorCode::UnpricedAssets),
        (&broken, "getBalance", &[], ErrorCode::IncompleteBalance),
        (&app, "getBalanceHistory", &[("currency", Some("XAF"))], ErrorCode::UnpricedAssets),
        (&broken, "getBalanceHistory", &[], ErrorCode::IncompleteBalance),
        (
            &app,
            "getOrganizationBalance",
            &[("currency", Some("XAF")), ("date", None)],
            ErrorCode::UnpricedAssets,
        ),
        (&app, "getPosition", &[], ErrorCode::PositionNotFound),
        (&app, "getMerchantBalance", &[("accountId", Some(merchant))], ErrorCode::AccountNotFound),
        (&app, "getCustodyBalances", &[("accountId", Some(nobody))], ErrorCode::AccountNotFound),
        (&unpriced, "getCustodyBalances", &[], ErrorCode::UnpricedAssets),
        (&broken, "getCustodyBalances", &[], ErrorCode::CustodyProviderError),
        (&app, "syncCustodyAccount", &[("accountId", Some(nobody))], ErrorCode::AccountNotFound),
        (&broken, "syncCustodyAccount", &[], ErrorCode::CustodyProviderError),
    ];
    let operations = reference::operations();
    for (app, id, over, code) in &rows {
        let operation = operations.iter().find(|operation| operation.id == *id).unwrap();
        let token = app.token(json!({"sub": "all", "permissions": ["PermReadAll", "PermCustodySync"]}));
        let answer = send(request(app, operation, over).bearer_auth(token)).await;
        assert_eq!((answer.status, &answer.json()["error"]), (code.status(), &json!(code.name())), "{id}");
    }
    let declared =
        operations.iter().flat_map(|operation| operation.errors.iter().map(|code| (operation.id, *code)));
    let happened: BTreeSet<_> = rows.iter().map(|(_, id, _, code)| (*id, *code)).collect();
    assert_eq!(declared.collect::<BTreeSet<_>>(), happened);
}

#[test]
fn every_error_is_shown_where_it_is_declared() {
    let document = document();
    let common = document["components"]["examples"].as_object().unwrap();
    let shown = |operation: &Operation, code: ErrorCode| {
        let responses = &document["paths"][operation.path][operation.method.to_lowercase()]["responses"];
        let examples =
            &responses[code.status().as_u16().to_string()]["content"]["application/json"]["examples"];
        let example = examples.get(code.name())?;
        Some(if example.get("$ref").is_some() {
            common[code.name()]["value"].clone()
        } else {
            example["value"].clone()
        })
    };
    for operation in reference::operations() {
        for code in operation.all_errors() {
            let example =
                shown(&operation, code).unwrap_or_else(|| panic!("{} {}", operation.id, code.name()));
            assert_eq!(example["error"], code.name(), "{}", operation.id);
        }
    }
}

#[tokio::test]
async fn the_page_is_served_with_everything_it_names_and_a_token_that_works() {
    let app = demo().await;
    let index = read("docs/index.html");
    let named = ["href=\"", "src=\""]
        .iter()
        .flat_map(|mark| index.split(mark).skip(1).filter_map(|rest| rest.split('"').next()));
    let named: Vec<_> =
        named.filter(|name| !name.starts_with("data:")).chain(["openapi.json", "settings.json"]).collect();
    assert!(named.len() > 5 && named.iter().all(|name| !name.contains("//")), "{named:?}");
    for path in ["/docs".to_owned(), "/docs/".to_owned()]
        .into_iter()
        .chain(named.iter().map(|name| format!("/docs/{name}")))
    {
        assert_eq!(send(app.request(Method::GET, &path)).await.status, 200, "{path}");
    }
    assert_eq!(send(app.request(Method::GET, "/docs/nothing")).await.status, 404);
    let served = send(app.request(Method::GET, "/docs")).await;
    assert!(served.text().contains("<base href=\"/docs/\">"), "its files are not found from `/docs`");
    let settings = send(app.request(Method::GET, "/docs/settings.json")).await.json();
    for operation in reference::operations() {
        let answer =
            send(request(&app, &operation, &[]).bearer_auth(settings["token"].as_str().unwrap())).await;
        assert_eq!(answer.status, 200, "the form of {} as it is filled in: {answer}", operation.id);
    }
}

#[tokio::test]
async fn no_foreign_page_reads_the_token_of_the_page() {
    let app = App::start(json!({})).await;
    for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        assert_eq!(
            send(app.request(Method::GET, "/docs/settings.json").header(header, value)).await.status,
            403,
            "{header}"
        );
    }
    assert_eq!(read("docs/settings.json").trim(), "{}", "the hosted page brings no token");
}
