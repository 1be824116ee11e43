//! Sends records to the order service until they are stored.

use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::Backoff;
use chassis::http::CorrelationId;
use contracts::OwnerFilter;
use contracts::audit_record::{AuditRecord, NewAuditRecords};
use http::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Audit;
use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest};

/// How often it is looked for what was counted for a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the last records may take once the gateway stops. Less than it has for all of its end: the log has them too.
const LAST_RECORDS: Duration = Duration::from_secs(3);

/// From so many failures on, some seconds, it is no passing one as at a start or a deployment.
const TELLING: u32 = 6;

pub(super) struct Delivery {
    order: Arc<Upstream>,
    audit: Arc<Audit>,
    queue: mpsc::Receiver<AuditRecord>,
    /// Taken from the queue, and not stored yet.
    batch: Vec<AuditRecord>,
    backoff: Backoff,
    /// How often the batch has been sent in vain.
    failures: u32,
}

/// What became of a batch.
enum Sent {
    /// It is stored, or never will be.
    Done,
    /// It is to be sent again.
    NotYet(String),
}

impl Delivery {
    pub(super) fn new(order: Arc<Upstream>, audit: Arc<Audit>, queue: mpsc::Receiver<AuditRecord>) -> Self {
        let backoff = Backoff::for_infrastructure();
        Self { order, audit, queue, batch: Vec::new(), backoff, failures: 0 }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                _ = looks.tick() => self.audit.record_repetitions(false),
                // It can't be closed: the audit itself has a sender.
                _ = self.queue.recv_many(&mut self.batch, AuditRecord::MAX_BATCH - 1) => {}
            }
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                () = self.store() => {}
            }
        }
        self.audit.record_repetitions(true);
        if timeout(LAST_RECORDS, self.store_the_rest()).await.is_err() {
            let waiting = self.batch.len() + self.queue.len();
            error!(
                waiting,
                "records of the audit could not be stored before the end; they are in this log alone"
            );
        }
    }

    async fn store_the_rest(&mut self) {
        loop {
            self.store().await;
            while self.batch.len() < AuditRecord::MAX_BATCH - 1
                && let Ok(record) = self.queue.try_recv()
            {
                self.batch.push(record);
            }
            if self.batch.is_empty() {
                return;
            }
        }
    }

    /// Sends the batch until it is stored. May be dropped and called again: a record that arrives twice is stored once.
    async fn store(&mut self) {
        // There is a place left for it.
        if self.batch.len() < AuditRecord::MAX_BATCH {
            self.batch.extend(self.audit.dropped());
        }
        while !self.batch.is_empty() {
            match self.send().await {
                Sent::Done => {
                    self.batch.clear();
                    self.backoff.reset();
                    if self.failures >= TELLING {
                        info!("the order service takes records of the audit again");
                    }
                    self.failures = 0;
                }
                Sent::NotYet(reason) => {
                    self.failures = self.failures.saturating_add(1);
                    if self.failures == TELLING {
                        warn!(reason, "the order service takes no records of the audit; they wait");
                    }
                    self.backoff.wait().await;
                }
            }
        }
    }

    async fn send(&self) -> Sent {
        let correlation_id = CorrelationId(self.batch[0].id.to_string().into());
        let body = match serde_json::to_vec(&NewAuditRecords { records: self.batch.clone() }) {
            Ok(body) => body,
            Err(error) => return self.give_up(&error.to_string()),
        };
        let route = "/audit-records";
        let request = UpstreamRequest {
            method: Method::POST,
            kind: Kind::Change,
            body: body.into(),
            ..UpstreamRequest::get(route, route.to_owned(), OwnerFilter::Any, &correlation_id)
        };
        match self.order.send(&request).await {
            Ok(response) if response.status.is_success() => Sent::Done,
            Ok(response) if response.status == StatusCode::BAD_REQUEST => {
                self.give_up(&String::from_utf8_lossy(&response.body))
            }
            // One of an older version, or of NestJS, does not know the route.
            Ok(response) => Sent::NotYet(format!("it answered {}", response.status)),
            Err(error) => Sent::NotYet(format!("{error:?}")),
        }
    }

    /// What the order service will never take must not keep the others waiting.
    fn give_up(&self, reason: &str) -> Sent {
        error!(
            reason,
            count = self.batch.len(),
            "records of the audit are refused; they are in this log alone"
        );
        Sent::Done
    }
}
