//! The order service: owns the orders and their part of the saga.
//!
//! ```text
//! order.create.queue ───────────┐
//! order.cancel-requested.queue ─┤
//! order.payment-result.queue ───┼→ handlers → domain (pure) → store → outbox → order.created, order.cancelled
//! order.payment-timeline.queue ─┤
//! deadline ─────────────────────┘
//! http: GET /orders… → store
//! ```

pub mod config;
mod deadline;
pub mod domain;
mod handlers;
mod http;
mod store;

use chassis::participant::Participant;
use chassis::program::{Lifecycle, StartError};
use contracts::topology::Service;
use sqlx::migrate::Migrator;

use crate::config::Config;
use crate::handlers::Orders;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/order");

/// Starts the service.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    let order = Participant {
        service: Service::Order,
        migrations: &MIGRATIONS,
        aggregate: Orders,
        routes: http::routes,
        tasks: |running| deadline::start(config.saga_timeout, running),
    };
    order.start(config.participant, lifecycle).await
}
