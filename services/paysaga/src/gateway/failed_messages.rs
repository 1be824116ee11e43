//! Requests about failed messages, for operators.

use contracts::failed_message::{
    DiscardRequest, FailedMessage, FailedMessageDetails, FailedMessageFilter, ReplayAccepted,
};
use contracts::page::Page;
use contracts::replay::EditRequest;
use contracts::topology::Service;
use reqwest::Method;
use url::form_urlencoded;
use uuid::Uuid;

use super::{Gateway, GatewayError, Paging};

impl Gateway {
    /// `GET /api/admin/{service}/failed-messages`, the one that failed last first.
    pub async fn failed_messages(
        &self,
        service: Service,
        filter: &FailedMessageFilter,
        paging: Paging,
    ) -> Result<Page<FailedMessage>, GatewayError> {
        self.get(&format!("{}?{paging}{}", path(service), query(filter))).await
    }

    /// `GET /api/admin/{service}/failed-messages/{id}`; `None` if the service has none with that id.
    pub async fn failed_message(
        &self,
        service: Service,
        id: Uuid,
    ) -> Result<Option<FailedMessageDetails>, GatewayError> {
        self.find(&format!("{}/{id}", path(service))).await
    }

    /// `POST /api/admin/{service}/failed-messages/{id}/replay`
    pub async fn replay(&self, service: Service, id: Uuid) -> Result<ReplayAccepted, GatewayError> {
        let request = self.request(Method::POST, &format!("{}/{id}/replay", path(service)));
        self.body(self.send(request).await?).await
    }

    /// `POST /api/admin/{service}/failed-messages/{id}/edit`
    pub async fn edit(
        &self,
        service: Service,
        id: Uuid,
        body: String,
        reason: String,
    ) -> Result<FailedMessageDetails, GatewayError> {
        let request = self.request(Method::POST, &format!("{}/{id}/edit", path(service)));
        self.body(self.send(request.json(&EditRequest { body, reason })).await?).await
    }

    /// `DELETE /api/admin/{service}/failed-messages/{id}`
    pub async fn discard(&self, service: Service, id: Uuid, reason: String) -> Result<(), GatewayError> {
        let request = self.request(Method::DELETE, &format!("{}/{id}", path(service)));
        self.send(request.json(&DiscardRequest { reason })).await.map(drop)
    }
}

fn path(service: Service) -> String {
    format!("/api/admin/{service}/failed-messages")
}

/// The filter as the rest of a query string.
fn query(filter: &FailedMessageFilter) -> String {
    let FailedMessageFilter { queue, event_type, reason, cause, status, from, to } = filter;
    let pairs = [
        ("queue", queue.clone()),
        ("type", event_type.clone()),
        ("reason", reason.clone()),
        ("cause", cause.clone()),
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
    fn a_filter_becomes_a_query_string() {
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
