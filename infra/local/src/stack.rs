//! Puts the stack together and keeps it running until it is stopped or dropped.

use crate::control::{Control, Health};
use crate::dataset::{self, Dataset, LoadError};
use crate::environment::{EdgeSettings, Environment};
use crate::gateway::gateway;
use crate::issuer::{Issuer, IssuerError};
use crate::jobs::Jobs;
use crate::market::Market;
use crate::sandbox::Sandbox;
use crate::schedules::Schedules;
use crate::template::TemplateError;
use crate::{aws, control, docs, dynamodb, guard, tables};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use balance_ingest::Ingest;
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::config::{Config, ConfigError, CustodyConfig, RatesConfig};
use shared::domain::AgeLimits;
use shared::store::{Store, StoreError, StoredJwks};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long a stop waits for requests under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API's port; 0 takes any free one.
    pub port: u16,
    /// The embedded DynamoDB's port; 0 takes any free one.
    pub dynamodb_port: u16,
    /// Where tables are kept; in memory without it.
    pub state: Option<PathBuf>,
    /// Calls per caller, route group and clock minute; 0 is no limit.
    pub rate_limit_per_minute: u64,
    /// Whether the template's schedules run.
    pub has_schedules: bool,
    /// Whether rates come from the real sources rather than from the sandbox.
    pub has_live_rates: bool,
    /// The data that is recorded at the start.
    pub dataset: Dataset,
    /// The stack's clock; the machine's unless it is set.
    pub clock: Clock,
}

/// Why the stack did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port is taken.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// The embedded database did not open.
    #[error("the embedded DynamoDB did not open: {0}")]
    Database(String),
    /// A table could not be created.
    #[error("a table could not be created: {0}")]
    Tables(Box<dyn std::error::Error + Send + Sync>),
    /// A template is not what the stack can read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The signing key could not be made.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The dataset was refused.
    #[error(transparent)]
    Dataset(#[from] LoadError),
    /// The functions' environment is not a configuration.
    #[error(transparent)]
    Environment(#[from] ConfigError),
    /// A function could not be configured.
    #[error("{0}")]
    Config(String),
    /// The embedded store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running stack. Dropping it ends its servers; [`Stack::stop`] also waits for them.
#[derive(Debug)]
pub struct Stack {
    address: SocketAddr,
    dynamodb_address: SocketAddr,
    environment: Environment,
    config: Config,
    custody: CustodyConfig,
    rates: RatesConfig,
    sandbox: Sandbox,
    issuer: Issuer,
    clock: Clock,
    servers: TaskTracker,
    stop: DropGuard,
}

impl Stack {
    /// Starts everything and returns once it serves.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            port,
            dynamodb_port,
            state,
            rate_limit_per_minute,
            has_schedules,
            has_live_rates,
            dataset,
            clock,
        } = options;
        let (listener, address) = listen(port).await?;
        let (dynamodb_listener, dynamodb_address) = listen(dynamodb_port).await?;
        let stop = CancellationToken::new();
        let embedded = dynamodb::open(state.as_deref()).map_err(StartError::Database)?;
        let servers = TaskTracker::new();
        let issuer = Issuer::new()?;
        let edge = EdgeSettings {
            rate_limit: rate_limit_per_minute,
            unknown_assets: dataset.unknown_assets(),
            book_time_zone: &dataset.book_time_zone,
            house_customer_ids: dataset.house_customer_ids.join(","),
        };
        let environment = Environment::new(dynamodb_address, address, edge, has_live_rates);
        let config = environment.config()?;
        let custody = environment.custody()?;
        let rates = environment.rates()?;
        let sandbox = Sandbox::new(clock.clone());
        let market = Market::new(clock.clone());
        let (limits, store) = (dataset.age_limits(), Store::new(&config.store, clock.clone()));
        let schedules = Schedules {
            custody_sync: custody_sync::Job::new(&config.store, &custody, clock.clone())
                .map_err(StartError::Config)?,
            rates_sync: rates_sync::Job::new(&config.store, &rates, limits, clock.clone())
                .map_err(StartError::Config)?,
            book_positions: book_positions::Job::new(
                &config.store,
                environment.book()?,
                limits,
                clock.clone(),
            ),
            clock: clock.clone(),
        };
        let health = Health::new(dataset.rates_never_expire);
        let aws = aws::routes(embedded, schedules.clone(), health, clock.clone())
            .merge(market.clone().routes())
            .layer(from_fn(guard::loopback_only));
        servers.spawn(serve(dynamodb_listener, aws.clone(), stop.clone()));
        tables::create(store.client()).await.map_err(StartError::Tables)?;
        // Keys of an earlier start may lie in a kept state: the new ones take their place.
        let document = serde_json::to_string(&issuer.jwks()?).map_err(IssuerError::from)?;
        store.put_jwks(&StoredJwks { document, fetched_at: clock.now() }).await?;
        dataset::load(&store, &dataset).await?;
        for (id, vault) in dataset.vaults()? {
            sandbox.set_vault(id, vault);
        }
        for (name, answer) in &dataset.bitgo_wallets {
            sandbox.set_wallet(name.clone(), answer.get().to_owned().into());
        }
        let control = Control {
            issuer: issuer.clone(),
            sandbox: sandbox.clone(),
            market,
            schedules: schedules.clone(),
            ingest: Ingest::new(&config.store, clock.clone()),
            clock: clock.clone(),
        };
        let functions = functions(&config, &custody, limits, &clock).await.map_err(StartError::Config)?;
        let docs = docs::routes(issuer.clone(), clock.clone(), docs::claims(&dataset)?, dataset.is_demo);
        let api = gateway(functions, control::routes(control, health), &clock)?
            .merge(docs)
            .layer(from_fn_with_state(aws, aws::beside));
        servers.spawn(serve(listener, api.layer(from_fn(guard::loopback_only)), stop.clone()));
        let zone = environment.book()?.zone;
        Jobs { schedules, zone, has_schedules, has_live_rates }.begin(&dataset, &servers, &stop).await?;
        servers.close();
        Ok(Self {
            address,
            dynamodb_address,
            environment,
            config,
            custody,
            rates,
            sandbox,
            issuer,
            clock,
            servers,
            stop: stop.drop_guard(),
        })
    }

    /// The API's base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The embedded DynamoDB's URL.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        format!("http://{}", self.dynamodb_address)
    }

    /// A token with these claims, the standard ones filled in.
    pub fn token(&self, claims: Map<String, Value>) -> Result<String, IssuerError> {
        self.issuer.sign(claims, Map::new(), self.clock.now())
    }

    /// A store over the same tables, for tests that look behind the API.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(&self.config.store, self.clock.clone())
    }

    /// The clock that everything here goes by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The environment variables that make a function's own process part of this stack.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.environment.variables().map(owned).collect()
    }

    /// The configuration of the custody functions.
    #[must_use]
    pub const fn custody_config(&self) -> &CustodyConfig {
        &self.custody
    }

    /// The configuration of the rate feed.
    #[must_use]
    pub const fn rates_config(&self) -> &RatesConfig {
        &self.rates
    }

    /// The sandbox of the custody provider.
    #[must_use]
    pub const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The configuration of the functions.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Stops taking requests and waits for those under way, though not for a client that never ends its own.
    pub async fn stop(self) {
        drop(self.stop);
        if timeout(STOP_TIMEOUT, self.servers.wait()).await.is_err() {
            tracing::warn!("connections were still open when the local stack stopped");
        }
    }
}

/// Every function's routes by its binary's name, warmed as Lambda warms them.
async fn functions(
    config: &Config,
    custody: &CustodyConfig,
    age_limits: AgeLimits,
    clock: &Clock,
) -> Result<HashMap<&'static str, Router>, String> {
    let unified_balance = unified_balance::App::new(config, age_limits, clock.clone());
    let merchant_balances = merchant_balances::App::new(config, age_limits, clock.clone());
    let custody_balances = custody_balances::App::new(config, custody, age_limits, clock.clone())?;
    tokio::join!(unified_balance.warm(), merchant_balances.warm(), custody_balances.warm());
    Ok(HashMap::from([
        ("unified-balance", unified_balance::routes(unified_balance)),
        ("merchant-balances", merchant_balances::routes(merchant_balances)),
        ("custody-balances", custody_balances::routes(custody_balances)),
    ]))
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    if let Err(cause) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%cause, "a server of the local stack stopped");
    }
}
