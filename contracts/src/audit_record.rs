//! The audit: who was refused, who cancelled what, what operators looked at and did, and how keys changed.
//!
//! The gateway sees all of that and hands it to the order service, which keeps it in a chain ([`crate::audit_chain`]).

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use crate::Timestamp;
use crate::api_key::without_keys;
use crate::problem::InvalidMember;

/// What a record is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordedAction {
    /// A request came without a valid key.
    AuthenticationFailed,
    /// A key lacks the scope of what it was used for.
    AuthorizationDenied,
    /// A client or an operator cancelled an order.
    CancellationRequested,
    /// An operator looked at failed messages, refunds or the audit, through the console or otherwise.
    AdminRead,
    /// An operator decided about failed messages or a payment, through the console or otherwise.
    AdminWrite,
    /// An operator signed in to the console.
    ConsoleSignedIn,
    /// An operator signed out of the console, or their session ended.
    ConsoleSignedOut,
    /// A gateway started with a file of keys.
    KeysLoaded,
    /// A key is in the file that was not there.
    KeyAdded,
    /// A key is not in the file any more.
    KeyRemoved,
    /// A key allows something else, or for another time, or from elsewhere.
    KeyChanged,
    /// Records were lost to the chain, because a gateway had no room for them. They are in its log.
    RecordsDropped,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord<Action = RecordedAction> {
    /// Names the record (UUID version 7): sent again, it is the same record.
    pub id: Uuid,
    /// When it was recorded, by the gateway's clock.
    pub recorded_at: Timestamp,
    /// What happened.
    pub action: Action,
    /// Who did it: the name of an API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Names the API key, and is no part of it: the first eight digits of its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Joins it with logs and events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What it was done to: the id of an order, a route, the owner of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The HTTP status of the answer; absent where there was none, as for a caller who went away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<u16>,
    /// Why: what was wrong, what an operator said, what a key allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many times it happened. The same failure of the same caller is recorded once, and then once a minute.
    pub count: u32,
}

/// Longest member, in characters, but for the reason. Correlation ids have 128, names of callers 64, routes some hundred.
const MAX_MEMBER: usize = 200;

impl AuditRecord<()> {
    /// Longest reason, in characters.
    pub const MAX_REASON: usize = 500;
    /// Most records in one request: all of them are smaller together than the largest body, whatever they say.
    pub const MAX_BATCH: usize = 20;
}

impl<Action> AuditRecord<Action> {
    /// A record of now that says nothing yet but what happened.
    pub fn now(action: Action) -> Self {
        Self {
            id: Uuid::now_v7(),
            recorded_at: Timestamp::now(),
            action,
            actor: None,
            key_id: None,
            address: None,
            correlation_id: None,
            subject: None,
            outcome: None,
            reason: None,
            count: 1,
        }
    }

    /// The same with a reason: one line without keys, cut off where it is too long.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        let reason = without_keys(reason);
        let reason = reason.trim();
        let printed = |letter: char| if letter.is_control() { ' ' } else { letter };
        let mut line: String = reason.chars().take(AuditRecord::MAX_REASON).map(printed).collect();
        if reason.chars().nth(AuditRecord::MAX_REASON).is_some() {
            line.pop();
            line.push('…');
        }
        self.reason = Some(line).filter(|line| !line.is_empty());
        self
    }
}

impl<Action: AsRef<str>> AuditRecord<Action> {
    /// The members that no record has so: too long, or not storable.
    #[must_use]
    pub fn invalid_members(&self) -> Vec<InvalidMember> {
        let members = [
            ("action", Some(self.action.as_ref()), MAX_MEMBER),
            ("actor", self.actor.as_deref(), MAX_MEMBER),
            ("keyId", self.key_id.as_deref(), MAX_MEMBER),
            ("address", self.address.as_deref(), MAX_MEMBER),
            ("correlationId", self.correlation_id.as_deref(), MAX_MEMBER),
            ("subject", self.subject.as_deref(), MAX_MEMBER),
            ("reason", self.reason.as_deref(), AuditRecord::MAX_REASON),
        ];
        let wrong = members.into_iter().filter(|(_, text, most)| {
            text.is_some_and(|text| text.contains('\0') || text.chars().count() > *most)
        });
        wrong
            .map(|(name, _, most)| {
                InvalidMember::new(name, format!("must have at most {most} characters, none of them NUL"))
            })
            .collect()
    }
}

/// Body of `POST /audit-records`, which the gateway sends to the order service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAuditRecords<Action = RecordedAction> {
    /// At most [`AuditRecord::MAX_BATCH`], in the order in which they were recorded.
    pub records: Vec<AuditRecord<Action>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Word;

    #[test]
    fn a_reason_is_one_line_without_keys_and_is_cut_off_where_it_is_too_long() {
        let record = || AuditRecord::now(RecordedAction::AdminWrite);
        assert_eq!(record().because(" two\nlines\0 ").reason.as_deref(), Some("two lines "));
        assert_eq!(record().because("leaked: psk_live_0707").reason.as_deref(), Some("leaked: psk_…"));
        assert_eq!(record().because(" ").reason, None);
        let reason = record().because(&"é".repeat(501)).reason.unwrap();
        assert_eq!((reason.chars().count(), reason.ends_with("é…")), (500, true));
        assert_eq!(record().because(&"é".repeat(500)).reason.unwrap(), "é".repeat(500));
    }

    #[test]
    fn a_member_that_is_too_long_is_named() {
        let record: AuditRecord<Word> = AuditRecord {
            actor: Some("a".repeat(201)),
            subject: Some("NUL \0".to_owned()),
            ..AuditRecord::now("KEY_ADDED".to_owned())
        };
        let names: Vec<_> = record.invalid_members().into_iter().map(|wrong| wrong.member).collect();
        assert_eq!(names, ["actor", "subject"]);
        assert!(AuditRecord::now(Word::from("KEY_ADDED")).invalid_members().is_empty());
    }

    #[test]
    fn the_largest_batch_fits_into_a_request() {
        // What takes most room in JSON, as far as the gateway writes it.
        let text = |length| Some("\"".repeat(length));
        let record = AuditRecord {
            actor: text(64),
            key_id: text(8),
            address: text(45),
            correlation_id: text(128),
            subject: text(MAX_MEMBER),
            reason: Some("\u{1f980}".repeat(AuditRecord::MAX_REASON)),
            outcome: Some(503),
            ..AuditRecord::now(RecordedAction::CancellationRequested)
        };
        let batch = NewAuditRecords { records: vec![record; AuditRecord::MAX_BATCH] };
        let size = serde_json::to_vec(&batch).unwrap().len();
        assert!(size <= 64 * 1024, "{size}");
    }
}
