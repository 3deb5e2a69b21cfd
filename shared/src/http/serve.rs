//! The Lambda runtime around a function's routes.

use axum::Router;

/// Answers API Gateway's events until the runtime ends the process.
pub async fn serve(routes: Router) -> Result<(), lambda_runtime::Error> {
    lambda_http::run(super::service(routes)).await
}
