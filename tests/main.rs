//! The system from outside: real HTTP on the local stack with its embedded DynamoDB, a stack of its own for every test.

mod account_list;
mod account_list_pages;
mod architecture;
mod balance;
mod balance_as_of;
mod balance_parameters;
mod balance_properties;
mod credentials;
mod faults;
mod harness;
mod icons;
mod isolation;
mod keys;
mod lambda_events;
mod local_stack;
mod merchant_balances;
mod rate_limit;
mod record;
mod reference;
mod replies;
