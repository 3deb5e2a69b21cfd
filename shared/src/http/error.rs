//! Every error a caller can get: what they see, apart from what the log sees.
//!
//! A handler returns an [`ApiError`]; it travels in the response until [`render`] gives it its body, because
//! only there is the request id known. What a 5xx was caused by goes to the log line of the request and never
//! into a body.
#![expect(
    clippy::disallowed_methods,
    reason = "the derive of `JsonSchema` writes its literals with `to_value`"
)]

use super::code::ErrorCode;
use super::gap::GapsBody;
use super::incomplete;
use super::number::AmountForm;
use super::reply::MAX_BODY_BYTES;
use super::schema::names;
use crate::auth::{AuthError, TWO_CREDENTIALS};
use crate::custody::{ProviderError, SyncError};
use crate::domain::total::SumTooLarge;
use crate::domain::{Asset, Gap, Grants, Pricing, Suspect, Timestamp};
use crate::query::InvalidParameter;
use crate::store::{READ_BUDGET, StoreError};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use std::collections::BTreeMap;

/// When a caller may come back after a 503; throttling passes quickly on tables that scale by themselves.
const STORE_RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error by its published code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// 400: a bad path or query.
    InvalidRequest(InvalidParameter),
    /// 401: no, bad or expired credential. The reason is for the log.
    AuthenticationFailed(&'static str),
    /// 403: a known caller asks for what is not theirs.
    InsufficientPermissions(Needed),
    /// 404: no such account, said only to those who may know.
    AccountNotFound,
    /// 404: no position yet.
    PositionNotFound,
    /// 404: no such route.
    NotFound,
    /// 405: a route, but not by this method.
    MethodNotAllowed,
    /// 422: holdings without a usable rate.
    UnpricedAssets {
        /// The currencies without one.
        currencies: Vec<Asset>,
        /// A sentence that says why and since when.
        why: String,
        /// The holdings.
        gaps: GapsBody,
        /// Which point of a series it is about.
        at: Option<Timestamp>,
    },
    /// 422: something else is missing.
    IncompleteBalance {
        /// A sentence that says what, and what helps.
        why: String,
        /// Everything that is missing.
        gaps: GapsBody,
        /// Which point of a series it is about.
        at: Option<Timestamp>,
    },
    /// 429: too many calls within a clock minute.
    RateLimitExceeded {
        /// When the minute is over.
        retry_after_seconds: i64,
    },
    /// 500: the custody provider failed, timed out or answered nonsense. What is stored stays.
    CustodyProvider {
        /// For the log.
        cause: String,
    },
    /// 500: our fault.
    Internal {
        /// For the log.
        cause: String,
    },
    /// 503: the store cannot be reached or is throttled.
    ServiceUnavailable {
        /// For the log.
        cause: String,
    },
}

/// The right that a refused caller lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Accounts of these customers or merchants.
    Accounts,
    /// The whole book.
    Book,
    /// A custody sync.
    Sync,
}

impl Needed {
    /// A sentence for the caller.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Accounts => "You do not have permission to view these accounts.",
            Self::Book => "The whole book takes the permission PermReadBook or PermReadAll.",
            Self::Sync => "A sync takes the permission PermCustodySync.",
        }
    }
}

/// How a question that costs too much can be made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Narrowing {
    /// The parameter to change, for `details.parameter`.
    pub parameter: &'static str,
    /// The advice that completes "That is too much; …".
    pub advice: &'static str,
}

impl From<InvalidParameter> for ApiError {
    fn from(error: InvalidParameter) -> Self {
        Self::InvalidRequest(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::WrongClock(_) => {
                Self::ServiceUnavailable { cause: error.to_string() }
            }
            // Reads that can spend the budget go through [`ApiError::reading`], which says what to narrow.
            StoreError::Corrupt { .. } | StoreError::Refused(_) | StoreError::ReadBudget(_) => {
                Self::Internal { cause: error.to_string() }
            }
        }
    }
}

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Missing => Self::AccountNotFound,
            SyncError::TooOften { retry_after_seconds }
            | SyncError::Provider(ProviderError::OverBudget { retry_after_seconds }) => {
                Self::RateLimitExceeded { retry_after_seconds }
            }
            SyncError::Store(error) => error.into(),
            SyncError::Provider(_) | SyncError::Snapshot(_) | SyncError::LeaseLost => {
                Self::CustodyProvider { cause: error.to_string() }
            }
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(reason) => Self::AuthenticationFailed(reason),
            AuthError::Store(error) => error.into(),
            AuthError::KeysUnavailable(_) => Self::ServiceUnavailable { cause: error.to_string() },
        }
    }
}

impl ApiError {
    /// An answer that would lack something. Rates that are missing are explained by `pricing`, and by the
    /// quotes that wait to be confirmed.
    #[must_use]
    pub fn incomplete(
        gaps: &[Gap],
        pricing: Pricing<'_>,
        suspects: &BTreeMap<Asset, Suspect>,
        form: AmountForm,
    ) -> Self {
        let body = GapsBody::new(gaps, form);
        let unpriced: Vec<Asset> = gaps
            .iter()
            .filter_map(|gap| if let Gap::Unpriced { asset, .. } = gap { Some(*asset) } else { None })
            .collect();
        if unpriced.len() < gaps.len() {
            return Self::IncompleteBalance { why: incomplete::what_helps(gaps), gaps: body, at: None };
        }
        let currencies = incomplete::without_rate(unpriced, pricing);
        let why = incomplete::why(&currencies, pricing, suspects);
        Self::UnpricedAssets { currencies, why, gaps: body, at: None }
    }

    /// The same error of one point of a series.
    #[must_use]
    pub fn at(self, point: Timestamp) -> Self {
        let at = Some(point);
        match self {
            Self::UnpricedAssets { currencies, why, gaps, .. } => {
                Self::UnpricedAssets { currencies, why, gaps, at }
            }
            Self::IncompleteBalance { why, gaps, .. } => Self::IncompleteBalance { why, gaps, at },
            other => other,
        }
    }

    /// A sum or conversion into the asked currency that does not fit an amount.
    #[must_use]
    pub fn too_large(error: SumTooLarge) -> Self {
        let (sum, advice) = match error {
            SumTooLarge::Held(asset) => (
                format!("The sum of {}", asset.code()),
                "another `currency` does not help: narrow the search",
            ),
            SumTooLarge::Converted(asset) => (
                format!("The sum of {}, converted,", asset.code()),
                "ask for another `currency`, or narrow the search",
            ),
            SumTooLarge::Total => {
                ("The total".to_owned(), "ask for another `currency`, or narrow the search")
            }
        };
        let message = format!("{sum} has more than 18 digits before the point; {advice}.");
        InvalidParameter::new("currency", message).into()
    }

    /// An account that does not exist: only those who see all may know.
    #[must_use]
    pub fn no_account(grants: &Grants) -> Self {
        if grants.may_see_all() {
            Self::AccountNotFound
        } else {
            Self::InsufficientPermissions(Needed::Accounts)
        }
    }

    /// A question that could not be read, or that would take more reads than one request may cost.
    #[must_use]
    pub fn reading(error: StoreError, narrowing: Narrowing) -> Self {
        let StoreError::ReadBudget(_) = error else { return error.into() };
        let Narrowing { parameter, advice } = narrowing;
        let message = format!("More than {READ_BUDGET} read units of the store would be needed; {advice}.");
        InvalidParameter::new(parameter, message).into()
    }

    /// An answer larger than [`MAX_BODY_BYTES`].
    #[must_use]
    pub fn body_too_large(narrowing: Narrowing) -> Self {
        let Narrowing { parameter, advice } = narrowing;
        let limit = MAX_BODY_BYTES / (1024 * 1024);
        InvalidParameter::new(parameter, format!("The answer is larger than {limit} MiB; {advice}.")).into()
    }

    /// The published code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::AuthenticationFailed(_) => ErrorCode::AuthenticationFailed,
            Self::InsufficientPermissions(_) => ErrorCode::InsufficientPermissions,
            Self::AccountNotFound => ErrorCode::AccountNotFound,
            Self::PositionNotFound => ErrorCode::PositionNotFound,
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed => ErrorCode::MethodNotAllowed,
            Self::UnpricedAssets { .. } => ErrorCode::UnpricedAssets,
            Self::IncompleteBalance { .. } => ErrorCode::IncompleteBalance,
            Self::RateLimitExceeded { .. } => ErrorCode::RateLimitExceeded,
            Self::CustodyProvider { .. } => ErrorCode::CustodyProviderError,
            Self::Internal { .. } => ErrorCode::InternalError,
            Self::ServiceUnavailable { .. } => ErrorCode::ServiceUnavailable,
        }
    }

    /// The cause for the log, beside the code.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::CustodyProvider { cause }
            | Self::Internal { cause }
            | Self::ServiceUnavailable { cause } => Some(cause),
            Self::AuthenticationFailed(reason) => Some(reason),
            Self::InsufficientPermissions(needed) => Some(needed.sentence()),
            Self::InvalidRequest(_)
            | Self::AccountNotFound
            | Self::PositionNotFound
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::UnpricedAssets { .. }
            | Self::IncompleteBalance { .. }
            | Self::RateLimitExceeded { .. } => None,
        }
    }

    fn message(&self) -> String {
        let text = match self {
            Self::InvalidRequest(invalid) => return invalid.message.clone(),
            Self::UnpricedAssets { why, .. } | Self::IncompleteBalance { why, .. } => return why.clone(),
            Self::AuthenticationFailed(TWO_CREDENTIALS) => {
                "Two different credentials came, in Authorization and in X-Api-Key. Send one of them."
            }
            Self::AuthenticationFailed(_) => "Authentication failed. Check your API key or JWT token.",
            Self::InsufficientPermissions(needed) => needed.sentence(),
            Self::PositionNotFound => "No position of the book has been made of that time or before.",
            Self::AccountNotFound => "There is no such account, or there was none at that time.",
            Self::NotFound => "There is no such route.",
            Self::MethodNotAllowed => "This route does not support this method; see the Allow header.",
            Self::RateLimitExceeded { .. } => "You have exceeded the rate limit; see the Retry-After header.",
            Self::CustodyProvider { .. } => {
                "An error occurred when fetching balances from the custody provider. What was stored before \
                is unchanged."
            }
            Self::Internal { .. } => "An internal error occurred.",
            Self::ServiceUnavailable { .. } => "The service is temporarily unavailable. Try again shortly.",
        };
        text.to_owned()
    }

    fn details<'a>(&'a self, request_id: &'a str) -> Details<'a> {
        let none = Details { parameter: None, at: None, currencies: None, gaps: None, request_id };
        match self {
            Self::InvalidRequest(invalid) => Details { parameter: Some(&invalid.parameter), ..none },
            Self::UnpricedAssets { currencies, gaps, at, why: _ } => Details {
                at: at.map(Timestamp::to_millis_text),
                currencies: Some(currencies.iter().map(|asset| asset.code()).collect()),
                gaps: Some(gaps),
                ..none
            },
            Self::IncompleteBalance { gaps, at, why: _ } => {
                Details { at: at.map(Timestamp::to_millis_text), gaps: Some(gaps), ..none }
            }
            Self::AuthenticationFailed(_)
            | Self::InsufficientPermissions(_)
            | Self::AccountNotFound
            | Self::PositionNotFound
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::RateLimitExceeded { .. }
            | Self::CustodyProvider { .. }
            | Self::Internal { .. }
            | Self::ServiceUnavailable { .. } => none,
        }
    }
}

/// The body of every error.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    /// The code, for programs.
    #[schemars(schema_with = "codes")]
    error: &'static str,
    /// A sentence, for people; its wording may change.
    message: String,
    details: Details<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ErrorDetails")]
struct Details<'a> {
    /// The parameter that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// The first point of a series that something is missing from.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The currencies without a usable rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    currencies: Option<Vec<&'static str>>,
    /// The gaps in the answer.
    #[serde(flatten)]
    gaps: Option<&'a GapsBody>,
    /// The request's id, which is in its log line too.
    request_id: &'a str,
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    names(ErrorCode::ALL.map(ErrorCode::name).to_vec())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives an error its body and headers, now that the request's id is known; another response passes
/// unchanged.
pub(super) fn render(mut response: Response, request_id: &str) -> (Response, Option<ApiError>) {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return (response, None) };
    let body = ErrorBody {
        error: error.code().name(),
        message: error.message(),
        details: error.details(request_id),
    };
    // Strings and lists of strings always serialise.
    *response.body_mut() = serde_json::to_vec(&body).unwrap_or_default().into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match &error {
        ApiError::AuthenticationFailed(_) => {
            drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        ApiError::ServiceUnavailable { .. } => drop(headers.insert(RETRY_AFTER, STORE_RETRY_AFTER)),
        ApiError::RateLimitExceeded { retry_after_seconds } => {
            headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
        }
        _ => {}
    }
    (response, Some(error))
}
