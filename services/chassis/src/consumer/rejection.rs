//! Why a message was rejected, kept in the table `rejections` until the message comes out of its dead-letter queue: a
//! rejection can't carry a reason (AMQP 0-9-1).

use std::time::Duration;

use contracts::topology::Queue;
use lapin::message::Delivery;
use sqlx::{PgConnection, PgPool};
use tracing::debug;
use uuid::Uuid;

use crate::database::StoreError;

/// How long noting the reason may take; the rejection does not depend on it.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// The identity of a rejected message: the same message on the same queue has the same, however often it is rejected.
pub(crate) fn id_of(queue: Queue, message_id: Option<&str>, body: &[u8]) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x8f0e_1d2c_3b4a_5968_8776_6554_4332_2110);
    let place = Uuid::new_v5(&NAMESPACE, queue.name().as_bytes());
    let named = Uuid::new_v5(&place, message_id.unwrap_or_default().as_bytes());
    Uuid::new_v5(&named, body)
}

/// Writes down why a message is about to be rejected. Without it the message arrives all the same, with the broker's
/// word for the reason.
pub(super) async fn note_reason(pool: &PgPool, queue: Queue, delivery: &Delivery, reason: &str) {
    let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    let id = id_of(queue, message_id.as_deref(), &delivery.data);
    match tokio::time::timeout(NOTE_TIMEOUT, insert(pool, id, reason)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the reason of a rejection was not noted"),
        Err(_) => debug!("the reason of a rejection was not noted in time"),
    }
}

async fn insert(pool: &PgPool, id: Uuid, reason: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO rejections (failed_message_id, reason) VALUES ($1, $2)
         ON CONFLICT (failed_message_id) DO UPDATE SET reason = excluded.reason, rejected_at = now()",
    )
    .bind(id)
    .bind(reason.replace('\0', "\u{fffd}"))
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes the reason out, if one was noted.
pub(crate) async fn take_reason(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<String>, StoreError> {
    let taken = sqlx::query_scalar::<_, String>(
        "DELETE FROM rejections WHERE failed_message_id = $1 RETURNING reason",
    );
    Ok(taken.bind(id).fetch_optional(connection).await?)
}
