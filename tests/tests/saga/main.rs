//! The saga from outside: the real services against real RabbitMQ and PostgreSQL.
//!
//! One module an area of the contract. Each test starts a stack of its own.

mod access;
mod audit_chain;
mod audit_records;
mod auditor;
mod backlog;
mod budget;
mod cancellation;
mod compose;
mod connections;
mod correlation;
mod dead_letters;
mod deadline;
mod delivery;
mod demo;
mod documentation;
mod early_answers;
mod failed_messages;
mod idempotency;
mod isolation;
mod least_privilege;
mod load;
mod messages;
mod money;
mod nestjs;
mod newer_version;
mod operations;
mod orders;
mod outages;
mod outcomes;
mod ownership;
mod pages;
mod payments;
mod privacy;
mod provider_outage;
mod publishers;
mod refunds;
mod requests;
mod retention;
mod shares;
mod shutdown;
mod timeline;
mod tracing;
mod transport;
mod waiting;
