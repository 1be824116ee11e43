//! The order service: owns the orders and their part of the saga.
//!
//! ```text
//! order.create.queue ─┐
//! order.cancel-requested.queue ─┤
//! order.payment-result.queue ─┼→ handlers → domain (pure) → store → outbox → order.created, order.cancelled
//! order.payment-timeline.queue ─┘
//! http: GET /orders…  → queries
//! ```

pub mod config;
mod deadline;
pub mod domain;
mod handlers;
mod http;
mod queries;
mod store;

use std::sync::Arc;

use chassis::broker::{Broker, Publisher};
use chassis::http::Server;
use chassis::outbox::Outbox;
use chassis::service::{Lifecycle, StartError};
use chassis::{consumer, database, failed_messages};
use contracts::topology::{Queue, Service};
use sqlx::migrate::Migrator;
use strum::VariantArray;

use crate::config::Config;
use crate::handlers::SagaHandler;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/order");

/// The service's name, for logs and the database.
const NAME: &str = "order";

/// Connections that the outbox needs beside the pool: two relays, the sweeper, the gauge.
const OUTBOX_CONNECTIONS: u32 = 4;

/// Starts the service's tasks.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    let Lifecycle { health, intake, work: _, delivery, connections, shutdown, migrate_only } = lifecycle;
    let database_error = |error: sqlx::Error| StartError::Config(error.to_string());
    let pool = config.database.pool(NAME).map_err(database_error)?;
    let relaxed = config.database.relaxed_pool(NAME, OUTBOX_CONNECTIONS).map_err(database_error)?;

    if !migrate_only {
        let server = Server::bind(config.http).await?;
        server.serve(http::routes(pool.clone()), health.clone(), &intake);
    }
    let schema = health.part("schema");
    database::migrate(&config.database, NAME, &MIGRATIONS, &schema, &shutdown).await?;
    schema.up();
    if migrate_only || shutdown.is_cancelled() {
        return Ok(());
    }

    database::watch(pool.clone(), &health, &connections);
    let broker = Broker::start(Service::Order, config.broker.clone(), &health, &connections);
    let publisher = Publisher::start(broker.clone(), config.broker.publish_timeout(), &connections);
    let outbox = Outbox::start(pool, relaxed, publisher, &delivery);
    let handler = Arc::new(SagaHandler);
    for &queue in Queue::VARIANTS.iter().filter(|queue| queue.consumer() == Service::Order) {
        consumer::start(
            queue,
            Arc::clone(&handler),
            broker.clone(),
            outbox.clone(),
            config.consumer,
            &health,
            &intake,
        );
    }
    deadline::start(config.saga_timeout, outbox.clone(), &health, &intake);
    failed_messages::start(Service::Order, handler, &broker, &outbox, &health, &intake);
    Ok(())
}
