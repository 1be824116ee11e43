//! `GET /load` of the order and payment services: how the gateway learns how much it may let in.

use serde::{Deserialize, Serialize};

/// What waits in a service, all of its replicas taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Messages and steps that wait until the service has time for them. What waits for somebody else, such as a payment
    /// provider that is asked right now, is not counted.
    pub waiting: u64,
    /// How many of them it handles in a second, measured where most of them wait; none if it has not handled any yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}
