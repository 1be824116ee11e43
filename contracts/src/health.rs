//! `GET /health/live` and `GET /health/ready`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Body of a health answer. 200 when `status` is `up`, 503 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `up` only while every check is.
    pub status: HealthStatus,
    /// Each part of the service: `up`, or what is wrong with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, String>,
}

/// Whether a service, or a part of it, does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It does.
    Up,
    /// It doesn't.
    Down,
}
