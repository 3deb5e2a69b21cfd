//! The Lambda function `book-positions`.

use book_positions::{Event, Job, TIME_OUT};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::clock::Clock;
use shared::config::{BookConfig, StoreConfig};
use shared::domain::AgeLimits;
use shared::telemetry;
use std::time::SystemTime;
use tracing::Instrument;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let job =
        Job::new(&StoreConfig::from_env()?, BookConfig::from_env()?, AgeLimits::STANDARD, Clock::system());
    let run = async |event: LambdaEvent<Event>| {
        let span = telemetry::run_span(&event.context.request_id);
        // `cargo lambda watch` names no true deadline.
        let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(TIME_OUT);
        let report = job.invoked(event.payload, time).instrument(span).await;
        report.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(run)).await
}
