//! Records new charges: what is asked for while one commit is under way shares the next.

use std::collections::HashSet;

use contracts::{Money, PaymentId, Timestamp};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::books::answered;
use super::decision::Outcome;
use crate::provider::{Charge, Unanswered};

/// Most charges in one commit.
const MAX_BATCH: usize = 500;

/// A charge that is asked for.
#[derive(Serialize)]
pub(super) struct NewCharge {
    payment_id: PaymentId,
    amount: Money,
    outcome: Outcome,
    /// The provider's reference.
    transaction_id: String,
    /// When it is too late.
    not_after: Timestamp,
}

/// A charge to be recorded, and where the answer goes: whether it was.
pub(super) struct Recording {
    pub(super) asked: NewCharge,
    pub(super) reply: oneshot::Sender<bool>,
}

pub(super) struct Recorder {
    pub(super) recordings: mpsc::Receiver<Recording>,
    pub(super) pool: PgPool,
}

impl NewCharge {
    pub(super) fn new(payment_id: PaymentId, amount: Money, outcome: Outcome, not_after: Timestamp) -> Self {
        let transaction_id = format!("sim_{}", payment_id.as_uuid().simple());
        Self { payment_id, amount, outcome, transaction_id, not_after }
    }

    /// What becomes of it once it is recorded.
    pub(super) fn charge(&self) -> Charge {
        self.outcome.into_charge(self.transaction_id.clone())
    }

    /// Its key.
    pub(super) const fn payment_id(&self) -> PaymentId {
        self.payment_id
    }
}

impl Recorder {
    /// Records charges until it is to stop; those that wait then get no answer.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        loop {
            let received = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                received = self.recordings.recv_many(&mut waiting, MAX_BATCH) => received,
            };
            if received == 0 {
                // There is no provider any more: the service stops, and this task is the next to be told.
                return stopping.cancelled().await;
            }
            let batch = waiting.drain(..);
            let (asked, replies): (Vec<_>, Vec<_>) =
                batch.map(|Recording { asked, reply }| (asked, reply)).unzip();
            let Ok(mut inserted) = self.insert(&asked).await else { continue };
            for (charge, reply) in asked.iter().zip(replies) {
                // Under one key, only the first is new. A caller that has given up loses the answer; what was done stays done.
                reply.send(inserted.remove(&charge.payment_id)).ok();
            }
        }
    }

    /// Writes charges unless there is one under their key, or it is too late; returns those that are new.
    async fn insert(&self, charges: &[NewCharge]) -> Result<HashSet<PaymentId>, Unanswered> {
        let inserted = sqlx::query_scalar::<_, PaymentId>(
            "INSERT INTO provider_simulator.charges (payment_id, amount, outcome, transaction_id)
             SELECT payment_id, amount, outcome, transaction_id
             FROM jsonb_to_recordset($1)
                  AS asked (payment_id uuid, amount numeric, outcome text, transaction_id text,
                            not_after timestamptz)
             WHERE clock_timestamp() < not_after
             ON CONFLICT (payment_id) DO NOTHING
             RETURNING payment_id",
        );
        let inserted = inserted.bind(Json(charges));
        answered(async { Ok(inserted.fetch_all(&self.pool).await?.into_iter().collect()) }).await
    }
}
