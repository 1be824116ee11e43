//! Sessions of the console: who signed in, by which key, since when.
//!
//! A session is a sealed text in the browser's cookie; any gateway with the same secret reads it. It holds no key, and is worth
//! nothing once the key is revoked or has expired: each request looks the key up anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::{Owner, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a session lasts without a page being asked for.
const IDLE: Duration = Duration::from_mins(30);

/// How long a session lasts.
pub(super) const LIFETIME: Duration = Duration::from_hours(12);

/// How old the note of the last use is when it is written anew.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// Seals sessions.
pub(super) struct Sealing([u8; 32]);

impl Sealing {
    /// With a secret of any length.
    pub(super) fn with(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    fn mac(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        // The length of a block of SHA-256.
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(purpose);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    fn is_ours(&self, purpose: &[u8], text: &[u8], presented: &str) -> bool {
        let mut bytes = [0; 32];
        hex::decode_to_slice(presented, &mut bytes).is_ok()
            && bool::from(self.mac(purpose, text).ct_eq(&bytes))
    }
}

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    id: Uuid,
    /// Whose key it was.
    pub(super) caller: Owner,
    /// What names the key; none without authentication.
    pub(super) key_id: Option<String>,
    /// When, in seconds since 1970.
    began: i64,
    /// When a page was last asked for, to within a minute.
    seen: i64,
}

/// The sessions of a gateway.
pub(super) struct Sessions {
    sealing: Sealing,
    /// Those that ended by signing out here, and until when they would have lasted.
    ended: Mutex<HashMap<Uuid, i64>>,
}

impl Session {
    pub(super) fn new(caller: Owner, key_id: Option<String>, now: Timestamp) -> Self {
        let now = seconds(now);
        Self { id: Uuid::new_v4(), caller, key_id, began: now, seen: now }
    }

    fn is_over(&self, now: i64) -> bool {
        let over = |since: i64, time: Duration| now.saturating_sub(since) >= whole_seconds(time);
        over(self.began, LIFETIME) || over(self.seen, IDLE)
    }

    /// The same, used now; none if that is noted already.
    pub(super) fn used(&self, now: Timestamp) -> Option<Self> {
        let now = seconds(now);
        (now - self.seen >= whole_seconds(NOTE_EVERY)).then(|| Self { seen: now, ..self.clone() })
    }
}

impl Sessions {
    pub(super) fn new(sealing: Sealing) -> Self {
        Self { sealing, ended: Mutex::default() }
    }

    /// The session as it stands in a cookie.
    pub(super) fn seal(&self, session: &Session) -> Option<String> {
        let text = serde_json::to_vec(session).ok()?;
        Some(format!("{}.{}", hex::encode(&text), hex::encode(self.sealing.mac(b"session", &text))))
    }

    /// The session that a cookie holds, if it was sealed with the same secret and is not over.
    pub(super) fn open(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (text, seal) = cookie.split_once('.')?;
        let text = hex::decode(text).ok()?;
        if !self.sealing.is_ours(b"session", &text, seal) {
            return None;
        }
        let session: Session = serde_json::from_slice(&text).ok()?;
        let is_open = !session.is_over(seconds(now)) && !self.ended().contains_key(&session.id);
        is_open.then_some(session)
    }

    /// Ends a session before its time.
    pub(super) fn end(&self, session: &Session, now: Timestamp) {
        let now = seconds(now);
        let mut ended = self.ended();
        ended.retain(|_, until| *until > now);
        ended.insert(session.id, session.began + whole_seconds(LIFETIME));
    }

    /// What each form of a session carries, which no other site can know.
    pub(super) fn form_token(&self, session: &Session) -> String {
        hex::encode(self.sealing.mac(b"form", session.id.as_bytes()))
    }

    /// Whether a form came from a page of this session.
    pub(super) fn is_form_of(&self, session: &Session, token: &str) -> bool {
        self.sealing.is_ours(b"form", session.id.as_bytes(), token)
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<Uuid, i64>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn seconds(time: Timestamp) -> i64 {
    time.as_datetime().unix_timestamp()
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(Sealing::with(b"a secret"))
    }

    fn session(now: Timestamp) -> Session {
        Session::new("ops".parse().unwrap(), Some("2c70e12b".to_owned()), now)
    }

    #[test]
    fn a_session_is_read_where_the_secret_is_the_same() {
        let now = Timestamp::now();
        let session = session(now);
        let cookie = sessions().seal(&session).unwrap();
        assert_eq!(sessions().open(&cookie, now), Some(session));
        assert_eq!(Sessions::new(Sealing::with(b"another")).open(&cookie, now), None);
    }

    #[test]
    fn a_changed_cookie_is_none() {
        let now = Timestamp::now();
        let cookie = sessions().seal(&session(now)).unwrap();
        for place in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sessions().open(&changed, now), None, "{place}");
        }
        for other in ["", ".", "00.00"] {
            assert_eq!(sessions().open(other, now), None);
        }
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
        let (sessions, began) = (sessions(), Timestamp::now());
        let mut session = session(began);
        let opened = |session: &Session, now| sessions.open(&sessions.seal(session).unwrap(), now);
        assert!(opened(&session, began + IDLE.checked_sub(Duration::from_secs(1)).unwrap()).is_some());
        assert!(opened(&session, began + IDLE).is_none());
        assert_eq!(session.used(began), None);
        let mut now = began;
        while now < began + LIFETIME {
            assert!(opened(&session, now).is_some());
            now = now + Duration::from_mins(20);
            session = session.used(now).unwrap();
        }
        assert!(opened(&session, now).is_none());
    }

    #[test]
    fn a_session_that_was_signed_out_of_is_over() {
        let (sessions, now) = (sessions(), Timestamp::now());
        let (ended, other) = (session(now), session(now));
        sessions.end(&ended, now);
        assert_eq!(sessions.open(&sessions.seal(&ended).unwrap(), now), None);
        assert_eq!(sessions.open(&sessions.seal(&other).unwrap(), now), Some(other));
    }

    #[test]
    fn a_form_belongs_to_its_session() {
        let (sessions, now) = (sessions(), Timestamp::now());
        let (one, other) = (session(now), session(now));
        let token = sessions.form_token(&one);
        assert!(sessions.is_form_of(&one, &token));
        assert!(!sessions.is_form_of(&other, &token) && !sessions.is_form_of(&one, ""));
    }
}
