//! Where the broker is.

use std::fmt::Display;
use std::future::Future;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};

/// Seconds between heartbeats. A connection whose other end vanished without closing it is noticed after two.
const HEARTBEAT: u16 = 10;

/// The URL of the broker, or those of the nodes of its cluster, one after the other with commas between them. Shows
/// neither user nor password.
#[derive(Clone)]
pub struct BrokerUrl {
    nodes: Vec<AMQPUri>,
}

impl BrokerUrl {
    /// The nodes, one at least, in the order in which they are to be tried.
    pub(super) fn nodes(&self) -> &[AMQPUri] {
        &self.nodes
    }

    /// The user, who is the same on every node.
    pub(super) fn user(&self) -> &str {
        self.nodes.first().map_or("", |node| &node.authority.userinfo.username)
    }

    /// The hosts that are reached without TLS.
    pub(super) fn plaintext_hosts(&self) -> impl Iterator<Item = &str> {
        let plain = self.nodes.iter().filter(|node| matches!(node.scheme, AMQPScheme::AMQP));
        plain.map(|node| node.authority.host.as_str())
    }

    /// Whether the broker is to know the user by a certificate (EXTERNAL).
    pub(super) fn asks_for_certificate(&self) -> bool {
        self.nodes.iter().any(|node| node.query.auth_mechanism == Some(SASLMechanism::External))
    }

    /// What the first node gives that can be asked. The error names what is wrong with each.
    pub(super) async fn first_of_nodes<T, E, F>(&self, ask: impl Fn(AMQPUri) -> F) -> Result<T, String>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut failures = Vec::new();
        for node in &self.nodes {
            match ask(node.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failures.push(format!("{}: {error}", address(node))),
            }
        }
        Err(failures.join("; "))
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    /// The error describes what is wrong without any part of the text, which holds a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let urls: Vec<&str> = text.split(',').map(str::trim).collect();
        let mut nodes = Vec::with_capacity(urls.len());
        for (number, url) in (1..).zip(&urls) {
            let which = if urls.len() == 1 { String::new() } else { format!("number {number}: ") };
            nodes.push(parse(url).map_err(|error| {
                format!(
                    "must be a URL such as amqp://user:password@host:5672/vhost, or one for each node of a cluster, \
                     separated by commas ({which}{error})"
                )
            })?);
        }
        if nodes.windows(2).any(|pair| pair[0].vhost != pair[1].vhost) {
            return Err("must name the same virtual host in every URL".to_owned());
        }
        let users = nodes.iter().map(|node| &node.authority.userinfo.username);
        if users.clone().zip(users.skip(1)).any(|(one, next)| one != next) {
            return Err("must name the same user in every URL".to_owned());
        }
        Ok(Self { nodes })
    }
}

fn parse(url: &str) -> Result<AMQPUri, String> {
    // Some of the parser's errors quote a text that has no scheme, and with it the password.
    if !url.starts_with("amqp://") && !url.starts_with("amqps://") {
        return Err("it does not begin with amqp:// or amqps://".to_owned());
    }
    // Others quote what they refuse behind a colon.
    let mut uri: AMQPUri = url.parse().map_err(|error: String| match error.split_once(':') {
        Some((what, _)) => what.to_owned(),
        None => error,
    })?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    if uri.query.auth_mechanism == Some(SASLMechanism::External) && uri.scheme != AMQPScheme::AMQPS {
        return Err("auth_mechanism=external needs amqps://: the certificate is shown in TLS".to_owned());
    }
    Ok(uri)
}

/// Host, port and virtual host: what may be shown of a URL.
pub(super) fn address(uri: &AMQPUri) -> String {
    format!("{}:{}/{}", uri.authority.host, uri.authority.port, uri.vhost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        text.parse::<BrokerUrl>().unwrap().nodes().iter().map(address).collect()
    }

    fn refusal(text: &str) -> String {
        text.parse::<BrokerUrl>().map(|_| ()).unwrap_err()
    }

    #[test]
    fn one_url_or_one_for_each_node() {
        assert_eq!(addresses("amqp://shop:secret@broker/shop"), ["broker:5672/shop"]);
        let cluster = "amqps://u:p@one/shop, amqp://u:p@two:5673/shop,amqp://u:p@three/shop?heartbeat=5";
        assert_eq!(addresses(cluster), ["one:5671/shop", "two:5673/shop", "three:5672/shop"]);
        let heartbeats: Vec<_> =
            cluster.parse::<BrokerUrl>().unwrap().nodes().iter().map(|uri| uri.query.heartbeat).collect();
        assert_eq!(heartbeats, [Some(HEARTBEAT), Some(HEARTBEAT), Some(5)]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_the_password() {
        for (text, expected) in [
            ("shop:hunter2@broker:5672/shop", "does not begin with amqp://"),
            ("amqp:hunter2", "does not begin with amqp://"),
            ("amqp://shop:hunter2@broker:port/shop", "(invalid port number)"),
            ("amqp://shop@broker/shop?auth_mechanism=hunter2", "(Invalid SASL mechanism)"),
            ("amqp://shop:hunter2@one,two/shop", "(number 2: it does not begin with"),
            ("amqp://shop:hunter2@one/shop?auth_mechanism=external", "needs amqps://"),
            ("amqp://shop:hunter2@one/shop,", "(number 2: "),
            ("amqp://shop:hunter2@one/shop,amqp://shop:hunter2@two/other", "same virtual host"),
            ("amqp://shop:hunter2@one/shop,amqp://other:hunter2@two/shop", "same user"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(expected) && !refusal.contains("hunter2"), "{text}: {refusal}");
        }
    }
}
