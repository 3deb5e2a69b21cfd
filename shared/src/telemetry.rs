//! Logs as JSON lines, one per request, and panics as data instead of text on stderr.
//!
//! What a line says of a request is decided in `http::observe`; this is only where lines go.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    static LAST_PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// Sends JSON lines to `writer` and keeps panics for the request's own line. Call once, in `main`.
///
/// Events of the `quiet` crates are dropped. Lambda collects what is written to stdout.
pub fn init<W>(writer: W, quiet: &[&str])
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let levels = quiet.iter().map(|name| (*name, LevelFilter::OFF));
    let filter = Targets::new().with_default(LevelFilter::INFO).with_targets(levels);
    let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_target(false).with_writer(writer);
    tracing_subscriber::registry().with(filter).with(lines).init();
    capture_panics();
}

/// Replaces the panic hook: within a request the panic is kept for [`take_panic`] and the request's line, elsewhere it is a
/// line of its own.
pub fn capture_panics() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let cause = describe(info);
        if tracing::Span::current().is_none() {
            tracing::error!(cause, "panic outside a request");
        } else {
            LAST_PANIC.set(Some(cause));
        }
    }));
}

/// Where this thread last panicked and why, once.
#[must_use]
pub fn take_panic() -> Option<String> {
    LAST_PANIC.take()
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    format!("panic at {place}: {}", info.payload_as_str().unwrap_or("no message"))
}
