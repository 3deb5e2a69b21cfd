//! The Lambda function `rates-sync`.

use lambda_runtime::{LambdaEvent, service_fn};
use rates_sync::{Event, Job};
use shared::clock::Clock;
use shared::config::{RatesConfig, StoreConfig};
use shared::domain::AgeLimits;
use shared::telemetry;
use tracing::Instrument;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let clock = Clock::system();
    let (aws, rates) = (StoreConfig::from_env()?, RatesConfig::from_env()?);
    let job = Job::new(&aws, &rates, AgeLimits::STANDARD, clock.clone())?;
    let run = async |event: LambdaEvent<Event>| {
        let span = telemetry::run_span(&event.context.request_id);
        let report = job.run(clock.now()).instrument(span).await;
        report.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(run)).await
}
