//! The saga from outside: the real services against real RabbitMQ and PostgreSQL.
//!
//! One module an area of the contract. Each test starts a stack of its own.

mod access;
mod cancellation;
mod correlation;
mod dead_letters;
mod delivery;
mod documentation;
mod idempotency;
mod load;
mod messages;
mod money;
mod operations;
mod orders;
mod outages;
mod outcomes;
mod pages;
mod payments;
mod requests;
mod shutdown;
mod timeline;
mod tracing;
