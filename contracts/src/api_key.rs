//! API keys: what a caller presents, and the line that the gateway keeps of it.
//!
//! A key is a prefix, 256 random bits and a checksum (`psk_live_…`). Prefix and checksum let scanners find a key where it
//! does not belong, and tell half a key from one that is unknown. The gateway's file holds no key but its digest, with what it is good for:
//!
//! ```text
//! shop:2c70e12b…f683 scopes=orders:read,orders:write expires=2027-01-31T00:00:00.000Z from=10.0.0.0/8
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use ipnet::IpNet;
use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use thiserror::Error;

use crate::owner::Owner;
use crate::timestamp::Timestamp;

/// What a key allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Scope {
    /// To read orders and their timelines.
    #[strum(serialize = "orders:read")]
    OrdersRead,
    /// To place and cancel orders.
    #[strum(serialize = "orders:write")]
    OrdersWrite,
    /// To read payments.
    #[strum(serialize = "payments:read")]
    PaymentsRead,
    /// To read how many payments have each status, and what they come to.
    #[strum(serialize = "statistics")]
    Statistics,
    /// To see failed messages, refunds, the audit, metrics, and all of the console.
    #[strum(serialize = "admin:read")]
    AdminRead,
    /// To replay and discard failed messages, and to decide about payments and refunds, in the console too.
    #[strum(serialize = "admin:write")]
    AdminWrite,
}

/// What a key allows, all together.
pub type Scopes = BTreeSet<Scope>;

impl Scope {
    /// What a client needs: everything but an operator's work.
    #[must_use]
    pub fn of_client() -> Scopes {
        Self::VARIANTS
            .iter()
            .copied()
            .filter(|scope| !matches!(scope, Self::AdminRead | Self::AdminWrite))
            .collect()
    }

    /// Everything there is.
    #[must_use]
    pub fn of_operator() -> Scopes {
        Self::VARIANTS.iter().copied().collect()
    }
}

/// Which money a key moves, as its prefix shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum KeyKind {
    /// Customers' money.
    Live,
    /// Play money, of a test.
    Test,
}

/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// A key that was just made. It never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey(String);

impl NewKey {
    /// The key made of 256 random bits.
    #[must_use]
    pub fn new(kind: KeyKind, random: [u8; 32]) -> Self {
        let text = format!("psk_{kind}_{}", hex::encode(random));
        let checksum = checksum(&text);
        Self(text + &checksum)
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NewKey(…)")
    }
}

/// Whether a text begins as a key does but is not a whole one: cut off, or mistyped.
#[must_use]
pub fn is_damaged(text: &str) -> bool {
    let whole = || {
        let (before, found) = text.split_at_checked(text.len().checked_sub(2 * CHECKSUM)?)?;
        Some(checksum(before) == found)
    };
    text.starts_with("psk_") && whole() != Some(true)
}

/// The text with `psk_…` in the place of each key and each part of one: people put them where they don't belong.
#[must_use]
pub fn without_keys(text: &str) -> String {
    let mut parts = text.split("psk_");
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
        found.push_str("psk_…");
        found.push_str(rest);
    }
    found
}

fn checksum(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..CHECKSUM])
}

/// The SHA-256 digest of a key. A key is random enough for that: a slow hash protects passwords, which people choose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of what a caller presents.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight digits, by which the key is named where it must not be shown.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyDigest({}…)", self.id())
    }
}

/// A key as the gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The caller whose key it is.
    pub caller: Owner,
    /// Its digest.
    pub digest: KeyDigest,
    /// What it allows.
    pub scopes: Scopes,
    /// When it ceases to be valid, if ever.
    pub expires: Option<Timestamp>,
    /// The networks that it may be used from; any if there are none.
    pub from: Vec<IpNet>,
    /// How many requests a second it allows; the gateway's usual number if this says nothing.
    pub rate: Option<NonZeroU32>,
    /// When it was made, if that is known.
    pub created: Option<Timestamp>,
}

impl KnownKey {
    /// Whether it is valid no longer.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether it may be used from an address.
    #[must_use]
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        self.from.is_empty() || self.from.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl fmt::Display for KnownKey {
    /// As a line of the gateway's file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{} scopes={}", self.caller, self.digest, joined(&self.scopes))?;
        if let Some(expires) = self.expires {
            write!(formatter, " expires={expires}")?;
        }
        if !self.from.is_empty() {
            write!(formatter, " from={}", joined(&self.from))?;
        }
        if let Some(rate) = self.rate {
            write!(formatter, " rate={rate}")?;
        }
        if let Some(created) = self.created {
            write!(formatter, " created={created}")?;
        }
        Ok(())
    }
}

/// The words with commas between them.
#[must_use]
pub fn joined<T: fmt::Display>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(",")
}

/// A line is not a key. The message does not repeat it: it may hold a key instead of a digest by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// It does not begin as it must.
    #[error("must be name:sha256-of-key, 64 hexadecimal digits")]
    Form,
    /// It says something that no key has.
    #[error("may have scopes=, expires=, from=, rate= and created= behind the digest, and nothing else")]
    Attribute,
    /// A scope is unknown.
    #[error("scopes= must be some of {}, separated by commas", joined(Scope::VARIANTS))]
    Scopes,
    /// A time can't be read.
    #[error("expires= and created= must be times such as 2027-01-31T00:00:00Z")]
    Time,
    /// A rate can't be read.
    #[error("rate= must be a number of requests a second, at least 1")]
    Rate,
    /// A network can't be read.
    #[error("from= must be networks such as 10.0.0.0/8,192.0.2.7/32, separated by commas")]
    From,
}

impl FromStr for KnownKey {
    type Err = InvalidKey;

    fn from_str(line: &str) -> Result<Self, InvalidKey> {
        let mut words = line.split_whitespace();
        let (caller, digest) =
            words.next().and_then(|first| first.split_once(':')).ok_or(InvalidKey::Form)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digest, &mut bytes).map_err(|_| InvalidKey::Form)?;
        let mut key = Self {
            caller: caller.parse().map_err(|_| InvalidKey::Form)?,
            digest: KeyDigest(bytes),
            scopes: Scope::of_client(),
            expires: None,
            from: Vec::new(),
            rate: None,
            created: None,
        };
        for word in words {
            let (name, value) = word.split_once('=').ok_or(InvalidKey::Attribute)?;
            match name {
                "scopes" => key.scopes = all(value).ok_or(InvalidKey::Scopes)?.into_iter().collect(),
                "expires" => key.expires = Some(value.parse().map_err(|_| InvalidKey::Time)?),
                "from" => key.from = all(value).ok_or(InvalidKey::From)?,
                "rate" => key.rate = Some(value.parse().map_err(|_| InvalidKey::Rate)?),
                "created" => key.created = Some(value.parse().map_err(|_| InvalidKey::Time)?),
                _ => return Err(InvalidKey::Attribute),
            }
        }
        Ok(key)
    }
}

/// The words between the commas; `None` if one of them can't be read, or if there are none.
fn all<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|word| word.parse().ok()).collect()
}

/// A line of a file of keys that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line} {reason}")]
pub struct InvalidLine {
    line: usize,
    reason: InvalidKey,
}

/// The key of each line of a file, if it holds one: empty lines and lines that begin with `#` hold none.
pub fn keys_of(text: &str) -> Result<Vec<Option<KnownKey>>, InvalidLine> {
    let key = |(number, line): (usize, &str)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        line.parse().map(Some).map_err(|reason| InvalidLine { line: number + 1, reason })
    };
    text.lines().enumerate().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> String {
        // printf key | sha256sum
        "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683".to_owned()
    }

    #[test]
    fn a_key_is_recognised_and_half_a_key_is_too() {
        let key = NewKey::new(KeyKind::Live, [7; 32]);
        assert!(key.expose().starts_with("psk_live_0707"), "{}", key.expose());
        assert_eq!(key.expose().len(), "psk_live_".len() + 64 + 8);
        assert!(!is_damaged(key.expose()));
        for end in ["psk_".len(), 40, key.expose().len() - 1] {
            assert!(is_damaged(&key.expose()[..end]), "{end}");
        }
        assert!(is_damaged(&key.expose().replace("07", "08")));
        assert!(!is_damaged("a key that was made otherwise"));
        assert_ne!(key, NewKey::new(KeyKind::Test, [7; 32]));
        assert!(!format!("{key:?}").contains("07"));
    }

    #[test]
    fn a_text_is_left_as_it_is_but_for_its_keys() {
        let key = NewKey::new(KeyKind::Live, [7; 32]);
        let key = key.expose();
        for (text, left) in [
            ("", ""),
            ("a duplicate", "a duplicate"),
            (key, "psk_…"),
            (&format!("revoked {key}, and {}.", &key[..30]), "revoked psk_…, and psk_…."),
            (&format!("{key}{key}"), "psk_…psk_…"),
        ] {
            assert_eq!(without_keys(text), left);
        }
    }

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        assert_eq!(KeyDigest::of("key").to_string(), digest());
        assert_eq!(KeyDigest::of("key").id(), "2c70e12b");
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let plain: KnownKey = format!("shop:{}", digest()).parse().unwrap();
        assert_eq!((plain.caller.as_str(), &plain.scopes), ("shop", &Scope::of_client()));
        assert!(plain.may_come_from("192.0.2.1".parse().unwrap()) && !plain.is_expired(Timestamp::now()));

        let line = format!(
            "ops:{} scopes=orders:read,admin:write expires=2020-01-31T00:00:00.000Z from=10.0.0.0/8,fd00::/8 \
             rate=20 created=2020-01-01T00:00:00.000Z",
            digest()
        );
        let key: KnownKey = line.parse().unwrap();
        assert_eq!(key.to_string(), line);
        assert_eq!(key.scopes, Scopes::from([Scope::OrdersRead, Scope::AdminWrite]));
        assert!(key.is_expired(Timestamp::now()));
        assert!(key.may_come_from("10.1.2.3".parse().unwrap()));
        assert!(key.may_come_from("::ffff:10.1.2.3".parse().unwrap()));
        assert!(key.may_come_from("fd00::1".parse().unwrap()));
        assert!(!key.may_come_from("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_shown() {
        let digest = digest();
        for (line, reason) in [
            ("shop".to_owned(), InvalidKey::Form),
            ("shop:my-secret-key".to_owned(), InvalidKey::Form),
            (format!(":{digest}"), InvalidKey::Form),
            (format!("{}:{digest}", "x".repeat(65)), InvalidKey::Form),
            (format!("shop:{digest} my-secret-key"), InvalidKey::Attribute),
            (format!("shop:{digest} scope=orders:read"), InvalidKey::Attribute),
            (format!("shop:{digest} scopes="), InvalidKey::Scopes),
            (format!("shop:{digest} scopes=orders:read,all"), InvalidKey::Scopes),
            (format!("shop:{digest} expires=tomorrow"), InvalidKey::Time),
            (format!("shop:{digest} from=10.0.0.0"), InvalidKey::From),
            (format!("shop:{digest} rate=0"), InvalidKey::Rate),
        ] {
            let error = keys_of(&format!("# keys\n{line}")).unwrap_err();
            assert_eq!(error, InvalidLine { line: 2, reason }, "{line}");
            assert!(
                error.to_string().starts_with("line 2 ") && !error.to_string().contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn lines_without_a_key_are_kept_apart() {
        let keys = keys_of(&format!("# shops\n\nshop:{}\n", digest())).unwrap();
        assert_eq!(keys.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(keys_of(""), Ok(Vec::new()));
    }
}
