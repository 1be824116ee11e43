//! Which part of a list of orders or payments is asked for: what it holds, in which order, and where it begins.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use strum::{Display, EnumString, VariantArray};

use crate::page::PageRequest;
use crate::problem::InvalidMember;
use crate::{OrderId, OrderStatus, PaymentId, PaymentStatus, Timestamp, UserId};

/// The header by which a service says that its list has the filters and the order that were asked for: one of an older version, or
/// another implementation, passes them over.
pub const HEEDED: &str = "x-list-heeded";

/// A list that clients read.
pub trait List {
    /// What names an item.
    type Id: Clone + Copy + Debug + Display + Eq + FromStr + Hash;
    /// Where an item stands.
    type Status: Clone + Copy + Debug + Display + Eq + FromStr + Hash + VariantArray;
    /// Whether an item names its customer.
    const HAS_USERS: bool;
}

/// The list of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderList {}

impl List for OrderList {
    type Id = OrderId;
    type Status = OrderStatus;
    const HAS_USERS: bool = true;
}

/// The list of payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentList {}

impl List for PaymentList {
    type Id = PaymentId;
    type Status = PaymentStatus;
    const HAS_USERS: bool = false;
}

/// What the items of a list have in common. All of what is given holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListFilter<Status> {
    /// Where they stand.
    pub status: Option<Status>,
    /// Whose they are.
    pub user_id: Option<UserId>,
    /// They were created at this time or later.
    pub created_from: Option<Timestamp>,
    /// They were created before this time.
    pub created_to: Option<Timestamp>,
}

impl<Status> ListFilter<Status> {
    /// Whether it is known how many items a list has that is filtered so: they are counted by status, and by nothing else.
    const fn has_total(&self) -> bool {
        self.user_id.is_none() && self.created_from.is_none() && self.created_to.is_none()
    }
}

/// The order of a list, by the time at which its items were created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Sort {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// Where a part of a list begins, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part<Id> {
    /// The page of this number.
    Page(PageRequest),
    /// What comes behind an item.
    Slice {
        /// The item; the list's beginning if there is none.
        behind: Option<Id>,
        /// The most items, 1 to 100.
        limit: u32,
    },
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListRequest<L: List> {
    /// What its items have in common.
    pub filter: ListFilter<L::Status>,
    /// Their order.
    pub sort: Sort,
    /// Where the part begins.
    pub part: Part<L::Id>,
}

impl<L: List> ListRequest<L> {
    /// Reads the parameters of a query: `status`, `userId`, `createdFrom`, `createdTo`, `sort`, and `page` or `cursor`, and
    /// `limit`. The error names each that is wrong; `page` and `limit` are clamped instead.
    pub fn from_query<'a>(
        parameter: impl Fn(&str) -> Option<Cow<'a, str>>,
    ) -> Result<Self, Vec<InvalidMember>> {
        let mut query = Query { parameter, errors: Vec::new() };
        let filter = ListFilter {
            status: query.word("status"),
            user_id: query.read("userId", || "must be a UUID".to_owned()),
            created_from: query.time("createdFrom"),
            created_to: query.time("createdTo"),
        };
        if !L::HAS_USERS && (query.parameter)("userId").is_some() {
            query.wrong("userId", "is a filter of orders: a payment is found by its order");
        }
        let sort = query.word("sort").unwrap_or_default();
        let part = query.part(filter.has_total());
        if query.errors.is_empty() { Ok(Self { filter, sort, part }) } else { Err(query.errors) }
    }

    /// What comes behind this item in the same list.
    #[must_use]
    pub fn behind(&self, item: L::Id) -> Self {
        let limit = match self.part {
            Part::Page(page) => page.limit(),
            Part::Slice { limit, .. } => limit,
        };
        Self { part: Part::Slice { behind: Some(item), limit }, ..*self }
    }

    /// Whether it is of the whole list, newest first: what every implementation of a service knows.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let ListFilter { status, user_id, created_from, created_to } = &self.filter;
        let is_filtered =
            status.is_some() || user_id.is_some() || created_from.is_some() || created_to.is_some();
        !is_filtered && self.sort == Sort::default()
    }

    /// Whether the part is the list's beginning.
    #[must_use]
    pub fn is_first(&self) -> bool {
        match &self.part {
            Part::Page(page) => page.page() == 1,
            Part::Slice { behind, .. } => behind.is_none(),
        }
    }
}

impl<L: List> Display for ListRequest<L> {
    /// As a query string. No value has a character that would have to be escaped.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Page(page) => write!(formatter, "page={}&limit={}", page.page(), page.limit())?,
            Part::Slice { behind: Some(item), limit } => write!(formatter, "cursor={item}&limit={limit}")?,
            Part::Slice { behind: None, limit } => write!(formatter, "limit={limit}")?,
        }
        let ListFilter { status, user_id, created_from, created_to } = self.filter;
        let mut parameter = |name: &str, value: Option<&dyn Display>| match value {
            Some(value) => write!(formatter, "&{name}={value}"),
            None => Ok(()),
        };
        parameter("status", status.as_ref().map(|status| status as _))?;
        parameter("userId", user_id.as_ref().map(|user| user as _))?;
        parameter("createdFrom", created_from.as_ref().map(|time| time as _))?;
        parameter("createdTo", created_to.as_ref().map(|time| time as _))?;
        parameter("sort", Some(&self.sort as &dyn Display).filter(|_| self.sort != Sort::default()))
    }
}

/// A query that is being read, and what was wrong with it so far.
struct Query<F> {
    parameter: F,
    errors: Vec<InvalidMember>,
}

impl<'a, F: Fn(&str) -> Option<Cow<'a, str>>> Query<F> {
    fn wrong(&mut self, name: &str, reason: impl Into<String>) {
        self.errors.push(InvalidMember::new(name, reason));
    }

    fn read<T: FromStr>(&mut self, name: &str, must: impl FnOnce() -> String) -> Option<T> {
        let value = (self.parameter)(name)?.parse().ok();
        if value.is_none() {
            self.wrong(name, must());
        }
        value
    }

    fn word<T: FromStr + Display + VariantArray>(&mut self, name: &str) -> Option<T> {
        self.read(name, || {
            let words: Vec<_> = T::VARIANTS.iter().map(ToString::to_string).collect();
            format!("must be one of {}", words.join(", "))
        })
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, || "must be an RFC 3339 time such as 2026-01-02T03:04:05.678Z".to_owned())
    }

    fn part<Id: FromStr>(&mut self, has_total: bool) -> Part<Id> {
        let page = PageRequest::from_query(&self.parameter);
        let (has_cursor, has_page) = ["cursor", "page"].map(|name| (self.parameter)(name).is_some()).into();
        if has_cursor && has_page {
            self.wrong("page", "can't be given together with `cursor`: a cursor says where to go on");
        } else if has_page && !has_total {
            let reason = "can't be given together with `userId`, `createdFrom` or `createdTo`: it is not known how many pages \
                          there are; the `Link` header leads to what comes next";
            self.wrong("page", reason);
        }
        let behind = self.read("cursor", || INVALID_CURSOR.to_owned());
        if has_total && !has_cursor { Part::Page(page) } else { Part::Slice { behind, limit: page.limit() } }
    }
}

/// What is wrong with a cursor that is none, or leads nowhere.
pub const INVALID_CURSOR: &str =
    "must be what the `Link` header of this list gave, which leads to the next items";

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    fn read<L: List>(query: &str) -> Result<ListRequest<L>, Vec<InvalidMember>> {
        ListRequest::from_query(|wanted| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| Cow::from(value))
        })
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for query in [
            "page=1&limit=10",
            "page=3&limit=25&status=PAID",
            &format!("cursor={ITEM}&limit=100&sort=oldest"),
            &format!("cursor={ITEM}&limit=1&status=CANCELLED&userId={ITEM}"),
            &format!(
                "limit=7&userId={ITEM}&createdFrom=2026-01-02T03:04:05.678Z&createdTo=2027-01-02T03:04:05.678Z"
            ),
        ] {
            assert_eq!(read::<OrderList>(query).unwrap().to_string(), query);
        }
    }

    #[test]
    fn a_list_without_a_total_has_no_pages() {
        let user = format!("userId={ITEM}");
        for (query, written) in [
            ("", "page=1&limit=10"),
            ("status=PAID", "page=1&limit=10&status=PAID"),
            ("sort=newest", "page=1&limit=10"),
            ("createdTo=2026-01-02T04:04:05%2B01:00", ""),
            ("createdTo=2026-01-02T04:04:05+01:00", "limit=10&createdTo=2026-01-02T03:04:05.000Z"),
            (&*user, &*format!("limit=10&{user}")),
        ] {
            let read = read::<OrderList>(query).map(|read| read.to_string()).unwrap_or_default();
            assert_eq!(read, written, "{query}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        for (query, wrong) in [
            ("status=paid", &["status"][..]),
            (
                "status=&userId=7&createdFrom=today&createdTo=2026-01-02&sort=asc&cursor=x",
                &["status", "userId", "createdFrom", "createdTo", "sort", "cursor"],
            ),
            (&format!("page=1&userId={ITEM}"), &["page"]),
            (&format!("page=1&cursor={ITEM}"), &["page"]),
        ] {
            let errors = read::<OrderList>(query).unwrap_err();
            let members: Vec<_> = errors.iter().map(|error| error.member.as_str()).collect();
            assert_eq!(members, wrong, "{query}");
        }
        assert_eq!(read::<PaymentList>(&format!("userId={ITEM}")).unwrap_err()[0].member, "userId");
        let words = &read::<PaymentList>("status=PAID").unwrap_err()[0].detail;
        assert_eq!(words, "must be one of PROCESSING, APPROVED, DECLINED, FAILED, CANCELLED, REFUNDED");
    }
}
