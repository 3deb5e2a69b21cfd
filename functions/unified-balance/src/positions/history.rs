//! `GET /v2/positions/history`: the newest close of each interval.

use super::body::PositionHistoryBody;
use super::query::{Asked, HistoryQuery};
use super::{Answered, TOO_LARGE, answered};
use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures::stream::{self, StreamExt, TryStreamExt};
use shared::domain::{Cells, Timestamp};
use shared::http::{self, ApiError, Authenticated, Narrowing, Needed, RequestTime};
use shared::store::{StoreError, StoredPosition};

/// Closes that are read at once.
const CONCURRENT_READS: usize = 16;

const TOO_MANY: Narrowing =
    Narrowing { parameter: "interval", advice: "ask for a longer `interval`, or a later `from`" };

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let query = HistoryQuery::parse(http::pairs(raw)?, &catalogue, &app.book_zone, now)?;
    if !caller.grants.may_read_book() {
        return Err(ApiError::InsufficientPermissions(Needed::Book));
    }
    let HistoryQuery { asked, interval, from, ends } = query;
    // Each interval begins after the one before.
    let begins = std::iter::once(from).chain(ends.iter().copied());
    let closes = stream::iter(begins.zip(ends.iter().copied()))
        .map(|range| close(&app, &asked, range))
        .buffered(CONCURRENT_READS);
    let closes: Vec<Option<Answered>> = closes.try_collect().await?;
    let points = closes.into_iter().flatten().collect();
    http::json(&PositionHistoryBody::new(&asked, interval, points), TOO_LARGE)
}

/// The newest close after an instant and at or before another.
async fn close(
    app: &App,
    asked: &Asked,
    (after, until): (Timestamp, Timestamp),
) -> Result<Option<Answered>, ApiError> {
    let too_many = |error: StoreError| ApiError::reading(error, TOO_MANY);
    let position = app.store.newest_close(until).await.map_err(too_many)?;
    let Some(StoredPosition { key, summary, gaps }) = position.filter(|close| close.key.position_at > after)
    else {
        return Ok(None);
    };
    let cells: Cells =
        if asked.needs_cube() { app.store.cube(key).await.map_err(too_many)? } else { summary };
    let rates = app.rates.at(key.moment()).await.map_err(too_many)?;
    answered(app, asked, (key, &cells, gaps), &rates).map(Some)
}
