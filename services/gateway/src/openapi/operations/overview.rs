//! What operators look at first.

use ::http::StatusCode;
use contracts::overview::Overview;
use contracts::schema::examples;

use super::super::response::Answer;
use super::Operation;

pub(crate) fn overview() -> Operation {
    Operation::new("getOverview", "Operators", "Get how orders and payments are doing, now and in the last hour")
        .description(
            "All replicas together. A service that does not answer is absent, and so is whatever can't be told now: nothing is 0 because \
             it is not known. An answer may be a second old.",
        )
        .answer(Answer::json::<Overview>(StatusCode::OK, "The overview.", examples::OVERVIEW))
}
