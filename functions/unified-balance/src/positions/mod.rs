//! `GET /v2/positions`: what all accounts together held as of an instant.
//!
//! The positions were made by `book-positions`; the routes read them, convert them and say what they lack.

pub(crate) mod body;
pub(crate) mod history;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::PositionBody;
use query::{Asked, PositionQuery};
use shared::domain::book_totals::BookTotals;
use shared::domain::{BookGap, BookGaps, Cells, Gap, Pricing, RatesInForce};
use shared::http::{self, ApiError, Authenticated, GapBody, GapsBody, Narrowing, Needed, RequestTime};
use shared::store::{PositionKey, StoredPosition};

const TOO_LARGE: Narrowing =
    Narrowing { parameter: "stack", advice: "leave `stack` out, or narrow the search" };

/// A position in the asked currency.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) key: PositionKey,
    pub(super) totals: BookTotals,
    /// The gaps; `None` if nothing is missing.
    pub(super) gaps: Option<GapsBody>,
}

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let PositionQuery { asked, as_of, known_at } = PositionQuery::parse(http::pairs(raw)?, &catalogue, now)?;
    if !caller.grants.may_read_book() {
        return Err(ApiError::InsufficientPermissions(Needed::Book));
    }
    let position = app.store.newest_position(as_of, known_at).await?;
    let StoredPosition { key, summary, gaps } = position.ok_or(ApiError::PositionNotFound)?;
    let cells = if asked.needs_cube() { app.store.cube(key).await? } else { summary };
    let rates = app.rates.at(key.moment()).await?;
    let answered = answered(&app, &asked, (key, &cells, gaps), &rates)?;
    http::json(&PositionBody::new(&asked, answered), TOO_LARGE)
}

/// Adds up what is asked of a position, and lists what is missing from it.
fn answered(
    app: &App,
    asked: &Asked,
    (key, cells, gaps): (PositionKey, &Cells, BookGaps),
    rates: &RatesInForce,
) -> Result<Answered, ApiError> {
    let pricing = Pricing { target: asked.target, rates, at: key.position_at, limits: app.age_limits };
    let totals = asked.question().totals(cells, pricing).map_err(ApiError::too_large)?;
    let BookGaps { listed, omitted } = gaps;
    let unpriced = totals.unpriced.iter().map(|(asset, balance)| GapBody::Unpriced {
        currency: asset.code(),
        balance: asked.amounts.decimal(asset.print_wide(*balance)),
    });
    let custody = listed.into_iter().filter(|gap| asked.filter.admits_gap(gap));
    let custody = custody.map(|BookGap { gap, .. }| GapBody::new(&Gap::from(gap), asked.amounts));
    let listed: Vec<GapBody> = unpriced.chain(custody).collect();
    let gaps = (!listed.is_empty() || omitted > 0).then(|| GapsBody::listed(listed, omitted));
    Ok(Answered { key, totals, gaps })
}
