//! The listening socket.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// What the kernel keeps for a client that does not read yet, in bytes (Linux reserves twice as much, for its own
/// overhead). A page of a hundred orders fits, so a response leaves this process at once, whether or not it is read. Left to
/// itself the kernel takes up to 4 MiB for each connection.
pub(super) const SEND_BUFFER: u32 = 64 * 1024;

/// What the kernel keeps of what a client has sent and this process has not read yet, in bytes (Linux: twice as much).
const RECEIVE_BUFFER: u32 = 32 * 1024;

/// How many connections may wait to be accepted. `net.core.somaxconn` limits it too.
const BACKLOG: u32 = 4096;

/// How long a client may not acknowledge what was sent to it, in milliseconds. One whose host or network is gone would keep its
/// connection, and its place among the streams, for a quarter of an hour.
const USER_TIMEOUT: u32 = 30_000;

/// Listens on an address. Connections inherit the buffers and the timeout.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A service that is started again must not wait for the connections of its predecessor to time out.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    rustix::net::sockopt::set_tcp_user_timeout(&socket, USER_TIMEOUT)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
