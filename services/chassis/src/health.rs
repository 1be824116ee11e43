//! Whether the service can do its work, part by part.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::health::{Health as Report, HealthStatus};
use tracing::{info, warn};

/// The state of every part that the service needs. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    draining: AtomicBool,
    /// What is wrong with each part, `None` while nothing is.
    parts: Mutex<BTreeMap<String, Option<String>>>,
}

impl Health {
    /// A part that counts as down until it reports otherwise.
    pub fn part(&self, name: impl Into<String>) -> HealthPart {
        let part = HealthPart { name: name.into(), health: self.clone() };
        self.parts().insert(part.name.clone(), Some("starting".to_owned()));
        part
    }

    /// From now on the service is not ready, whatever its parts report: it is shutting down.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether the service is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// What `GET /health/ready` answers.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut checks: BTreeMap<String, String> = self
            .parts()
            .iter()
            .map(|(name, wrong)| (name.clone(), wrong.clone().unwrap_or_else(|| "up".to_owned())))
            .collect();
        let mut up = checks.values().all(|state| state == "up");
        if self.is_draining() {
            checks.insert("service".to_owned(), "shutting down".to_owned());
            up = false;
        }
        Report { status: if up { HealthStatus::Up } else { HealthStatus::Down }, checks }
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One part of a service, as it reports on itself. Every change is logged once, here and nowhere else.
#[derive(Clone)]
pub struct HealthPart {
    name: String,
    health: Health,
}

impl HealthPart {
    /// The part does its work.
    pub fn up(&self) {
        if self.change(None) {
            info!(part = self.name, "{} is up", self.name);
        }
    }

    /// The part can't do its work, and why.
    pub fn down(&self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.change(Some(&reason)) {
            warn!(part = self.name, reason, "{} is down", self.name);
        }
    }

    fn change(&self, wrong: Option<&str>) -> bool {
        let mut parts = self.health.parts();
        let state = parts.entry(self.name.clone()).or_default();
        if state.as_deref() == wrong {
            return false;
        }
        *state = wrong.map(str::to_owned);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_only_while_every_part_is() {
        let health = Health::default();
        let (database, broker) = (health.part("database"), health.part("broker"));
        assert_eq!(health.report().checks["broker"], "starting");
        database.up();
        broker.up();
        assert_eq!(health.report().status, HealthStatus::Up);
        broker.down("connection refused");
        let report = health.report();
        assert_eq!(report.status, HealthStatus::Down);
        assert_eq!(report.checks["broker"], "connection refused");
        assert_eq!(report.checks["database"], "up");
        broker.up();
        health.drain();
        assert_eq!(health.report().status, HealthStatus::Down);
    }
}
