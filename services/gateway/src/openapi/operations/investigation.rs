//! What operators do about one order, and read of what was done: the provider is asked now; the audit.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::ask_now::{AskNowAccepted, AskNowRequest};
use contracts::audit_list::NumberedAuditRecord;
use contracts::page::Slice;
use contracts::schema::examples;
use serde_json::json;

use super::super::parameter;
use super::super::response::Answer;
use super::{Operation, UPSTREAM};

const TAG: &str = "Operators";

pub(crate) fn ask_now() -> Operation {
    Operation::new("askProviderNow", TAG, "Have the provider asked now about an order's payment")
        .description(
            "Cuts the pause after an attempt that brought nothing short. What the provider is asked stays the same: a charge that was \
             sent is looked up, and never sent twice. `409` says why it is not possible: there is nothing to ask, it is being asked, or a \
             refused refund waits for a decision.",
        )
        .parameter(parameter::id("orderId", "The order."))
        .body::<AskNowRequest>(examples::ASK_NOW)
        .answer(Answer::json::<AskNowAccepted>(
            StatusCode::ACCEPTED,
            "It is asked as soon as a call is free.",
            examples::ASK_NOW_ACCEPTED,
        ))
        .problems([ProblemType::NotFound, ProblemType::StateConflict, ProblemType::OutcomeUnknown])
        .problems(UPSTREAM)
}

pub(crate) fn audit() -> Operation {
    let text = json!({ "type": "string", "maxLength": 200 });
    let time = json!({ "type": "string", "format": "date-time" });
    Operation::new("listAuditRecords", TAG, "List what is on record, the latest first")
        .description(
            "No more than 20 000 records are looked at for a page: with filters it may have fewer than `limit`, or none, although the \
             header `Link` leads on.",
        )
        .parameters([
            parameter::query("actor", "By this actor: the name of an API key.", &text),
            parameter::query("action", "Of this action.", &text),
            parameter::query("subject", "Whose subject contains this text, such as an order's id.", &text),
            parameter::query("from", "Recorded at this time or later.", &time),
            parameter::query("to", "Recorded before this time.", &time),
        ])
        .parameters(parameter::slice())
        .answer(
            Answer::json::<Slice<NumberedAuditRecord>>(
                StatusCode::OK,
                "A part of the audit.",
                examples::AUDIT_RECORDS,
            )
            .headers(["Link"]),
        )
        .problems([ProblemType::InvalidRequest])
        .problems(UPSTREAM)
}
