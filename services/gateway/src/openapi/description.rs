//! What the document says before its operations.

use serde_json::{Value, json};

/// For those who begin here.
pub(super) const TEXT: &str = "\
An order is accepted with `202` and settled a moment later: ask for it, let `POST` wait with `Prefer: wait=10`, or follow its \
events as they happen. Commands are accepted once the broker has them on disk; what was accepted is not lost.

**Errors** are `application/problem+json` (RFC 9457). Decide by `type`, which stays the same, or by the status; `detail` is for \
people. `503` and `429` carry `Retry-After`.

**Repeating**: give each command an `Idempotency-Key` and send it again after a timeout or a `5xx`: nothing happens twice.

**Money** is a JSON number with at most 2 decimals, exact: read it as a decimal.

Every response has `x-correlation-id`; it finds the request in logs and traces.";

/// The groups of operations.
pub(super) fn tags() -> Value {
    json!([
        { "name": "Orders", "description": "Place, cancel and follow orders. A client sees its own, an operator all." },
        { "name": "Payments", "description": "What became of the money." },
        { "name": "Operators", "description": "Failed messages, refunds that the provider refused, metrics." },
        { "name": "Documents", "description": "What describes this API. Needs no key." },
    ])
}
