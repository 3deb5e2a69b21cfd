//! `GET /v2/assets/{code}/icon.svg`: a small picture of an asset, drawn from its code alone.
//!
//! Public, because pages show it in an `<img>`, which carries no credential.

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use shared::domain::Asset;
use shared::http::{self, ApiError, Segments};
use shared::query::Parameter;

pub(crate) static CODE: Parameter<Asset> =
    Parameter::asset("code", "the asset, by its ASCII code, in any case");

/// Degrees of the colour wheel.
const HUES: u32 = 360;

pub(crate) async fn get(
    Segments(code): Segments<String>,
    State(app): State<App>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let asset = CODE.value(&code, &app.store.catalogue().await?)?;
    http::no_parameters(raw)?;
    Ok(http::image(svg(asset)))
}

/// Where an asset's icon is, on the API's own host.
pub(crate) fn url(asset: Asset) -> String {
    format!("/v2/assets/{}/icon.svg", asset.ascii_code())
}

/// A code holds no character that XML would mind; a name may hold any.
fn svg(asset: Asset) -> String {
    let code = asset.code();
    let name = asset.name().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let radius = if asset.is_crypto() { 32 } else { 12 };
    let size = match code.chars().count() {
        ..=3 => 22,
        4 => 18,
        _ => 15,
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" role=\"img\" aria-label=\"{code}\">\
         <title>{name}</title>\
         <rect width=\"64\" height=\"64\" rx=\"{radius}\" fill=\"hsl({}, 55%, 35%)\"/>\
         <text x=\"32\" y=\"32\" dominant-baseline=\"central\" text-anchor=\"middle\" \
         font-family=\"system-ui, sans-serif\" font-size=\"{size}\" font-weight=\"600\" fill=\"#fff\">{code}</text></svg>",
        hue(code)
    )
}

/// Spreads codes over the wheel, the same at every run.
fn hue(code: &str) -> u32 {
    code.bytes().fold(0, |hue, byte| (hue * 31 + u32::from(byte)) % HUES)
}
