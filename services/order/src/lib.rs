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
//!       POST /audit-records → audit → store (a chain)
//! ```

mod audit;
pub mod config;
mod deadline;
pub mod domain;
mod handlers;
mod http;
mod idempotency;
mod outcomes;
mod pending;
mod settlement;
mod store;

use std::sync::Arc;

use chassis::database::{Connections, Schema};
use chassis::participant::{Participant, RunningService};
use chassis::program::{Lifecycle, StartError};
use contracts::topology::Service;
use sqlx::migrate::Migrator;

use crate::audit::AuditHead;
use crate::config::Config;
use crate::handlers::Orders;
use crate::settlement::Settlements;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/order");
const GRANTS: &str = include_str!("../../../migrations/order/grants.sql");

/// Connections that look for settled orders: one task does, one look after the other. It has its own, so that neither queries
/// nor the saga can keep it waiting, nor it them; and a second, should one lead to a host that has vanished.
const SETTLEMENT_CONNECTIONS: u32 = 2;

/// Starts the service.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    outcomes::start();
    let looking = config
        .participant
        .database
        .small_pool("settlements", SETTLEMENT_CONNECTIONS)
        .map_err(|error| StartError::Config(error.to_string()))?;
    let settlements = Arc::new(Settlements::default());
    let waiters = Arc::clone(&settlements);
    let audit_head = AuditHead::default();
    let stored = audit_head.clone();
    let order = Participant {
        service: Service::Order,
        schema: Schema { migrations: &MIGRATIONS, grants: GRANTS },
        aggregate: Orders {
            saga_timeout: config.saga_timeout,
            default_owner: config.participant.default_owner.clone(),
            settlements: Arc::clone(&settlements),
        },
        routes: |queries: Connections| {
            let audit = audit::routes(queries.pool().clone(), stored);
            http::routes(queries, waiters).merge(audit)
        },
        stages: Vec::new(),
        tasks: |running: RunningService<Orders>| {
            let intake = &running.lifecycle.intake;
            pending::start(&looking, intake);
            intake.spawn_essential("settlements", settlements.run(looking, intake.stopping()));
            audit_head.start(running.applier.pool().clone(), &running.lifecycle.delivery);
            deadline::start(config.saga_timeout, running);
        },
    };
    order.start(config.participant, lifecycle).await
}
