//! Creates the tables that the templates define.

use crate::template::{self, Key, TableDefinition};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use std::collections::BTreeSet;
use std::error::Error;

/// Creates every table that does not exist yet.
pub(crate) async fn create(client: &Client) -> Result<(), Box<dyn Error + Send + Sync>> {
    let existing: Vec<String> =
        client.list_tables().into_paginator().items().send().collect::<Result<_, _>>().await?;
    for table in template::tables()?.iter().filter(|table| !existing.contains(&table.name)) {
        create_table(client, table).await?;
    }
    Ok(())
}

async fn create_table(client: &Client, table: &TableDefinition) -> Result<(), Box<dyn Error + Send + Sync>> {
    let TableDefinition { name, key, indexes, time_to_live } = table;
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(key)?))
        .set_attribute_definitions(Some(attribute_definitions(table)?));
    for index in indexes {
        let projection =
            Projection::builder().projection_type(ProjectionType::from(index.projection.as_str())).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(key_schema(&index.key)?));
        request = request.global_secondary_indexes(index.projection(projection).build()?);
    }
    request.send().await?;
    if let Some(attribute) = time_to_live {
        let specification =
            TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?;
        client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(specification)
            .send()
            .await?;
    }
    Ok(())
}

fn key_schema(key: &Key) -> Result<Vec<KeySchemaElement>, Box<dyn Error + Send + Sync>> {
    let hash = KeySchemaElement::builder().attribute_name(&key.hash).key_type(KeyType::Hash).build()?;
    let range = key
        .range
        .as_ref()
        .map(|name| KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Range).build());
    Ok([Ok(hash)].into_iter().chain(range).collect::<Result<_, _>>()?)
}

fn attribute_definitions(
    table: &TableDefinition,
) -> Result<Vec<AttributeDefinition>, Box<dyn Error + Send + Sync>> {
    let keys = std::iter::once(&table.key).chain(table.indexes.iter().map(|index| &index.key));
    let names: BTreeSet<&String> =
        keys.flat_map(|key| std::iter::once(&key.hash).chain(&key.range)).collect();
    let definition = |name| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    Ok(names.into_iter().map(definition).collect::<Result<_, _>>()?)
}
