//! `GET /changes`.

use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::changes::{CONTENT_TYPE, Changed};
use contracts::{Problem, ProblemType};
use futures_util::stream::unfold;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Changes, line};

/// How often a gateway is told at least that the service is still there: one whose host has vanished says nothing.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The route, until the service is told to stop.
pub(crate) fn routes(changes: Arc<Changes>, stopping: CancellationToken) -> Routes {
    Routes::new((changes, stopping), [route(Method::GET, "/changes", listen)])
}

async fn listen(
    (changes, stopping): (Arc<Changes>, CancellationToken),
    _: Request,
) -> Result<Response, Problem> {
    if stopping.is_cancelled() {
        return Err(Problem::new(ProblemType::ServiceUnavailable, "The service is shutting down."));
    }
    let lines = unfold((changes.listen(), stopping), async |(mut lines, stopping)| {
        let line = tokio::select! {
            biased;
            () = stopping.cancelled() => None,
            line = lines.recv() => line,
            () = sleep(SIGN_OF_LIFE) => Some(line(&Changed::default())),
        };
        line.map(|line| (line, (lines, stopping)))
    });
    Ok(http::streamed(CONTENT_TYPE, lines))
}
