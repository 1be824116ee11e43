//! The order service: owns the orders and their part of the saga.
//!
//! ```text
//! order.create.queue ───────────┐
//! order.cancel-requested.queue ─┤
//! order.payment-result.queue ───┼→ handlers → domain (pure) → store → outbox → order.created, order.cancelled
//! order.payment-timeline.queue ─┤
//! deadline ─────────────────────┘
//! http: GET /orders… → store
//!       …/idempotency-keys → idempotency → store
//!       GET /overview → overview → store (what samples counted)
//!       GET /changes → changes → store (what became visible)
//!       GET /search, …/diagnosis → store, for operators
//!       POST /audit-records → audit → store (a chain), GET reads it
//!       …/books… → books → store (records for the gateway that compares, and its state)
//! ```

mod audit;
mod books;
mod changes;
pub mod config;
mod deadline;
mod diagnosis;
pub mod domain;
mod handlers;
mod http;
mod idempotency;
mod outcomes;
mod overview;
mod pending;
mod samples;
mod search;
mod store;

use std::sync::Arc;

use chassis::database::{Connections, Schema};
use chassis::overview::WaitingNow;
use chassis::participant::{Participant, RunningService};
use chassis::program::{Lifecycle, StartError};
use contracts::topology::Service;
use sqlx::migrate::Migrator;

use crate::audit::AuditHead;
use crate::changes::Changes;
use crate::config::Config;
use crate::handlers::Orders;
use crate::samples::OrderCounts;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/order");
const GRANTS: &str = include_str!("../../../migrations/order/grants.sql");

/// Connections that look for what changes: one task does, one look after the other. It has its own, so that neither queries nor the
/// saga can keep it waiting, nor it them; a second for the gauge of pending orders, and a third, should one lead to a host that
/// has vanished.
const LOOKING_CONNECTIONS: u32 = 3;

/// Starts the service.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    outcomes::start();
    let looking = config
        .participant
        .database
        .small_pool("changes", LOOKING_CONNECTIONS)
        .map_err(|error| StartError::Config(error.to_string()))?;
    let changes = Arc::new(Changes::default());
    let told = changes::routes(Arc::clone(&changes), lifecycle.shutdown.clone());
    let audit_head = AuditHead::default();
    let stored = audit_head.clone();
    let order = Participant {
        service: Service::Order,
        schema: Schema { migrations: &MIGRATIONS, grants: GRANTS },
        aggregate: Orders {
            saga_timeout: config.saga_timeout,
            default_owner: config.participant.default_owner.clone(),
            changes: Arc::clone(&changes),
        },
        routes: |queries: Connections, waiting: WaitingNow| {
            let audit = audit::routes(queries.pool().clone(), stored);
            let overview = overview::routes(queries.clone(), waiting, config.saga_timeout);
            let books = books::routes(queries.clone(), config.saga_timeout);
            http::routes(queries, config.saga_timeout).merge(audit).merge(books).merge(told).merge(overview)
        },
        stages: Vec::new(),
        tasks: |running: RunningService<Orders>| {
            let intake = &running.lifecycle.intake;
            pending::start(&looking, intake);
            running.sample::<OrderCounts>();
            intake.spawn(changes::adopt(looking.clone(), intake.stopping()));
            intake.spawn_essential("changes", changes.run(looking, intake.stopping()));
            audit_head.start(running.applier.pool().clone(), &running.lifecycle.delivery);
            deadline::start(config.saga_timeout, running);
        },
    };
    order.start(config.participant, lifecycle).await
}
