//! HTTP byte by byte, for what a well-behaved client never sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::TIMEOUT;

/// Sends bytes and returns everything that comes back until the other side closes. The request should have
/// `Connection: close`.
pub async fn exchange(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request).await.expect("it takes the request");
    rest(stream).await
}

/// Everything that still comes until the other side closes.
pub async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await;
    read.expect("the connection is closed in time").expect("the answer can be read");
    String::from_utf8_lossy(&answer).into_owned()
}
