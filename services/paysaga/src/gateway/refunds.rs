//! Requests about refunds, for operators.

use contracts::PaymentId;
use contracts::page::Page;
use contracts::refund::{Refund, RefundDetails, RefundStatus, RetryRequest, SettleRequest};
use reqwest::Method;

use super::{Gateway, GatewayError, Paging};

const PATH: &str = "/api/admin/payment/refunds";

impl Gateway {
    /// `GET /api/admin/payment/refunds`: those that are owed, the oldest first.
    pub async fn refunds(
        &self,
        status: Option<RefundStatus>,
        paging: Paging,
    ) -> Result<Page<Refund>, GatewayError> {
        let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
        self.get(&format!("{PATH}?{paging}{status}")).await
    }

    /// `GET /api/admin/payment/refunds/{paymentId}`; `None` if that payment never had one.
    pub async fn refund(&self, id: PaymentId) -> Result<Option<RefundDetails>, GatewayError> {
        self.find(&format!("{PATH}/{id}")).await
    }

    /// `POST /api/admin/payment/refunds/{paymentId}/retry`
    pub async fn retry_refund(&self, id: PaymentId, note: String) -> Result<RefundDetails, GatewayError> {
        let request = self.request(Method::POST, &format!("{PATH}/{id}/retry"));
        self.body(self.send(request.json(&RetryRequest { note })).await?).await
    }

    /// `POST /api/admin/payment/refunds/{paymentId}/settle`
    pub async fn settle_refund(
        &self,
        id: PaymentId,
        settlement: &SettleRequest,
    ) -> Result<RefundDetails, GatewayError> {
        let request = self.request(Method::POST, &format!("{PATH}/{id}/settle"));
        self.body(self.send(request.json(settlement)).await?).await
    }
}
