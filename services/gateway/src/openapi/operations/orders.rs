//! Orders: placed, cancelled, read.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::list::OrderList;
use contracts::order::{CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, Order, Timeline};
use contracts::schema::examples;
use serde_json::json;

use super::super::parameter;
use super::super::response::{Answer, PageOrSlice};
use super::{IDEMPOTENCY, Operation, PUBLISHING, UPSTREAM};

const TAG: &str = "Orders";

pub(crate) fn create() -> Operation {
    Operation::new("createOrder", TAG, "Place an order")
        .description(
            "Accepted once the broker has it on disk; it settles a moment later. With `Prefer: wait=N` the answer waits for that.",
        )
        .parameters([parameter::idempotency_key(), parameter::prefer()])
        .body::<CreateOrder>(examples::CREATE_ORDER)
        .answer(
            Answer::json::<CreateOrderAccepted>(
                StatusCode::ACCEPTED,
                "Accepted. It is or will be at `Location`.",
                examples::ORDER_ACCEPTED,
            )
            .headers(["Location", "Idempotency-Replayed"]),
        )
        .answer(
            Answer::json::<Order>(
                StatusCode::OK,
                "The order, settled within the time of `Prefer: wait`.",
                examples::ORDER,
            )
            .headers(["Location", "Preference-Applied", "Idempotency-Replayed"]),
        )
        .problems([ProblemType::UnsupportedMediaType])
        .problems(PUBLISHING)
        .problems(IDEMPOTENCY)
        .problems(UPSTREAM)
}

fn cancelling(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .parameters([parameter::id("id", "The order."), parameter::idempotency_key()])
        .answer(
            Answer::json::<CancelOrderAccepted>(
                StatusCode::ACCEPTED,
                "Accepted. What was paid is refunded. An order that is final stays as it is.",
                examples::CANCELLATION_ACCEPTED,
            )
            .headers(["Idempotency-Replayed"]),
        )
        .problems([ProblemType::InvalidRequest])
        .problems(PUBLISHING)
        .problems(IDEMPOTENCY)
        .problems(UPSTREAM)
}

pub(crate) fn change() -> Operation {
    cancelling("changeOrder", "Cancel an order, as a change of its status")
        .body::<CancelOrder>(examples::CANCEL_ORDER)
        .problems([ProblemType::UnsupportedMediaType])
}

pub(crate) fn cancel() -> Operation {
    cancelling("cancelOrder", "Cancel an order").description("A body is ignored.")
}

pub(crate) fn list() -> Operation {
    Operation::new("listOrders", TAG, "List orders")
        .parameters(parameter::list::<OrderList>())
        .answer(
            Answer::json::<PageOrSlice<Order>>(StatusCode::OK, "A page of orders.", examples::ORDER_PAGE)
                .headers(["Link", "ETag"]),
        )
        .answer(Answer::unchanged())
        .problems([ProblemType::InvalidRequest])
        .problems(UPSTREAM)
}

pub(crate) fn find() -> Operation {
    Operation::new("getOrder", TAG, "Get an order")
        .parameters([parameter::id("id", "The order."), parameter::if_none_match()])
        .answer(Answer::json::<Order>(StatusCode::OK, "The order.", examples::ORDER).headers(["ETag"]))
        .answer(Answer::unchanged())
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn events() -> Operation {
    Operation::new("listOrderEvents", TAG, "List what happened to an order, oldest first")
        .parameter(parameter::id("id", "The order."))
        .parameter(parameter::query(
            "after",
            "The `eventId` before the first; the beginning if it is missing or not known.",
            &json!({ "type": "string", "format": "uuid" }),
        ))
        .parameter(parameter::query(
            "limit",
            "Most events. Values out of range are clamped.",
            &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 100 }),
        ))
        .answer(
            Answer::json::<Timeline>(StatusCode::OK, "The steps of its saga.", examples::TIMELINE)
                .headers(["Link"]),
        )
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}
