//! The system from outside: real HTTP on the local stack with its embedded DynamoDB, a stack of its own for every test.

mod architecture;
mod balance;
mod balance_as_of;
mod balance_parameters;
mod balance_properties;
mod credentials;
mod faults;
mod harness;
mod keys;
mod lambda_events;
mod local_stack;
mod rate_limit;
mod record;
mod replies;
