//! The audit as operators read it: `GET /audit-records` of the order service, and `GET /api/admin/audit` of the gateway.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::audit_record::{AuditRecord, RecordedAction};
use crate::list::INVALID_CURSOR;
use crate::page::PageRequest;
use crate::problem::InvalidMember;

/// A record, and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NumberedAuditRecord<Action = RecordedAction> {
    /// From 1 on, without a gap.
    pub number: u64,
    /// What happened.
    #[serde(flatten)]
    pub record: AuditRecord<Action>,
}

/// Which records. All of what is given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action; it may be one that only a newer version knows.
    pub action: Option<String>,
    /// Whose subject contains this.
    pub subject: Option<String>,
    /// Recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded before this time.
    pub to: Option<Timestamp>,
}

/// Which part of the audit, the latest record first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRequest {
    /// Which records.
    pub filter: AuditFilter,
    /// The number of the record before the first; the latest if there is none.
    pub cursor: Option<u64>,
    /// Most records, 1 to 100.
    pub limit: u32,
}

impl AuditRequest {
    /// Longest text in a filter, in characters: as long as a member of a record.
    const MAX_TEXT: usize = 200;

    /// Reads the parameters `actor`, `action`, `subject`, `from`, `to`, `cursor` and `limit` of a query; empty ones count as missing.
    /// The error names every one that is wrong or unknown. A limit out of range is clamped.
    pub fn from_query<'a>(
        parameters: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, Vec<InvalidMember>> {
        let (mut filter, mut cursor, mut errors) = (AuditFilter::default(), None, Vec::new());
        let mut limit = None;
        for (name, value) in parameters.filter(|(_, value)| !value.is_empty()) {
            let time = || value.parse().map_err(|_| "must be an RFC 3339 time such as 2026-01-02T03:04:05Z");
            let text = || {
                let fits = !value.contains('\0') && value.chars().count() <= Self::MAX_TEXT;
                fits.then(|| value.to_string()).ok_or("must have at most 200 characters, none of them NUL")
            };
            let read = match &*name {
                "actor" => text().map(|text| filter.actor = Some(text)),
                "action" => text().map(|text| filter.action = Some(text)),
                "subject" => text().map(|text| filter.subject = Some(text)),
                "from" => time().map(|time| filter.from = Some(time)),
                "to" => time().map(|time| filter.to = Some(time)),
                "cursor" => value.parse().map_err(|_| INVALID_CURSOR).map(|number| cursor = Some(number)),
                "limit" => {
                    limit = Some(value);
                    Ok(())
                }
                _ => Err("is not known; known are: actor, action, subject, from, to, cursor, limit"),
            };
            errors.extend(read.err().map(|rule| InvalidMember::new(&*name, rule)));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let limit = PageRequest::from_query(|name| limit.clone().filter(|_| name == "limit")).limit();
        Ok(Self { filter, cursor, limit })
    }

    /// The same from behind the record of this number on.
    #[must_use]
    pub fn behind(&self, number: u64) -> Self {
        Self { cursor: Some(number), ..self.clone() }
    }
}

/// As the query of a request.
impl fmt::Display for AuditRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, cursor, limit } = self;
        let times = [("from", filter.from), ("to", filter.to)];
        let times = times.map(|(name, time)| (name, time.map(|time| time.to_string())));
        let texts = [("actor", &filter.actor), ("action", &filter.action), ("subject", &filter.subject)];
        write!(formatter, "limit={limit}")?;
        let given = texts.map(|(name, text)| (name, text.clone())).into_iter().chain(times);
        let cursor = ("cursor", cursor.map(|number| number.to_string()));
        for (name, value) in given.chain([cursor]) {
            if let Some(value) = value {
                write!(formatter, "&{name}={}", escaped(&value))?;
            }
        }
        Ok(())
    }
}

/// A value as it stands in a query (RFC 3986 §2.3): other bytes than unreserved ones in hexadecimal.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&'static str, &'static str)]) -> Result<AuditRequest, Vec<InvalidMember>> {
        AuditRequest::from_query(query.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn a_request_is_read_and_written() {
        let asked = read(&[
            ("actor", "ops"),
            ("subject", "POST /ä b"),
            ("from", "2026-01-02T03:04:05Z"),
            ("cursor", "7"),
            ("limit", "1000"),
            ("to", ""),
        ])
        .unwrap();
        let expected =
            "limit=100&actor=ops&subject=POST%20%2F%C3%A4%20b&from=2026-01-02T03%3A04%3A05.000Z&cursor=7";
        assert_eq!(asked.to_string(), expected);
        assert_eq!(asked.behind(5).cursor, Some(5));
        assert_eq!(read(&[]).unwrap().to_string(), "limit=10");
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let errors =
            read(&[("cursor", "x"), ("from", "monday"), ("actor", "\0"), ("page", "2")]).unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.member.as_str()).collect();
        assert_eq!(names, ["cursor", "from", "actor", "page"]);
    }
}
