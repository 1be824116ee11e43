//! The part of a list that one statement reads: between two places of an order by time and id, both of which it excludes. An index
//! in that order is read from one to the other, and nothing beside them.

use std::time::Duration;

use contracts::Timestamp;
use contracts::list::{List, ListRequest, Sort};
use contracts::page::PageRequest;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

/// When an item was created, and its id.
pub type Place = (OffsetDateTime, Uuid);

/// The part of a list that one statement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    after: Place,
    before: Place,
    limit: u32,
    offset: u64,
}

impl Range {
    /// The items of a page.
    #[must_use]
    pub fn page<L: List>(asked: &ListRequest<L>, page: PageRequest) -> Self {
        Self { limit: page.limit(), offset: page.offset(), ..Self::slice(asked, None, 0) }
    }

    /// The items behind that place, up to `limit` of them and one more, which tells whether there are more.
    #[must_use]
    pub fn slice<L: List>(asked: &ListRequest<L>, behind: Option<Place>, limit: u32) -> Self {
        let from = asked.filter.created_from.unwrap_or(Timestamp::FIRST).as_datetime();
        let to = asked.filter.created_to.unwrap_or(Timestamp::LAST).as_datetime();
        // PostgreSQL's times are whole microseconds.
        let (mut after, mut before) = ((from - Duration::from_micros(1), Uuid::max()), (to, Uuid::nil()));
        match (behind, asked.sort) {
            (Some(place), Sort::Newest) => before = before.min(place),
            (Some(place), Sort::Oldest) => after = after.max(place),
            (None, _) => {}
        }
        Self { after, before, limit: limit + 1, offset: 0 }
    }

    /// Gives a statement its first six parameters: it excludes the place `($1, $2)`, what comes before it, the place `($3, $4)` and what
    /// comes after it, and has `LIMIT $5 OFFSET $6`.
    ///
    /// Where a list is filtered, what the filter fixes is a part of both places: `(status, created_at, id) > ($7, $1, $2)`, and the
    /// same `<`, in the order of these columns. So there is one index that fits. With `status = $7` another one in the order
    /// of time does too, and PostgreSQL chooses it where it takes the status for a common one, and reads past all others.
    pub fn of<T>(
        self,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> QueryAs<'_, Postgres, T, PgArguments> {
        let Self { after, before, limit, offset } = self;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let placed = statement.bind(after.0).bind(after.1).bind(before.0).bind(before.1);
        placed.bind(i64::from(limit)).bind(offset)
    }
}

#[cfg(test)]
mod tests {
    use contracts::list::OrderList;

    use super::*;

    fn at(second: u64) -> Place {
        (OffsetDateTime::UNIX_EPOCH + Duration::from_secs(second), Uuid::from_u128(7))
    }

    fn ends(query: &str, behind: Option<Place>) -> (bool, bool) {
        let parameter = |wanted: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted)
        };
        let asked =
            ListRequest::<OrderList>::from_query(|name| parameter(name).map(|(_, value)| value.into()));
        let range = Range::slice(&asked.unwrap(), behind, 1);
        (range.after < at(10) && at(10) < range.before, range.after < at(20) && at(20) < range.before)
    }

    #[test]
    fn a_cursor_and_a_time_limit_the_range_and_neither_widens_it() {
        let (ten, twenty) = ("1970-01-01T00:00:10Z", "1970-01-01T00:00:20Z");
        for (query, behind, expected) in [
            (String::new(), None, (true, true)),
            (format!("createdFrom={ten}"), None, (true, true)),
            (format!("createdTo={twenty}"), None, (true, false)),
            (format!("createdFrom={twenty}"), None, (false, true)),
            (format!("createdTo={ten}"), None, (false, false)),
            (String::new(), Some(at(20)), (true, false)),
            ("sort=oldest".to_owned(), Some(at(10)), (false, true)),
            (format!("createdTo={twenty}"), Some(at(30)), (true, false)),
            (format!("createdTo={ten}"), Some(at(20)), (false, false)),
            (format!("createdFrom={twenty}&sort=oldest"), Some(at(5)), (false, true)),
        ] {
            assert_eq!(ends(&query, behind), expected, "{query} {behind:?}");
        }
    }
}
