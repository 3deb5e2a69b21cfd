//! The written reference says what the routes declare: every parameter, with the words that errors use.

use shared::query::RouteParameters;
use std::fs;
use std::path::Path;

/// A route's parameters as the reference tabulates them.
fn table(route: &RouteParameters) -> String {
    let row = |parameter: &&'static dyn shared::query::Declared| {
        format!("| `{}` | {} | {} |\n", parameter.name(), parameter.about(), parameter.expects())
    };
    let rows: String = route.parameters.iter().map(row).collect();
    let method = if route.path.ends_with("/sync") { "POST" } else { "GET" };
    format!("### `{method} {}`\n\n| parameter | | must be |\n|---|---|---|\n{rows}", route.path)
}

#[test]
fn every_route_is_in_the_reference_with_every_parameter() {
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../API.md")).unwrap();
    let routes = [unified_balance::parameters(), merchant_balances::parameters(), custody_balances::parameters()].concat();
    let missing: Vec<_> = routes.iter().map(table).filter(|table| !reference.contains(table)).collect();
    assert!(missing.is_empty(), "API.md lacks:\n\n{}", missing.join("\n"));
    let documented = reference.matches("\n### `").count();
    assert_eq!(documented, routes.len(), "API.md has a route that is none");
}
