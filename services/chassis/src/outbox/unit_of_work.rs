//! A transaction whose events leave when, and only when, it is committed.

use contracts::{Envelope, Event};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::relay::Relay;
use super::store;
use crate::broker::Message;
use crate::crash_here;
use crate::telemetry::TraceContext;

/// What an event arises from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Joins everything that one request of a client caused.
    pub correlation_id: Option<String>,
    /// Where in which trace.
    pub trace: TraceContext,
}

/// A transaction and the events that it emits. Dropped without [`UnitOfWork::commit`], neither happened.
pub struct UnitOfWork {
    transaction: Transaction<'static, Postgres>,
    emitted: Vec<Message>,
    relay: Relay,
}

impl UnitOfWork {
    pub(super) async fn begin(pool: &PgPool, relay: Relay) -> Result<Self, sqlx::Error> {
        Ok(Self { transaction: pool.begin().await?, emitted: Vec::new(), relay })
    }

    /// The transaction's connection, for the statements that change state.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Emits an event with the commit, and returns it in its envelope.
    pub fn emit(&mut self, event: impl Into<Event>, cause: &Cause) -> Result<Envelope, sqlx::Error> {
        let envelope = Envelope::now(event, cause.correlation_id.clone());
        let message = Message::new(&envelope, cause.trace.clone())
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        self.emitted.push(message);
        Ok(envelope)
    }

    /// Commits the changes together with the events, then hands the events to the relay.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        if !self.emitted.is_empty() {
            store::insert(&mut self.transaction, &self.emitted).await?;
        }
        crash_here!("before-commit");
        self.transaction.commit().await?;
        crash_here!("after-commit-before-publish");
        if !self.emitted.is_empty() {
            self.relay.offer(self.emitted);
        }
        Ok(())
    }
}
