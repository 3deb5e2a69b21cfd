//! The Lambda function `unified-balance`.

use shared::clock::Clock;
use shared::config::Config;
use shared::domain::AgeLimits;
use shared::{http, telemetry};
use unified_balance::{App, routes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let clock = Clock::system();
    let config = Config::from_env()?;
    let app = App::new(&config, AgeLimits::STANDARD, clock.clone());
    app.warm().await;
    http::serve(routes(app), clock, config.base_path).await
}
