//! HTTP bodies about messages that could not be handled.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use uuid::Uuid;

use crate::{Money, OrderId, Timestamp};

/// A message that a service could not handle, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailedMessage<Status = FailedMessageStatus> {
    /// Names the message: the same message that fails again is the same failed message.
    pub id: Uuid,
    /// The queue that it failed on.
    pub queue: String,
    /// The exchange that it was published to.
    pub exchange: String,
    /// The routing key that it was published with.
    pub routing_key: String,
    /// Where it stands.
    pub status: Status,
    /// Why it failed, the last time.
    pub reason: String,
    /// How often it failed.
    pub attempts: u32,
    /// When it failed first.
    pub first_seen: Timestamp,
    /// When it failed last.
    pub last_seen: Timestamp,
    /// Its `type`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Its `message_id`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Its `correlation_id`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The trace that it belongs to, where its headers name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The reason without what differs from message to message, such as ids and amounts; absent where an older version stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The order that it is about, as far as it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What that order comes to, as far as that was known when the message failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// A failed message with everything that is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailedMessageDetails<Status = FailedMessageStatus, Action = AuditAction> {
    /// What the list shows.
    pub message: FailedMessage<Status>,
    /// Its AMQP headers.
    pub headers: Value,
    /// Its body as text; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The body that an operator gave it, with which it is handled again. The one that it came with stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_body: Option<String>,
    /// What was done about it, oldest first.
    pub audit: Vec<AuditEntry<Action>>,
}

/// Something that was done about a failed message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry<Action = AuditAction> {
    /// What was done.
    pub action: Action,
    /// Who did it: the name of an API key, or the service itself.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// Why, or what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where a failed message stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FailedMessageStatus {
    /// It waits for an operator's decision.
    Failed,
    /// It is to be handled again, in its turn.
    Replaying,
    /// It was handled after all.
    Replayed,
    /// An operator gave it up.
    Discarded,
}

/// What can be done about a failed message.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditAction {
    /// It failed, for the first time or again.
    Failed,
    /// An operator asked for it to be handled again.
    ReplayRequested,
    /// It was handled.
    Replayed,
    /// An operator gave it up.
    Discarded,
    /// An operator gave it another body.
    Edited,
}

/// Which failed messages are meant. What is not given does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailedMessageFilter {
    /// Of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of this `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Whose reason contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With exactly this cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<FailedMessageStatus>,
    /// That failed last at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// That failed last before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

impl FailedMessageFilter {
    /// What this version knows of a filter that a newer one may have stored.
    #[must_use]
    pub fn as_far_as_known(members: Map<String, Value>) -> Self {
        let read = |members: Map<String, Value>| serde_json::from_value::<Self>(Value::Object(members));
        let is_known =
            |(name, value): &(String, Value)| read(Map::from_iter([(name.clone(), value.clone())])).is_ok();
        read(members.into_iter().filter(is_known).collect()).unwrap_or_default()
    }
}

/// Reads a filter as far as this version knows it.
pub(crate) fn as_far_as_known<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<FailedMessageFilter, D::Error> {
    Map::deserialize(deserializer).map(FailedMessageFilter::as_far_as_known)
}

/// `POST /failed-messages/replay`: handle all messages again that the filter means. Only those with status `FAILED`
/// are; a `status` in the filter is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayRequest {
    /// Which messages.
    #[serde(default, deserialize_with = "object")]
    pub filter: FailedMessageFilter,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
    /// Most messages a second; as fast as it goes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
}

/// Reads a JSON object and nothing else. serde takes a list for an object as well, and an empty one for a filter that all
/// messages fit.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let members = Map::deserialize(deserializer)?;
    serde_json::from_value(Value::Object(members)).map_err(D::Error::custom)
}

/// Answer to a [`ReplayRequest`], and to the replay of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayAccepted {
    /// How many messages the filter means.
    pub matching: u64,
    /// How many of them will be handled again: all, or none of a dry run.
    pub scheduled: u64,
}

/// Body of `DELETE /failed-messages/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscardRequest {
    /// Why the message is given up.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_a_newer_version_knows_of_a_filter_is_left_out() {
        let stored = json!({"queue": "q", "status": "QUARANTINED", "tenant": {"id": 7}, "from": "2026-01-02T03:04:05Z"});
        let Value::Object(stored) = stored else { unreachable!("it is an object") };
        let known = FailedMessageFilter::as_far_as_known(stored);
        let from = "2026-01-02T03:04:05Z".parse().ok();
        assert_eq!(known, FailedMessageFilter { queue: Some("q".to_owned()), from, ..Default::default() });
        assert!(known.from.is_some());
    }
}
