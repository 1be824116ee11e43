//! The API keys that the gateway knows, and whose a presented one is.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use chassis::http::Caller;
use chassis::telemetry::METER;
use contracts::Timestamp;
use contracts::api_key::{self, KeyDigest, KnownKey};
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

impl ApiKeys {
    /// The keys of a file's text; without any, no caller is let in.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let entry = |key: KnownKey| {
            let caller =
                Caller { name: key.caller.clone(), scopes: Arc::new(key.scopes.clone()), rate: key.rate };
            Entry { key, caller, noted: AtomicI64::new(0) }
        };
        let keys = api_key::keys_of(text).map_err(|error| error.to_string())?;
        Ok(Self(keys.into_iter().flatten().map(entry).collect()))
    }

    /// How many keys there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The caller who presents this key from this address. Compares with every key in constant time.
    pub(crate) fn find(&self, presented: &str, from: IpAddr) -> Result<&Caller, Refused> {
        let digest = KeyDigest::of(presented);
        let mut found = None;
        for entry in &self.0 {
            if bool::from(entry.key.digest.as_bytes().ct_eq(digest.as_bytes())) {
                found = Some(entry);
            }
        }
        let Some(entry) = found else {
            return Err(if api_key::is_damaged(presented) { Refused::Damaged } else { Refused::Unknown });
        };
        let now = Timestamp::now();
        if entry.key.is_expired(now) {
            return Err(Refused::Expired);
        }
        if !entry.key.may_come_from(from) {
            return Err(Refused::Address);
        }
        entry.note_use(now);
        Ok(&entry.caller)
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn keys(attributes: &str) -> (ApiKeys, NewKey) {
        let key = NewKey::new(KeyKind::Test, [1; 32]);
        (ApiKeys::parse(&format!("shop:{} {attributes}", key.digest())).unwrap(), key)
    }

    #[test]
    fn a_key_is_known_by_its_digest() {
        let (keys, key) = keys("");
        assert_eq!(keys.find(key.expose(), HERE).unwrap().name.as_str(), "shop");
        assert_eq!(keys.find("key", HERE), Err(Refused::Unknown));
        assert_eq!(keys.find("", HERE), Err(Refused::Unknown));
        assert_eq!(keys.find(&key.expose()[1..], HERE), Err(Refused::Unknown));
        assert_eq!(keys.find(&key.expose()[..70], HERE), Err(Refused::Damaged));
    }

    #[test]
    fn a_key_is_valid_for_its_time_and_its_networks() {
        let (expired, key) = keys("expires=2020-01-01T00:00:00Z");
        assert_eq!(expired.find(key.expose(), HERE), Err(Refused::Expired));
        let (elsewhere, key) = keys("from=10.0.0.0/8");
        assert_eq!(elsewhere.find(key.expose(), HERE), Err(Refused::Address));
        assert!(elsewhere.find(key.expose(), "10.1.2.3".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_empty_file_holds_no_key() {
        assert_eq!(ApiKeys::parse("# all revoked\n").unwrap().count(), 0);
    }
}
