//! What each route does.

pub(crate) mod books;
pub(crate) mod documents;
pub(crate) mod investigation;
pub(crate) mod operators;
pub(crate) mod orders;
pub(crate) mod overview;
pub(crate) mod payments;
pub(crate) mod replays;

use contracts::ProblemType;

use super::Operation;

/// What may go wrong where a service behind the gateway is asked.
const UPSTREAM: [ProblemType; 3] =
    [ProblemType::ServiceUnavailable, ProblemType::ServiceTimeout, ProblemType::UnexpectedAnswer];

/// What may go wrong where a command has an `Idempotency-Key`.
const IDEMPOTENCY: [ProblemType; 2] = [ProblemType::IdempotencyKeyReused, ProblemType::IdempotencyKeyInUse];

/// What may go wrong where a command is published.
const PUBLISHING: [ProblemType; 3] =
    [ProblemType::Overloaded, ProblemType::BrokerUnavailable, ProblemType::OutcomeUnknown];
