//! What an administrator does with a running RabbitMQ, through its HTTP API
//! (<https://www.rabbitmq.com/docs/http-api-reference>): an answer takes milliseconds where `rabbitmqctl` takes a
//! second.

use contracts::definitions::Definitions;
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{self, path_segment};
use crate::secret::Password;

/// Addresses and administrator of a private RabbitMQ node on 127.0.0.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// AMQP port.
    pub port: u16,
    /// Port of the management plugin: HTTP API and web pages.
    pub management_port: u16,
    /// The administrator, who may do everything in every virtual host made here.
    pub user: String,
    /// The administrator's password.
    pub password: Password,
}

/// A request to the HTTP API failed.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// No answer.
    #[error("RabbitMQ's HTTP API does not answer {method} {path}: {source}")]
    Request {
        /// Method of the request.
        method: Method,
        /// Its path.
        path: String,
        /// Why there is no answer.
        source: reqwest::Error,
    },
    /// Another answer than success.
    #[error("RabbitMQ's HTTP API answered {status} to {method} {path}: {body}")]
    Refused {
        /// Method of the request.
        method: Method,
        /// Its path.
        path: String,
        /// The answer's status.
        status: StatusCode,
        /// The answer's body.
        body: String,
    },
    /// The HTTP client can't be made.
    #[error(transparent)]
    Client(#[from] http::ClientError),
}

impl Endpoint {
    /// `amqp://…` of a virtual host, with the administrator's credentials.
    #[must_use]
    pub fn amqp_url(&self, vhost: &str) -> String {
        self.amqp_url_as(&self.user, &self.password, vhost)
    }

    /// `amqp://…` of a virtual host, as another user.
    #[must_use]
    pub fn amqp_url_as(&self, user: &str, password: &Password, vhost: &str) -> String {
        let authority = format!("{}:{}@127.0.0.1:{}", path_segment(user), password.expose(), self.port);
        format!("amqp://{authority}/{}", path_segment(vhost))
    }

    /// Where the management pages are; the HTTP API is below `/api`.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.management_port)
    }

    /// Makes a virtual host in which the administrator may do everything. Making it again changes nothing.
    pub async fn create_vhost(&self, name: &str) -> Result<(), ManagementError> {
        let http = http::client()?;
        let name = path_segment(name);
        let everything = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        self.ask(&http, Method::PUT, format!("/api/vhosts/{name}"), Some(json!({}))).await?;
        let permissions = format!("/api/permissions/{name}/{}", self.user);
        self.ask(&http, Method::PUT, permissions, Some(everything)).await.map(drop)
    }

    /// Makes a user without any permission, or gives it this password.
    pub async fn create_user(&self, name: &str, password: &Password) -> Result<(), ManagementError> {
        let user = json!({ "password": password.expose(), "tags": "" });
        let path = format!("/api/users/{}", path_segment(name));
        self.ask(&http::client()?, Method::PUT, path, Some(user)).await.map(drop)
    }

    /// Makes what the definitions have and is not there, and gives users their permissions.
    pub async fn import(&self, definitions: &Definitions) -> Result<(), ManagementError> {
        let path = "/api/definitions".to_owned();
        self.ask(&http::client()?, Method::POST, path, Some(json!(definitions))).await.map(drop)
    }

    /// Removes a virtual host with everything in it; its connections are closed.
    pub async fn delete_vhost(&self, name: &str) -> Result<(), ManagementError> {
        let path = format!("/api/vhosts/{}", path_segment(name));
        self.ask(&http::client()?, Method::DELETE, path, None).await.map(drop)
    }

    /// Succeeds when the HTTP API accepts the administrator.
    pub(super) async fn who_am_i(&self, http: &Client) -> Result<(), ManagementError> {
        self.ask(http, Method::GET, "/api/whoami".to_owned(), None).await.map(drop)
    }

    /// How many nodes of the cluster run, as this one sees it.
    pub(super) async fn running_nodes(&self, http: &Client) -> Result<usize, ManagementError> {
        #[derive(Deserialize)]
        struct Member {
            running: bool,
        }
        let answer = self.ask(http, Method::GET, "/api/nodes?columns=running".to_owned(), None).await?;
        // Another answer than a list of nodes counts as none.
        let members: Vec<Member> = serde_json::from_str(&answer).unwrap_or_default();
        Ok(members.into_iter().filter(|member| member.running).count())
    }

    /// Returns the body of a successful answer.
    async fn ask(
        &self,
        http: &Client,
        method: Method,
        path: String,
        body: Option<Value>,
    ) -> Result<String, ManagementError> {
        let mut request = http
            .request(method.clone(), format!("{}{path}", self.management_url()))
            .basic_auth(&self.user, Some(self.password.expose()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(source) => return Err(ManagementError::Request { method, path, source }),
        };
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        Err(ManagementError::Refused { method, path, status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_host_is_one_segment_of_the_url() {
        let password: Password = serde_json::from_str("\"secret\"").unwrap();
        let endpoint =
            Endpoint { port: 20_001, management_port: 20_002, user: "paysaga".to_owned(), password };
        assert_eq!(endpoint.amqp_url("/"), "amqp://paysaga:secret@127.0.0.1:20001/%2F");
        assert_eq!(endpoint.amqp_url("test 1/a"), "amqp://paysaga:secret@127.0.0.1:20001/test%201%2Fa");
    }
}
