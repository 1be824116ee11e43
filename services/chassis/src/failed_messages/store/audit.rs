//! The table `failed_message_audit`: what was done about failed messages, by whom, and why.

use contracts::Word;
use contracts::failed_message::{AuditAction, AuditEntry};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::database::StoreError;

/// The actor of what the service does by itself.
pub(super) const SERVICE: &str = "service";

/// What was done about a message.
pub(super) struct Action<'a> {
    pub(super) action: AuditAction,
    /// Who did it: the name of an API key, or [`SERVICE`].
    pub(super) actor: &'a str,
    /// Why, or what came of it.
    pub(super) note: Option<&'a str>,
}

/// Writes down what was done about messages.
pub(super) async fn insert(
    connection: &mut PgConnection,
    messages: &[Uuid],
    action: Action<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO failed_message_audit (failed_message_id, action, actor, note)
         SELECT id, $2, $3, $4 FROM UNNEST($1::uuid[]) AS id",
    )
    .bind(messages)
    .bind(action.action)
    .bind(action.actor)
    .bind(action.note)
    .execute(connection)
    .await?;
    Ok(())
}

/// What was done about a message, oldest first.
pub(super) async fn of_message(pool: &PgPool, message: Uuid) -> Result<Vec<AuditEntry<Word>>, StoreError> {
    let entries = sqlx::query_as::<_, AuditEntry<Word>>(
        "SELECT action, actor, at, note FROM failed_message_audit WHERE failed_message_id = $1 ORDER BY id",
    );
    Ok(entries.bind(message).fetch_all(pool).await?)
}
