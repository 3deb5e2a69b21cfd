//! The deployed stack: its tables by the names that CloudFormation gave them, and its functions by their own.

use crate::arguments::ConnectionArguments;
use crate::error::CliError;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::primitives::Blob;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::clock::Clock;
use shared::config::{RatesConfig, Table, Tables, base_url_variable, is_loopback};
use shared::domain::{AgeLimits, SourceName, Timestamp};
use shared::outgoing;
use shared::store::Store;
use std::time::Duration;

/// An operator's line may be slow; a call that takes longer is not coming back.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_ATTEMPTS: u32 = 5;
/// A scheduled function's whole time, and its start.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(70);
/// Time-out of the first call: an endpoint that is there answers within it.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// As the AWS CLI names them.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
/// The local stack's answer about itself.
const MAX_HEALTH_BYTES: usize = 64 * 1024;
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// The local stack checks no signature, but wants one.
const LOCAL: &str = "local";
const LOCAL_REGION: &str = "eu-central-1";

/// The deployed stack, or the local one, that commands work on.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) store: Store,
    /// How old a rate may be: the local stack may have been told that none is too old.
    pub(crate) age_limits: AgeLimits,
    lambda: aws_sdk_lambda::Client,
    stack: String,
    /// The local stack's endpoint, if it is the local stack.
    local_url: Option<String>,
}

impl Connection {
    /// Finds the stack's tables. Nothing is written.
    pub(crate) async fn open(arguments: ConnectionArguments) -> Result<Self, CliError> {
        let ConnectionArguments { endpoint_url, profile, region, stack } = arguments;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // Any other endpoint that a variable names is one service's, and the SDK's business.
        let local_endpoint =
            || ENDPOINT_VARIABLES.iter().find_map(|name| variable(name)).filter(|url| is_loopback(url));
        let endpoint_url = endpoint_url.or_else(local_endpoint);
        if endpoint_url.as_ref().is_some_and(|url| !is_http(url)) {
            return Err(CliError::argument(
                "--endpoint-url",
                "not a URL that begins with http:// or https://",
            ));
        }
        let local_url = endpoint_url.clone().filter(|url| is_loopback(url));
        let config = configured(endpoint_url, profile, region, local_url.is_some()).load().await;
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(CliError::Connection(
                "no region: give --region or --profile, or set AWS_REGION".to_owned(),
            ));
        }
        let builder = aws_sdk_dynamodb::config::Builder::from(&config);
        let store = Store::over(builder, Tables::default(), Clock::system());
        let names = table_names(store.client(), local_url.is_some()).await?;
        // An operator's machine may be off; entries are dated, and "now" is, by the store's clock then.
        if let Some(wrong) = store.follow_store_clock() {
            eprintln!("this machine's clock is {} s off; the store's clock is used", wrong.seconds);
        }
        let tables = Tables::named(|table| match variable(table.variable()) {
            Some(name) => Ok(name),
            None => find(&names, &stack, table, local_url.is_some()),
        })?;
        let age_limits = match &local_url {
            Some(url) => local_age_limits(url).await,
            None => AgeLimits::STANDARD,
        };
        Ok(Self { store: store.with_tables(tables), age_limits, lambda: invoker(&config), stack, local_url })
    }

    /// The time by the clock that entries are dated by.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Where the European Central Bank's files are: the bank's own server, or the local stack's sandbox of
    /// it.
    pub(crate) fn ecb_base_url(&self) -> Result<String, CliError> {
        let named = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        if let (Some(url), None) = (&self.local_url, named(base_url_variable(SourceName::Ecb))) {
            return Ok(format!("{}/_local/market/ecb", url.trim_end_matches('/')));
        }
        let config = RatesConfig::from_env().map_err(|error| CliError::Connection(error.to_string()))?;
        Ok(config.base_url(SourceName::Ecb).to_owned())
    }

    /// Invokes a function of the stack and waits for its answer.
    pub(crate) async fn invoke(&self, function: &str, event: &impl Serialize) -> Result<Value, CliError> {
        let name = format!("{}-{function}", self.stack);
        let failed = |problem: String| CliError::Function { function: name.clone(), problem };
        let event = serde_json::to_vec(event).map_err(|error| failed(error.to_string()))?;
        let answer = self.lambda.invoke().function_name(&name).payload(Blob::new(event)).send().await;
        let answer = answer.map_err(|error| failed(explained(&error)))?;
        let body: Value = serde_json::from_slice(answer.payload().map(AsRef::as_ref).unwrap_or_default())
            .map_err(|_| failed("it answered no JSON".to_owned()))?;
        if answer.function_error().is_some() {
            let message =
                body.get("errorMessage").and_then(Value::as_str).unwrap_or("it failed without a word");
            return Err(failed(message.to_owned()));
        }
        Ok(body)
    }
}

fn configured(
    endpoint_url: Option<String>,
    profile: Option<String>,
    region: Option<String>,
    is_local: bool,
) -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest());
    let config =
        config.timeout_config(timeouts).retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS));
    let config = match endpoint_url {
        Some(url) => config.endpoint_url(url),
        None => config,
    };
    if is_local {
        let credentials = Credentials::new(LOCAL, LOCAL, None, None, LOCAL);
        return config
            .credentials_provider(credentials)
            .region(Region::new(region.unwrap_or_else(|| LOCAL_REGION.to_owned())));
    }
    let config = match profile {
        Some(profile) => config.profile_name(profile),
        None => config,
    };
    match region {
        Some(region) => config.region(Region::new(region)),
        None => config,
    }
}

fn is_http(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}

/// A run that was asked for is not asked for again: its answer may only be late.
fn invoker(config: &SdkConfig) -> aws_sdk_lambda::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(INVOCATION_TIMEOUT)
        .build();
    let config = aws_sdk_lambda::config::Builder::from(config)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled());
    aws_sdk_lambda::Client::from_conf(config.build())
}

async fn table_names(client: &aws_sdk_dynamodb::Client, is_local: bool) -> Result<Vec<String>, CliError> {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(LIST_TIMEOUT).build();
    let config = aws_sdk_dynamodb::Config::builder()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(2));
    let (mut names, mut start) = (Vec::new(), None);
    let names = loop {
        let request = client.list_tables().set_exclusive_start_table_name(start.take());
        match request.customize().config_override(config.clone()).send().await {
            Ok(page) => {
                names.extend_from_slice(page.table_names());
                start = page.last_evaluated_table_name;
            }
            Err(error) => break Err(error),
        }
        if start.is_none() {
            break Ok(names);
        }
    };
    names.map_err(|error| {
        let hint = if is_local { "\nIs `cargo local` running there?" } else { "" };
        CliError::Connection(format!("the tables cannot be listed: {}{hint}", explained(&error)))
    })
}

/// The table of a logical id: of that very name in the local stack, else as `CloudFormation` names it within
/// this stack and no other.
fn find(names: &[String], stack: &str, table: Table, is_local: bool) -> Result<String, CliError> {
    let (logical_id, variable) = (table.logical_id(), table.variable());
    let is_ours = |name: &&String| (is_local && *name == logical_id) || is_of_stack(name, stack, logical_id);
    let found: Vec<&String> = names.iter().filter(is_ours).collect();
    match found.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(CliError::Connection(format!(
            "stack {stack} has no {logical_id} here; give --stack, --region or --profile"
        ))),
        several => Err(CliError::Connection(format!(
            "stack {stack} has several {logical_id}: {several:?}; set {variable} to the one in use"
        ))),
    }
}

/// Whether a name is `stack-Storage-RANDOM-LogicalId-RANDOM`, or the same without the nested stack. Another
/// stack's name may begin with this one's, but goes on with something else.
fn is_of_stack(name: &str, stack: &str, logical_id: &str) -> bool {
    let is_random = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let Some(parts) = name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-')) else { return false };
    match parts.split('-').collect::<Vec<_>>().as_slice() {
        [logical, random] => *logical == logical_id && is_random(random),
        ["Storage", nested, logical, random] => {
            is_random(nested) && *logical == logical_id && is_random(random)
        }
        _ => false,
    }
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    rates_never_expire: bool,
}

/// An endpoint that does not answer as the local stack does is another one, and its rates expire.
async fn local_age_limits(url: &str) -> AgeLimits {
    let Ok(client) = outgoing::client(HEALTH_TIMEOUT, url) else { return AgeLimits::STANDARD };
    let answer =
        outgoing::send(client.get(format!("{}/_local/health", url.trim_end_matches('/'))), MAX_HEALTH_BYTES)
            .await;
    let health = answer.ok().and_then(|answer| serde_json::from_slice::<Health>(&answer.body).ok());
    if health.is_some_and(|health| health.rates_never_expire) { AgeLimits::NONE } else { AgeLimits::STANDARD }
}

/// AWS's own words where it answered, else what went wrong on the way.
fn explained<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let said = error
        .as_service_error()
        .and_then(|error| Some((error.code()?, error.message().unwrap_or("no message"))));
    let on_the_way = || {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    };
    said.map_or_else(on_the_way, |(code, message)| format!("{code}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_within_its_stack_alone() {
        let names = [
            "ballast-Storage-1ABC-AccountsTable-X1",
            "ballast-prod-Storage-2-AccountsTable-Y",
            "ballast-prod-Storage-2-RatesTable-Y",
            "other-AccountsTable-Z9",
            "HistoryTable",
            "ballast-AccessTable-notrandom",
        ];
        let names = names.map(str::to_owned);
        let found = |stack: &str, table, is_local| find(&names, stack, table, is_local).ok();
        assert_eq!(
            found("ballast", Table::Accounts, false).unwrap(),
            "ballast-Storage-1ABC-AccountsTable-X1"
        );
        assert_eq!(
            found("ballast-prod", Table::Accounts, false).unwrap(),
            "ballast-prod-Storage-2-AccountsTable-Y"
        );
        assert_eq!(found("other", Table::Accounts, false).unwrap(), "other-AccountsTable-Z9");
        assert_eq!(found("ballast", Table::History, true).unwrap(), "HistoryTable");
        let rows = [
            ("ballast", Table::Rates),
            ("ballast", Table::History),
            ("ballast", Table::Access),
            ("none", Table::Accounts),
        ];
        for (stack, table) in rows {
            assert_eq!(found(stack, table, false), None, "{stack} {table}");
        }
        let twice =
            ["ballast-Storage-A-RatesTable-1".to_owned(), "ballast-Storage-B-RatesTable-2".to_owned()];
        let refused = find(&twice, "ballast", Table::Rates, false).unwrap_err().to_string();
        assert!(refused.contains("several") && refused.contains("RATES_TABLE"), "{refused}");
    }
}
