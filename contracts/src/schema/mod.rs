//! What the wire looks like, as JSON Schema (2020-12).
//!
//! The schemas of structs and words are derived from the types that serde writes. Those of values with a notation of their own
//! stand here, and so does the description of the broker that is made of them.

pub mod asyncapi;
pub mod examples;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::feed::EventCursor;
use crate::order::CancelOrder;
use crate::{Money, MoneyTotal, Owner, OwnerFilter, Timestamp};

macro_rules! schema {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Money, {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": 999_999_999_999.99,
    "description": "An amount of money: exact, at most 2 decimals. `999` comes back as `999`, `999.99` as `999.99`. Read it as a \
                    decimal, not as a binary floating point number."
});

schema!(MoneyTotal, {
    "type": "number",
    "minimum": 0,
    "description": "A sum of amounts of money, exact, at most 2 decimals. Read it as a decimal."
});

schema!(Timestamp, {
    "type": "string",
    "format": "date-time",
    "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
    "description": "RFC 3339 in UTC, with milliseconds and `Z`."
});

schema!(Owner, {
    "type": "string",
    "pattern": "^[!-9;-~]{1,64}$",
    "description": "The name of the client whose API key placed the order."
});

schema!(OwnerFilter, {
    "type": "string",
    "pattern": "^[!-9;-~]{1,64}$",
    "description": "The name of a client, or `*` for an operator's request."
});

schema!(CancelOrder, {
    "type": "object",
    "required": ["status"],
    "properties": { "status": { "const": "CANCELLED" } },
    "additionalProperties": false,
    "description": "The only change that a client can ask for."
});

schema!(EventCursor, {
    "type": "string",
    "pattern": "^(0|\\d+-\\d+)$",
    "description": "A place among the steps of all orders. Opaque."
});
