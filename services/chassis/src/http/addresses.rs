//! How many connections one address has open: those of one client leave places for others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

/// A bound of the connections from one address.
#[derive(Clone, Debug)]
pub struct PerAddress {
    /// Most connections from one address.
    pub most: usize,
    /// Networks without a bound, such as those of proxies, which stand for many clients.
    pub unless: Vec<IpNet>,
}

/// The connections that are open, by their address.
pub(super) struct Addresses {
    bound: PerAddress,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// Held while a connection is open.
pub(super) struct OfAddress {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    pub(super) fn new(bound: PerAddress) -> Arc<Self> {
        Arc::new(Self { bound, open: Mutex::default() })
    }

    /// A place for one more connection, if there is one.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Option<OfAddress>, TooMany> {
        let peer = peer.to_canonical();
        if self.bound.unless.iter().any(|network| network.contains(&peer)) {
            return Ok(None);
        }
        let address = of_one_client(peer);
        let mut open = self.open();
        let count = open.entry(address).or_default();
        if *count >= self.bound.most {
            return Err(TooMany);
        }
        *count += 1;
        Ok(Some(OfAddress { addresses: Arc::clone(self), address }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address has as many connections as it may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What one client may be taken for: with IPv6 it has a whole network of 64 bits.
fn of_one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut open = self.addresses.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_others_theirs() {
        let unless = vec!["127.0.0.0/8".parse().unwrap()];
        let addresses = Addresses::new(PerAddress { most: 1, unless });
        let enter = |address: &str| addresses.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        assert!(first.is_some());
        assert!(matches!(enter("::ffff:192.0.2.1"), Err(TooMany)));
        assert!(enter("192.0.2.2").is_ok());
        let _sixth = enter("2001:db8::1").unwrap();
        assert!(matches!(enter("2001:db8::2"), Err(TooMany)));
        assert!(enter("2001:db8:0:1::2").is_ok());
        for _ in 0..3 {
            assert!(enter("127.0.0.1").unwrap().is_none());
        }
        drop(first);
        assert!(enter("192.0.2.1").is_ok());
        assert_eq!(addresses.open().len(), 1);
    }
}
