//! Handles failed messages again, in their turn.

use std::sync::Arc;
use std::time::Duration;

use contracts::topology::Queue;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use strum::VariantArray;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};
use uuid::Uuid;

use super::store;
use crate::consumer::{Handler, Origin, Received, Verdict};
use crate::database;
use crate::health::{Health, HealthPart};
use crate::outbox::{GaveUp, Outbox, UnitOfWork, Work};
use crate::tasks::Tasks;
use crate::telemetry::TraceContext;

/// How often it is looked for messages whose turn has come.
const INTERVAL: Duration = Duration::from_millis(500);

/// Replays what is due.
pub(super) struct Replayer<H> {
    pub(super) handler: Arc<H>,
    pub(super) outbox: Outbox,
}

impl<H: Handler> Replayer<H> {
    pub(super) fn start(self, health: &Health, tasks: &Tasks) {
        let (health, stopping) = (health.part("replayer"), tasks.stopping());
        health.up();
        tasks.spawn_essential("replayer", self.run(health, stopping));
    }

    async fn run(self, health: HealthPart, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            let found = match self
                .outbox
                .transact(&health, &stopping, &ReplayNext { handler: &*self.handler })
                .await
            {
                Ok(found) => found,
                Err(GaveUp::Stopping) => return,
                Err(GaveUp::Failed(error)) => self.give_back(&health, &stopping, &error.to_string()).await,
            };
            if found {
                self.handler.committed();
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// The message whose transaction failed is the one whose turn it is; it fails with the reason of that.
    async fn give_back(&self, health: &HealthPart, stopping: &CancellationToken, reason: &str) -> bool {
        self.outbox.transact(health, stopping, &FailNext { reason }).await.unwrap_or(false)
    }
}

/// A message whose turn has come, locked.
struct Due {
    id: Uuid,
    origin: Option<Origin>,
    body: Vec<u8>,
}

/// Handles the next message whose turn has come and marks it, in one transaction. Returns whether there was one.
struct ReplayNext<'a, H> {
    handler: &'a H,
}

impl<H: Handler> Work for ReplayNext<'_, H> {
    type Output = bool;

    async fn run(&self, unit: &mut UnitOfWork) -> Result<bool, sqlx::Error> {
        let Some(due) = next(unit.connection()).await? else { return Ok(false) };
        let id = due.id;
        let verdict = match due.origin {
            None => Verdict::Poison("its queue is none of this service's any more".to_owned()),
            Some(origin) => match Received::read(&origin, &due.body) {
                (_, Err(error)) => Verdict::Poison(error.to_string()),
                (span, Ok(received)) => {
                    let batch = [received];
                    let verdicts = self.handler.handle(unit, &batch).instrument(span).await?;
                    verdicts.into_iter().next().unwrap_or(Verdict::Done)
                }
            },
        };
        match verdict {
            Verdict::Done => {
                info!(failed_message.id = %id, "replayed");
                store::mark_replayed(unit.connection(), id).await?;
            }
            Verdict::Poison(reason) => {
                warn!(failed_message.id = %id, reason, "failed again");
                store::mark_failed(unit.connection(), id, &reason).await?;
            }
        }
        Ok(true)
    }
}

/// Fails the next message whose turn has come.
struct FailNext<'a> {
    reason: &'a str,
}

impl Work for FailNext<'_> {
    type Output = bool;

    async fn run(&self, unit: &mut UnitOfWork) -> Result<bool, sqlx::Error> {
        let Some(due) = next(unit.connection()).await? else { return Ok(false) };
        store::mark_failed(unit.connection(), due.id, self.reason).await?;
        Ok(true)
    }
}

async fn next(connection: &mut PgConnection) -> Result<Option<Due>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, queue, exchange, routing_key, correlation_id, trace_context, body
         FROM failed_messages
         WHERE replay_at <= now()
         ORDER BY replay_at, id
         LIMIT 1
         FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let name: &str = row.try_get("queue")?;
    let queue = Queue::VARIANTS.iter().copied().find(|queue| queue.name() == name);
    let trace: Json<TraceContext> = row.try_get("trace_context")?;
    let origin = match queue {
        None => None,
        Some(queue) => Some(Origin {
            queue,
            exchange: row.try_get("exchange")?,
            routing_key: row.try_get("routing_key")?,
            correlation_id: row.try_get("correlation_id")?,
            trace: trace.0,
            delivery_tag: None,
        }),
    };
    Ok(Some(Due {
        id: row.try_get("id")?,
        origin,
        body: database::decode(row.try_get::<Vec<u8>, _>("body"))?,
    }))
}
