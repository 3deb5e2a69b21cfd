//! The crate that every Ballast function is made of, in layers: `http` over `custody`, `rates` and `auth`
//! over `store` over `query` over `domain`.
//!
//! Arrows only point down: a module here never names one above it, and the test crate reads the `use` lines
//! and holds that. It deliberately knows no route and no deployment; those live in `functions` and `infra`.

pub mod asset_row;
pub mod auth;
pub mod balance;
pub mod clock;
pub mod config;
pub mod cost;
pub mod custody;
pub mod domain;
pub mod entries;
pub mod http;
pub mod outgoing;
pub mod query;
pub mod rates;
pub mod secret;
pub mod store;
pub mod telemetry;
