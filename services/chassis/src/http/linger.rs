//! The end of a connection whose client is still sending (RFC 9112 §9.6).
//!
//! If a socket is closed while there is something to read, the kernel resets the connection, and the client may lose the
//! response that explains why. So what still comes is read and thrown away, for a while.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

/// How much is thrown away, in bytes. A client that sends more did not come for the response.
const MOST_DISCARDED: usize = 4 * 1024 * 1024;

/// How long it takes at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Throws away what the client still sends, until it closes too. The other direction is closed already.
pub(super) async fn linger(stream: &TcpStream) {
    // Too long is as good as closed.
    timeout(LONGEST, discard(stream)).await.ok();
}

async fn discard(stream: &TcpStream) {
    let mut discarded = 0;
    while discarded < MOST_DISCARDED && stream.readable().await.is_ok() {
        match discard_some(stream) {
            Ok(0) => return,
            Ok(count) => {
                discarded += count;
                // Those who send fast must not keep the requests of others from being handled.
                yield_now().await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// The buffer is on the stack of the thread and not in the task, so that there is one for each thread and not for each
/// client.
fn discard_some(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; 16 * 1024])
}
