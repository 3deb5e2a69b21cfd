//! The Lambda function `custody-balances`.

use custody_balances::{App, routes};
use shared::clock::Clock;
use shared::config::{Config, CustodyConfig};
use shared::domain::AgeLimits;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let clock = Clock::system();
    let config = Config::from_env()?;
    let app = App::new(&config, &CustodyConfig::from_env()?, AgeLimits::STANDARD, clock.clone())?;
    app.warm().await;
    http::serve(routes(app), clock, config.base_path).await
}
