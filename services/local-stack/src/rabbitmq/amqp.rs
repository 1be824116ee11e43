//! The first frames of AMQP 0-9-1, to tell a broker that is ready from a port that is merely open.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Succeeds when a broker at `address` answers the protocol header with `connection.start`
/// (AMQP 0-9-1 §4.2.2 and §2.2.4).
pub(super) async fn greeting(address: SocketAddr) -> io::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    timeout(TIMEOUT, exchange(address)).await?
}

async fn exchange(address: SocketAddr) -> io::Result<()> {
    // Frame type (1: method), channel, length, class and method number.
    let mut frame = [0; 11];
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    stream.read_exact(&mut frame).await?;
    if is_connection_start(frame) {
        Ok(())
    } else {
        Err(io::Error::other("answered, but not with connection.start"))
    }
}

fn is_connection_start(frame: [u8; 11]) -> bool {
    let [kind, _, _, _, _, _, _, class_high, class_low, method_high, method_low] = frame;
    kind == 1 && [class_high, class_low, method_high, method_low] == [0, 10, 0, 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connection_start_counts_as_a_greeting() {
        assert!(is_connection_start([1, 0, 0, 0, 0, 1, 0xf1, 0, 10, 0, 10]));
        // What a broker answers to a protocol it doesn't speak.
        assert!(!is_connection_start(*b"AMQP\x00\x00\x09\x01\x00\x00\x00"));
        assert!(!is_connection_start(*b"HTTP/1.1 40"));
    }
}
