//! HTTP bodies about replays: operations by which an operator has many failed messages handled again.
//!
//! A replay's members are chosen when it begins and stay the same. It goes in waves, the first ones small (a canary), and stops by
//! itself when members fail again.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use uuid::Uuid;

use crate::failed_message::{
    FailedMessage, FailedMessageFilter, FailedMessageStatus, as_far_as_known, object,
};
use crate::{Money, MoneyTotal, OrderId, Timestamp};

/// Failed messages that have the same cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailureCause {
    /// The reason without what differs from message to message, such as ids and amounts. With queue and event type it names the cause.
    pub cause: String,
    /// The queue that the messages failed on.
    pub queue: String,
    /// Their `type`, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// How many wait for a decision.
    pub open: u64,
    /// How many of those failed since the last replay of this cause began; all of them if there was none.
    pub new: u64,
    /// When the first of those that wait failed first.
    pub first_seen: Timestamp,
    /// When the last of those that wait failed last.
    pub last_seen: Timestamp,
    /// How many of those that wait failed last in each hour of the last day, the oldest hour first.
    pub trend: Vec<u64>,
    /// Different orders that those are about, as far as they name one.
    pub orders: u64,
    /// What these orders come to, as far as that is known.
    pub money: MoneyTotal,
    /// The reason of one of them, word for word.
    pub sample: String,
}

/// Answer to `GET /failed-messages/causes`, the cause with the most messages first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailureCauses {
    /// When they were counted. Every few seconds, however often they are asked for.
    pub at: Timestamp,
    /// The causes, at most 100.
    pub data: Vec<FailureCause>,
}

/// Body of `POST /failed-messages/{id}/edit`: what the message is to say when it is handled again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditRequest {
    /// The body that it is to have. It must be one that its consumer can read.
    pub body: String,
    /// Why it is changed.
    pub reason: String,
}

/// Body of `POST /failed-messages/replays`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewReplay {
    /// Which messages; only those that wait for a decision, and belong to no other replay that is not finished.
    #[serde(default, deserialize_with = "object")]
    pub filter: FailedMessageFilter,
    /// Why they will be handled this time.
    pub reason: String,
    /// How many messages each of the first waves has. All that remain are the last wave.
    #[serde(default)]
    pub canary: Vec<u32>,
    /// The replay stops when so many of its messages have failed again.
    #[serde(default = "NewReplay::default_stop_after")]
    pub stop_after: u32,
    /// Most messages a second; as fast as it goes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
}

impl NewReplay {
    /// The first failure stops it.
    #[must_use]
    pub const fn default_stop_after() -> u32 {
        1
    }
}

/// Answer to `POST /failed-messages/replays/preview`, whose body is a [`NewReplay`]: what it would replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayPreview<Status = FailedMessageStatus> {
    /// How many messages.
    pub matching: u64,
    /// Different orders that those are about.
    pub orders: u64,
    /// What these orders come to, as far as that is known.
    pub money: MoneyTotal,
    /// Some of them, in the order in which they would be handled; at most 10.
    pub sample: Vec<FailedMessage<Status>>,
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Replay<Status = ReplayStatus> {
    /// Names it.
    pub id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Who began it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Which messages it was begun for.
    #[serde(deserialize_with = "as_far_as_known")]
    pub filter: FailedMessageFilter,
    /// How many messages each of the first waves has.
    pub canary: Vec<u32>,
    /// The wave that is under way, or comes next; from 1 on.
    pub wave: u32,
    /// How many waves there are.
    pub waves: u32,
    /// The replay stops when so many of its messages have failed again since it was last resumed.
    pub stop_after: u32,
    /// Most messages a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// When it began.
    pub created_at: Timestamp,
    /// When its last message had an outcome.
    pub updated_at: Timestamp,
    /// When it came to its end, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What became of its messages.
    pub outcomes: ReplayOutcomes,
    /// What operators decided about it, oldest first.
    pub decisions: Vec<ReplayDecision>,
}

/// How many messages of a replay have each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayOutcomes {
    /// All of them.
    pub members: u64,
    /// Still to be handled.
    pub waiting: u64,
    /// Handled.
    pub handled: u64,
    /// Failed again.
    pub failed_again: u64,
    /// Not handled, since the replay was cancelled or the message was discarded in the meantime.
    pub skipped: u64,
    /// Handled otherwise before their turn came.
    pub already_handled: u64,
}

/// Where a replay stands.
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
pub enum ReplayStatus {
    /// Its messages are handled, one after the other.
    Running,
    /// An operator holds it.
    Paused,
    /// It stopped by itself, since messages failed again.
    Stopped,
    /// An operator ended it before its last message.
    Cancelled,
    /// Every message has an outcome, and none failed again.
    Completed,
    /// Every message has an outcome, and some failed again.
    CompletedWithFailures,
}

/// Body of `POST /failed-messages/replays/{id}/pause`, `…/resume` and `…/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayChange {
    /// Why.
    pub reason: String,
}

/// What was decided about a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayDecision {
    /// `BEGUN`, `PAUSED`, `RESUMED`, `CANCELLED`, or `STOPPED`, which is the replay's own.
    pub action: String,
    /// The name of an API key, or `service`.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A message of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayMember<Outcome = ReplayOutcome> {
    /// The failed message.
    pub failed_message_id: Uuid,
    /// Its place; from 1 on.
    pub position: u64,
    /// The wave that it belongs to.
    pub wave: u32,
    /// The order that it is about, as far as it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What that order comes to, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What became of it; absent while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why it failed again or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a message of a replay.
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
pub enum ReplayOutcome {
    /// It was handled.
    Handled,
    /// It failed again.
    FailedAgain,
    /// It was not handled: the replay was cancelled, or the message was discarded in the meantime.
    Skipped,
    /// It was handled otherwise before its turn came.
    AlreadyHandled,
}
