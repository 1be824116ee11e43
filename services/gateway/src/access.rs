//! Authentication: who a caller is, by the API key, and what they may do.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chassis::http::{Caller, Matched, PeerAddr, Request};
use chassis::tasks::Tasks;
use contracts::Problem;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use warp::Filter;
use warp::reject::{Reject, Rejection};

/// What the gateway knows of its callers.
pub enum AccessConfig {
    /// Nothing: everybody who reaches the address is let in.
    Open,
    /// Their keys.
    Keys {
        /// Where the keys are read from, again on SIGHUP.
        path: PathBuf,
        /// The keys as they are now.
        keys: Keys,
    },
}

impl AccessConfig {
    /// Reads a file of API keys.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let keys = Keys::read(&path)?;
        Ok(Self::Keys { path, keys })
    }
}

/// The digests of the API keys, by the name of who has them.
pub struct Keys(Vec<(Arc<str>, [u8; 32])>);

impl Keys {
    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"))?;
        let keys = Self::parse(&text)?;
        if keys.0.is_empty() { Err("holds no key".to_owned()) } else { Ok(keys) }
    }

    /// Reads `name:sha256-of-key` lines. Empty lines and lines that begin with `#` are passed over.
    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is not shown: somebody may have put a key there instead of its digest.
            let wrong = || format!("line {} must be name:sha256-of-key, 64 hexadecimal digits", number + 1);
            let (name, digest) = line.split_once(':').ok_or_else(wrong)?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(digest.trim(), &mut bytes).map_err(|_| wrong())?;
            if name.trim().is_empty() {
                return Err(wrong());
            }
            keys.push((name.trim().into(), bytes));
        }
        Ok(Self(keys))
    }

    /// The name of whose key `presented` is. Looks at every key, and takes the same time for each.
    fn find(&self, presented: &str) -> Option<Arc<str>> {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let mut found = None;
        for (name, known) in &self.0 {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(Arc::clone(name));
            }
        }
        found
    }
}

/// Decides who is let in. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Access(Option<Arc<Guard>>);

struct Guard {
    path: PathBuf,
    keys: RwLock<Keys>,
    operators: Vec<String>,
}

impl Access {
    pub(crate) fn new(config: AccessConfig, operators: Vec<String>) -> Self {
        match config {
            AccessConfig::Open => Self(None),
            AccessConfig::Keys { path, keys } => {
                Self(Some(Arc::new(Guard { path, keys: RwLock::new(keys), operators })))
            }
        }
    }

    /// Who sent these headers, if that is known. Without authentication all callers are one, and an operator.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Some(guard) = &self.0 else {
            return Some(Caller { name: "anonymous".into(), operator: true });
        };
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let name = guard.keys.read().unwrap_or_else(PoisonError::into_inner).find(key.trim())?;
        let operator = guard.operators.iter().any(|operator| **operator == *name);
        Some(Caller { name, operator })
    }

    /// Reads the keys again whenever the process gets a SIGHUP. A file that can't be read changes nothing.
    pub(crate) fn reload_on_hangup(&self, tasks: &Tasks) {
        let Some(guard) = self.0.clone() else { return };
        let stopping = tasks.stopping();
        tasks.spawn(async move {
            let mut hangups = match signal(SignalKind::hangup()) {
                Ok(hangups) => hangups,
                Err(error) => {
                    return error!(%error, "SIGHUP can't be received; API keys are read only at start");
                }
            };
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = hangups.recv() => guard.reload(),
                }
            }
        });
    }
}

impl Guard {
    fn reload(&self) {
        match Keys::read(&self.path) {
            Ok(keys) => {
                info!(count = keys.0.len(), "API keys read again");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(reason) => error!(path = %self.path.display(), reason, "API keys stay as they were"),
        }
    }
}

/// The caller of the request, or the problem that they are unknown.
pub(crate) fn caller(request: &Request) -> Result<&Caller, Problem> {
    request.caller.as_ref().ok_or_else(unauthorized)
}

/// The problem that the caller of the request is not an operator.
pub(crate) fn require_operator(request: &Request) -> Result<(), Problem> {
    if caller(request)?.operator {
        Ok(())
    } else {
        Err(Problem::new(403, "This API key is not an operator's (OPERATORS names those that are)."))
    }
}

/// Rejects requests of unknown callers. Health and metrics are open to this machine.
pub(crate) fn require_caller() -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync {
    warp::ext::optional::<Caller>()
        .and(warp::ext::get::<PeerAddr>())
        .and(warp::ext::get::<Matched>())
        .and_then(async |caller: Option<Caller>, peer: PeerAddr, matched: Matched| {
            let open_here = peer.0.ip().is_loopback()
                && matches!(matched.template(), Some("/health/live" | "/health/ready" | "/api/metrics"));
            if open_here || caller.is_some() { Ok(()) } else { Err(warp::reject::custom(Unauthorized)) }
        })
        .untuple_one()
}

/// A request without a key, or with an unknown one.
#[derive(Debug)]
pub(crate) struct Unauthorized;

impl Reject for Unauthorized {}

pub(crate) fn unauthorized() -> Problem {
    Problem::new(401, "An API key is needed: Authorization: Bearer <key>.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf key | sha256sum`
    const DIGEST_OF_KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

    #[test]
    fn a_key_is_known_by_its_digest() {
        let keys = Keys::parse(&format!("# shops\n\nshop:{DIGEST_OF_KEY}\n")).unwrap();
        assert_eq!(keys.find("key").as_deref(), Some("shop"));
        assert_eq!(keys.find("Key"), None);
        assert_eq!(keys.find(""), None);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_shown() {
        for text in ["shop", "shop:my-secret-key", ":0000", &format!(":{DIGEST_OF_KEY}")] {
            let reason = Keys::parse(&format!("# keys\n{text}")).err().unwrap();
            assert!(reason.starts_with("line 2 must be"), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn only_a_bearer_of_a_known_key_is_a_caller() {
        let keys = Keys::parse(&format!("shop:{DIGEST_OF_KEY}")).unwrap();
        let access = Access::new(AccessConfig::Keys { path: PathBuf::new(), keys }, vec!["ops".to_owned()]);
        let caller = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            access.caller(&headers).map(|caller| caller.name)
        };
        assert_eq!(caller("Bearer key").as_deref(), Some("shop"));
        assert_eq!(caller("bearer  key").as_deref(), Some("shop"));
        for wrong in ["Basic key", "key", "Bearer", "Bearer yek"] {
            assert_eq!(caller(wrong), None, "{wrong}");
        }
        assert_eq!(access.caller(&HeaderMap::new()), None);
    }

    #[test]
    fn an_operator_is_named_as_one_unless_there_is_no_authentication() {
        let keys = Keys::parse(&format!("shop:{DIGEST_OF_KEY}")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer key".parse().unwrap());
        for (operators, expected) in [(vec!["shop".to_owned()], true), (vec!["ops".to_owned()], false)] {
            let keys = Keys(keys.0.clone());
            let access = Access::new(AccessConfig::Keys { path: PathBuf::new(), keys }, operators);
            assert_eq!(access.caller(&headers).unwrap().operator, expected);
        }
        let open = Access::new(AccessConfig::Open, Vec::new());
        assert!(open.caller(&HeaderMap::new()).unwrap().operator);
    }
}
