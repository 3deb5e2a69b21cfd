//! The SAM templates as far as they matter locally: tables with their keys and indexes, and which function a
//! path leads to.
//!
//! This is no CloudFormation interpreter. Keys, indexes, time-to-live attributes and paths are literals in
//! the templates, and everything else in them is passed over.

use saphyr::{LoadableYamlNode, Yaml};
use std::collections::BTreeSet;
use std::time::Duration;
use thiserror::Error;

const ROOT: &str = include_str!("../../../template.yaml");
const STORAGE: &str = include_str!("../../storage.yaml");

/// A template that the stack cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// It is no YAML.
    #[error("the template is not YAML: {0}")]
    Yaml(String),
    /// A value that must be a literal is missing or is something else.
    #[error("{resource}: {property} must be a literal in the template")]
    NotLiteral {
        /// The resource's logical id.
        resource: String,
        /// The property.
        property: &'static str,
    },
}

/// A key's attributes, both strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The partition key.
    pub hash: String,
    /// The sort key.
    pub range: Option<String>,
}

/// A global secondary index; all of ours project every attribute or the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// `ALL` or `KEYS_ONLY`.
    pub projection: String,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its logical id, which is its name locally.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// The attribute by which items expire.
    pub time_to_live: Option<String>,
}

/// One route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The function's binary.
    pub function: String,
    /// The path, `None` for the API's `$default` route.
    pub path: Option<String>,
    /// The method, `ANY` on every path of ours.
    pub method: Option<String>,
}

/// A function that runs by itself, as often as its schedules say. Several schedules of one function are
/// shards of one job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schedule {
    /// The function's binary.
    pub function: String,
    /// How far apart its runs are.
    pub rate: Duration,
}

/// The schedules of `template.yaml`, one per function.
pub fn schedules() -> Result<Vec<Schedule>, TemplateError> {
    let schedules = resources(ROOT, "AWS::Scheduler::Schedule")?;
    let distinct: BTreeSet<Schedule> = schedules.iter().map(schedule).collect::<Result<_, _>>()?;
    Ok(distinct.into_iter().collect())
}

fn schedule(resource: &Resource) -> Result<Schedule, TemplateError> {
    let function = resource.literal(at(&resource.body, &["Metadata", "Binary"]), "Binary")?;
    let expression = at(&resource.body, &["Properties", "ScheduleExpression"]);
    let expression = resource.literal(expression, "ScheduleExpression")?;
    let not_a_rate =
        || TemplateError::NotLiteral { resource: resource.id.clone(), property: "ScheduleExpression" };
    let minutes = expression
        .strip_prefix("rate(")
        .and_then(|rest| rest.split_once(' '))
        .filter(|(_, unit)| unit.starts_with("minute"));
    let minutes: u64 = minutes.and_then(|(number, _)| number.parse().ok()).ok_or_else(not_a_rate)?;
    Ok(Schedule { function, rate: Duration::from_secs(60 * minutes) })
}

/// The tables of `infra/storage.yaml`.
pub fn tables() -> Result<Vec<TableDefinition>, TemplateError> {
    resources(STORAGE, "AWS::DynamoDB::Table")?.iter().map(table).collect()
}

/// The routes of `template.yaml`.
pub fn routes() -> Result<Vec<Route>, TemplateError> {
    let functions = resources(ROOT, "AWS::Serverless::Function")?;
    let routes = functions.iter().map(routes_of).collect::<Result<Vec<_>, _>>()?;
    Ok(routes.into_iter().flatten().collect())
}

struct Resource {
    id: String,
    body: Yaml<'static>,
}

impl Resource {
    fn literal(&self, value: Option<&Yaml<'_>>, property: &'static str) -> Result<String, TemplateError> {
        let literal = value.filter(|value| value.get_tag().is_none()).and_then(|value| value.as_str());
        literal
            .map(str::to_owned)
            .ok_or_else(|| TemplateError::NotLiteral { resource: self.id.clone(), property })
    }
}

fn resources(template: &'static str, kind: &str) -> Result<Vec<Resource>, TemplateError> {
    let documents = Yaml::load_from_str(template).map_err(|error| TemplateError::Yaml(error.to_string()))?;
    let resources =
        documents.first().and_then(|document| at(document, &["Resources"])?.as_mapping().cloned());
    let of_kind = resources
        .into_iter()
        .flatten()
        .filter(|(_, body)| at(body, &["Type"]).and_then(Yaml::as_str) == Some(kind));
    Ok(of_kind.filter_map(|(id, body)| Some(Resource { id: id.as_str()?.to_owned(), body })).collect())
}

fn at<'a, 'input>(node: &'a Yaml<'input>, path: &[&str]) -> Option<&'a Yaml<'input>> {
    path.iter().try_fold(node, |node, key| node.as_mapping_get(key))
}

fn elements<'a, 'input>(node: Option<&'a Yaml<'input>>) -> impl Iterator<Item = &'a Yaml<'input>> {
    node.and_then(Yaml::as_sequence).into_iter().flatten()
}

fn table(resource: &Resource) -> Result<TableDefinition, TemplateError> {
    let property = |name| at(&resource.body, &["Properties", name]);
    let index = |index| {
        Ok(Index {
            name: resource.literal(at(index, &["IndexName"]), "IndexName")?,
            key: key(resource, at(index, &["KeySchema"]))?,
            projection: resource.literal(at(index, &["Projection", "ProjectionType"]), "ProjectionType")?,
        })
    };
    let time_to_live = property("TimeToLiveSpecification")
        .map(|ttl| resource.literal(at(ttl, &["AttributeName"]), "AttributeName"));
    Ok(TableDefinition {
        name: resource.id.clone(),
        key: key(resource, property("KeySchema"))?,
        indexes: elements(property("GlobalSecondaryIndexes")).map(index).collect::<Result<_, _>>()?,
        time_to_live: time_to_live.transpose()?,
    })
}

fn key(resource: &Resource, schema: Option<&Yaml<'_>>) -> Result<Key, TemplateError> {
    let of_type = |kind| {
        let attribute =
            elements(schema).find(|element| at(element, &["KeyType"]).and_then(Yaml::as_str) == Some(kind));
        attribute
            .map(|element| resource.literal(at(element, &["AttributeName"]), "AttributeName"))
            .transpose()
    };
    let missing = || TemplateError::NotLiteral { resource: resource.id.clone(), property: "KeySchema" };
    Ok(Key { hash: of_type("HASH")?.ok_or_else(missing)?, range: of_type("RANGE")? })
}

fn routes_of(resource: &Resource) -> Result<Vec<Route>, TemplateError> {
    let function =
        resource.literal(at(&resource.body, &["Metadata", "BuildProperties", "Binary"]), "Binary")?;
    let events = at(&resource.body, &["Properties", "Events"]).and_then(Yaml::as_mapping);
    let http = events
        .into_iter()
        .flatten()
        .filter(|(_, event)| at(event, &["Type"]).and_then(Yaml::as_str) == Some("HttpApi"));
    let route = |event| {
        let literal = |name| {
            at(event, &["Properties", name]).map(|value| resource.literal(Some(value), name)).transpose()
        };
        Ok(Route { function: function.clone(), path: literal("Path")?, method: literal("Method")? })
    };
    http.map(|(_, event)| route(event)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_with_its_keys() {
        let tables = tables().unwrap();
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "AccountsTable",
                "HistoryTable",
                "RatesTable",
                "PositionsTable",
                "AccessTable",
                "CustodyTable",
                "LimitsTable"
            ]
        );
        let accounts = tables.first().unwrap();
        assert_eq!(
            accounts.key,
            Key { hash: "customer_id".to_owned(), range: Some("account_id".to_owned()) }
        );
        assert_eq!(accounts.indexes.len(), 1);
    }

    #[test]
    fn every_path_takes_any_method_and_one_function_is_the_default() {
        let routes = routes().unwrap();
        assert!(routes.iter().all(|route| route.path.is_none() || route.method.as_deref() == Some("ANY")));
        assert_eq!(routes.iter().filter(|route| route.path.is_none()).count(), 1);
    }

    #[test]
    fn each_job_has_one_schedule_however_many_shards() {
        let schedule = |function: &str, minutes| Schedule {
            function: function.to_owned(),
            rate: Duration::from_mins(minutes),
        };
        let expected = [("book-positions", 1), ("custody-sync", 1), ("rates-sync", 5)];
        assert_eq!(schedules().unwrap(), expected.map(|(function, minutes)| schedule(function, minutes)));
    }

    #[test]
    fn an_intrinsic_where_a_literal_belongs_is_refused() {
        let template = "Resources:\n  T:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      KeySchema:\n        - { AttributeName: !Ref Name, KeyType: HASH }\n";
        let resources = resources(template, "AWS::DynamoDB::Table").unwrap();
        let refused = table(resources.first().unwrap()).unwrap_err();
        assert_eq!(
            refused,
            TemplateError::NotLiteral { resource: "T".to_owned(), property: "AttributeName" }
        );
    }
}
