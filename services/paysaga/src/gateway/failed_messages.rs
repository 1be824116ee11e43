//! What operators ask the gateway about failed messages.

use contracts::failed_message::{
    DiscardRequest, FailedMessage, FailedMessageDetails, FailedMessageFilter, ReplayAccepted, ReplayRequest,
};
use contracts::page::Page;
use reqwest::Method;
use url::form_urlencoded;
use uuid::Uuid;

use super::{Gateway, GatewayError};

/// Whose failed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailedMessagesOf {
    /// The order service's.
    Order,
    /// The payment service's.
    Payment,
}

impl FailedMessagesOf {
    /// Every service that consumes messages.
    pub const ALL: [Self; 2] = [Self::Order, Self::Payment];

    /// The service's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }

    fn path(self) -> String {
        format!("/api/admin/{}/failed-messages", self.name())
    }
}

impl Gateway {
    /// `GET /api/admin/{service}/failed-messages`, the one that failed last first.
    pub async fn failed_messages(
        &self,
        of: FailedMessagesOf,
        filter: &FailedMessageFilter,
        page: u64,
        limit: u64,
    ) -> Result<Page<FailedMessage>, GatewayError> {
        let path = format!("{}?page={page}&limit={limit}{}", of.path(), query(filter));
        self.get(&path).await
    }

    /// `GET /api/admin/{service}/failed-messages/{id}`; `None` if the service has none with that id.
    pub async fn failed_message(
        &self,
        of: FailedMessagesOf,
        id: Uuid,
    ) -> Result<Option<FailedMessageDetails>, GatewayError> {
        self.find(&format!("{}/{id}", of.path())).await
    }

    /// `POST /api/admin/{service}/failed-messages/{id}/replay`
    pub async fn replay(&self, of: FailedMessagesOf, id: Uuid) -> Result<ReplayAccepted, GatewayError> {
        let request = self.request(Method::POST, &format!("{}/{id}/replay", of.path()));
        self.body(self.send(request).await?).await
    }

    /// `POST /api/admin/{service}/failed-messages/replay`
    pub async fn replay_all(
        &self,
        of: FailedMessagesOf,
        what: &ReplayRequest,
    ) -> Result<ReplayAccepted, GatewayError> {
        let request = self.request(Method::POST, &format!("{}/replay", of.path())).json(what);
        self.body(self.send(request).await?).await
    }

    /// `DELETE /api/admin/{service}/failed-messages/{id}`
    pub async fn discard(&self, of: FailedMessagesOf, id: Uuid, reason: String) -> Result<(), GatewayError> {
        let request = self.request(Method::DELETE, &format!("{}/{id}", of.path()));
        self.send(request.json(&DiscardRequest { reason })).await.map(drop)
    }
}

/// The filter as the rest of a query string.
fn query(filter: &FailedMessageFilter) -> String {
    let FailedMessageFilter { queue, event_type, reason, status, from, to } = filter;
    let pairs = [
        ("queue", queue.clone()),
        ("type", event_type.clone()),
        ("reason", reason.clone()),
        ("status", status.map(|status| status.to_string())),
        ("from", from.map(|time| time.to_string())),
        ("to", to.map(|time| time.to_string())),
    ];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("&{query}") }
}

#[cfg(test)]
mod tests {
    use contracts::failed_message::FailedMessageStatus;

    use super::*;

    #[test]
    fn a_filter_is_said_in_the_query() {
        assert_eq!(query(&FailedMessageFilter::default()), "");
        let filter = FailedMessageFilter {
            queue: Some("order.create.queue".to_owned()),
            event_type: Some("CreateOrderRequested".to_owned()),
            reason: Some("a & b".to_owned()),
            status: Some(FailedMessageStatus::Failed),
            from: Some("2026-01-02T03:04:05.678Z".parse().unwrap()),
            ..Default::default()
        };
        assert_eq!(
            query(&filter),
            "&queue=order.create.queue&type=CreateOrderRequested&reason=a+%26+b&status=FAILED&from=2026-01-02T03%3A04%3A05.678Z"
        );
    }
}
