//! The broker's HTTP API: what exists in a stack's virtual host.

use http::Method;
use local_stack::http::path_segment;
use local_stack::rabbitmq::Endpoint;
use reqwest::Response;
use serde_json::Value;

use crate::eventually;

/// The HTTP API of one virtual host (<https://www.rabbitmq.com/docs/http-api-reference>).
pub struct Management {
    endpoint: Endpoint,
    vhost: String,
}

impl Management {
    /// The one of this server.
    #[must_use]
    pub const fn new(endpoint: Endpoint, vhost: String) -> Self {
        Self { endpoint, vhost }
    }

    /// All `exchanges`, `queues` or `bindings` of the virtual host.
    pub async fn list(&self, what: &str) -> Vec<Value> {
        let response = self.ask(Method::GET, &format!("{what}/{}", self.vhost)).await;
        response.json().await.expect("its answer is a list")
    }

    /// Closes the connections of the services, of which there are this many, as an administrator would.
    pub async fn close_connections(&self, count: usize) {
        let connections = eventually("the connections are known", async || {
            let listed = self.ask(Method::GET, &format!("vhosts/{}/connections", self.vhost)).await;
            let listed: Vec<Value> = listed.json().await.expect("its answer is a list");
            let ours: Vec<_> = listed.iter().filter_map(service_connection).collect();
            if ours.len() == count { Ok(ours) } else { Err(format!("{listed:?}")) }
        })
        .await;
        for name in connections {
            self.ask(Method::DELETE, &format!("connections/{}", path_segment(&name))).await;
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let request = reqwest::Client::new()
            .request(method, format!("{}/api/{path}", self.endpoint.management_url()))
            .basic_auth(&self.endpoint.user, Some(self.endpoint.password.expose()));
        let response = request.send().await.expect("the broker's HTTP API answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response
    }
}

/// The name of a connection, if it is one of a service's.
fn service_connection(connection: &Value) -> Option<String> {
    let name = connection["user_provided_name"].as_str()?;
    name.starts_with("paysaga ").then(|| connection["name"].as_str().map(str::to_owned))?
}
