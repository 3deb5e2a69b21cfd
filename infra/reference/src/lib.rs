//! The API's reference as an OpenAPI 3.1 document: made of what the functions declare beside their handlers,
//! of the schemas of the bodies they serialise, of the words of `API.md`, and of what a local stack really
//! answers. Beside it the schema of the event that brings balances in.
//!
//! `cargo reference` writes the document to `docs/openapi.json` and the schema into `infra/events`; tests
//! hold the files to what the code says. The local stack serves the document's file and does not know this
//! crate.

mod document;
mod event_schema;
mod examples;
mod openapi;
mod requests;
mod responses;
mod schemas;
mod sections;

pub use event_schema::event_schema;

use local::StartError;
use local::dataset::LoadError;
use shared::http::Operation;
use thiserror::Error;

/// Why there is no document.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// The demo data was refused.
    #[error(transparent)]
    Dataset(#[from] LoadError),
    /// The stack did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The stack did not answer.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// It answered something else than the example was to show.
    #[error("{0}")]
    Example(String),
    /// The written reference lacks a section.
    #[error("API.md has no section {0:?}")]
    Section(String),
    /// Something is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Every operation of every function.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [unified_balance::operations(), merchant_balances::operations(), custody_balances::operations()].concat()
}

/// The document, pretty-printed, the same at every run.
pub async fn document() -> Result<String, ReferenceError> {
    let operations = operations();
    let examples = Box::pin(examples::gather(&operations)).await?;
    let document = document::assemble(&operations, &examples)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
