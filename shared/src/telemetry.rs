//! Logs as JSON lines, one per request, which are metrics too, and panics as data instead of text on stderr.
//!
//! `http::observe` decides on the words of a request's line; this module only writes lines.

use serde::Serialize;
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    static LAST_PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// Where CloudWatch puts what lines measure.
const NAMESPACE: &str = "Ballast";
/// Fields that are metrics wherever a line has them, and their units in CloudWatch.
const METRICS: [(&str, &str); 13] = [
    ("latency_ms", "Milliseconds"),
    ("server_errors", "Count"),
    ("read_units", "Count"),
    ("write_units", "Count"),
    ("rate_sheets", "Count"),
    ("failed_sources", "Count"),
    ("rejected_rates", "Count"),
    ("sync_lag_seconds", "Seconds"),
    ("synced", "Count"),
    ("failed", "Count"),
    ("close_delay_seconds", "Seconds"),
    ("book_accounts", "Count"),
    ("book_total_usd", "None"),
];
/// Lambda's own variable; metrics are told apart by it.
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// Where the runtime prints a handler's error as Rust does for debugging, which can quote an event, and a
/// panic without its words. Both have a line of ours.
const RUNTIMES_OWN_LINES: &str = "lambda_runtime::layers::panic";
/// The span of a request, whose own line tells its panic.
pub(crate) const REQUEST_SPAN: &str = "request";

/// Sends JSON lines to `writer` and keeps panics for the request's own line. Call once, in `main`.
///
/// Events of the `quiet` crates are dropped. Lambda collects what is written to stdout.
pub fn init<W>(writer: W, quiet: &[&str])
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer()
        .event_format(Lines::new(std::env::var(FUNCTION_NAME).ok()))
        .fmt_fields(JsonFields::new());
    tracing_subscriber::registry().with(filter(quiet)).with(lines.with_writer(writer)).init();
    capture_panics();
}

fn filter(quiet: &[&str]) -> Targets {
    let levels = quiet.iter().chain(&[RUNTIMES_OWN_LINES]).map(|name| (*name, LevelFilter::OFF));
    Targets::new().with_default(LevelFilter::INFO).with_targets(levels)
}

/// The span of one run of a function without HTTP.
#[must_use]
pub fn run_span(request_id: &str) -> Span {
    tracing::info_span!("run", request_id)
}

/// Lines of JSON; in Lambda, those that measure something are metrics at once, in CloudWatch's embedded
/// metric format.
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
#[derive(Debug)]
pub struct Lines {
    json: Format<Json>,
    function: Option<String>,
}

impl Lines {
    /// Lines of the Lambda function of that name, or of a process that is none.
    #[must_use]
    pub fn new(function: Option<String>) -> Self {
        Self {
            json: fmt::format().json().flatten_event(true).with_span_list(false).with_target(false),
            function,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let metrics: Vec<_> =
            METRICS.into_iter().filter(|(name, _)| event.metadata().fields().field(name).is_some()).collect();
        let Some(function) = self.function.as_deref().filter(|_| !metrics.is_empty()) else {
            return self.json.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let fields = line.trim_end().strip_suffix('}').unwrap_or_default();
        let embedded = serde_json::to_string(&Embedded::new(&metrics)).map_err(|_| std::fmt::Error)?;
        writeln!(writer, "{fields},\"function\":{},\"_aws\":{embedded}}}", serde_json::Value::from(function))
    }
}

/// Tells CloudWatch which fields of a line are metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Embedded<'a> {
    timestamp: i64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric<'a> {
    name: &'a str,
    unit: &'a str,
}

impl<'a> Embedded<'a> {
    fn new(metrics: &[(&'a str, &'a str)]) -> Self {
        let metrics = metrics.iter().map(|(name, unit)| Metric { name, unit }).collect();
        Self {
            timestamp: jiff::Timestamp::now().as_millisecond(),
            cloud_watch_metrics: [Directive { namespace: NAMESPACE, dimensions: [["function"]], metrics }],
        }
    }
}

/// Replaces the panic hook: within a request the panic is kept for [`take_panic`] and the request's line,
/// elsewhere it is a line of its own.
pub fn capture_panics() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let cause = describe(info);
        if Span::current().metadata().is_some_and(|span| span.name() == REQUEST_SPAN) {
            LAST_PANIC.set(Some(cause));
        } else {
            tracing::error!(cause, server_errors = 1, "panic outside a request");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(function: Option<&str>) -> Vec<serde_json::Value> {
        let written = Written::default();
        let writer = written.clone();
        let lines =
            fmt::layer().event_format(Lines::new(function.map(str::to_owned))).fmt_fields(JsonFields::new());
        let subscriber = tracing_subscriber::registry().with(lines.with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("request", route = "/v2")
                .in_scope(|| tracing::info!(status = 200, latency_ms = 3, "request"));
            tracing::warn!("no measure");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn in_lambda_a_line_that_measures_is_a_metric() {
        let [line, plain] = lines(Some("ballast-unified-balance")).try_into().unwrap();
        assert_eq!(
            (&line["status"], &line["latency_ms"], &line["span"]["route"]),
            (&200.into(), &3.into(), &"/v2".into())
        );
        assert_eq!(line["function"], "ballast-unified-balance");
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (&directive["Namespace"], &directive["Dimensions"][0][0]),
            (&"Ballast".into(), &"function".into())
        );
        assert_eq!(directive["Metrics"].to_string(), r#"[{"Name":"latency_ms","Unit":"Milliseconds"}]"#);
        assert!(line["_aws"]["Timestamp"].is_i64() && plain.get("_aws").is_none());
    }

    #[test]
    fn the_runtime_quotes_no_event() {
        let filter = filter(&["dynoxide"]);
        for (target, is_written) in [
            (RUNTIMES_OWN_LINES, false),
            ("dynoxide::engine", false),
            ("lambda_runtime::layers::trace", true),
            ("shared", true),
        ] {
            assert_eq!(filter.would_enable(target, &tracing::Level::ERROR), is_written, "{target}");
        }
    }

    #[test]
    fn elsewhere_lines_are_only_lines() {
        assert!(lines(None).iter().all(|line| line.get("_aws").is_none() && line.get("function").is_none()));
    }
}
