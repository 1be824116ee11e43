//! The gateway: the only door to paysaga.
//!
//! ```text
//! POST, PATCH → access → shares → commands → admission → idempotency → publisher (confirmed) → 202
//! GET         → access → shares → queries  → upstream (order, payment over HTTP) → 200
//!                                 streams  → the same again, whenever changes says so
//!                                 overview → what both services say of themselves
//! books       → upstream (what order and payment have about the same orders) → its state, at the order service
//! GET         → shares → documents (what describes the API; no key) → 200
//! ```
//!
//! It owns no state. What it answers 202 to is on the broker's disk. What the audit is to know goes to the order service.

mod access;
mod admin;
mod admission;
mod api_keys;
mod audit;
mod books;
mod bulkhead;
mod changes;
mod commands;
pub mod config;
mod console;
mod cors;
mod documents;
mod etag;
mod http;
mod idempotency;
mod openapi;
mod outcome;
mod overview;
mod preference;
mod proxies;
mod publish_failures;
mod queries;
mod refusals;
mod shares;
mod streams;
mod upstream;
mod upstream_client;

use std::sync::Arc;

use chassis::broker::{Broker, Publisher, Purpose};
use chassis::http::Server;
use chassis::program::{Lifecycle, StartError};
use chassis::transport::TlsServer;
use contracts::topology::Service;
use tokio_util::sync::CancellationToken;

pub use documents::document_of_http as openapi;

use crate::access::Access;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::changes::Changes;
use crate::config::Config;
use crate::console::Console;
use crate::idempotency::IdempotencyKeys;
use crate::outcome::Places;
use crate::overview::Overviews;
use crate::publish_failures::PublishFailureLog;
use crate::shares::Shares;
use crate::streams::SharedPages;
use crate::upstream::Upstream;

/// What the handlers of the gateway's routes share.
struct Gateway {
    audit: Arc<Audit>,
    admission: Admission,
    publisher: Publisher,
    publish_failures: PublishFailureLog,
    keys: Arc<IdempotencyKeys>,
    shares: Arc<Shares>,
    order: Arc<Upstream>,
    payment: Arc<Upstream>,
    /// What changes at the order service.
    changes: Arc<Changes>,
    /// For those who wait for their order.
    waits: Places,
    /// What streams read of all orders.
    feed: SharedPages,
    access: Arc<Access>,
    console: Arc<Console>,
    /// What operators look at first.
    overviews: Overviews,
    /// Cancelled when the gateway is told to stop.
    stopping: CancellationToken,
}

/// Starts the gateway's tasks.
#[expect(
    clippy::unused_async,
    reason = "a program awaits the start of its service, and this one waits for nothing"
)]
pub async fn start(config: Config, lifecycle: Lifecycle) -> Result<(), StartError> {
    let Lifecycle { health, intake, delivery, connections, shutdown: stopping, .. } = lifecycle;
    let tls = config.https.as_ref().map(TlsServer::to_clients).transpose().map_err(StartError::Config)?;
    let speaks_https = tls.is_some();
    let server = Server::bind(config.http)?.tls(tls);
    let services = [&config.order_url, &config.payment_url];
    let client = upstream_client::client(services, &config.transport, config.service_token, &connections)
        .map_err(|error| StartError::Config(format!("the other services can't be asked: {error}")))?;
    let timeout = config.request_timeout;
    let order = Arc::new(Upstream::new("order", config.order_url, timeout, client.clone()));
    let payment = Arc::new(Upstream::new("payment", config.payment_url, timeout, client));

    let broker =
        Broker::start(Service::Gateway, Purpose::Publishing, config.broker.clone(), &health, &connections);
    let publisher = Publisher::start(broker, config.broker.publish_timeout(), &connections);
    let admission = Admission::start(Arc::clone(&order), Arc::clone(&payment), &intake);
    let publish_failures = PublishFailureLog::default();
    let audit = Audit::start(Arc::clone(&order), &delivery);
    books::start(Arc::clone(&order), Arc::clone(&payment), config.books_full_pass, &intake);
    let shares = Shares::new(config.limits);
    let publish_timeout = config.broker.publish_timeout();
    let (of_keys, waiting) = (Arc::clone(&order), Arc::clone(&shares));
    let keys = IdempotencyKeys::new(of_keys, waiting, publish_timeout, delivery, stopping.clone());
    let changes = Changes::start(Arc::clone(&order), &connections);
    let access = Arc::new(Access::start(config.access, &audit, &intake));
    let console = Arc::new(Console::new(config.console));
    let (identified, visited) = (Arc::clone(&access), Arc::clone(&console));
    let waits = Places::default();
    let feed = streams::start();
    let gateway = Arc::new(Gateway {
        audit,
        admission,
        publisher,
        publish_failures,
        keys,
        shares,
        order,
        payment,
        changes,
        waits,
        feed,
        access,
        console,
        overviews: Overviews::default(),
        stopping,
    });
    let protected = Arc::clone(&gateway);
    server
        .identify(move |path, headers, peer| {
            let from = config.proxies.client(headers, peer);
            if Console::has(path) {
                visited.caller(&identified, headers, from)
            } else {
                identified.caller(headers, from)
            }
        })
        .wrap(move |routes| http::protect(&protected, routes, config.cors.as_ref(), speaks_https))
        .serve(http::routes(&gateway), &health, &intake, &connections);
    Ok(())
}
