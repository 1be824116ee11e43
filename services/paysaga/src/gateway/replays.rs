//! Requests about replays and about the causes of failures, for operators.

use contracts::page::Page;
use contracts::replay::{self, FailureCauses, NewReplay, Replay, ReplayMember, ReplayOutcome, ReplayPreview};
use contracts::topology::Service;
use reqwest::Method;
use strum::IntoStaticStr;
use uuid::Uuid;

use super::{Gateway, GatewayError, Paging};

/// What is wanted of a replay.
#[derive(Clone, Copy, Debug, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum ReplayChange {
    /// Hold it.
    Pause,
    /// Let it go on.
    Resume,
    /// End it.
    Cancel,
}

impl Gateway {
    /// `GET /api/admin/{service}/failed-messages/causes`
    pub async fn failure_causes(&self, service: Service) -> Result<FailureCauses, GatewayError> {
        self.get(&format!("/api/admin/{service}/failed-messages/causes")).await
    }

    /// `POST /api/admin/{service}/failed-messages/replays/preview`
    pub async fn preview_replay(
        &self,
        service: Service,
        new: &NewReplay,
    ) -> Result<ReplayPreview, GatewayError> {
        let request = self.request(Method::POST, &format!("{}/preview", path(service)));
        self.body(self.send(request.json(new)).await?).await
    }

    /// `POST /api/admin/{service}/failed-messages/replays`
    pub async fn begin_replay(&self, service: Service, new: &NewReplay) -> Result<Replay, GatewayError> {
        let request = self.request(Method::POST, &path(service));
        self.body(self.send(request.json(new)).await?).await
    }

    /// `GET /api/admin/{service}/failed-messages/replays`, the one that began last first.
    pub async fn replay_operations(
        &self,
        service: Service,
        paging: Paging,
    ) -> Result<Page<Replay>, GatewayError> {
        self.get(&format!("{}?{paging}", path(service))).await
    }

    /// `GET /api/admin/{service}/failed-messages/replays/{id}`; `None` if the service has none with that id.
    pub async fn replay_operation(&self, service: Service, id: Uuid) -> Result<Option<Replay>, GatewayError> {
        self.find(&format!("{}/{id}", path(service))).await
    }

    /// `GET /api/admin/{service}/failed-messages/replays/{id}/members`
    pub async fn replay_members(
        &self,
        service: Service,
        id: Uuid,
        outcome: Option<ReplayOutcome>,
        paging: Paging,
    ) -> Result<Page<ReplayMember>, GatewayError> {
        let outcome = outcome.map(|outcome| format!("&outcome={outcome}")).unwrap_or_default();
        self.get(&format!("{}/{id}/members?{paging}{outcome}", path(service))).await
    }

    /// `POST /api/admin/{service}/failed-messages/replays/{id}/pause`, `…/resume` or `…/cancel`
    pub async fn change_replay(
        &self,
        service: Service,
        id: Uuid,
        change: ReplayChange,
        reason: String,
    ) -> Result<Replay, GatewayError> {
        let what: &str = change.into();
        let request = self.request(Method::POST, &format!("{}/{id}/{what}", path(service)));
        self.body(self.send(request.json(&replay::ReplayChange { reason })).await?).await
    }
}

fn path(service: Service) -> String {
    format!("/api/admin/{service}/failed-messages/replays")
}
