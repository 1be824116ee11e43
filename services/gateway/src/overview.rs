//! What operators look at first: how orders and payments are doing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{self, CorrelationId, Recent, Request, Response};
use contracts::overview::Overview;
use contracts::{OwnerFilter, Problem, Timestamp};
use serde::de::DeserializeOwned;

use crate::Gateway;
use crate::upstream::{Upstream, UpstreamRequest};

/// How long a service may take. One that takes longer does not keep what the other says from being seen.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What was read within the last second, for all who ask.
#[derive(Default)]
pub(crate) struct Overviews(Recent<Arc<Overview>>);

impl Overviews {
    /// The overview, at most a second old. The part of a service that does not answer in time is absent.
    pub(crate) async fn get(&self, gateway: &Gateway, correlation_id: &CorrelationId) -> Arc<Overview> {
        let read = async {
            let at = Timestamp::now();
            let (order, payment) =
                tokio::join!(part(&gateway.order, correlation_id), part(&gateway.payment, correlation_id));
            Ok::<_, Infallible>(Arc::new(Overview { at, order, payment }))
        };
        match self.0.get(read).await {
            Ok(overview) => overview,
            Err(never) => match never {},
        }
    }
}

/// `GET /api/admin/overview`
pub(crate) async fn answer(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let overview = gateway.overviews.get(&gateway, &request.correlation_id).await;
    Ok(http::json(StatusCode::OK, &*overview))
}

/// What a service says of itself; `None` if it does not in time.
async fn part<T: DeserializeOwned>(service: &Upstream, correlation_id: &CorrelationId) -> Option<T> {
    let template = "/overview";
    let asked = UpstreamRequest::get(template, template.to_owned(), OwnerFilter::Any, correlation_id);
    let answer = tokio::time::timeout(TIMEOUT, service.send(&asked)).await.ok()?.ok()?;
    (answer.status == StatusCode::OK).then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}
