//! Who a request comes from, where proxies stand before the gateway.

use std::net::IpAddr;

use contracts::header::forwarded_client;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed about whom they forward.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks separated by commas.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let network = |text: &str| {
            text.trim()
                .parse()
                .or_else(|error| text.trim().parse::<IpAddr>().map(IpNet::from).map_err(|_| error))
        };
        text.split(',').map(network).collect::<Result<_, _>>().map(Self).map_err(|_| {
            "must be networks or addresses such as 127.0.0.1,10.0.0.0/8, separated by commas".to_owned()
        })
    }

    /// The networks.
    pub(crate) fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// The client that a request with these headers comes from.
    pub(crate) fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let headers =
            headers.get_all(FORWARDED_FOR).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let headers: Vec<_> = headers.collect();
        forwarded_client(headers.iter().map(AsRef::as_ref), peer, |address| self.trusts(address))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::parse(trusted).unwrap();
        let headers =
            forwarded.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        proxies.client(&headers.collect(), peer.parse().unwrap()).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxy = "127.0.0.1";
        assert_eq!(client(proxy, "127.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(proxy, "192.0.2.1", &["192.0.2.7"]), "192.0.2.1");
        // The client wrote the first.
        assert_eq!(client(proxy, "127.0.0.1", &["10.0.0.1, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("127.0.0.1,10.0.0.0/8", "127.0.0.1", &["192.0.2.7, 10.0.0.1"]), "192.0.2.7");
        assert_eq!(client(proxy, "127.0.0.1", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(client(proxy, "127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client(proxy, "::ffff:127.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        // What can't be read is no one's address.
        assert_eq!(client(proxy, "127.0.0.1", &["unknown"]), "0.0.0.0");
        assert_eq!(client(proxy, "127.0.0.1", &["\u{e9}, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(proxy, "127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn headers_are_read_from_the_last_to_the_first() {
        assert_eq!(client("127.0.0.0/8", "127.0.0.1", &["10.0.0.1", "192.0.2.7, 127.0.0.2"]), "192.0.2.7");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["", "proxy", "10.0.0.0/33", "127.0.0.1,"] {
            assert!(TrustedProxies::parse(wrong).is_err(), "{wrong}");
        }
    }
}
