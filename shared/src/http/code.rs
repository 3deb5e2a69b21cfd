//! The published error codes: the one table of what an error is called, its status, and when a caller gets
//! it.

use axum::http::StatusCode;

/// An error as callers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// 400.
    InvalidRequest,
    /// 401.
    AuthenticationFailed,
    /// 403.
    InsufficientPermissions,
    /// 404, of an account.
    AccountNotFound,
    /// 404, of a position.
    PositionNotFound,
    /// 404, of a route.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 422, for lack of rates.
    UnpricedAssets,
    /// 422, for lack of anything else.
    IncompleteBalance,
    /// 429.
    RateLimitExceeded,
    /// 500, because of a custody provider.
    CustodyProviderError,
    /// 500, because of us.
    InternalError,
    /// 503.
    ServiceUnavailable,
}

impl ErrorCode {
    /// Every code, by status.
    pub const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::AuthenticationFailed,
        Self::InsufficientPermissions,
        Self::AccountNotFound,
        Self::PositionNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnpricedAssets,
        Self::IncompleteBalance,
        Self::RateLimitExceeded,
        Self::CustodyProviderError,
        Self::InternalError,
        Self::ServiceUnavailable,
    ];

    /// Its name on the wire, its status, and when a caller gets it.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => {
                ("invalid_request", StatusCode::BAD_REQUEST, "`details.parameter` names what is wrong")
            }
            Self::AuthenticationFailed => {
                ("authentication_failed", StatusCode::UNAUTHORIZED, "no credential, a bad one, or two")
            }
            Self::InsufficientPermissions => ("insufficient_permissions", StatusCode::FORBIDDEN, "not yours"),
            Self::AccountNotFound => (
                "account_not_found",
                StatusCode::NOT_FOUND,
                "no such account, or none yet at that time; who does not see everything gets a 403 for one that never was",
            ),
            Self::PositionNotFound => (
                "position_not_found",
                StatusCode::NOT_FOUND,
                "no position of the book has been made of that time or before",
            ),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND, "no such route"),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "the `Allow` header says what the route supports",
            ),
            Self::UnpricedAssets => (
                "unpriced_assets",
                StatusCode::UNPROCESSABLE_ENTITY,
                "`details.currencies` have no usable rate",
            ),
            Self::IncompleteBalance => (
                "incomplete_balance",
                StatusCode::UNPROCESSABLE_ENTITY,
                "`details.gaps` lists what is missing",
            ),
            Self::RateLimitExceeded => {
                ("rate_limit_exceeded", StatusCode::TOO_MANY_REQUESTS, "with `Retry-After`")
            }
            Self::CustodyProviderError => (
                "custody_provider_error",
                StatusCode::INTERNAL_SERVER_ERROR,
                "the custody provider failed; nothing stored is lost",
            ),
            Self::InternalError => (
                "internal_error",
                StatusCode::INTERNAL_SERVER_ERROR,
                "the cause is in the log, under the request id",
            ),
            Self::ServiceUnavailable => (
                "service_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "the store or the issuer's keys cannot be reached; with `Retry-After`",
            ),
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// When a caller gets it, for the reference.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().2
    }
}
