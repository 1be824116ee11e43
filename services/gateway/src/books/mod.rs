//! The running check of the books: whether orders, payments and the provider's charges fit together.
//!
//! ```text
//! order service: which orders changed ─→ settling (30 s) ─→ comparison ─→ judge (contracts::books) ─→ state ─→ order service
//! both services: all records by id ────→ pass ────────────────↗                                        ↘ gauges
//! ```
//!
//! Any number of gateways run, and one of them compares: the one with the lease. The state is with the order service, so that
//! another one carries on where it stopped.

mod check;
mod comparison;
mod gauges;
mod pass;
mod services;
mod settling;

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{self, Request, Response};
use chassis::tasks::Tasks;
use contracts::books::exchange::KeptBooks;
use contracts::books::{Books, BooksState};
use contracts::{Problem, Timestamp};

use self::check::Check;
use self::services::Services;
use crate::audit::{self, Attempt};
use crate::upstream::{Asker, Upstream};
use crate::{Gateway, admin};

/// Checks until the tasks stop. Everything is compared once in `full_pass`.
pub(crate) fn start(order: Arc<Upstream>, payment: Arc<Upstream>, full_pass: Duration, tasks: &Tasks) {
    let (check, stopping) = (Check::new(Services::new(order, payment), full_pass), tasks.stopping());
    tasks.spawn_essential("books", async move {
        // On the heap: it is large, and there is one.
        stopping.run_until_cancelled(Box::pin(check.run())).await;
    });
}

/// What the running check has found, whichever gateway does it. Unknown while the order service is away or of an older version.
pub(crate) async fn read(gateway: &Gateway, asker: Asker<'_>) -> Books {
    let found = find(gateway, asker).await;
    found.unwrap_or_else(|| BooksState::default().books(Timestamp::now()))
}

/// The same; none while the order service is away or of an older version.
pub(crate) async fn find(gateway: &Gateway, asker: Asker<'_>) -> Option<Books> {
    let answer =
        gateway.order.send(&asker.get("/books")).await.ok().filter(|answer| answer.status == StatusCode::OK);
    let KeptBooks { state, at, .. } = serde_json::from_slice::<KeptBooks>(&answer?.body).ok()?;
    Some(state.books(at))
}

/// Answers an operator with what the running check has found.
pub(crate) async fn answer(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let attempt = Attempt::new(&gateway.audit, audit::admin_operation(&request));
    let books = read(&gateway, Asker::of(&request)).await;
    attempt.answered(StatusCode::OK.as_u16());
    Ok(http::json(StatusCode::OK, &books))
}

/// Has everything compared now. The gateway with the lease begins within seconds.
pub(crate) async fn begin_pass(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    admin::forward(&gateway, &gateway.order, &request, "/books/pass").await
}
