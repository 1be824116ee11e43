//! The API keys that the gateway knows, and whose a presented one is.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use chassis::http::Caller;
use chassis::telemetry::METER;
use contracts::api_key::{self, KeyDigest, KnownKey, Scope};
use contracts::{Owner, Timestamp};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;
use subtle::ConstantTimeEq;

static LAST_USED: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    METER
        .i64_gauge("paysaga.api_key.last_used_timestamp")
        .with_unit("s")
        .with_description(
            "When an API key was last used, as Unix time, by its caller and the first digits of its digest.",
        )
        .build()
});

/// Where a key is before it is presented.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The keys of a file.
pub(crate) struct ApiKeys(Vec<Entry>);

struct Entry {
    key: KnownKey,
    caller: Caller,
    /// The second in which its use was last noted.
    noted: AtomicI64,
}

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing was presented, or no key.
    Missing,
    /// It is a part of a key.
    Damaged,
    /// There is no such key.
    Unknown,
    /// Its time is over.
    Expired,
    /// It may not be used from where it came.
    Address,
}

impl Refused {
    /// For the audit.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Missing => "no key",
            Self::Damaged => "a part of a key",
            Self::Unknown => "an unknown key",
            Self::Expired => "an expired key",
            Self::Address => "a key from an address that it may not be used from",
        }
    }
}

/// A key that is not accepted.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) why: Refused,
    /// Whose key it is, if it is known.
    pub(crate) holder: Option<&'a Caller>,
}

impl From<Refused> for Refusal<'_> {
    fn from(why: Refused) -> Self {
        Self { why, holder: None }
    }
}

impl ApiKeys {
    /// The keys of a file's text; without any, no caller is let in.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let entry = |key: KnownKey| {
            let caller = Caller {
                name: key.caller.clone(),
                scopes: Arc::new(key.scopes.clone()),
                rate: key.rate,
                key_id: Some(key.digest.id().into()),
                address: NOWHERE,
            };
            Entry { key, caller, noted: AtomicI64::new(0) }
        };
        let keys = api_key::keys_of(text).map_err(|error| error.to_string())?;
        Ok(Self(keys.into_iter().flatten().map(entry).collect()))
    }

    /// Every key.
    pub(crate) fn known(&self) -> impl Iterator<Item = &KnownKey> {
        self.0.iter().map(|entry| &entry.key)
    }

    /// How many keys there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the key by which a caller was identified is still one of these and valid, and has the scope.
    pub(crate) fn still_permits(&self, caller: &Caller, scope: Scope) -> bool {
        let now = Timestamp::now();
        let is_same = |known: &Caller| known.name == caller.name && known.key_id == caller.key_id;
        let entry = self.0.iter().find(|entry| is_same(&entry.caller));
        entry.is_some_and(|Entry { key, caller: known, .. }| {
            known.scopes.contains(&scope) && !key.is_expired(now) && key.may_come_from(caller.address)
        })
    }

    /// The caller whose key has this id, if it is valid and may be used from this address.
    pub(crate) fn holder(&self, name: &Owner, key_id: &str, from: IpAddr) -> Option<Caller> {
        let is_same = |known: &Caller| known.name == *name && known.key_id.as_deref() == Some(key_id);
        let entry = self.0.iter().find(|entry| is_same(&entry.caller))?;
        let now = Timestamp::now();
        let is_valid = !entry.key.is_expired(now) && entry.key.may_come_from(from);
        is_valid.then(|| {
            entry.note_use(now);
            Caller { address: from, ..entry.caller.clone() }
        })
    }

    /// The caller who presents this key from this address. Compares with every key in constant time.
    pub(crate) fn find(&self, presented: &str, from: IpAddr) -> Result<Caller, Refusal<'_>> {
        let digest = KeyDigest::of(presented);
        let mut found = None;
        for entry in &self.0 {
            if bool::from(entry.key.digest.as_bytes().ct_eq(digest.as_bytes())) {
                found = Some(entry);
            }
        }
        let Some(entry) = found else {
            let damaged = api_key::is_damaged(presented);
            return Err(if damaged { Refused::Damaged } else { Refused::Unknown }.into());
        };
        let refuse = |why| Err(Refusal { why, holder: Some(&entry.caller) });
        let now = Timestamp::now();
        if entry.key.is_expired(now) {
            return refuse(Refused::Expired);
        }
        if !entry.key.may_come_from(from) {
            return refuse(Refused::Address);
        }
        entry.note_use(now);
        Ok(Caller { address: from, ..entry.caller.clone() })
    }
}

impl Entry {
    /// Notes that it was used, once a second at most.
    fn note_use(&self, now: Timestamp) {
        let second = now.as_datetime().unix_timestamp();
        if self.noted.swap(second, Ordering::Relaxed) != second {
            let labels = [
                KeyValue::new("caller", self.key.caller.to_string()),
                KeyValue::new("key", self.key.digest.id()),
            ];
            LAST_USED.record(second, &labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::api_key::{KeyKind, NewKey};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn keys(attributes: &str) -> (ApiKeys, NewKey) {
        let key = NewKey::new(KeyKind::Test, [1; 32]);
        (ApiKeys::parse(&format!("shop:{} {attributes}", key.digest())).unwrap(), key)
    }

    #[test]
    fn a_key_is_known_by_its_digest() {
        let (keys, key) = keys("");
        let caller = keys.find(key.expose(), HERE).unwrap();
        assert_eq!((caller.name.as_str(), caller.address), ("shop", HERE));
        assert_eq!(caller.key_id.as_deref(), Some(&*key.digest().id()));
        for (presented, why) in [
            ("key", Refused::Unknown),
            ("", Refused::Unknown),
            (&key.expose()[1..], Refused::Unknown),
            (&key.expose()[..70], Refused::Damaged),
        ] {
            let refusal = keys.find(presented, HERE).unwrap_err();
            assert_eq!((refusal.why, refusal.holder), (why, None), "{presented}");
        }
    }

    #[test]
    fn a_key_is_valid_for_its_time_and_its_networks() {
        let (expired, key) = keys("expires=2020-01-01T00:00:00Z");
        let refused = |keys: &ApiKeys, key: &NewKey| {
            let refusal = keys.find(key.expose(), HERE).unwrap_err();
            assert_eq!(refusal.holder.unwrap().name.as_str(), "shop");
            refusal.why
        };
        assert_eq!(refused(&expired, &key), Refused::Expired);
        let (elsewhere, key) = keys("from=10.0.0.0/8");
        assert_eq!(refused(&elsewhere, &key), Refused::Address);
        assert!(elsewhere.find(key.expose(), "10.1.2.3".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_caller_is_known_until_its_key_is_revoked_or_may_do_less() {
        let (keys, key) = keys("");
        let caller = keys.find(key.expose(), HERE).unwrap();
        assert!(keys.still_permits(&caller, Scope::OrdersRead));
        assert!(!keys.still_permits(&caller, Scope::AdminRead));
        let other = Caller { address: [10, 1, 2, 3].into(), ..caller.clone() };
        for (attributes, permitted) in [
            ("", true),
            ("scopes=statistics", false),
            ("expires=2020-01-01T00:00:00Z", false),
            ("from=127.0.0.1/32", false),
        ] {
            assert_eq!(
                self::keys(attributes).0.still_permits(&other, Scope::OrdersRead),
                permitted,
                "{attributes}"
            );
        }
        assert!(!ApiKeys::parse("").unwrap().still_permits(&caller, Scope::OrdersRead));
    }

    #[test]
    fn an_empty_file_holds_no_key() {
        assert_eq!(ApiKeys::parse("# all revoked\n").unwrap().count(), 0);
    }
}
