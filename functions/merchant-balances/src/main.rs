//! The Lambda function `merchant-balances`.

use merchant_balances::{App, routes};
use shared::config::Config;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init(std::io::stdout, &[]);
    let app = App::new(&Config::from_env()?);
    app.warm().await;
    http::serve(routes(app)).await
}
