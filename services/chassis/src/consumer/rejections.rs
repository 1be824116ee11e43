//! The table `rejections`: why messages were rejected, until they come out of their dead-letter queues. A rejection can't
//! carry a reason (AMQP 0-9-1).

use std::time::Duration;

use contracts::topology::Queue;
use lapin::message::Delivery;
use sqlx::{PgConnection, PgPool};
use tracing::debug;
use uuid::Uuid;

use crate::database::StoreError;
use crate::text::storable;

/// How long storing the reason may take; the rejection does not depend on it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The identity of a rejected message: the same message on the same queue has the same, however often it is rejected.
pub(crate) fn id_of(queue: Queue, message_id: Option<&str>, body: &[u8]) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x8f0e_1d2c_3b4a_5968_8776_6554_4332_2110);
    let place = Uuid::new_v5(&NAMESPACE, queue.name().as_bytes());
    let named = Uuid::new_v5(&place, message_id.unwrap_or_default().as_bytes());
    Uuid::new_v5(&named, body)
}

/// Stores why a message is about to be rejected. If that fails, the message gets the broker's reason instead.
pub(super) async fn insert(pool: &PgPool, queue: Queue, delivery: &Delivery, reason: &str) {
    let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    let inserted = sqlx::query(
        "INSERT INTO rejections (failed_message_id, reason) VALUES ($1, $2)
         ON CONFLICT (failed_message_id) DO UPDATE SET reason = excluded.reason, rejected_at = now()",
    )
    .bind(id_of(queue, message_id.as_deref(), &delivery.data))
    .bind(storable(reason))
    .execute(pool);
    match tokio::time::timeout(TIMEOUT, inserted).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => debug!(%error, "the reason of a rejection was not stored"),
        Err(_) => debug!("the reason of a rejection was not stored in time"),
    }
}

/// Takes the reason out, if there is one.
pub(crate) async fn take(connection: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    let reason = sqlx::query_scalar::<_, String>(
        "DELETE FROM rejections WHERE failed_message_id = $1 RETURNING reason",
    );
    Ok(reason.bind(id).fetch_optional(connection).await?)
}
