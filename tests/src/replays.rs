//! Failed messages and replays: how tests make messages fail, and what they see of a replay.

use contracts::event::PaymentApproved;
use contracts::failed_message::FailedMessageFilter;
use contracts::page::Page;
use contracts::replay::{
    EditRequest, FailureCauses, NewReplay, Replay, ReplayChange, ReplayMember, ReplayOutcome, ReplayStatus,
};
use contracts::topology::{Queue, Service};
use contracts::{Envelope, EventType, OrderId, OrderStatus};
use http::{Method, StatusCode};
use lapin::BasicProperties;
use reqwest::Response;
use uuid::Uuid;

use crate::{Api, Stack, eventually};

/// A replay of all open messages that stops at the first failure.
#[must_use]
pub fn replay_of_all() -> NewReplay {
    NewReplay {
        filter: FailedMessageFilter::default(),
        reason: "the cause is mended".to_owned(),
        canary: Vec::new(),
        stop_after: 1,
        rate_per_second: None,
    }
}

fn path(service: Service) -> String {
    format!("/api/admin/{service}/failed-messages/replays")
}

impl Api {
    /// `POST …/replays`, which must be answered.
    pub async fn post_replay(&self, service: Service, new: &NewReplay) -> Response {
        self.request(Method::POST, &path(service)).json(new).send().await.expect("an answer")
    }

    /// Begins a replay.
    pub async fn begin_replay(&self, service: Service, new: &NewReplay) -> Replay {
        let answer = self.post_replay(service, new).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", answer.text().await);
        answer.json().await.expect("the contract's shape")
    }

    /// A replay as it stands.
    pub async fn replay(&self, service: Service, id: Uuid) -> Replay {
        self.read(&format!("{}/{id}", path(service))).await
    }

    /// `POST …/replays/{id}/{what}`, which must be answered.
    pub async fn change_replay(&self, service: Service, id: Uuid, what: &str) -> Response {
        let change = ReplayChange { reason: format!("a test wants to {what} it") };
        let request = self.request(Method::POST, &format!("{}/{id}/{what}", path(service)));
        request.json(&change).send().await.expect("an answer")
    }

    /// Waits until a replay has the status.
    pub async fn replay_becomes(&self, service: Service, id: Uuid, status: ReplayStatus) -> Replay {
        eventually(&format!("the replay becomes {status}"), async || {
            let replay = self.replay(service, id).await;
            if replay.status == status { Ok(replay) } else { Err(format!("{replay:?}")) }
        })
        .await
    }

    /// The messages of a replay, at most 100, with what became of them.
    pub async fn replay_members(&self, service: Service, id: Uuid) -> Vec<ReplayMember> {
        let page: Page<ReplayMember> = self.read(&format!("{}/{id}/members?limit=100", path(service))).await;
        page.data
    }

    /// The outcomes of a replay's messages in their order; `None` of those that wait.
    pub async fn replay_outcomes(&self, service: Service, id: Uuid) -> Vec<Option<ReplayOutcome>> {
        self.replay_members(service, id).await.into_iter().map(|member| member.outcome).collect()
    }

    /// The causes of a service's open failures, as soon as they are so many and of so many messages.
    pub async fn failure_causes_are(&self, service: Service, causes: usize, open: u64) -> FailureCauses {
        eventually(&format!("{open} messages of {causes} causes wait"), async || {
            let found: FailureCauses =
                self.read(&format!("/api/admin/{service}/failed-messages/causes")).await;
            let sum: u64 = found.data.iter().map(|cause| cause.open).sum();
            if (found.data.len(), sum) == (causes, open) { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .await
    }

    /// `POST …/failed-messages/{id}/edit`, which must be answered.
    pub async fn edit(&self, service: Service, id: Uuid, body: &str) -> Response {
        let path = format!("/api/admin/{service}/failed-messages/{id}/edit");
        let edit = EditRequest { body: body.to_owned(), reason: "a member was missing".to_owned() };
        self.request(Method::POST, &path).json(&edit).send().await.expect("an answer")
    }
}

impl Stack {
    /// Approvals of orders that do not exist yet, in the order in which a replay takes them; the payment service must not run. They
    /// can be handled as soon as their orders are there.
    pub async fn fail_too_early(&self, count: usize) -> Vec<OrderId> {
        let before = self.open_messages().await.len();
        let orders: Vec<OrderId> = (0..count).map(|_| OrderId::new()).collect();
        for order_id in &orders {
            let approval = PaymentApproved { order_id: *order_id, transaction_id: "t-1".to_owned() };
            self.amqp.publish_event(&Envelope::now(approval, None)).await;
        }
        self.api.failed_messages_are(Queue::OrderPaymentResult, before + count).await;
        // Messages of one batch may come out of the dead-letter queue in any order.
        for (number, order) in orders.iter().enumerate() {
            self.fails_at("order_id = $1", order.as_uuid(), number * 2 + 1).await;
        }
        orders
    }

    /// A message that can never be handled, and that a replay takes behind so many others.
    pub async fn fail_for_good(&self, behind: usize) -> Uuid {
        let before = self.open_messages().await;
        self.amqp.publish(EventType::PaymentApproved, b"not json", BasicProperties::default()).await;
        let failed = self.api.failed_messages_are(Queue::OrderPaymentResult, before.len() + 1).await;
        let new = failed.into_iter().map(|message| message.id).find(|id| !before.contains(id));
        let id = new.expect("it is new");
        self.fails_at("id = $1", id, behind * 2).await;
        id
    }

    async fn open_messages(&self) -> Vec<Uuid> {
        let open = sqlx::query_scalar("SELECT id FROM failed_messages");
        open.fetch_all(&self.order_database).await.expect("the database answers")
    }

    /// Gives a message its place among those that failed.
    async fn fails_at(&self, which: &str, id: Uuid, place: usize) {
        let statement = format!(
            "UPDATE failed_messages SET first_seen = date_trunc('day', now()) + {place} * interval '1 second' WHERE {which}"
        );
        let updated = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).execute(&self.order_database);
        assert_eq!(updated.await.expect("the database answers").rows_affected(), 1);
    }

    /// Places orders with these ids, so that their approvals can be handled.
    pub async fn place_late(&self, orders: &[OrderId]) {
        for order in orders {
            self.amqp.place(*order, None).await;
        }
        for order in orders {
            self.api.order_becomes(*order, OrderStatus::PendingPayment).await;
        }
    }
}
