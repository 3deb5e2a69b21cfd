//! Keeps web pages out: only requests addressed to this machine by name, and from no foreign page, are
//! answered.
//!
//! A page can make a browser send requests to loopback, and with a DNS name that it points at 127.0.0.1 even
//! read the answers.

use crate::refusal::refusal;
use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Answers 403 unless `Host` names this machine and `Origin`, if any, is a page of it.
pub(crate) async fn loopback_only(request: Request, next: Next) -> Response {
    let refused = match (header(request.headers(), HOST), header(request.headers(), ORIGIN)) {
        (Header::One(host), _) if !is_loopback(host) => "Host",
        (Header::None | Header::Unclear, _) => "Host",
        (_, Header::Unclear) => "Origin",
        (_, Header::One(origin)) if !is_loopback_origin(origin) => "Origin",
        _ => return next.run(request).await,
    };
    let message =
        format!("The local stack answers this machine only; the {refused} header does not name it.");
    refusal(StatusCode::FORBIDDEN, "insufficient_permissions", &message)
}

enum Header<'a> {
    None,
    One(&'a str),
    Unclear,
}

fn header(headers: &HeaderMap, name: HeaderName) -> Header<'_> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Header::None,
        (Some(value), None) => value.to_str().map_or(Header::Unclear, Header::One),
        _ => Header::Unclear,
    }
}

fn is_loopback(authority: &str) -> bool {
    let is_port = |rest: &str| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
    };
    let prefix = |name: &str| authority.get(..name.len()).filter(|prefix| prefix.eq_ignore_ascii_case(name));
    LOOPBACK_NAMES
        .iter()
        .any(|name| prefix(name).is_some() && authority.get(name.len()..).is_some_and(is_port))
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        let rows = [
            ("127.0.0.1", true),
            ("127.0.0.1:9000", true),
            ("localhost:1", true),
            ("LocalHost", true),
            ("[::1]:9000", true),
            ("", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:9000", false),
            ("evil.example", false),
            ("127.0.0.1:", false),
            ("127.0.0.1:x", false),
            ("127.0.0.2", false),
            ("0.0.0.0", false),
            ("127.0.0.1:1@evil.example", false),
            ("::1", false),
        ];
        for (authority, expected) in rows {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
        for (origin, expected) in [
            ("http://localhost:9000", true),
            ("null", false),
            ("http://evil.example", false),
            ("file://", false),
        ] {
            assert_eq!(is_loopback_origin(origin), expected, "{origin}");
        }
    }
}
