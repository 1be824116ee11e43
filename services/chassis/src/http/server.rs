//! The loop that accepts connections, and their orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::exchange::{Exchange, Identify};
use super::{Caller, HttpConfig, Routes, endpoints};
use crate::health::Health;
use crate::tasks::Tasks;

/// The address could not be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

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
    pub async fn bind(config: HttpConfig) -> Result<Self, BindError> {
        match TcpListener::bind(config.address).await {
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
        let exchange = Arc::new(Exchange { routes, filter, identify, config, health });
        tasks.spawn_essential("http", accept(listener, exchange, tasks.clone()));
    }
}

async fn accept(listener: TcpListener, exchange: Arc<Exchange>, tasks: Tasks) {
    let HttpConfig { max_connections, header_timeout, .. } = exchange.config;
    let stopping = tasks.stopping();
    let connections = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            accepted = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
        };
        let (Ok(permit), Ok((stream, peer))) = accepted else {
            // Out of file descriptors, or the client went away before it was accepted: neither ends the service.
            warn!(error = ?accepted.1.err(), "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Responses are small and clients wait for them. If it can't be set, they only come a little later.
        stream.set_nodelay(true).ok();
        let exchange = Arc::clone(&exchange);
        let service = service_fn(move |request| {
            let exchange = Arc::clone(&exchange);
            async move { Ok::<_, Infallible>(exchange.answer(request, peer).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                // The client went away or was too slow: no error of this service.
                debug!(%peer, %error, "the connection of a client ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
