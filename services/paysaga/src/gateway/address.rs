//! The gateway's address.

use std::fmt;
use std::str::FromStr;

use chassis::transport::is_loopback;
use url::Url;

/// The gateway's base URL, without `/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrl(Url);

/// Not the URL of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a URL such as http://127.0.0.1:3000")]
pub struct InvalidGatewayUrl;

impl GatewayUrl {
    /// The URL of a path such as `/api/orders`.
    pub(super) fn of(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The port, if it is one of this machine.
    pub(super) fn local_port(&self) -> Option<u16> {
        self.0.port_or_known_default().filter(|_| self.0.host_str().is_some_and(is_loopback))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for GatewayUrl {
    type Err = InvalidGatewayUrl;

    /// `paysaga up` shows the address with `/api`, so both forms are taken.
    fn from_str(text: &str) -> Result<Self, InvalidGatewayUrl> {
        let base = text.trim().trim_end_matches('/');
        let url: Url = base.strip_suffix("/api").unwrap_or(base).parse().map_err(|_| InvalidGatewayUrl)?;
        // A password belongs into a file, and what follows the path would end up in the middle of every URL.
        let plain = url.username().is_empty() && url.password().is_none();
        let ends_with_path = url.query().is_none() && url.fragment().is_none();
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && plain && ends_with_path;
        usable.then_some(Self(url)).ok_or(InvalidGatewayUrl)
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_with_and_without_api() {
        for text in [
            "http://127.0.0.1:3000",
            "http://127.0.0.1:3000/",
            "http://127.0.0.1:3000/api",
            " http://127.0.0.1:3000/api/ ",
        ] {
            let url: GatewayUrl = text.parse().unwrap();
            assert_eq!(url.of("/api/orders"), "http://127.0.0.1:3000/api/orders", "{text}");
        }
        let behind_a_proxy: GatewayUrl = "https://shop.example/pay/api".parse().unwrap();
        assert_eq!(behind_a_proxy.of("/api/orders"), "https://shop.example/pay/api/orders");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:3000",
            "ftp://127.0.0.1",
            "http://",
            "http://me:hush@127.0.0.1",
            "http://127.0.0.1/?a=b",
        ] {
            assert_eq!(text.parse::<GatewayUrl>(), Err(InvalidGatewayUrl), "{text}");
        }
    }
}
