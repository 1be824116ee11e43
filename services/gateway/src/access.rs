//! Access: who a caller is, by the API key, and what they may do.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use chassis::http::{Caller, Request};
use chassis::tasks::Tasks;
use contracts::Problem;
use http::{HeaderMap, header};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use warp::Filter;
use warp::reject::{Reject, Rejection};

use crate::api_keys::ApiKeys;

/// How callers are identified.
pub enum AccessConfig {
    /// Not at all: every request is accepted.
    Open,
    /// By API key.
    Keys {
        /// The file that the keys are read from, again on SIGHUP.
        path: PathBuf,
        /// The keys as they are now.
        keys: ApiKeys,
    },
}

impl AccessConfig {
    /// Reads a file of API keys.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let keys = ApiKeys::read(&path)?;
        Ok(Self::Keys { path, keys })
    }
}

/// Identifies callers.
pub(crate) struct Access(Option<Arc<Authentication>>);

struct Authentication {
    path: PathBuf,
    keys: RwLock<ApiKeys>,
    /// Names of the callers that are operators.
    operators: Vec<String>,
}

impl Access {
    pub(crate) fn new(config: AccessConfig, operators: Vec<String>) -> Self {
        match config {
            AccessConfig::Open => Self(None),
            AccessConfig::Keys { path, keys } => {
                Self(Some(Arc::new(Authentication { path, keys: RwLock::new(keys), operators })))
            }
        }
    }

    /// The caller that a request with these headers comes from; none if the key is missing or unknown. Without
    /// authentication all requests come from one caller, who is an operator.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Some(authentication) = &self.0 else {
            return Some(Caller { name: "anonymous".into(), operator: true });
        };
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let name = authentication.keys.read().unwrap_or_else(PoisonError::into_inner).find(key.trim())?;
        let operator = authentication.operators.iter().any(|operator| **operator == *name);
        Some(Caller { name, operator })
    }

    /// Reads the keys again whenever the process gets a SIGHUP. A file that can't be read changes nothing.
    pub(crate) fn reload_on_hangup(&self, tasks: &Tasks) {
        let Some(authentication) = self.0.clone() else { return };
        let stopping = tasks.stopping();
        tasks.spawn(async move {
            let mut hangups = match signal(SignalKind::hangup()) {
                Ok(hangups) => hangups,
                Err(error) => {
                    return error!(%error, "SIGHUP can't be received: API keys are read only at start");
                }
            };
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = hangups.recv() => authentication.reload(),
                }
            }
        });
    }
}

impl Authentication {
    fn reload(&self) {
        let path = self.path.display();
        match ApiKeys::read(&self.path) {
            Ok(keys) => {
                info!(%path, count = keys.count(), "the API keys were reloaded");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(reason) => {
                error!(%path, reason, "the API keys can't be reloaded: the previous ones stay valid");
            }
        }
    }
}

/// The caller of a request; 401 if unknown.
pub(crate) fn caller(request: &Request) -> Result<&Caller, Problem> {
    request.caller.as_ref().ok_or_else(unauthorized)
}

/// 403 unless the caller is an operator.
pub(crate) fn require_operator(request: &Request) -> Result<(), Problem> {
    if caller(request)?.operator {
        Ok(())
    } else {
        Err(Problem::new(403, "This API key is not an operator's (OPERATORS names those that are)."))
    }
}

/// Rejects requests of unknown callers.
pub(crate) fn require_caller() -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync {
    warp::ext::optional::<Caller>()
        .and_then(async |caller: Option<Caller>| match caller {
            Some(_) => Ok(()),
            None => Err(warp::reject::custom(Unauthorized)),
        })
        .untuple_one()
}

/// A request of an unknown caller, as warp rejects it.
#[derive(Debug)]
pub(crate) struct Unauthorized;

impl Reject for Unauthorized {}

pub(crate) fn unauthorized() -> Problem {
    Problem::new(401, "An API key is needed: Authorization: Bearer <key>.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Access with the key `key` of the caller `shop`.
    fn access(operators: &[&str]) -> Access {
        let digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
        let keys = ApiKeys::parse(&format!("shop:{digest}")).unwrap();
        let operators = operators.iter().map(|name| (*name).to_owned()).collect();
        Access::new(AccessConfig::Keys { path: PathBuf::new(), keys }, operators)
    }

    fn authorization(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_caller_presents_a_known_key_as_bearer_token() {
        let access = access(&[]);
        for right in ["Bearer key", "bearer  key"] {
            assert_eq!(&*access.caller(&authorization(right)).unwrap().name, "shop", "{right}");
        }
        for wrong in ["Basic key", "key", "Bearer", "Bearer yek"] {
            assert_eq!(access.caller(&authorization(wrong)), None, "{wrong}");
        }
        assert_eq!(access.caller(&HeaderMap::new()), None);
    }

    #[test]
    fn operators_are_configured_unless_there_is_no_authentication() {
        let key = authorization("Bearer key");
        assert!(access(&["ops", "shop"]).caller(&key).unwrap().operator);
        assert!(!access(&["ops"]).caller(&key).unwrap().operator);
        let open = Access::new(AccessConfig::Open, Vec::new());
        assert!(open.caller(&HeaderMap::new()).unwrap().operator);
    }
}
