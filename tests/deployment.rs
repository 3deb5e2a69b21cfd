//! What is deployed, read from the templates: who may do what, and that every alarm is explained.

use saphyr::{LoadableYamlNode, Yaml};
use shared::config::{BookConfig, Config, CustodyConfig, RatesConfig};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// A mapping's value of that name, whatever intrinsic it stands under.
fn at<'a>(node: &'a Yaml<'a>, name: &str) -> Option<&'a Yaml<'a>> {
    match node {
        Yaml::Tagged(_, inner) => at(inner, name),
        _ => node.as_mapping_get(name),
    }
}

/// Every scalar of a node, from left to right.
fn scalars(node: &Yaml<'_>) -> Vec<String> {
    match node {
        Yaml::Tagged(_, inner) => scalars(inner),
        Yaml::Sequence(elements) => elements.iter().flat_map(scalars).collect(),
        Yaml::Mapping(members) => {
            members.iter().flat_map(|(name, value)| [scalars(name), scalars(value)].concat()).collect()
        }
        other => other.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// Every mapping below a node that has a member of that name.
fn with_member<'a>(node: &'a Yaml<'a>, name: &str, found: &mut Vec<&'a Yaml<'a>>) {
    match node {
        Yaml::Tagged(_, inner) => with_member(inner, name, found),
        Yaml::Sequence(elements) => elements.iter().for_each(|element| with_member(element, name, found)),
        Yaml::Mapping(members) => {
            if node.as_mapping_get(name).is_some() {
                found.push(node);
            }
            members.iter().for_each(|(_, value)| with_member(value, name, found));
        }
        _ => {}
    }
}

fn members<'a>(node: &'a Yaml<'a>, name: &str) -> Vec<(String, &'a Yaml<'a>)> {
    let members = at(node, name).and_then(Yaml::as_mapping).into_iter().flatten();
    members.map(|(name, body)| (name.as_str().unwrap().to_owned(), body)).collect()
}

/// Resources of a kind, by their logical ids.
fn resources<'a>(template: &'a Yaml<'a>, kind: &str) -> Vec<(String, &'a Yaml<'a>)> {
    let of_kind = |(_, body): &(String, &'a Yaml<'a>)| at(body, "Type").and_then(Yaml::as_str) == Some(kind);
    members(template, "Resources").into_iter().filter(of_kind).collect()
}

#[test]
fn no_policy_says_everything_and_keys_are_written_by_nobody() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let mut statements = Vec::new();
    with_member(template, "Effect", &mut statements);
    assert!(statements.len() > 15, "{}", statements.len());
    for statement in statements {
        let said = scalars(statement);
        let of = |name| at(statement, name).map(scalars).unwrap_or_default();
        assert!(of("Action").iter().chain(&of("Resource")).all(|word| !word.contains('*')), "{said:?}");
        assert!(
            !of("Action").is_empty() && (!of("Resource").is_empty() || !of("Principal").is_empty()),
            "{said:?}"
        );
        let writes = of("Action")
            .iter()
            .any(|action| !["dynamodb:GetItem", "dynamodb:Query"].contains(&action.as_str()));
        if writes && of("Resource").iter().any(|resource| resource.contains("AccessTable")) {
            // The issuer's cached keys, and no API key.
            let condition = ["ForAllValues:StringEquals", "dynamodb:LeadingKeys", "jwks"].map(str::to_owned);
            assert_eq!(of("Condition"), condition, "{said:?}");
        }
    }
}

#[test]
fn functions_are_named_after_their_binaries_and_have_roles_of_their_own() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let (functions, roles) =
        (resources(template, "AWS::Serverless::Function"), resources(template, "AWS::IAM::Role"));
    let policies: Vec<_> =
        resources(template, "AWS::IAM::ManagedPolicy").into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        functions.len(),
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions")).unwrap().count()
    );
    for (id, function) in functions {
        let properties = at(function, "Properties").unwrap();
        let binary = at(function, "Metadata")
            .and_then(|metadata| at(metadata, "BuildProperties"))
            .and_then(|build| at(build, "Binary"));
        let name = format!("${{AWS::StackName}}-{}", binary.unwrap().as_str().unwrap());
        assert_eq!(scalars(at(properties, "FunctionName").unwrap()), [name], "{id}");
        // SAM would make a role that may write to every log group.
        assert!(at(properties, "Policies").is_none(), "{id}");
        let role = scalars(at(properties, "Role").unwrap());
        assert_eq!(role, [format!("{id}Role.Arn")]);
        let (_, role) = roles.iter().find(|(name, _)| *name == format!("{id}Role")).unwrap();
        let managed = scalars(at(at(role, "Properties").unwrap(), "ManagedPolicyArns").unwrap());
        assert!(
            managed.contains(&"WriteLogs".to_owned())
                && managed.iter().all(|policy| policies.contains(policy)),
            "{managed:?}"
        );
    }
}

#[test]
fn tables_survive_their_stack_and_production_protects_them() {
    let text = read("infra/storage.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let tables = resources(template, "AWS::DynamoDB::Table");
    assert_eq!(tables.len(), 7);
    for (id, table) in tables.into_iter().filter(|(id, _)| id != "LimitsTable") {
        let properties = at(table, "Properties").unwrap();
        let says = |name: &str, expected: &[&str]| {
            assert_eq!(scalars(at(properties, name).unwrap()), expected, "{id} {name}")
        };
        assert_eq!(at(table, "DeletionPolicy").and_then(Yaml::as_str), Some("RetainExceptOnCreate"), "{id}");
        assert_eq!(at(table, "UpdateReplacePolicy").and_then(Yaml::as_str), Some("Retain"), "{id}");
        says("PointInTimeRecoverySpecification", &["PointInTimeRecoveryEnabled"]);
        says("SSESpecification", &["SSEEnabled"]);
        says("DeletionProtectionEnabled", &["IsProduction"]);
        says("BillingMode", &["PAY_PER_REQUEST"]);
    }
}

#[test]
fn every_alarm_is_shown_acted_on_and_explained() {
    let (text, runbook) = (read("infra/observability.yaml"), read("infra/README.md"));
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let dashboard =
        scalars(at(resources(template, "AWS::CloudWatch::Dashboard")[0].1, "Properties").unwrap()).concat();
    let alarms = resources(template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 10);
    for (id, alarm) in alarms {
        let properties = at(alarm, "Properties").unwrap();
        assert_eq!(scalars(at(properties, "AlarmActions").unwrap()), ["HasTopic", "AlarmTopicArn"], "{id}");
        assert!(dashboard.contains(&format!("\"${{{id}.Arn}}\"")), "{id} is not on the dashboard");
        assert!(runbook.contains(&format!("### {id}\n")), "{id} is not in the runbook");
    }
}

#[test]
fn every_metric_of_ours_is_written_by_somebody() {
    let (text, telemetry) = (read("infra/observability.yaml"), read("shared/src/telemetry.rs"));
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let filters = resources(template, "AWS::Logs::MetricFilter");
    let mut metrics = Vec::new();
    with_member(template, "Namespace", &mut metrics);
    for metric in
        metrics.into_iter().filter(|metric| at(metric, "Namespace").and_then(Yaml::as_str) == Some("Ballast"))
    {
        let name = at(metric, "MetricName").and_then(Yaml::as_str).unwrap();
        // A line's own metrics are told apart by function; what a filter finds has no dimension.
        let dimensions = at(metric, "Dimensions").map(scalars).unwrap_or_default();
        if filters.iter().any(|(id, _)| id == name) {
            assert!(dimensions.is_empty(), "{name}");
        } else {
            assert!(telemetry.contains(&format!("(\"{name}\", ")), "{name}");
            let function = dimensions.last().and_then(|value| value.strip_prefix("${Functions}-")).unwrap();
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions").join(function).exists(),
                "{name}: {function}"
            );
        }
    }
}

/// What a filter looks for, and where it is written.
#[test]
fn every_metric_filter_finds_what_is_written() {
    let written = [
        (
            "LimiterUnreachable",
            "$.span.limiter = \"unreachable\"",
            "shared/src/http/gate.rs",
            "record(\"limiter\", \"unreachable\")",
        ),
        (
            "LimiterUnreachable",
            "$.limiter = \"unreachable\"",
            "shared/src/custody/call.rs",
            "limiter = \"unreachable\"",
        ),
        (
            "ProviderCredentialsRefused",
            "$.cause = \"the provider refused our credentials*\"",
            "shared/src/custody/mod.rs",
            "\"the provider refused our credentials: {0}\"",
        ),
        (
            "IssuerKeysUnusable",
            "$.cause = \"the issuer publishes no usable key*\"",
            "shared/src/auth/jwks.rs",
            "\"the issuer publishes no usable key\"",
        ),
        ("UnlistedCustodyAssets", "$.unlisted > 0", "shared/src/custody/sync.rs", "unlisted = ids.len(),"),
        ("LateCommits", "$.late_commits > 0", "shared/src/store/record.rs", "late_commits = 1,"),
    ];
    let text = read("infra/observability.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let filters = resources(template, "AWS::Logs::MetricFilter");
    assert!(filters.iter().all(|(id, _)| written.iter().any(|(filter, ..)| filter == id)));
    for (id, looked_for, file, line) in written {
        let (_, filter) = filters.iter().find(|(name, _)| name == id).unwrap();
        let pattern = at(at(filter, "Properties").unwrap(), "FilterPattern").and_then(Yaml::as_str).unwrap();
        assert!(pattern.contains(looked_for), "{id}: {pattern}");
        assert!(read(file).contains(line), "{id}: {file}");
    }
}

#[test]
fn a_deploy_by_the_shipped_configuration_names_every_parameter_that_has_no_default() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let parameters = members(template, "Parameters");
    let required = parameters.iter().filter(|(_, body)| at(body, "Default").is_none());
    let required: BTreeSet<_> = required.map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<_> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let configuration = read("samconfig.toml");
    let lists: Vec<&str> = configuration
        .split("parameter_overrides = [")
        .skip(1)
        .map(|rest| rest.split(']').next().unwrap())
        .collect();
    assert_eq!(lists.len(), 2);
    for list in lists {
        let given: BTreeSet<_> =
            list.split('"').skip(1).step_by(2).map(|pair| pair.split_once('=').unwrap().0).collect();
        assert!(given.is_superset(&required) && given.is_subset(&known), "{given:?}");
    }
}

/// A misspelt variable would leave a function at its default without a word.
#[test]
fn functions_are_given_the_variables_that_they_read() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &'static str| {
        asked.borrow_mut().insert(name);
        let value = match name {
            "JWT_HS256_SECRET" => return None,
            _ if name.ends_with("_ARN") => return None,
            "UNKNOWN_ASSETS" => "mark",
            "COINGECKO_PLAN" => "pro",
            "JWT_CLAIMS" => "permissions=scope",
            "BOOK_TIME_ZONE" => "Europe/Berlin",
            "HOUSE_CUSTOMER_IDS" => "0a11ce00-0000-4000-8000-000000000001",
            "POSITION_MINUTES" => "15",
            _ if name.ends_with("_URL") => "https://example.com",
            _ => "2",
        };
        Some(value.to_owned())
    };
    Config::from_lookup(lookup).unwrap();
    CustodyConfig::from_lookup(lookup).unwrap();
    RatesConfig::from_lookup(lookup).unwrap();
    BookConfig::from_lookup(lookup).unwrap();
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).unwrap()[0];
    let mut environments = Vec::new();
    with_member(template, "Variables", &mut environments);
    let given = environments.into_iter().flat_map(|node| members(node, "Variables"));
    let given: BTreeSet<String> = given.map(|(name, _)| name).collect();
    let asked = asked.into_inner();
    let unread: Vec<_> = given.iter().filter(|name| !asked.contains(name.as_str())).collect();
    assert!(unread.is_empty(), "{unread:?}");
    // Lambda sets the credentials itself, secrets come by their ARNs, and the sources of rates have one
    // address each.
    let elsewhere = |name: &&str| {
        let is_of_aws = name.starts_with("AWS_");
        let is_secret = asked.contains(format!("{name}_ARN").as_str());
        let is_source = ["ECB_BASE_URL", "COINBASE_BASE_URL", "COINGECKO_BASE_URL"].contains(name);
        is_of_aws || is_secret || is_source
    };
    let missing: Vec<_> =
        asked.iter().filter(|name| !given.contains(**name)).filter(|name| !elsewhere(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
