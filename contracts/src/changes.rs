//! `GET /changes` between gateway and order service: what has changed, as it happens, a JSON object a line.
//!
//! A line is no data and only says when to read. One without members says that the service is still there.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::{OrderId, OwnerFilter};

/// The media type of the lines.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// What has been committed since the line before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Changed {
    /// There may be more than the lines have told: everything is to be read anew. The first line says so.
    #[serde(skip_serializing_if = "Not::not")]
    pub anew: bool,
    /// Orders that have a new step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderId>,
    /// Those of them that have settled with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<OrderId>,
    /// Whose steps can be read on in `GET /events`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnerFilter>,
}
