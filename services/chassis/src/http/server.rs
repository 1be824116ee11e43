//! The loop that accepts connections, and their orderly end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::addresses::Addresses;
use super::body::Limits;
use super::connection::Connections;
use super::exchange::{Exchange, Identify};
use super::listener::listen;
use super::{Caller, HttpConfig, Routes, Unidentified, management};
use crate::health::Health;
use crate::open_files;
use crate::tasks::Tasks;
use crate::transport::{Current, TlsServer};

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

/// Bound listeners that wait to be given their routes: one for clients, one for probes and scrapers.
pub struct Server {
    listener: TcpListener,
    management: TcpListener,
    config: HttpConfig,
    tls: Option<TlsServer>,
    identify: Option<Identify>,
    wrap: Wrap,
}

impl Server {
    /// Takes the ports.
    pub fn bind(config: HttpConfig) -> Result<Self, BindError> {
        let bind = |address| listen(address).map_err(|source| BindError { address, source });
        let (listener, management) = (bind(config.address)?, bind(config.management_address)?);
        Ok(Self { listener, management, config, tls: None, identify: None, wrap: Box::new(|routes| routes) })
    }

    /// Speaks TLS with clients, if it is told how. Probes and scrapers get no secrets, and need none.
    #[must_use]
    pub fn tls(mut self, tls: Option<TlsServer>) -> Self {
        self.tls = tls;
        self
    }

    /// Finds out who sent a request from its path, its headers and the address that it came from, once; filters and handlers read the
    /// [`Caller`], or why it is [`Unidentified`].
    #[must_use]
    pub fn identify(
        mut self,
        identify: impl Fn(&str, &HeaderMap, IpAddr) -> Result<Caller, Unidentified> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(identify));
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

    /// Answers clients until `intake` stops; then finishes the requests in flight and closes every connection. Health and
    /// metrics are answered on the management listener until `connections` stop, so that the drain can be watched.
    pub fn serve(self, routes: Routes, health: &Health, intake: &Tasks, connections: &Tasks) {
        let Self { listener, management, config, tls, identify, wrap } = self;
        let tls = tls.map(|tls| tls.follow(intake));
        info!(
            address = %listener.local_addr().unwrap_or(config.address),
            management_address = %management.local_addr().unwrap_or(config.management_address),
            tls = tls.is_some(),
            "listening"
        );
        let exchange = |routes: Routes, filter, identify, config: HttpConfig| {
            let bodies = Limits::new(config.max_body, config.body_timeout);
            Exchange { routes, filter, identify, config, bodies, health: health.clone() }
        };
        let endpoints = management::routes(health.clone());
        let filter = endpoints.filter();
        let endpoints = exchange(endpoints, filter, None, config.of_management());
        connections.spawn_essential("management", accept(management, endpoints, None, connections.clone()));
        let filter = wrap(routes.filter());
        let routes = exchange(routes, filter, identify, config);
        intake.spawn_essential("http", accept(listener, routes, tls, intake.clone()));
    }
}

async fn accept(listener: TcpListener, exchange: Exchange, tls: Option<Current<ServerConfig>>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let places = Arc::new(Semaphore::new(most_connections(exchange.config.max_connections)));
    let addresses = exchange.config.per_address.clone().map(Addresses::new);
    let connections = Arc::new(Connections::new(exchange, tls, stopping.clone()));
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
        let Ok(of_address) = addresses.as_ref().map(|addresses| addresses.enter(peer.ip())).transpose()
        else {
            debug!(%peer, "a connection was closed: its address has too many");
            continue;
        };
        // Responses are small and clients wait for them. If it can't be set, they only come a little later.
        stream.set_nodelay(true).ok();
        let connections = Arc::clone(&connections);
        tasks.spawn(async move {
            connections.serve(stream, peer).await;
            drop((place, of_address));
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
