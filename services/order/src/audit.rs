//! The audit: takes the gateways' records into the chain, tells the log where it ends, and lets operators read it.
//!
//! Who can write to the database can write the chain anew from any record on, but not its ends of former times, which are in
//! the log: `paysaga check --audit-head` compares.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::in_time;
use chassis::http::{self, Request, Response, Routes, route};
use chassis::tasks::Tasks;
use contracts::audit_chain::ChainHead;
use contracts::audit_list::AuditRequest;
use contracts::audit_record::{AuditRecord, NewAuditRecords};
use contracts::problem::InvalidMember;
use contracts::{Problem, Word};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::{audit_list, audit_records};

/// The shortest time between two heads in the log, where there are new ones.
const INTERVAL: Duration = Duration::from_mins(1);

/// The last record that this replica has stored. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct AuditHead(Arc<watch::Sender<ChainHead>>);

impl Default for AuditHead {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(ChainHead::START)))
    }
}

impl AuditHead {
    /// Logs the head of the chain: as it is now, then at once when there is a new one, but once a minute at most, and at last as
    /// it is at the end. Belongs to the delivery, which stops once no more records come in.
    pub(crate) fn start(self, pool: PgPool, delivery: &Tasks) {
        delivery.spawn_essential("audit head", self.run(pool, delivery.stopping()));
    }

    async fn run(self, pool: PgPool, stopping: CancellationToken) {
        // What a replica stored that was killed before it could log it.
        match in_time(audit_records::head(&pool)).await {
            Ok(head) => log(head),
            Err(error) => {
                warn!(%error, "where the audit ends can't be read; it is logged with the next record");
            }
        }
        let mut heads = self.0.subscribe();
        heads.mark_unchanged();
        loop {
            // It can't be closed: this task has a sender.
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = heads.changed() => log(*heads.borrow_and_update()),
            }
            tokio::select! {
                () = stopping.cancelled() => break,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
        if heads.has_changed().is_ok_and(|changed| changed) {
            log(*heads.borrow_and_update());
        }
    }
}

fn log(head: ChainHead) {
    if head != ChainHead::START {
        info!(target: "audit", { audit.head = %head }, "the end of the audit's chain");
    }
}

/// Where the gateways send their records, and read them for operators.
pub(crate) fn routes(pool: PgPool, head: AuditHead) -> Routes {
    let list = Routes::new(pool.clone(), [route(Method::GET, "/audit-records", list)]);
    Routes::new((pool, head), [route(Method::POST, "/audit-records", store)]).merge(list)
}

/// What operators read of it.
async fn list(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let asked = AuditRequest::from_query(request.query_pairs()).map_err(Problem::invalid)?;
    let listed = audit_list::page(&pool, &asked).await?;
    let next = listed.next.map(|number| format!("?{}", asked.behind(number)));
    Ok(http::with_next(http::json(StatusCode::OK, &listed.body), next))
}

async fn store((pool, head): (PgPool, AuditHead), request: Request) -> Result<Response, Problem> {
    let NewAuditRecords::<Word> { records } = request.json().await?;
    let mut errors = Vec::new();
    if records.is_empty() || records.len() > AuditRecord::MAX_BATCH {
        errors
            .push(InvalidMember::new("records", format!("must be 1 to {} records", AuditRecord::MAX_BATCH)));
    }
    errors.extend(records.iter().flat_map(AuditRecord::invalid_members));
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    if let Some(new) = in_time(audit_records::append(&pool, &records)).await? {
        head.0.send_replace(new);
    }
    Ok(http::no_content())
}
