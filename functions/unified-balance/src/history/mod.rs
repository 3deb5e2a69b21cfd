//! `GET /v2/accounts/balance/history`: the balance as a series.

pub(crate) mod body;
pub(crate) mod query;

use crate::App;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use body::{HistoryBody, PointBody};
use query::HistoryQuery;
use shared::balance::{CountError, SeriesPoint, SeriesQuestion, counted_over};
use shared::domain::{Asset, Gap, Moment, Pricing, RatesInForce};
use shared::http::{self, ApiError, Authenticated, Narrowing, Needed, RequestTime};
use shared::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};

const TOO_LARGE: Narrowing =
    Narrowing { parameter: "stack", advice: "leave `stack` out, or ask for fewer points" };

const TOO_MANY: Narrowing = Narrowing {
    parameter: "interval",
    advice: "ask for a longer `interval`, a later `from` or fewer customers, or narrow the request with \
             `search.currency`",
};

pub(crate) async fn get(
    Authenticated(caller): Authenticated,
    State(app): State<App>,
    RequestTime(now): RequestTime,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let catalogue = app.store.catalogue().await?;
    let query = HistoryQuery::parse(http::pairs(raw)?, &catalogue, now)?;
    if query.customers.iter().any(|customer| !caller.grants.may_see_customer(*customer)) {
        return Err(ApiError::InsufficientPermissions(Needed::Accounts));
    }
    let HistoryQuery { customers, filter, moments, measure, .. } = &query;
    let question = SeriesQuestion { customers, filter, moments, measure: *measure };
    let counted = counted_over(&app.store, question).await.map_err(not_counted)?;
    let held = counted.iter().flat_map(|point| point.sums.held());
    let assets: BTreeSet<Asset> = held.chain([query.target]).collect();
    let rates = app.rates.over(moments, &assets).await.map_err(too_many_reads)?;
    let points = moments.iter().zip(counted).zip(&rates);
    let points: Vec<PointBody> = points
        .map(|((moment, counted), rates)| point(&app, &query, moment, counted, rates))
        .collect::<Result<_, _>>()?;
    Ok(http::known_at(http::json(&HistoryBody::new(&query, points), TOO_LARGE)?, now))
}

/// One point; an error that names the point's instant if something is missing from it.
fn point(
    app: &App,
    query: &HistoryQuery,
    moment: Moment,
    counted: SeriesPoint,
    rates: &RatesInForce,
) -> Result<PointBody, ApiError> {
    let SeriesPoint { sums, mut gaps } = counted;
    let pricing = Pricing { target: query.target, rates, at: moment.as_of, limits: app.age_limits };
    let summary = sums.summary(pricing, false).map_err(ApiError::too_large)?;
    gaps.extend(summary.gaps());
    let gaps: Vec<Gap> = gaps.into_iter().collect();
    if query.is_partial || app.unknown_assets.admits(&gaps) {
        Ok(PointBody::new(query, moment.as_of, &summary, &gaps))
    } else {
        // Of the past no quotes are kept that wait for a second word.
        let incomplete = ApiError::incomplete(&gaps, pricing, &BTreeMap::new(), query.amounts);
        Err(incomplete.at(moment.as_of))
    }
}

fn not_counted(error: CountError) -> ApiError {
    match error {
        CountError::Store(error) => too_many_reads(error),
        CountError::TooLarge(error) => ApiError::too_large(error.into()),
        CountError::TooManyRows => ApiError::body_too_large(TOO_LARGE),
    }
}

fn too_many_reads(error: StoreError) -> ApiError {
    ApiError::reading(error, TOO_MANY)
}
