//! What operators look at first: how orders and payments are doing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{self, Recent, Request, Response};
use contracts::books::BooksSummary;
use contracts::overview::Overview;
use contracts::{Problem, Timestamp};
use serde::de::DeserializeOwned;

use crate::upstream::{Asker, Upstream};
use crate::{Gateway, books};

/// How long a service may take. One that takes longer does not keep what the other says from being seen.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What was read within the last second, for all who ask.
#[derive(Default)]
pub(crate) struct Overviews(Recent<Arc<Overview>>);

impl Overviews {
    /// The overview, at most a second old. The part of a service that does not answer in time is absent.
    pub(crate) async fn get(&self, gateway: &Gateway, asker: Asker<'_>) -> Arc<Overview> {
        let read = async {
            let at = Timestamp::now();
            let (order, payment, books) = tokio::join!(
                part(&gateway.order, asker),
                part(&gateway.payment, asker),
                tokio::time::timeout(TIMEOUT, books::find(gateway, asker)),
            );
            let books = books.ok().flatten().map(|books| BooksSummary::from(&books));
            Ok::<_, Infallible>(Arc::new(Overview { at, order, payment, books }))
        };
        match self.0.get(read).await {
            Ok(overview) => overview,
            Err(never) => match never {},
        }
    }
}

/// `GET /api/admin/overview`
pub(crate) async fn answer(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let overview = gateway.overviews.get(&gateway, Asker::of(&request)).await;
    Ok(http::json(StatusCode::OK, &*overview))
}

/// What a service says of itself; `None` if it does not in time.
async fn part<T: DeserializeOwned>(service: &Upstream, asker: Asker<'_>) -> Option<T> {
    let request = asker.get("/overview");
    let answer = tokio::time::timeout(TIMEOUT, service.send(&request)).await.ok()?.ok()?;
    (answer.status == StatusCode::OK).then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}
