//! What operators see of the books, and have compared.

use ::http::StatusCode;
use contracts::ProblemType;
use contracts::books::{Books, PassRequest};
use contracts::schema::examples;

use super::super::response::Answer;
use super::{Operation, UPSTREAM};

const TAG: &str = "Operators";

pub(crate) fn find() -> Operation {
    Operation::new("getBooks", TAG, "Get whether orders, payments and charges fit together")
        .description(
            "They are compared all the time: what changes once it has had time to settle, and everything in passes. `UNKNOWN` while \
             the order service does not answer.",
        )
        .answer(Answer::json::<Books>(StatusCode::OK, "What was found.", examples::BOOKS))
}

pub(crate) fn begin_pass() -> Operation {
    Operation::new("beginBooksPass", TAG, "Have all orders and payments compared now")
        .body::<PassRequest>(examples::BOOKS_PASS)
        .answer(Answer::json::<PassRequest>(
            StatusCode::ACCEPTED,
            "It begins within seconds.",
            examples::BOOKS_PASS,
        ))
        .problems([ProblemType::StateConflict])
        .problems(UPSTREAM)
}
