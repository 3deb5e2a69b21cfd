//! One Query of a customer's accounts by the SDK and nothing else: the yardstick for a warm request.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use shared::clock::Clock;
use shared::config::{Config, Table};
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    let client = Store::new(&config.store, Clock::system()).client().clone();
    let table = config.store.tables.name(Table::Accounts);
    let customer = AttributeValue::S(std::env::var("BENCH_CUSTOMER")?);
    let query = client
        .query()
        .table_name(table)
        .consistent_read(true)
        .key_condition_expression("customer_id = :customer")
        .expression_attribute_values(":customer", customer);
    // Opens the connection during the start, as the function does.
    query.clone().limit(1).send().await?;
    run(service_fn(async |_: Request| {
        let page = query.clone().send().await?;
        Ok::<_, Error>(Response::new(Body::Text(page.count().to_string())))
    }))
    .await
}
