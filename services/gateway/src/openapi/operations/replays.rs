//! What operators do about many failed messages: see their causes, mend one, replay them in waves.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::failed_message::FailedMessageDetails;
use contracts::page::Page;
use contracts::replay::{
    EditRequest, FailureCauses, NewReplay, Replay, ReplayChange, ReplayMember, ReplayPreview,
};
use contracts::schema::examples;
use serde_json::json;

use super::super::parameter;
use super::super::response::Answer;
use super::operators::{TAG, of_message};
use super::{Operation, UPSTREAM};

/// An operation about a service's failed messages or replays.
fn of_service(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .parameter(parameter::service())
        .problems([ProblemType::NotFound])
        .problems(UPSTREAM)
}

/// An operation about one replay.
fn of_replay(id: &'static str, summary: &'static str) -> Operation {
    of_service(id, summary)
        .parameter(parameter::id("id", "The replay."))
        .problems([ProblemType::InvalidRequest])
}

fn replay(status: StatusCode, description: &'static str) -> Answer {
    Answer::json::<Replay>(status, description, examples::REPLAY_OPERATION)
}

pub(crate) fn causes() -> Operation {
    of_service("listFailureCauses", "List what messages that wait for a decision failed for").answer(
        Answer::json::<FailureCauses>(
            StatusCode::OK,
            "The causes, the one with the most messages first.",
            examples::FAILURE_CAUSES,
        ),
    )
}

pub(crate) fn edit() -> Operation {
    of_message("editFailedMessage", "Give a failed message another body")
        .description(
            "It must be one that the message's consumer can read, with the same `eventId`. The message is handled again with it when \
             it is replayed; the body that it came with is kept.",
        )
        .body::<EditRequest>(examples::EDIT_MESSAGE)
        .answer(Answer::json::<FailedMessageDetails>(
            StatusCode::OK,
            "The failed message with both bodies.",
            examples::FAILED_MESSAGE,
        ))
        .problems([ProblemType::StateConflict])
}

pub(crate) fn begin() -> Operation {
    of_service("beginReplay", "Begin to have failed messages handled again, in waves")
        .description(
            "Its messages are chosen now and stay the same. A wave begins when every message of the one before has an outcome. The \
             replay stops by itself when `stopAfter` of them have failed again. It outlasts restarts of the service.",
        )
        .body::<NewReplay>(examples::NEW_REPLAY)
        .answer(replay(StatusCode::CREATED, "The replay."))
        .problems([ProblemType::StateConflict])
}

pub(crate) fn preview() -> Operation {
    of_service("previewReplay", "Get what a replay would be about")
        .body::<NewReplay>(examples::NEW_REPLAY)
        .answer(Answer::json::<ReplayPreview>(
            StatusCode::OK,
            "What it would be about, with some of its messages.",
            examples::REPLAY_PREVIEW,
        ))
}

pub(crate) fn list() -> Operation {
    of_service("listReplays", "List replays, the one that began last first")
        .parameters(parameter::page())
        .answer(Answer::json::<Page<Replay>>(
            StatusCode::OK,
            "A page of replays.",
            examples::REPLAY_OPERATION_PAGE,
        ))
}

pub(crate) fn find() -> Operation {
    of_replay("getReplay", "Get a replay").answer(replay(StatusCode::OK, "The replay."))
}

pub(crate) fn members() -> Operation {
    let outcomes = ["WAITING", "HANDLED", "FAILED_AGAIN", "SKIPPED", "ALREADY_HANDLED"];
    let outcomes = json!({ "type": "string", "enum": outcomes });
    of_replay("listReplayMembers", "List the messages of a replay and what became of them")
        .parameter(parameter::query("outcome", "With this outcome, or still `WAITING`.", &outcomes))
        .parameters(parameter::page())
        .answer(Answer::json::<Page<ReplayMember>>(
            StatusCode::OK,
            "A page of its messages.",
            examples::REPLAY_MEMBER_PAGE,
        ))
}

/// An operation that changes where a replay stands.
fn change(id: &'static str, summary: &'static str) -> Operation {
    of_replay(id, summary)
        .body::<ReplayChange>(examples::REPLAY_CHANGE)
        .answer(replay(StatusCode::OK, "The replay as it stands then."))
        .problems([ProblemType::StateConflict])
}

pub(crate) fn pause() -> Operation {
    change("pauseReplay", "Hold a running replay")
}

pub(crate) fn resume() -> Operation {
    change("resumeReplay", "Let a replay go on that was paused, or has stopped")
}

pub(crate) fn cancel() -> Operation {
    change("cancelReplay", "End a replay before its last message")
}
