//! An order service that can't tell what changes, as one of an older version: a proxy in front of ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// The proxy, until it is dropped.
pub struct MuteOrderService {
    address: SocketAddr,
    was_asked: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl MuteOrderService {
    /// Starts it in front of the service at this address.
    pub async fn start(order: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let was_asked = Arc::new(AtomicBool::new(false));
        let (asked, mut tasks) = (Arc::clone(&was_asked), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, order, Arc::clone(&asked)));
            }
        });
        Self { address, was_asked, _tasks: tasks }
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it was asked what changes.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }
}

/// The head of each request arrives as one: the gateway sends it so, and waits for the answer before the next.
async fn forward(mut client: TcpStream, order: SocketAddr, was_asked: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(order).await.expect("the order service listens");
    let (mut request, mut response) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let passed_on = tokio::select! {
            Ok(length @ 1..) = client.read(&mut request) => {
                if request.starts_with(b"GET /changes ") {
                    was_asked.store(true, Ordering::Relaxed);
                    client.write_all(NOT_FOUND).await
                } else {
                    server.write_all(&request[..length]).await
                }
            }
            Ok(length @ 1..) = server.read(&mut response) => client.write_all(&response[..length]).await,
            else => return,
        };
        if passed_on.is_err() {
            return;
        }
    }
}
