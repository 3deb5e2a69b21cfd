//! Faults that calls to the sandbox are to meet.

use super::answers::failure;
use super::{Vendor, bitgo};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;

/// A fault as the control endpoint writes it. Without a body, status 200 is the true answer after the delay,
/// and any other is the vendor's own failure of that status. Without `times` it lasts until it is cleared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    status: u16,
    #[serde(default)]
    delay_ms: u64,
    body: Option<String>,
    times: Option<u32>,
    /// The calls that meet it: those whose path begins so; all of them unless given.
    path: Option<String>,
}

impl Fault {
    /// Whether there is such a status.
    pub(crate) fn is_sound(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok() && self.status >= 200
    }

    pub(super) const fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// The answer in the place of the true one, if there is to be another.
    pub(super) fn answer(&self, vendor: Vendor) -> Option<Response> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match &self.body {
            Some(body) => Some((status, [(CONTENT_TYPE, "application/json")], body.clone()).into_response()),
            None if status == StatusCode::OK => None,
            None => Some(match vendor {
                Vendor::Fireblocks => {
                    let (code, message) = vendor_failure(status);
                    failure(status, code, message)
                }
                Vendor::BitGo => bitgo::failure(status),
            }),
        }
    }
}

fn vendor_failure(status: StatusCode) -> (i64, &'static str) {
    match status.as_u16() {
        401 => (-1, "Unauthorized: JWT is not valid"),
        403 => (-8, "Forbidden: the user's role does not permit this"),
        404 => (1004, "Not found"),
        429 => (429, "Too many requests"),
        500.. => (901, "Internal error"),
        _ => (1000, "Bad request"),
    }
}

/// The fault of a call of this path, of which there may be only so many more.
pub(super) fn take(fault: &mut Option<Fault>, path: &str) -> Option<Fault> {
    let current = fault.clone()?;
    if current.path.as_ref().is_some_and(|prefix| !path.starts_with(prefix.as_str())) {
        return None;
    }
    match fault.as_mut().and_then(|fault| fault.times.as_mut()) {
        Some(0) => {
            *fault = None;
            return None;
        }
        Some(times) => *times -= 1,
        None => {}
    }
    Some(current)
}
