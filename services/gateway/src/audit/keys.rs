//! How a file of keys changed.

use std::collections::HashMap;

use contracts::api_key::KnownKey;
use contracts::audit_record::{AuditRecord, RecordedAction};
use sha2::{Digest, Sha256};

use crate::api_keys::ApiKeys;

/// The keys with which the gateway starts: how many, and a digest, which tells whether they are those that it ended with.
pub(crate) fn loaded(keys: &ApiKeys) -> AuditRecord {
    let mut lines: Vec<String> = keys.known().map(ToString::to_string).collect();
    lines.sort();
    let digest = hex::encode(Sha256::digest(lines.join("\n")));
    let reason = format!("{} keys; SHA-256 of their sorted lines: {digest}", lines.len());
    AuditRecord::now(RecordedAction::KeysLoaded).because(&reason)
}

/// Every key that was added, removed or changed.
pub(crate) fn changes(before: &ApiKeys, after: &ApiKeys) -> Vec<AuditRecord> {
    let (known, left) = (by_digest(before), by_digest(after));
    let mut records = Vec::new();
    for key in before.known().filter(|key| !left.contains_key(key.digest.as_bytes())) {
        records.push(record(RecordedAction::KeyRemoved, key, &attributes(key)));
    }
    for key in after.known() {
        match known.get(key.digest.as_bytes()) {
            None => records.push(record(RecordedAction::KeyAdded, key, &attributes(key))),
            Some(former) if *former == key => {}
            Some(former) => {
                let change = format!("{}; before: {}", attributes(key), attributes(former));
                records.push(record(RecordedAction::KeyChanged, key, &change));
            }
        }
    }
    records
}

fn by_digest(keys: &ApiKeys) -> HashMap<&[u8; 32], &KnownKey> {
    keys.known().map(|key| (key.digest.as_bytes(), key)).collect()
}

fn record(action: RecordedAction, key: &KnownKey, reason: &str) -> AuditRecord {
    AuditRecord {
        key_id: Some(key.digest.id()),
        subject: Some(key.caller.as_str().to_owned()),
        ..AuditRecord::now(action).because(reason)
    }
}

/// What a key is good for, as its line says behind the digest, and whose it is.
fn attributes(key: &KnownKey) -> String {
    let line = key.to_string();
    let attributes = line.split_once(' ').map(|(_, attributes)| attributes).unwrap_or_default();
    format!("{} {attributes}", key.caller)
}

#[cfg(test)]
mod tests {
    use contracts::api_key::{KeyKind, NewKey};

    use super::*;

    fn keys(lines: &[(u8, &str)]) -> ApiKeys {
        let line = |(seed, attributes): &(u8, &str)| {
            let key = NewKey::new(KeyKind::Test, [*seed; 32]);
            format!("shop{seed}:{} {attributes}\n", key.digest())
        };
        ApiKeys::parse(&lines.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn added_removed_and_changed_keys_are_recorded_and_others_are_not() {
        let before = keys(&[(1, ""), (2, "scopes=statistics"), (3, "scopes=statistics")]);
        let after = keys(&[(4, "scopes=admin:write"), (3, "scopes=admin:read rate=7"), (1, "")]);
        let records = changes(&before, &after);
        let said: Vec<_> = records
            .iter()
            .map(|record| {
                (record.action, record.subject.as_deref().unwrap(), record.reason.as_deref().unwrap())
            })
            .collect();
        assert_eq!(
            said,
            [
                (RecordedAction::KeyRemoved, "shop2", "shop2 scopes=statistics"),
                (RecordedAction::KeyAdded, "shop4", "shop4 scopes=admin:write"),
                (
                    RecordedAction::KeyChanged,
                    "shop3",
                    "shop3 scopes=admin:read rate=7; before: shop3 scopes=statistics"
                ),
            ]
        );
        for (record, seed) in records.iter().zip([2, 4, 3]) {
            let digest = NewKey::new(KeyKind::Test, [seed; 32]).digest();
            assert_eq!(record.key_id, Some(digest.id()));
            assert!(!record.reason.as_deref().unwrap().contains(&digest.to_string()));
        }
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn the_same_keys_in_another_order_are_the_same() {
        let reason = |lines: &[(u8, &str)]| loaded(&keys(lines)).reason.unwrap();
        let two = reason(&[(1, ""), (2, "")]);
        assert!(two.starts_with("2 keys; "), "{two}");
        assert_eq!(two, reason(&[(2, ""), (1, "")]));
        assert_ne!(two, reason(&[(1, ""), (2, "rate=1")]));
    }
}
