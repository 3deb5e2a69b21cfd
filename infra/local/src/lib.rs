//! The whole of Ballast in one process: the deployed routes over an embedded DynamoDB, on loopback only.
//!
//! Tables and routes are read from the SAM templates, and requests run the same code that Lambda runs. What
//! exists only here (a token issuer, control endpoints, demo data) is in this crate and nowhere else.

mod aws;
mod control;
pub mod dataset;
mod docs;
mod dynamodb;
mod environment;
pub mod examples;
mod gateway;
pub mod greeting;
mod guard;
pub mod issuer;
mod jobs;
mod market;
mod refusal;
pub mod sandbox;
mod schedules;
mod stack;
pub mod state;
mod tables;
pub mod template;

pub use dataset::Dataset;
pub use stack::{Options, Stack, StartError};
