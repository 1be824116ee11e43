//! Which process listens on a port: what to tell somebody whose port is taken.

use std::fs;
use std::path::Path;

use crate::process::table;

/// The process that listens on a TCP port of this machine, as `name (process id)`; `None` if it can't be learned,
/// usually because it is another user's.
pub(crate) fn of(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let (id, holder) = table::list().ok()?.find(|(_, process)| holds(process, &sockets))?;
    let name = fs::read_to_string(holder.join("comm")).ok()?;
    Some(format!("{} (process {id})", name.trim_end()))
}

fn holds(process: &Path, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

/// The inodes of the sockets that listen on `port`, from the text of `/proc/net/tcp` (`proc_pid_net(5)`): columns are
/// number, local address, remote address, state (0A: listening), queues, timer, retransmissions, user, timeout,
/// inode.
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    table
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
            let listens = *columns.get(3)? == "0A" && u16::from_str_radix(local_port, 16) == Ok(port);
            listens.then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listener_is_found_and_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(listener.local_addr().unwrap().port()).unwrap();
        assert!(holder.ends_with(&format!("(process {})", std::process::id())), "{holder}");
    }

    #[test]
    fn a_connection_on_the_port_is_not_a_listener() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0\n   \
            1: 0100007F:0BB8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 0 10 -1\n";
        assert_eq!(listening_sockets(table, 3000), ["111"]);
        assert!(listening_sockets(table, 3001).is_empty());
    }
}
