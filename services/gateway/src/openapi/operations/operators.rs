//! What operators do: failed messages, refunds, metrics.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::failed_message::{
    DiscardRequest, FailedMessage, FailedMessageDetails, FailedMessageStatus, ReplayAccepted, ReplayRequest,
};
use contracts::page::Page;
use contracts::refund::{Refund, RefundDetails, RetryRequest, SettleRequest};
use contracts::schema::examples;
use serde_json::{Value, json};
use strum::VariantArray;

use super::super::parameter;
use super::super::response::Answer;
use super::{Operation, UPSTREAM};

pub(super) const TAG: &str = "Operators";

pub(crate) fn metrics() -> Operation {
    Operation::new("getMetrics", TAG, "Get the gateway's metrics")
        .answer(Answer::text("text/plain", "Metrics in Prometheus' text format."))
}

fn filters() -> [Value; 7] {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let statuses = json!({ "type": "string", "enum": FailedMessageStatus::VARIANTS });
    [
        parameter::query("queue", "Of this queue.", &text),
        parameter::query("type", "Of this event type.", &text),
        parameter::query("reason", "Whose reason contains this text.", &text),
        parameter::query("cause", "With exactly this cause.", &text),
        parameter::query("status", "With this status.", &statuses),
        parameter::query("from", "That failed last at this time or later.", &time),
        parameter::query("to", "That failed last before this time.", &time),
    ]
}

pub(crate) fn failed_messages() -> Operation {
    Operation::new("listFailedMessages", TAG, "List messages that a service could not handle")
        .parameter(parameter::service())
        .parameters(filters())
        .parameters(parameter::page())
        .answer(Answer::json::<Page<FailedMessage>>(
            StatusCode::OK,
            "A page of failed messages.",
            examples::FAILED_MESSAGE_PAGE,
        ))
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(super) fn of_message(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .parameters([parameter::service(), parameter::id("id", "The failed message.")])
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn failed_message() -> Operation {
    of_message("getFailedMessage", "Get a failed message with its body, headers and audit").answer(
        Answer::json::<FailedMessageDetails>(StatusCode::OK, "The failed message.", examples::FAILED_MESSAGE),
    )
}

fn replayed() -> Answer {
    Answer::json::<ReplayAccepted>(
        StatusCode::ACCEPTED,
        "They will be handled again.",
        examples::REPLAY_ACCEPTED,
    )
}

pub(crate) fn replay_message() -> Operation {
    of_message("replayFailedMessage", "Have a failed message handled again")
        .description("A body is ignored.")
        .answer(replayed())
        .problems([ProblemType::ContentTooLarge])
}

pub(crate) fn replay_messages() -> Operation {
    Operation::new("replayFailedMessages", TAG, "Have failed messages handled again")
        .parameter(parameter::service())
        .body::<ReplayRequest>(examples::REPLAY)
        .answer(replayed())
        .problems([ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn discard_message() -> Operation {
    of_message("discardFailedMessage", "Give a failed message up")
        .body::<DiscardRequest>(examples::DISCARD)
        .answer(Answer::json::<DiscardRequest>(StatusCode::ACCEPTED, "It is given up.", examples::DISCARD))
        .problems([ProblemType::StateConflict])
}

pub(crate) fn refunds() -> Operation {
    let open = json!({ "type": "string", "enum": ["OPEN", "REFUSED"] });
    Operation::new("listRefunds", TAG, "List refunds that are owed")
        .parameter(parameter::query("status", "With this status.", &open))
        .parameters(parameter::page())
        .answer(Answer::json::<Page<Refund>>(StatusCode::OK, "A page of refunds.", examples::REFUND_PAGE))
        .problems([ProblemType::InvalidRequest])
        .problems(UPSTREAM)
}

fn of_refund(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .parameter(parameter::id("paymentId", "The payment whose money goes back."))
        .answer(Answer::json::<RefundDetails>(StatusCode::OK, outcome, examples::REFUND))
        .problems([ProblemType::InvalidRequest, ProblemType::NotFound])
        .problems(UPSTREAM)
}

pub(crate) fn refund() -> Operation {
    of_refund("getRefund", "Get a refund and what happened to it", "The refund.")
}

pub(crate) fn retry_refund() -> Operation {
    of_refund(
        "retryRefund",
        "Have the provider asked once more for a refund that it refused",
        "The refund, open again.",
    )
    .body::<RetryRequest>(examples::RETRY_REFUND)
    .problems([ProblemType::StateConflict, ProblemType::OutcomeUnknown])
}

pub(crate) fn settle_refund() -> Operation {
    of_refund("settleRefund", "Record that the money went back by other means", "The refund, done.")
        .body::<SettleRequest>(examples::SETTLE_REFUND)
        .problems([ProblemType::StateConflict, ProblemType::OutcomeUnknown])
}
