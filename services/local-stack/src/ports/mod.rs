//! Free TCP ports on the loopback address.

pub mod holder;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use uuid::Uuid;

use crate::error::{Error, failed};

/// A port that was free when it was claimed and that no other `paysaga` takes while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Only its name matters: an abstract socket exists once in a network namespace, as a TCP port does, and
    /// vanishes with its process. So two test runs never race for a port between choosing and listening.
    _claim: UnixListener,
}

/// Every port tried was in use.
#[derive(Debug, thiserror::Error)]
#[error("no free TCP port between {} and {} on 127.0.0.1", .0.start, .0.end - 1)]
pub struct NoFreePort(Range<u16>);

impl Port {
    /// Claims a free port, picked at random.
    pub fn claim() -> Result<Self, NoFreePort> {
        let range = listening_range(
            &fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default(),
        );
        let length = range.end - range.start;
        let start = random_below(length);
        (0..length)
            .map(|step| range.start + (start + step) % length)
            .find_map(Self::claim_number)
            .ok_or(NoFreePort(range))
    }

    /// Claims the port that `file` remembers from the last time, so that addresses stay the same over restarts;
    /// another one, which is then remembered, if it was taken in the meantime.
    pub(crate) fn claim_remembered(file: &Path) -> Result<Self, Error> {
        let remembered = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        if let Some(port) = remembered.and_then(Self::claim_number) {
            return Ok(port);
        }
        let port = Self::claim()?;
        fs::write(file, format!("{}\n", port.number)).map_err(failed("write", file))?;
        Ok(port)
    }

    /// Claims exactly this port; `None` if something listens there or another `paysaga` claimed it.
    pub(crate) fn claim_number(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("paysaga-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        is_free(number).then_some(Self { number, _claim: claim })
    }

    /// The port number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Whether nothing listens on this port of 127.0.0.1 (or on all addresses).
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Ports for servers that must be able to come back on the same port: below the range from which the kernel
/// takes the source ports of outgoing connections. Inside that range a client that keeps retrying against a
/// stopped server is sooner or later given the very port it calls, connects to itself, and keeps it from the
/// server (TCP simultaneous open, RFC 9293 §3.5).
fn listening_range(ip_local_port_range: &str) -> Range<u16> {
    const LOWEST: u16 = 20_000;
    const ENOUGH: u16 = 1_000;
    let mut bounds = ip_local_port_range.split_whitespace().map(str::parse::<u16>);
    match (bounds.next(), bounds.next()) {
        (Some(Ok(low)), Some(Ok(_))) if low >= LOWEST + ENOUGH => LOWEST..low,
        (Some(Ok(_)), Some(Ok(high))) if high < u16::MAX - ENOUGH => high + 1..u16::MAX,
        _ => LOWEST..32_768,
    }
}

/// A number below `limit`; even enough, the bytes of a version 4 UUID are random.
fn random_below(limit: u16) -> u16 {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    u16::from_be_bytes([high, low]) % limit
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn servers_stay_out_of_the_kernels_range_of_source_ports() {
        assert_eq!(listening_range("32768\t60999\n"), 20_000..32_768);
        assert_eq!(listening_range("1024 50000"), 50_001..65_535);
        assert_eq!(listening_range("1024 65535"), 20_000..32_768);
        assert_eq!(listening_range(""), 20_000..32_768);
    }

    #[test]
    fn a_claimed_port_is_not_given_twice_although_nothing_listens_on_it() {
        let port = Port::claim().unwrap();
        let number = port.number();
        assert!(Port::claim_number(number).is_none());
        drop(port);
        // A child that another test is just starting holds copies of our sockets until it has become its program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while Port::claim_number(number).is_none() {
            assert!(Instant::now() < deadline, "{number} stayed claimed");
            thread::yield_now();
        }
    }

    #[test]
    fn a_port_that_something_listens_on_is_not_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Port::claim_number(listener.local_addr().unwrap().port()).is_none());
    }

    #[test]
    fn a_port_is_remembered_and_another_taken_if_it_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("port");
        let first = Port::claim_remembered(&file).unwrap().number();
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{first}\n"));
        let held = Port::claim_number(20_999).unwrap_or_else(|| Port::claim().unwrap());
        fs::write(&file, held.number().to_string()).unwrap();
        let other = Port::claim_remembered(&file).unwrap();
        assert_ne!(other.number(), held.number());
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", other.number()));
    }
}
