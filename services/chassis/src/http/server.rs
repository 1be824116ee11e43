//! The loop that accepts connections, and their orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{info, warn};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::body::Limits;
use super::connection::Connections;
use super::exchange::{Exchange, Identify};
use super::listener::listen;
use super::{Caller, HttpConfig, Routes, endpoints};
use crate::health::Health;
use crate::open_files;
use crate::tasks::Tasks;

/// The address could not be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// How long to wait before the next connection is accepted, after one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Files that are none of the server's connections: to the broker, the database, other services, the log.
const OTHER_FILES: usize = 512;

type Wrap = Box<dyn FnOnce(BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)>>;

/// A bound listener that waits to be given its routes.
pub struct Server {
    listener: TcpListener,
    config: HttpConfig,
    identify: Identify,
    wrap: Wrap,
}

impl Server {
    /// Takes the port.
    pub fn bind(config: HttpConfig) -> Result<Self, BindError> {
        match listen(config.address) {
            Ok(listener) => {
                let (identify, wrap): (Identify, Wrap) = (Arc::new(|_| None), Box::new(|routes| routes));
                Ok(Self { listener, config, identify, wrap })
            }
            Err(source) => Err(BindError { address: config.address, source }),
        }
    }

    /// Finds out who sent a request from its headers, once; filters and handlers read the [`Caller`].
    #[must_use]
    pub fn identify(
        mut self,
        identify: impl Fn(&HeaderMap) -> Option<Caller> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Arc::new(identify);
        self
    }

    /// Puts filters around all routes, and around the answers 404 and 405.
    #[must_use]
    pub fn wrap(
        mut self,
        wrap: impl FnOnce(BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> + 'static,
    ) -> Self {
        self.wrap = Box::new(wrap);
        self
    }

    /// Answers requests until the tasks stop; then finishes the requests in flight and closes every connection.
    /// Besides `routes` there are `/health/live` and `/health/ready`.
    pub fn serve(self, routes: Routes, health: Health, tasks: &Tasks) {
        let Self { listener, config, identify, wrap } = self;
        info!(address = %listener.local_addr().unwrap_or(config.address), "listening");
        let routes = routes.merge(endpoints::health(health.clone()));
        let filter = wrap(routes.filter());
        let bodies = Limits::new(config.max_body, config.body_timeout);
        let exchange = Exchange { routes, filter, identify, config, bodies, health };
        tasks.spawn_essential("http", accept(listener, exchange, tasks.clone()));
    }
}

async fn accept(listener: TcpListener, exchange: Exchange, tasks: Tasks) {
    let stopping = tasks.stopping();
    let places = Arc::new(Semaphore::new(most_connections(exchange.config.max_connections)));
    let connections = Arc::new(Connections::new(exchange, stopping.clone()));
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        let (Ok(place), Ok((stream, peer))) = accepted else {
            // Out of memory, or the client went away before it was accepted: neither ends the service.
            if !failing {
                warn!(error = ?accepted.1.err(), "connections can't be accepted; trying again");
            }
            failing = true;
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        failing = false;
        // Responses are small and clients wait for them. If it can't be set, they only come a little later.
        stream.set_nodelay(true).ok();
        let connections = Arc::clone(&connections);
        tasks.spawn(async move {
            connections.serve(stream, peer).await;
            drop(place);
        });
    }
}

/// The configured number, or what the limit of open files leaves room for.
fn most_connections(configured: usize) -> usize {
    let limit = open_files::limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let room = limit.saturating_sub(OTHER_FILES).max(1);
    if room < configured {
        warn!(configured, room, "the limit of open files (LimitNOFILE) has no room for MAX_CONNECTIONS");
    }
    configured.min(room)
}
