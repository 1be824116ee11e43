//! One client's connection, from its first byte to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::exchange::{BodyUnread, Client, Exchange};
use super::io::Io;
use super::linger::linger;
use super::stream::{Stalls, Stream};
use super::streamed::Lasting;
use super::waiting::Waiting;
use crate::transport::Current;

/// Most bytes of a request's head; more is answered 431. Also the size of a connection's read buffer, of which hyper takes
/// no less than this.
const MAX_HEAD: usize = 8 * 1024;

/// Most headers of a request; more are answered 431.
const MAX_HEADERS: usize = 64;

/// Most clients that may keep the service waiting for a head, the next one of an idle connection included. Each costs hyper's
/// buffers, sixteen kibibytes.
const MOST_BETWEEN_REQUESTS: usize = 2048;

/// What all connections of a server have in common.
pub(super) struct Connections {
    exchange: Arc<Exchange>,
    http: http1::Builder,
    /// How it speaks TLS, if it does.
    tls: Option<Current<ServerConfig>>,
    between_requests: Arc<Waiting>,
    stalls: Arc<Stalls>,
    stopping: CancellationToken,
}

impl Connections {
    pub(super) fn new(
        exchange: Exchange,
        tls: Option<Current<ServerConfig>>,
        stopping: CancellationToken,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(exchange.config.header_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD);
        let stalls = Stalls::new(exchange.config.write_timeout);
        let between_requests = Waiting::new(MOST_BETWEEN_REQUESTS);
        Self { exchange: Arc::new(exchange), http, tls, between_requests, stalls, stopping }
    }

    /// Answers the requests that come on a connection, until the client or the service ends it.
    pub(super) async fn serve(&self, tcp: TcpStream, peer: SocketAddr) {
        // hyper allocates its buffers first of all: a client that sends nothing shall not have any.
        let mut first = [0];
        let first_byte = timeout(self.exchange.config.header_timeout, tcp.peek(&mut first));
        tokio::select! {
            peeked = first_byte => if !matches!(peeked, Ok(Ok(1))) { return },
            () = self.stopping.cancelled() => return,
        }
        let (turn, mut over) = self.between_requests.enter();
        let io = tokio::select! {
            io = self.greet(tcp, peer) => if let Some(io) = io { io } else { return },
            () = self.stopping.cancelled() => return,
            () = &mut over => return,
        };
        let client = Client { address: peer.ip(), certificate: io.client_certificate() };
        let (turn, unread) = (Arc::new(turn), Arc::new(AtomicBool::new(false)));
        let service = service_fn(|request| {
            let (exchange, turn, unread) =
                (Arc::clone(&self.exchange), Arc::clone(&turn), Arc::clone(&unread));
            let client = client.clone();
            // On the heap: hyper would reserve the place for it in each connection, requests or not.
            Box::pin(async move {
                turn.pause();
                let response = exchange.answer(request, client).await;
                // While the response lasts, it is not the client who keeps the service waiting; then the connection ends.
                if response.extensions().get::<Lasting>().is_none() {
                    turn.resume();
                }
                let is_unread = response.extensions().get::<BodyUnread>().is_some();
                unread.store(is_unread, Ordering::Relaxed);
                Ok::<_, Infallible>(response)
            })
        });
        let stream = TokioIo::new(Stream::new(io, Arc::clone(&self.stalls)));
        let mut connection = self.http.serve_connection(stream, service);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => Some(ended),
            () = self.stopping.cancelled() => None,
            () = over => if turn.is_running() { return } else { None },
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            // The request that is being handled is answered, and none after it.
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        };
        let tcp = connection.into_parts().io.into_inner().into_io().into_tcp();
        match ended {
            Ok(()) if unread.load(Ordering::Relaxed) => linger(&tcp).await,
            Ok(()) => {}
            Err(error) => {
                // The client went away, was too slow, or does not speak HTTP: no error of this service.
                debug!(%peer, %error, "the connection of a client ended early");
                if error.is_parse() {
                    linger(&tcp).await;
                }
            }
        }
    }

    /// The connection with TLS, if the server speaks it; `None` if the client does not, or is too slow.
    async fn greet(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Io> {
        let Some(tls) = &self.tls else { return Some(Io::Plain(tcp)) };
        let handshake = TlsAcceptor::from(tls.get()).accept(tcp);
        match timeout(self.exchange.config.header_timeout, handshake).await {
            Ok(Ok(stream)) => Some(Io::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                debug!(%peer, %error, "a client could not agree on TLS");
                None
            }
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::http::Method;
    use tokio::net::TcpListener;

    use super::*;
    use crate::health::Health;
    use crate::http::body::Limits;
    use crate::http::{HttpConfig, Request, Response, Routes, route};

    /// More than the kernel takes for a client that does not read.
    const LARGE: usize = 32 * 1024 * 1024;

    async fn large((): (), _: Request) -> Result<Response, contracts::Problem> {
        Ok(Response::new(vec![b'x'; LARGE].into()))
    }

    /// Serves one connection, with timeouts of this length.
    async fn served(time: Duration) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new((), [route(Method::GET, "/", large)]);
        let config = HttpConfig {
            address,
            management_address: address,
            max_connections: 1,
            per_address: None,
            header_timeout: time,
            body_timeout: time,
            write_timeout: time,
            max_body: 0,
        };
        let exchange = Exchange {
            filter: routes.filter(),
            routes,
            identify: None,
            bodies: Limits::new(config.max_body, time),
            config,
            health: Health::default(),
        };
        let connections = Connections::new(exchange, None, CancellationToken::new());
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let tasks = tokio_util::task::TaskTracker::new();
        tasks.spawn(async move { connections.serve(stream, peer).await });
        client
    }

    /// How much can be read until the connection ends, once nothing can be written any more.
    async fn readable_after_the_end(client: &TcpStream) -> usize {
        let mut read = 0;
        loop {
            client.readable().await.unwrap();
            match client.try_read(&mut vec![0; 64 * 1024]) {
                Ok(0) => return read,
                Ok(count) => read += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return read,
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let client = served(Duration::from_millis(200)).await;
        client.writable().await.unwrap();
        client.try_write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        // Nothing is read until the other side has reset the connection.
        let reset = async {
            while client.take_error().is_ok_and(|error| error.is_none()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), reset).await.expect("it is reset");
        assert!(readable_after_the_end(&client).await < LARGE);
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_is_closed() {
        let client = served(Duration::from_millis(100)).await;
        let read = timeout(Duration::from_secs(30), readable_after_the_end(&client)).await;
        assert_eq!(read.expect("it is closed"), 0);
    }
}
