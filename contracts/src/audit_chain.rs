//! The chain of the audit's records: each carries a hash of itself and of the one before it, so that none can be changed, taken
//! out, put in or moved without all that follow being written anew; and that changes the head, which is in the log.
//!
//! ```text
//! hash(0)  = 32 bytes of zero
//! hash(n)  = SHA-256(hash(n - 1) ‖ member ‖ … ‖ member)
//! member   = 00                                         if it is absent
//!          = 01 ‖ its length in bytes, as u32 big-endian ‖ its text in UTF-8
//! ```
//!
//! The members are those of [`MEMBERS`], in that order, all of them as text: numbers in decimal, the id with hyphens and in lower
//! case, the time in UTC with milliseconds (`2026-01-02T03:04:05.678Z`). The lengths keep ("ab", "c") and ("a", "bc") apart.
//! The encoding never changes; a member that is added to records one day is encoded behind these, where it is present.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::audit_record::AuditRecord;

/// What a hash covers besides the hash before it.
pub const MEMBERS: [&str; 12] = [
    "number",
    "id",
    "recorded_at",
    "action",
    "actor",
    "key_id",
    "address",
    "correlation_id",
    "subject",
    "outcome",
    "reason",
    "count",
];

/// The texts of [`MEMBERS`].
pub type MemberTexts = [Option<String>; MEMBERS.len()];

/// The hash of a record and of everything before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What comes before the first record.
    pub const START: Self = Self([0; 32]);

    /// The hash of the record behind this one.
    #[must_use]
    pub fn next(&self, record: &MemberTexts) -> Self {
        let mut hash = Sha256::new_with_prefix(self.0);
        for member in record {
            match member {
                None => hash.update([0]),
                Some(text) => {
                    hash.update([1]);
                    // No text has 4 GiB.
                    hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                    hash.update(text);
                }
            }
        }
        Self(hash.finalize().into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl<Action: AsRef<str>> AuditRecord<Action> {
    /// What the hash of this record covers, at this place of the chain.
    pub fn member_texts(&self, number: u64) -> MemberTexts {
        [
            Some(number.to_string()),
            Some(self.id.to_string()),
            Some(self.recorded_at.to_string()),
            Some(self.action.as_ref().to_owned()),
            self.actor.clone(),
            self.key_id.clone(),
            self.address.clone(),
            self.correlation_id.clone(),
            self.subject.clone(),
            self.outcome.map(|outcome| outcome.to_string()),
            self.reason.clone(),
            Some(self.count.to_string()),
        ]
    }
}

/// Bytes that are no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a SHA-256 hash: 64 hexadecimal digits")]
pub struct InvalidHash;

impl TryFrom<Vec<u8>> for ChainHash {
    type Error = InvalidHash;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidHash> {
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }
}

impl FromStr for ChainHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ChainHash({self})")
    }
}

/// The last record of a chain at some time: `12:9f86d081…`, as the order service logs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Its number; 0 if there is none.
    pub number: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl ChainHead {
    /// The head of a chain without records.
    pub const START: Self = Self { number: 0, hash: ChainHash::START };

    /// The head once this record stands behind it.
    #[must_use]
    pub fn next<Action: AsRef<str>>(&self, record: &AuditRecord<Action>) -> Self {
        let number = self.number + 1;
        Self { number, hash: self.hash.next(&record.member_texts(number)) }
    }
}

/// A text that names no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be NUMBER:HASH as the order service logs it, with a hash of 64 hexadecimal digits")]
pub struct InvalidHead;

impl FromStr for ChainHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (number, hash) = text.split_once(':').ok_or(InvalidHead)?;
        let number = number.parse().map_err(|_| InvalidHead)?;
        Ok(Self { number, hash: hash.parse().map_err(|_| InvalidHead)? })
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, self.hash)
    }
}

impl Serialize for ChainHead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_record::NewAuditRecords;

    fn records() -> Vec<AuditRecord<String>> {
        let json = r#"{"records":[
            {"id":"0198c0de-0000-7000-8000-000000000001","recordedAt":"2026-01-02T03:04:05.678Z",
             "action":"AUTHENTICATION_FAILED","address":"192.0.2.7","outcome":401,"reason":"unknown","count":999},
            {"id":"0198c0de-0000-7000-8000-000000000002","recordedAt":"2026-01-02T03:04:06.000Z",
             "action":"CANCELLATION_REQUESTED","actor":"shop","keyId":"2c70e12b","address":"192.0.2.8",
             "correlationId":"c-1","subject":"0198c0de-0000-7000-8000-0000000000ff","outcome":202,
             "reason":"caf\u00e9","count":1}
        ]}"#;
        serde_json::from_str::<NewAuditRecords<String>>(json).unwrap().records
    }

    /// Computed with Python's hashlib and struct from the encoding as it is described.
    #[test]
    fn the_hashes_of_a_chain_never_change() {
        let records = records();
        let first = ChainHead::START.next(&records[0]);
        assert_eq!(first.to_string(), "1:d51dfbeeeb6a245e77c9b6449f978021267023fa6da8b1949e05ab6a194d3539");
        let second = first.next(&records[1]);
        assert_eq!(second.to_string(), "2:cc86cf38c2b79b528559b234e78bd3833ad78aef9d4a97b826cf1b2c5d0be38f");
    }

    #[test]
    fn every_member_and_its_place_counts() {
        let texts = records()[1].member_texts(2);
        let hash = ChainHash::START.next(&texts);
        for place in 0..MEMBERS.len() {
            let (mut changed, mut absent, mut empty) = (texts.clone(), texts.clone(), texts.clone());
            changed[place] = Some("another".to_owned());
            absent[place] = None;
            empty[place] = Some(String::new());
            let others = [changed, absent, empty].map(|other| ChainHash::START.next(&other));
            assert!(!others.contains(&hash), "{}", MEMBERS[place]);
            assert_ne!(others[1], others[2], "{}: absent and empty", MEMBERS[place]);
        }
        let mut moved = texts;
        // ("shop", "2c70e12b") and ("shop2", "c70e12b") have the same letters.
        (moved[4], moved[5]) = (Some("shop2".to_owned()), Some("c70e12b".to_owned()));
        assert_ne!(ChainHash::START.next(&moved), hash);
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = ChainHead::START.next(&records()[0]);
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "1", "1:", "1:00", "x:00", &format!("-1:{}", head.hash), &head.hash.to_string()] {
            assert_eq!(wrong.parse::<ChainHead>(), Err(InvalidHead), "{wrong}");
        }
    }
}
