//! The gateway: the only door to paysaga.
//!
//! ```text
//! POST, PATCH → access → commands → publisher (confirmed) → 202
//! GET         → access → queries  → upstream (order, payment over HTTP) → 200
//! ```
//!
//! It owns no state. What it answers 202 to is on the broker's disk.

mod access;
mod admin;
mod commands;
mod complaint;
pub mod config;
mod cors;
mod http;
mod idempotency;
mod preference;
mod queries;
mod upstream;

use chassis::broker::{Broker, Publisher};
use chassis::http::Server;
use chassis::program::{Lifecycle, StartError};
use contracts::topology::Service;

use crate::access::Access;
use crate::admin::Admin;
use crate::commands::Commands;
use crate::config::Config;
use crate::queries::Queries;
use crate::upstream::Upstream;

/// Starts the gateway's tasks.
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    let Lifecycle { health, intake, connections, .. } = lifecycle;
    let server = Server::bind(config.http).await?;
    let upstream_error =
        |error: reqwest::Error| StartError::Config(format!("no HTTPS to the other services: {error:?}"));
    let timeout = config.request_timeout;
    let order = Upstream::new("order", config.order_url, timeout).map_err(upstream_error)?;
    let payment = Upstream::new("payment", config.payment_url, timeout).map_err(upstream_error)?;

    let broker = Broker::start(Service::Gateway, config.broker.clone(), &health, &connections);
    let publisher = Publisher::start(broker, config.broker.publish_timeout(), &connections);
    let access = Access::new(config.access, config.operators);
    access.reload_on_hangup(&intake);
    let routes = http::routes(
        access.clone(),
        Admin::new(access, order.clone(), payment.clone()),
        Commands::new(publisher, order.clone()),
        Queries::new(order, payment),
        config.cors.as_ref(),
        health.clone(),
    );
    server.serve(routes, http::ROUTES, health, &intake);
    Ok(())
}
