//! The loop that accepts connections, and their orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

use super::exchange::Exchange;
use super::{HttpConfig, RouteTable};
use crate::health::Health;
use crate::tasks::Tasks;

/// The address could not be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// A bound listener that waits to be given its routes.
pub struct Server {
    listener: TcpListener,
    config: HttpConfig,
}

impl Server {
    /// Takes the port.
    pub async fn bind(config: HttpConfig) -> Result<Self, BindError> {
        match TcpListener::bind(config.address).await {
            Ok(listener) => Ok(Self { listener, config }),
            Err(source) => Err(BindError { address: config.address, source }),
        }
    }

    /// Answers requests until the tasks stop; then finishes the requests in flight and closes every connection.
    pub fn serve(
        self,
        routes: BoxedFilter<(Response,)>,
        tables: &'static [RouteTable],
        health: Health,
        tasks: &Tasks,
    ) {
        info!(address = %self.listener.local_addr().unwrap_or(self.config.address), "listening");
        let exchange = Arc::new(Exchange::new(routes, tables, &self.config, health));
        tasks.spawn_essential("http", accept(self.listener, self.config, exchange, tasks.clone()));
    }
}

async fn accept(listener: TcpListener, config: HttpConfig, exchange: Arc<Exchange>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let connections = Arc::new(Semaphore::new(config.max_connections));
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
        // Answers are small and clients wait for them; without it they only come a little later.
        stream.set_nodelay(true).ok();
        let exchange = Arc::clone(&exchange);
        let service = service_fn(move |request| {
            let exchange = Arc::clone(&exchange);
            async move { Ok::<_, Infallible>(exchange.answer(request, peer).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                // A client that goes away or is too slow is the client's business.
                debug!(%peer, error = %error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
