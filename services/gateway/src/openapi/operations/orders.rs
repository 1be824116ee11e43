//! Orders: placed, cancelled, read.

use ::http::StatusCode;
use contracts::feed::FeedPage;
use contracts::list::OrderList;
use contracts::order::{CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, Order, Timeline};
use contracts::schema::examples;
use contracts::{EventType, ProblemType};
use serde_json::json;
use strum::VariantArray;

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
    cancelling("cancelOrder", "Cancel an order")
        .description("A body is ignored.")
        .problems([ProblemType::ContentTooLarge])
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

/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";

pub(crate) fn events() -> Operation {
    Operation::new("listOrderEvents", TAG, "List or follow what happened to an order, oldest first")
        .description(
            "With `Accept: text/event-stream`, what happened so far and then each step as it is committed, until no further one can come \
             (`event: end`). A client that was cut off names the last `id` in `Last-Event-ID` and goes on behind it, at any gateway. \
             Between steps there is a comment every 15 seconds.",
        )
        .parameter(parameter::id("id", "The order."))
        .parameter(parameter::query(
            "after",
            "The `eventId` before the first; the beginning if it is missing or not known.",
            &json!({ "type": "string", "format": "uuid" }),
        ))
        .parameters([parameter::events_limit(), parameter::last_event_id()])
        .answer(
            Answer::json::<Timeline>(StatusCode::OK, "The steps of its saga.", examples::TIMELINE)
                .or_text(EVENT_STREAM, Some(examples::STEPS))
                .headers(["Link"]),
        )
        .answer(Answer::empty(StatusCode::NO_CONTENT, "As a stream: it is complete, and the client has all of it."))
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn all_events() -> Operation {
    let types: Vec<_> = EventType::VARIANTS.iter().map(ToString::to_string).collect();
    let one = format!("({})", types.join("|"));
    Operation::new("listEvents", TAG, "List or follow the steps of all orders, oldest first")
        .description(
            "A client's own orders, an operator's all. In an order in which none comes late: who keeps the cursor of the last step that it \
             has, and goes on from there, gets each step once. With `Accept: text/event-stream` they come as they happen, from now on \
             unless `after` or `Last-Event-ID` is given.",
        )
        .parameter(parameter::query(
            "after",
            "Where to begin: behind the step of this `cursor`, with `0` at the oldest that is kept, with `now` at the next.",
            &json!({ "type": "string", "pattern": "^(0|now|\\d{1,18}-\\d{1,18})$", "default": "0" }),
        ))
        .parameter(parameter::query(
            "type",
            "Of these event types, separated by commas.",
            &json!({ "type": "string", "pattern": format!("^{one}(,{one})*$") }),
        ))
        .parameters([parameter::events_limit(), parameter::last_event_id()])
        .answer(
            Answer::json::<FeedPage>(StatusCode::OK, "Steps, and where to read on.", examples::FEED_PAGE)
                .or_text(EVENT_STREAM, Some(examples::STEPS))
                .headers(["Link"]),
        )
        .problems([ProblemType::InvalidRequest, ProblemType::CursorAhead])
        .problems(UPSTREAM)
}
