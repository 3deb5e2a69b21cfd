//! One operation of the API as its reference describes it: declared beside its handler, from what the handler
//! itself uses.
//!
//! Only the reference reads it; a running function never does.

use super::ErrorCode;
use crate::query::Declared;
use schemars::{Schema, SchemaGenerator};

/// A method of a route.
#[derive(Clone)]
pub struct Operation {
    /// Its name in generated clients.
    pub id: &'static str,
    /// `GET` or `POST`; GET answers HEAD too.
    pub method: &'static str,
    /// The route, as routers and templates write it.
    pub path: &'static str,
    /// The view it belongs to.
    pub view: &'static str,
    /// One line.
    pub about: &'static str,
    /// Parameters of the path and then of the query.
    pub parameters: Vec<&'static dyn Declared>,
    /// The body of a 200.
    pub answer: Answer,
    /// The errors it has beside those of every operation.
    pub errors: &'static [ErrorCode],
}

/// The body of a 200.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// JSON of this schema, for the caller alone.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// A picture, for everybody.
    Svg,
}

impl Operation {
    /// Errors of every operation.
    const ALWAYS: [ErrorCode; 3] =
        [ErrorCode::InvalidRequest, ErrorCode::InternalError, ErrorCode::ServiceUnavailable];
    /// Errors of every operation that asks who calls.
    const OF_CALLERS: [ErrorCode; 3] =
        [ErrorCode::AuthenticationFailed, ErrorCode::InsufficientPermissions, ErrorCode::RateLimitExceeded];

    /// Whether it is answered without a credential.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self.answer, Answer::Svg)
    }

    /// Whether it changes nothing, and so has a tag.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    /// Whether the path holds the parameter.
    #[must_use]
    pub fn is_in_path(&self, parameter: &dyn Declared) -> bool {
        self.path.contains(&format!("{{{}}}", parameter.name()))
    }

    /// Everything that can go wrong, by status.
    #[must_use]
    pub fn all_errors(&self) -> Vec<ErrorCode> {
        // A value that has to be percent-encoded makes a path that is no route.
        let of_path: &[_] = if self.path.contains('{') { &[ErrorCode::NotFound] } else { &[] };
        let of_callers: &[_] = if self.is_public() { &[] } else { &Self::OF_CALLERS };
        let mut errors = [&Self::ALWAYS, of_path, of_callers, self.errors].concat();
        errors.sort_unstable();
        errors
    }
}
