//! Access: who a caller is, by the API key, and what they may do.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chassis::http::{Caller, CorrelationId, Request, Unidentified, template};
use chassis::tasks::Tasks;
use contracts::api_key::{self, KeyDigest, Scope};
use contracts::header::bearer_token;
use contracts::{Owner, OwnerFilter, Problem, ProblemType};
use http::{HeaderMap, header};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use warp::Filter;
use warp::reject::{Reject, Rejection};

use crate::api_keys::{ApiKeys, Refusal, Refused};
use crate::audit::{self, Audit};

/// How often the file of keys is read. A key that is revoked is refused within a second.
const READ_EVERY: Duration = Duration::from_millis(500);

/// How callers are identified.
pub enum AccessConfig {
    /// Not at all: every request is accepted.
    Open,
    /// By API key.
    Keys(KeyFile),
}

/// A file of API keys, as it was when the gateway started.
pub struct KeyFile {
    path: PathBuf,
    text: String,
    keys: ApiKeys,
}

impl AccessConfig {
    /// Reads a file of API keys.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let text = read(&path)?;
        let keys = ApiKeys::parse(&text)?;
        Ok(Self::Keys(KeyFile { path, text, keys }))
    }
}

/// Identifies callers.
pub(crate) enum Access {
    /// Every request comes from this caller.
    Open(Caller),
    /// By the key that a request presents.
    Keys(Arc<RwLock<ApiKeys>>),
}

impl Access {
    /// Identifies callers by the keys of the file as it is at the time: it is read again and again.
    pub(crate) fn start(config: AccessConfig, audit: &Arc<Audit>, tasks: &Tasks) -> Self {
        match config {
            AccessConfig::Open => Self::open(),
            AccessConfig::Keys(KeyFile { path, text, keys }) => {
                audit.record(audit::loaded(&keys));
                let keys = Arc::new(RwLock::new(keys));
                let followed = Followed { path, keys: Arc::clone(&keys), audit: Arc::clone(audit) };
                tasks.spawn(followed.follow(text, tasks.stopping()));
                Self::Keys(keys)
            }
        }
    }

    /// Without authentication all requests come from one caller, who may do everything.
    fn open() -> Self {
        let scopes = Arc::new(Scope::of_operator());
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self::Open(Caller { name: Owner::anonymous(), scopes, rate: None, key_id: None, address })
    }

    /// The caller that a request with these headers from this address comes from.
    pub(crate) fn caller(&self, headers: &HeaderMap, from: IpAddr) -> Result<Caller, Unidentified> {
        match self {
            Self::Open(caller) => Ok(Caller { address: from, ..caller.clone() }),
            Self::Keys(_) => match presented_key(headers) {
                Some(key) => self.presented(key, from),
                None => Err(Self::stranger(from)),
            },
        }
    }

    /// The caller who presents this key from this address.
    pub(crate) fn presented(&self, key: &str, from: IpAddr) -> Result<Caller, Unidentified> {
        match self {
            Self::Open(caller) => Ok(Caller { address: from, ..caller.clone() }),
            Self::Keys(keys) => {
                let keys = keys.read().unwrap_or_else(PoisonError::into_inner);
                keys.find(key, from).map_err(|refusal| refusal.of(Some(key), from))
            }
        }
    }

    /// The caller who presented this key before, if it is still valid and may be used from this address.
    pub(crate) fn holder(&self, name: &Owner, key_id: Option<&str>, from: IpAddr) -> Option<Caller> {
        match self {
            Self::Open(caller) => {
                Some(Caller { address: from, ..caller.clone() }).filter(|_| key_id.is_none())
            }
            Self::Keys(keys) => {
                keys.read().unwrap_or_else(PoisonError::into_inner).holder(name, key_id?, from)
            }
        }
    }

    /// A caller who presented nothing.
    pub(crate) fn stranger(from: IpAddr) -> Unidentified {
        Refusal::from(Refused::Missing).of(None, from)
    }

    /// Whether a caller who was identified before would still be, by the same key, and may do this.
    pub(crate) fn still_permits(&self, caller: &Caller, scope: Scope) -> bool {
        match self {
            Self::Open(_) => true,
            Self::Keys(keys) => {
                keys.read().unwrap_or_else(PoisonError::into_inner).still_permits(caller, scope)
            }
        }
    }
}

/// A file of keys that is read again and again.
struct Followed {
    path: PathBuf,
    keys: Arc<RwLock<ApiKeys>>,
    audit: Arc<Audit>,
}

impl Followed {
    /// Takes over the keys of the file whenever it has changed. One that can't be read, or has a mistake, changes nothing.
    async fn follow(self, text: String, stopping: CancellationToken) {
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Ok(text);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let found = read(&self.path);
            if found == seen {
                continue;
            }
            let path = self.path.display();
            match found.as_deref().map_err(Clone::clone).and_then(ApiKeys::parse) {
                Ok(changed) => {
                    info!(%path, count = changed.count(), "the API keys were read again");
                    self.take_over(changed);
                }
                Err(reason) => {
                    error!(%path, reason, "the API keys can't be read again: the previous ones stay valid");
                }
            }
            seen = found;
        }
    }

    fn take_over(&self, read: ApiKeys) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let changes = audit::changes(&keys, &read);
        *keys = read;
        drop(keys);
        for change in changes {
            self.audit.record(change);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"))
}

/// The key that a request presents.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    bearer_token(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

impl Refusal<'_> {
    /// The request with this credential from this address.
    fn of(self, presented: Option<&str>, address: IpAddr) -> Unidentified {
        // Half a key has no id, and what is no key of ours may be another system's password.
        let whole = |key: &&str| key.starts_with("psk_") && !api_key::is_damaged(key);
        let (name, key_id) = match self.holder {
            Some(holder) => (Some(holder.name.clone()), holder.key_id.clone()),
            None => (None, presented.filter(whole).map(|key| KeyDigest::of(key).id().into())),
        };
        Unidentified {
            problem: Box::new(self.why.into()),
            reason: self.why.in_words(),
            name,
            key_id,
            address,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing | Refused::Unknown => {
                Self::new(ProblemType::Unauthenticated, "An API key is needed: Authorization: Bearer <key>.")
            }
            Refused::Damaged => {
                Self::new(ProblemType::Unauthenticated, "This is not a whole API key: its checksum is wrong.")
            }
            Refused::Expired => Self::new(ProblemType::Unauthenticated, "This API key has expired."),
            Refused::Address => {
                Self::new(ProblemType::AddressNotAllowed, "This API key may not be used from this address.")
            }
        }
    }
}

/// The caller of a request, who passed [`require_caller`].
pub(crate) fn caller(request: &Request) -> Result<&Caller, Problem> {
    request.caller.as_ref().ok_or_else(|| Refused::Missing.into())
}

/// Whose things a request may read: an operator's all, a client's its own.
pub(crate) fn may_read(request: &Request) -> Result<OwnerFilter, Problem> {
    limit(request, Scope::AdminRead)
}

/// Whose orders a request may cancel: an operator's all, a client's its own.
pub(crate) fn may_cancel(request: &Request) -> Result<OwnerFilter, Problem> {
    limit(request, Scope::AdminWrite)
}

fn limit(request: &Request, unless: Scope) -> Result<OwnerFilter, Problem> {
    let caller = caller(request)?;
    let unlimited = caller.scopes.contains(&unless);
    Ok(if unlimited { OwnerFilter::Any } else { caller.name.clone().into() })
}

/// 403 unless the caller's key allows this.
pub(crate) fn require(scope: Scope, audit: &Arc<Audit>) -> impl Fn(&Request) -> Result<(), Problem> + use<> {
    let audit = Arc::clone(audit);
    move |request| {
        if caller(request)?.scopes.contains(&scope) {
            Ok(())
        } else {
            audit.record(audit::authorization_denied(request, scope));
            Err(Problem::new(
                ProblemType::InsufficientScope,
                format!("This API key lacks the scope {scope}."),
            ))
        }
    }
}

/// Rejects requests of unknown callers, but those for a route that needs no key.
pub(crate) fn require_caller(
    audit: &Arc<Audit>,
    open: Vec<&'static str>,
) -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync + use<> {
    let audit = Arc::clone(audit);
    warp::ext::optional::<Unidentified>()
        .and(warp::ext::get::<CorrelationId>())
        .and(template())
        .and_then(
            move |unidentified: Option<Unidentified>,
                  correlation_id: CorrelationId,
                  template: Option<&str>| {
                ready(match unidentified {
                    None => Ok(()),
                    Some(_) if template.is_some_and(|template| open.contains(&template)) => Ok(()),
                    Some(unidentified) => {
                        audit.record(audit::authentication_failed(&unidentified, &correlation_id));
                        Err(warp::reject::custom(NotAccepted(*unidentified.problem)))
                    }
                })
            },
        )
        .untuple_one()
}

/// A request of an unknown caller, as warp rejects it.
#[derive(Debug)]
pub(crate) struct NotAccepted(pub(crate) Problem);

impl Reject for NotAccepted {}

#[cfg(test)]
mod tests {
    use contracts::api_key::{KeyKind, NewKey};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn authorization(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_caller_presents_a_known_key_as_bearer_token() {
        // printf key | sha256sum
        let digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
        let keys = ApiKeys::parse(&format!("shop:{digest}")).unwrap();
        let access = Access::Keys(Arc::new(RwLock::new(keys)));
        for right in ["Bearer key", "bearer  key"] {
            let caller = access.caller(&authorization(right), HERE).unwrap();
            assert_eq!((caller.name.as_str(), &*caller.scopes), ("shop", &Scope::of_client()), "{right}");
        }
        for wrong in ["Basic key", "key", "Bearer", "Bearer yek"] {
            let refused = access.caller(&authorization(wrong), HERE).unwrap_err();
            assert_eq!((refused.problem.status, refused.key_id), (401, None), "{wrong}");
        }
        assert_eq!(access.caller(&HeaderMap::new(), HERE).unwrap_err().problem.status, 401);
    }

    #[test]
    fn an_unknown_key_is_named_by_its_digest_and_nothing_else_is() {
        let access = Access::Keys(Arc::new(RwLock::new(ApiKeys::parse("").unwrap())));
        let key = NewKey::new(KeyKind::Live, [7; 32]);
        let named = |presented: &str| {
            access.caller(&authorization(&format!("Bearer {presented}")), HERE).unwrap_err().key_id
        };
        assert_eq!(named(key.expose()).as_deref(), Some(&*key.digest().id()));
        for other in [&key.expose()[..40], "psk_", "a password"] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn without_authentication_every_caller_may_do_everything() {
        let caller = Access::open().caller(&HeaderMap::new(), HERE).unwrap();
        assert_eq!(*caller.scopes, Scope::of_operator());
    }
}
