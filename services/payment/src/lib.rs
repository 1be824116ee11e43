//! The payment service: owns the payments and their part of the saga.
//!
//! ```text
//! payment.order-created.queue ─┐
//! payment.order-cancelled.queue ─┴→ handlers → domain (pure) → store → outbox → payment.approved, …
//!                                                  ↑            ↓ due steps
//!                                             collection ⇄ provider
//! http: GET /payments…  → queries
//! ```

mod collection;
pub mod config;
pub mod domain;
mod handlers;
mod http;
pub mod provider;
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
use tokio::sync::Notify;

use crate::config::Config;
use crate::handlers::SagaHandler;
use crate::provider::Simulator;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/payment");

/// The service's name, for logs and the database.
const NAME: &str = "payment";

/// Connections that the outbox needs beside the pool: two relays, the sweeper, the gauge.
const OUTBOX_CONNECTIONS: u32 = 4;

/// Connections to the simulated provider's books.
const SIMULATOR_CONNECTIONS: u32 = 8;

/// Starts the service's tasks.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    let Lifecycle { health, intake, work, delivery, connections, shutdown, migrate_only } = lifecycle;
    let database_error = |error: sqlx::Error| StartError::Config(error.to_string());
    let pool = config.database.pool(NAME).map_err(database_error)?;
    let relaxed = config.database.relaxed_pool(NAME, OUTBOX_CONNECTIONS).map_err(database_error)?;
    let books =
        config.database.small_pool("provider simulator", SIMULATOR_CONNECTIONS).map_err(database_error)?;

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
    let broker = Broker::start(Service::Payment, config.broker.clone(), &health, &connections);
    let publisher = Publisher::start(broker.clone(), config.broker.publish_timeout(), &connections);
    let outbox = Outbox::start(pool, relaxed, publisher, &delivery);
    let steps_due = Arc::new(Notify::new());
    let handler = Arc::new(SagaHandler { steps_due: Arc::clone(&steps_due) });
    for &queue in Queue::VARIANTS.iter().filter(|queue| queue.consumer() == Service::Payment) {
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
    failed_messages::start(Service::Payment, handler, &broker, &outbox, &health, &intake);
    let provider = Simulator::new(config.simulator, books, connections.clone());
    collection::start(provider, &config.collection, outbox, steps_due, &health, &intake, &work);
    Ok(())
}
