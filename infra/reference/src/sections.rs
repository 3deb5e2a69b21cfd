//! What the written reference says of the whole API and of each route, without what the document says by itself: tables of
//! parameters and examples.

const WRITTEN: &str = include_str!("../../../API.md");

/// What holds for every route.
pub(crate) fn preface() -> String {
    section("## For every route\n").replace("## ", "### ")
}

/// What is said of one route.
pub(crate) fn of_route(method: &str, path: &str) -> String {
    section(&format!("### `{method} {path}`\n"))
}

/// The text from a heading to the next of any level, its leading table and its fenced code left out.
fn section(heading: &str) -> String {
    let text = WRITTEN.split_once(heading).map_or("", |(_, rest)| rest);
    let text = text.split("\n##").next().unwrap_or_default();
    let mut is_fenced = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        let is_fence = line.starts_with("```");
        is_fenced ^= is_fence;
        let is_of_parameters = line.starts_with('|') && heading.starts_with("### ");
        if !(is_fence || is_fenced || is_of_parameters) {
            kept.push(line);
        }
    }
    kept.join("\n").trim().to_owned()
}
