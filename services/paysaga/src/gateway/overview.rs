//! The overview, for operators.

use contracts::overview::Overview;

use super::{Gateway, GatewayError};

impl Gateway {
    /// `GET /api/admin/overview`
    pub async fn overview(&self) -> Result<Overview, GatewayError> {
        self.get("/api/admin/overview").await
    }
}
