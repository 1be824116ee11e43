//! `GET /events`: the steps of all orders, in the order in which they were committed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use strum::VariantArray;
use thiserror::Error;

use crate::order::TimelineEntry;
use crate::page::CursorRequest;
use crate::problem::InvalidMember;
use crate::{EventId, EventType, OrderId, OrderStatus};

/// A place among the steps of all orders. Opaque to clients.
///
/// It is always that of a step that was committed: only so can nothing come before it later, not even after a crash of
/// PostgreSQL, which gives the ids of transactions that left no trace on the disk once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventCursor {
    /// The id of the transaction that committed the step.
    pub transaction: u64,
    /// Its number among all steps.
    pub position: i64,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the cursor of a step, 0 for the oldest that is kept, or now")]
pub struct InvalidCursor;

impl EventCursor {
    /// Before all steps.
    pub const BEGINNING: Self = Self { transaction: 0, position: 0 };
}

impl fmt::Display for EventCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.transaction, self.position)
    }
}

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text == "0" {
            return Ok(Self::BEGINNING);
        }
        // Rust accepts a sign, and a cursor has none.
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((transaction, position)) if digits(transaction) && digits(position) => Ok(Self {
                transaction: transaction.parse().map_err(|_| InvalidCursor)?,
                position: position.parse().map_err(|_| InvalidCursor)?,
            }),
            _ => Err(InvalidCursor),
        }
    }
}

impl Serialize for EventCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// From where the steps of all orders are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// From what comes behind a step.
    Behind(EventCursor),
    /// From what is to come.
    Now,
}

impl fmt::Display for ReadFrom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(cursor) => cursor.fmt(formatter),
            Self::Now => formatter.write_str("now"),
        }
    }
}

impl FromStr for ReadFrom {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text == "now" { Ok(Self::Now) } else { text.parse().map(Self::Behind) }
    }
}

/// Which of the steps of all orders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedRequest {
    /// From where; from the oldest unless it is given.
    pub from: ReadFrom,
    /// Most steps, 1 to 100.
    pub limit: u32,
    /// Of which types; of all if there are none.
    pub types: Vec<EventType>,
}

impl FeedRequest {
    /// Reads the parameters `after`, `limit` and `type` of a query. The error names every wrong one. A limit out of range is
    /// clamped; it is 100 unless it is given.
    pub fn from_query<'a>(
        parameter: impl Fn(&str) -> Option<Cow<'a, str>>,
    ) -> Result<Self, Vec<InvalidMember>> {
        let CursorRequest { limit, .. } = CursorRequest::<EventId>::from_query(&parameter);
        let from = parameter("after").map(|text| text.parse()).transpose();
        let from = from.map_err(|error: InvalidCursor| InvalidMember::new("after", error.to_string()));
        let types = parameter("type").map(|text| types(&text)).transpose();
        match (from, types) {
            (Ok(from), Ok(types)) => {
                let from = from.unwrap_or(ReadFrom::Behind(EventCursor::BEGINNING));
                Ok(Self { from, limit, types: types.unwrap_or_default() })
            }
            (from, types) => Err(from.err().into_iter().chain(types.err()).collect()),
        }
    }

    /// The same steps from another place on.
    #[must_use]
    pub fn behind(&self, cursor: EventCursor) -> Self {
        Self { from: ReadFrom::Behind(cursor), ..self.clone() }
    }
}

fn types(text: &str) -> Result<Vec<EventType>, InvalidMember> {
    let types = text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>();
    types.map_err(|_| {
        let known: Vec<&str> = EventType::VARIANTS.iter().map(Into::into).collect();
        InvalidMember::new(
            "type",
            format!("must be some of these, separated by commas: {}", known.join(", ")),
        )
    })
}

/// As the query of a request.
impl fmt::Display for FeedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "?after={}&limit={}", self.from, self.limit)?;
        for (number, name) in self.types.iter().enumerate() {
            formatter.write_str(if number == 0 { "&type=" } else { "," })?;
            name.fmt(formatter)?;
        }
        Ok(())
    }
}

/// A step among those of all orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedEntry<Type = EventType, Status = OrderStatus> {
    /// Its place.
    pub cursor: EventCursor,
    /// Whose step it is.
    pub order_id: OrderId,
    /// The step, as the order's timeline has it.
    #[serde(flatten)]
    pub step: TimelineEntry<Type, Status>,
}

/// `GET /events`, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedPage<Entry = FeedEntry> {
    /// The steps.
    pub data: Vec<Entry>,
    /// Where the page stands.
    pub meta: FeedMeta,
}

/// A page's place among the steps of all orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedMeta {
    /// The most steps that a page holds.
    pub limit: u32,
    /// Where to read on. Steps up to here that the page does not hold are of other types.
    pub cursor: EventCursor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = EventCursor { transaction: u64::MAX, position: i64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("0".parse(), Ok(ReadFrom::Behind(EventCursor::BEGINNING)));
        assert_eq!("now".parse(), Ok(ReadFrom::Now));
        for wrong in ["", "-", "1", "1-", "-1", "1--1", "+1-1", "1-2-3", "18446744073709551616-1", "soon"] {
            assert_eq!(wrong.parse::<ReadFrom>(), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_read_as_it_is_written_and_every_mistake_is_named() {
        let read = |query: &[(&str, &'static str)]| {
            FeedRequest::from_query(|wanted| {
                query.iter().find(|(name, _)| *name == wanted).map(|(_, value)| Cow::from(*value))
            })
        };
        let all = read(&[]).unwrap();
        assert_eq!(all.to_string(), "?after=0-0&limit=100");
        let some =
            read(&[("after", "now"), ("limit", "7"), ("type", "PaymentApproved, OrderCancelled")]).unwrap();
        assert_eq!(some.to_string(), "?after=now&limit=7&type=PaymentApproved,OrderCancelled");
        let behind = some.behind(EventCursor { transaction: 3, position: 4 });
        assert_eq!(behind.to_string(), "?after=3-4&limit=7&type=PaymentApproved,OrderCancelled");
        let errors = read(&[("after", "soon"), ("type", "Shipped")]).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.member.as_str()).collect::<Vec<_>>(), ["after", "type"]);
        assert!(errors[1].detail.ends_with("PaymentRefunded"), "{errors:?}");
    }
}
