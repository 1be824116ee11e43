//! The audit trail: the order service's chain of records, read from its beginning and hashed again.
//!
//! A chain that was written anew from some record on is whole in itself. Its ends of former times, which are in the log of the
//! order service, tell it from the one that was there.

use contracts::audit_chain::{ChainHash, ChainHead, MemberTexts};
use futures_util::TryStreamExt;
use sqlx::{FromRow, PgConnection};

use super::report::{Finding, Report};

/// The invariant that does not hold where a chain is broken.
const INVARIANT: &str = "audit-chain";

/// Every member as the text that the hash covers, whatever is stored.
const RECORDS: &str = r#"
    SELECT number AS position, number::text, id::text,
           to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS recorded_at,
           action, actor, key_id, address, correlation_id, subject, outcome::text, reason, count::text, hash
    FROM audit_records ORDER BY audit_records.number"#;

#[derive(FromRow)]
struct StoredRecord {
    position: i64,
    number: Option<String>,
    id: Option<String>,
    recorded_at: Option<String>,
    action: Option<String>,
    actor: Option<String>,
    key_id: Option<String>,
    address: Option<String>,
    correlation_id: Option<String>,
    subject: Option<String>,
    outcome: Option<String>,
    reason: Option<String>,
    count: Option<String>,
    hash: Vec<u8>,
}

/// A chain that is read record by record.
struct Trail<'a> {
    head: ChainHead,
    /// The heads that must be in it, and are not found yet.
    expected: Vec<&'a ChainHead>,
    findings: Vec<Finding>,
}

/// Adds the chain to the report, and a finding where it is broken first or does not lead to one of the heads that are `expected`
/// in it. The services of older versions have none: it is then not looked at, unless there should be a head.
pub async fn add_trail(
    orders: &mut PgConnection,
    expected: &[ChainHead],
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let exists = sqlx::query_scalar::<_, bool>("SELECT to_regclass('audit_records') IS NOT NULL");
    let exists = exists.fetch_one(&mut *orders).await?;
    if !exists && expected.is_empty() {
        return Ok(());
    }
    let expected = expected.iter().filter(|head| **head != ChainHead::START).collect();
    let mut trail = Trail { head: ChainHead::START, expected, findings: Vec::new() };
    if exists {
        // Row by row as PostgreSQL sends them, however many there are.
        let mut records = sqlx::query_as::<_, StoredRecord>(RECORDS).fetch(orders);
        while let Some(record) = records.try_next().await? {
            if !trail.follow(record) {
                break;
            }
        }
    }
    report.audit_head = Some(trail.head);
    report.findings.extend(trail.end());
    Ok(())
}

impl Trail<'_> {
    /// Goes on to the next record; `false` if it does not follow.
    fn follow(&mut self, record: StoredRecord) -> bool {
        let number = self.head.number + 1;
        if u64::try_from(record.position) != Ok(number) {
            let found = record.position;
            self.find(format!("record {number} is missing: {found} stands in its place"));
            return false;
        }
        let hash = self.head.hash.next(&record.texts());
        let stored = ChainHash::try_from(record.hash);
        if stored != Ok(hash) {
            let stored = stored.map_or_else(|_| "none".to_owned(), |stored| stored.to_string());
            self.find(format!(
                "record {number} is not the one that was written there: its hash is {stored}, that of what stands there \
                 {hash}"
            ));
            return false;
        }
        self.head = ChainHead { number, hash };
        let (here, ahead) = self.expected.iter().partition(|head| head.number == number);
        self.expected = ahead;
        for head in here {
            self.compare(head);
        }
        true
    }

    fn compare(&mut self, expected: &ChainHead) {
        let ChainHead { number, hash } = self.head;
        if expected.hash != hash {
            let was = expected.hash;
            self.find(format!(
                "the chain was written anew up to record {number} or before it: its hash is {hash}, and was {was}"
            ));
        }
    }

    /// What is wrong with the whole of it.
    fn end(mut self) -> Vec<Finding> {
        for head in std::mem::take(&mut self.expected) {
            let (wanted, last) = (head.number, self.head.number);
            self.find(format!("record {wanted} was there, and the chain leads to {last} only"));
        }
        self.findings
    }

    fn find(&mut self, what: String) {
        self.findings.push(Finding::general(INVARIANT, what));
    }
}

impl StoredRecord {
    fn texts(&self) -> MemberTexts {
        let Self { number, id, recorded_at, action, actor, key_id, address, .. } = self;
        let Self { correlation_id, subject, outcome, reason, count, .. } = self;
        [
            number,
            id,
            recorded_at,
            action,
            actor,
            key_id,
            address,
            correlation_id,
            subject,
            outcome,
            reason,
            count,
        ]
        .map(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use contracts::audit_record::AuditRecord;

    use super::*;

    /// A chain of so many records.
    fn chain(length: u64) -> Vec<StoredRecord> {
        let mut head = ChainHead::START;
        let store = |_| {
            let record = AuditRecord::now("ADMIN_READ".to_owned());
            head = head.next(&record);
            let [
                number,
                id,
                recorded_at,
                action,
                actor,
                key_id,
                address,
                correlation_id,
                subject,
                outcome,
                reason,
                count,
            ] = record.member_texts(head.number);
            StoredRecord {
                position: i64::try_from(head.number).unwrap(),
                number,
                id,
                recorded_at,
                action,
                actor,
                key_id,
                address,
                correlation_id,
                subject,
                outcome,
                reason,
                count,
                hash: head.hash.as_bytes().to_vec(),
            }
        };
        (0..length).map(store).collect()
    }

    /// What is found, and where the chain ends.
    fn followed(records: Vec<StoredRecord>, expected: &[ChainHead]) -> (Vec<String>, ChainHead) {
        let expected = expected.iter().collect();
        let mut trail = Trail { head: ChainHead::START, expected, findings: Vec::new() };
        let mut records = records.into_iter();
        while records.next().is_some_and(|record| trail.follow(record)) {}
        let head = trail.head;
        (trail.end().into_iter().map(|finding| finding.what).collect(), head)
    }

    fn head_of(record: &StoredRecord) -> ChainHead {
        let hash = record.hash.clone().try_into().unwrap();
        ChainHead { number: record.position.unsigned_abs(), hash }
    }

    #[test]
    fn a_whole_chain_leads_to_its_end_and_through_every_former_end() {
        let records = chain(5);
        let heads: Vec<_> = records.iter().map(head_of).collect();
        assert_eq!(followed(records, &heads), (Vec::new(), heads[4]));
        assert_eq!(followed(Vec::new(), &[]), (Vec::new(), ChainHead::START));
    }

    #[test]
    fn the_first_broken_link_is_named() {
        type Tamper = fn(&mut Vec<StoredRecord>);
        let tampered: [(&str, Tamper); 6] = [
            ("record 3 is not the one", |records| records[2].actor = Some("another".to_owned())),
            ("record 3 is not the one", |records| records[2].hash[0] ^= 1),
            ("record 3 is not the one", |records| records[2].hash.clear()),
            ("record 3 is missing: 4 stands in its place", |records| _ = records.remove(2)),
            ("record 1 is missing: 2 stands in its place", |records| _ = records.remove(0)),
            ("record 3 is not the one", |records| {
                records.swap(2, 3);
                for (record, number) in records.iter_mut().zip(1..) {
                    (record.position, record.number) = (number, Some(number.to_string()));
                }
            }),
        ];
        for (expected, tamper) in tampered {
            let mut records = chain(5);
            tamper(&mut records);
            let (findings, _) = followed(records, &[]);
            assert!(
                matches!(&findings[..], [found] if found.starts_with(expected)),
                "{expected}: {findings:?}"
            );
        }
    }

    #[test]
    fn a_chain_that_was_cut_off_or_written_anew_is_told_by_a_former_end() {
        let records = chain(5);
        let was = head_of(&records[4]);
        let cut = records.into_iter().take(3).collect();
        let (findings, head) = followed(cut, &[was]);
        assert_eq!((&*findings[0], head.number), ("record 5 was there, and the chain leads to 3 only", 3));
        let (findings, _) = followed(chain(6), &[was]);
        assert!(findings[0].starts_with("the chain was written anew up to record 5"), "{findings:?}");
    }
}
