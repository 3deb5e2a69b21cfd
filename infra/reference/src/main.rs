//! `cargo reference`: writes the OpenAPI document to `docs/openapi.json`.

use std::error::Error;
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    std::fs::write(path, reference::document().await?)?;
    Ok(())
}
