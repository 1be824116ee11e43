//! Payments: read.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::list::PaymentList;
use contracts::payment::{Payment, PaymentStats};
use contracts::schema::examples;

use super::super::parameter;
use super::super::response::{Answer, PageOrSlice};
use super::{Operation, UPSTREAM};

const TAG: &str = "Payments";

pub(crate) fn statistics() -> Operation {
    Operation::new("getPaymentStats", TAG, "Count the payments of each status")
        .parameter(parameter::if_none_match())
        .answer(
            Answer::json::<PaymentStats>(
                StatusCode::OK,
                "Number and exact sum of each status.",
                examples::PAYMENT_STATS,
            )
            .headers(["ETag"]),
        )
        .answer(Answer::unchanged())
        .problems(UPSTREAM)
}

pub(crate) fn list() -> Operation {
    Operation::new("listPayments", TAG, "List payments")
        .parameters(parameter::list::<PaymentList>())
        .answer(
            Answer::json::<PageOrSlice<Payment>>(
                StatusCode::OK,
                "A page of payments.",
                examples::PAYMENT_PAGE,
            )
            .headers(["Link", "ETag"]),
        )
        .answer(Answer::unchanged())
        .problems([ProblemType::InvalidRequest])
        .problems(UPSTREAM)
}

fn one(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .parameter(parameter::if_none_match())
        .answer(Answer::json::<Payment>(StatusCode::OK, "The payment.", examples::PAYMENT).headers(["ETag"]))
        .answer(Answer::unchanged())
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn find() -> Operation {
    one("getPayment", "Get a payment").parameter(parameter::id("id", "The payment."))
}

pub(crate) fn of_order() -> Operation {
    one("getPaymentOfOrder", "Get the payment of an order").parameter(parameter::id("orderId", "The order."))
}
