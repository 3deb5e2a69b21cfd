//! The Lambda function `balance-ingest`.

use balance_ingest::{Ingest, Payload};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::clock::Clock;
use shared::config::StoreConfig;
use shared::telemetry;
use tracing::Instrument;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let clock = Clock::system();
    let ingest = Ingest::new(&StoreConfig::from_env()?, clock.clone());
    let run = async |event: LambdaEvent<Payload>| {
        let span = telemetry::run_span(&event.context.request_id);
        let outcome = ingest.invoked(event.payload, clock.now()).instrument(span).await;
        outcome.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(run)).await
}
