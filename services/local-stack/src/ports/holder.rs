//! Which process listens on a port.

use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process, all_processes};

/// The process that listens on a TCP port of this machine, as `name (process id)`; `None` if it can't be learned,
/// usually because it is another user's.
pub(crate) fn of(port: u16) -> Option<String> {
    let holder = process(port)?;
    Some(format!("{} (process {})", holder.stat().ok()?.comm, holder.pid()))
}

/// The process that listens on a TCP port of this machine; `None` if it can't be learned.
#[must_use]
pub fn process(port: u16) -> Option<Process> {
    let sockets = [tcp(), tcp6()].into_iter().flatten().flatten();
    let listening: Vec<u64> = sockets
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port)
        .map(|socket| socket.inode)
        .collect();
    all_processes().ok()?.flatten().find(|process| has_one_of(process, &listening))
}

fn has_one_of(process: &Process, sockets: &[u64]) -> bool {
    process.fd().is_ok_and(|descriptors| {
        descriptors.flatten().any(
            |descriptor| matches!(descriptor.target, FDTarget::Socket(inode) if sockets.contains(&inode)),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn our_own_listener_is_found_and_named_and_a_connection_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = TcpStream::connect(address).unwrap();
        let holder = of(address.port()).unwrap();
        assert!(holder.ends_with(&format!("(process {})", std::process::id())), "{holder}");
        assert_eq!(of(connection.local_addr().unwrap().port()), None);
    }
}
