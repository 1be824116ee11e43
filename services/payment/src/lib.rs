//! The payment service: owns the payments and their part of the saga.
//!
//! ```text
//! payment.order-created.queue ───┐
//! payment.order-cancelled.queue ─┴→ handlers → domain (pure) → store → outbox → payment.approved, …
//!                                      ↑ answers    ↓ due steps
//!                                       collection ⇄ provider
//! http: GET /payments… → store
//!       GET /overview → overview → store (what samples counted)
//!       …/books… → books → store (records for the gateway that compares)
//!       GET /search, …/diagnosis → store, for operators
//!       POST /refunds…, …/ask-now → decisions → domain → store
//! ```

mod ask_now;
mod books;
mod collection;
pub mod config;
mod decisions;
mod diagnosis;
pub mod domain;
mod handlers;
mod http;
mod outcomes;
mod overview;
pub mod provider;
mod refunds;
mod samples;
mod search;
mod store;

use std::sync::Arc;

use chassis::database::{Connections, Schema};
use chassis::load::Stage;
use chassis::overview::WaitingNow;
use chassis::participant::{Participant, RunningService};
use chassis::program::{Lifecycle, StartError};
use contracts::topology::Service;
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use crate::collection::ProviderCalls;
use crate::config::Config;
use crate::decisions::Decisions;
use crate::handlers::Payments;
use crate::provider::Simulator;
use crate::samples::PaymentCounts;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/payment");
const GRANTS: &str = include_str!("../../../migrations/payment/grants.sql");

/// Connections to the simulated provider's books.
const SIMULATOR_CONNECTIONS: u32 = 8;

/// Starts the service.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    outcomes::start();
    let Config { participant, collection, simulator } = config;
    let books = participant
        .database
        .small_pool("provider simulator", SIMULATOR_CONNECTIONS)
        .map_err(|error| StartError::Config(error.to_string()))?;
    let provider = Simulator::new(simulator, books, lifecycle.connections.clone());
    let (calls, begun) = ProviderCalls::new(&collection);
    let waiting_steps = Stage::default();
    let (decisions, decided) = Decisions::channel();
    let called = calls.clone();
    let payment = Participant {
        service: Service::Payment,
        schema: Schema { migrations: &MIGRATIONS, grants: GRANTS },
        aggregate: Payments {
            charge_transit: collection.charge_transit(),
            steps_due: Arc::new(Notify::new()),
            calls,
            default_owner: participant.default_owner.clone(),
        },
        routes: |queries: Connections, waiting: WaitingNow| {
            http::routes(queries.clone())
                .merge(overview::routes(queries.clone(), waiting))
                .merge(books::routes(queries.clone()))
                .merge(search::routes(queries.clone()))
                .merge(diagnosis::routes(queries.clone(), called.clone()))
                .merge(ask_now::routes(queries.clone(), decisions.clone(), called))
                .merge(refunds::routes(queries, decisions))
        },
        stages: vec![waiting_steps.clone()],
        tasks: |running: RunningService<Payments>| {
            decisions::start(decided, &running);
            refunds::start(&running);
            running.sample::<PaymentCounts>();
            collection::start(provider, &collection, begun, waiting_steps, running);
        },
    };
    payment.start(participant, lifecycle).await
}
