//! The text of the written reference on the whole API and of each route, without what the document says by
//! itself: tables of parameters and examples.

use crate::ReferenceError;

const WRITTEN: &str = include_str!("../../../API.md");

/// The text that holds for every route.
pub(crate) fn preface() -> Result<String, ReferenceError> {
    section("## For every route\n").map(str::to_owned)
}

/// The text on one route.
pub(crate) fn of_route(method: &str, path: &str) -> Result<String, ReferenceError> {
    let section = section(&format!("### `{method} {path}`\n"))?;
    let mut is_fenced = false;
    let mut kept = Vec::new();
    for line in section.lines() {
        let is_fence = line.starts_with("```");
        is_fenced ^= is_fence;
        if !(is_fence || is_fenced || line.starts_with('|')) {
            kept.push(line);
        }
    }
    Ok(kept.join("\n").trim().to_owned())
}

/// The text from a heading to the next of any level.
fn section(heading: &str) -> Result<&'static str, ReferenceError> {
    let (_, rest) = WRITTEN.split_once(heading).ok_or_else(|| ReferenceError::Section(heading.to_owned()))?;
    Ok(rest.split("\n##").next().unwrap_or_default().trim())
}
