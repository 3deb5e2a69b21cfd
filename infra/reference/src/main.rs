//! `cargo reference`: writes the OpenAPI document to `docs/openapi.json`, and the event's schema.

use std::error::Error;
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let schema = root.join("infra/events/AccountBalanceChanged.v1.schema.json");
    std::fs::write(schema, reference::event_schema()?)?;
    std::fs::write(root.join("docs/openapi.json"), reference::document().await?)?;
    Ok(())
}
