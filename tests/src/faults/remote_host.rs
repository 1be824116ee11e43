//! Another machine, as far as the network can tell: a network namespace at the end of a cable that can be pulled. Packets
//! then go nowhere and nothing is reported: no FIN, no RST, no ICMP. As root only.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpListener;

/// A namespace and its cable. Both are removed when it is dropped.
pub struct RemoteHost {
    /// Of the namespace; the cable's ends are this with `a` (here) and `b` (there).
    name: String,
    address: Ipv4Addr,
}

impl RemoteHost {
    /// Whether this process may make one: a container's root often may not.
    #[must_use]
    pub fn is_possible() -> bool {
        let probe = format!("ps{}probe", std::process::id());
        let netns = |what| Command::new("ip").args(["netns", what, &probe]).output();
        let made = netns("add").is_ok_and(|made| made.status.success());
        // Where it could be made it can be removed.
        made && netns("delete").is_ok()
    }

    /// Makes one, with a cable to it.
    #[must_use]
    pub fn start() -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("ps{process}x{number}");
        // Of the range for benchmarks of networks (RFC 2544); a /30 has two addresses.
        let [.., high, low] = (process.wrapping_mul(64) + u32::from(number) * 4).to_be_bytes();
        let here = Ipv4Addr::new(198, 18, high, (low & 0xfc) + 1);
        let address = Ipv4Addr::new(198, 18, high, (low & 0xfc) + 2);
        let host = Self { name, address };
        let (name, near, far) = (&host.name, host.near_end(), host.far_end());
        // Without a fixed hardware address, that of a host that vanished would be asked for, and its absence reported.
        let hardware = "02:00:00:00:00:02";
        ip(&["netns", "add", name]);
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "address", hardware, "netns", name]);
        ip(&["addr", "add", &format!("{here}/30"), "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        ip(&["-n", name, "addr", "add", &format!("{address}/30"), "dev", &far]);
        ip(&["neigh", "replace", &address.to_string(), "lladdr", hardware, "dev", &near, "nud", "permanent"]);
        host.plug_in();
        host
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A listener of that host, on any free port. What accepts on it runs here.
    #[must_use]
    pub fn listen(&self) -> TcpListener {
        let (name, address) = (self.name.clone(), self.address);
        // A socket stays in the namespace that it was made in; the thread ends.
        let bound = thread::spawn(move || {
            let namespace = File::open(format!("/run/netns/{name}")).expect("the namespace is there");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter it");
            std::net::TcpListener::bind((address, 0)).expect("a port is free")
        });
        let listener = bound.join().expect("it binds");
        listener.set_nonblocking(true).expect("it can be made non-blocking");
        TcpListener::from_std(listener).expect("it can be used")
    }

    /// Pulls the cable.
    pub fn unplug(&self) {
        ip(&["-n", &self.name, "link", "set", &self.far_end(), "down"]);
    }

    /// Puts it in again. Connections of before go on, as far as both ends still know them.
    pub fn plug_in(&self) {
        ip(&["-n", &self.name, "link", "set", &self.far_end(), "up"]);
    }

    fn near_end(&self) -> String {
        format!("{}a", self.name)
    }

    fn far_end(&self) -> String {
        format!("{}b", self.name)
    }
}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        // Its end of the cable goes with it, and so the other.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
