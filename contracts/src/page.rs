//! Lists, a page at a time.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which page of a list, always within range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PageRequest {
    page: u32,
    limit: u32,
}

impl PageRequest {
    /// The number of the last page that can be asked for. Beyond any list that exists, and small enough that the
    /// offset of its first item fits a PostgreSQL `bigint`.
    const LAST_PAGE: u32 = u32::MAX;
    /// Items on the largest page.
    pub const MAX_LIMIT: u32 = 100;

    /// Reads the parameters `page` and `limit` of a query. Values out of range or not numeric are clamped to 1.. and
    /// 1..=100; missing ones are 1 and 10.
    pub fn from_query<'a>(parameter: impl Fn(&str) -> Option<Cow<'a, str>>) -> Self {
        let number = |name, range| parameter(name).and_then(|text| clamp(&text, range));
        Self {
            page: number("page", 1..=Self::LAST_PAGE).unwrap_or(1),
            limit: number("limit", 1..=Self::MAX_LIMIT).unwrap_or(10),
        }
    }

    /// The page's number, from 1.
    #[must_use]
    pub const fn page(self) -> u32 {
        self.page
    }

    /// The most items the page holds, 1 to 100.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// How many items come before the page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.page as u64 - 1) * self.limit as u64
    }
}

/// Which part of a list that is read from one entry to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorRequest<Id> {
    /// The entry before the first; the list's beginning if there is none, or it is not known.
    pub after: Option<Id>,
    /// Most entries, 1 to 100.
    pub limit: u32,
}

impl<Id: FromStr> CursorRequest<Id> {
    /// Reads the parameters `after` and `limit` of a query. A limit out of range is clamped; it is 100 unless it is given.
    pub fn from_query<'a>(parameter: impl Fn(&str) -> Option<Cow<'a, str>>) -> Self {
        let limit = parameter("limit").and_then(|text| clamp(&text, 1..=PageRequest::MAX_LIMIT));
        Self {
            after: parameter("after").and_then(|text| text.parse().ok()),
            limit: limit.unwrap_or(PageRequest::MAX_LIMIT),
        }
    }
}

/// The whole number that a text begins with, as JavaScript's `parseInt` reads it, moved into `range`; `None` if it begins
/// with none.
fn clamp(text: &str, range: RangeInclusive<u32>) -> Option<u32> {
    let text = text.trim();
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let digits = &text[..text.bytes().take_while(u8::is_ascii_digit).count()];
    match digits {
        "" => None,
        _ if negative => Some(*range.start()),
        // What does not fit is larger than any limit.
        _ => Some(digits.parse::<u32>().unwrap_or(u32::MAX).clamp(*range.start(), *range.end())),
    }
}

/// One page of a list with its place in the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "{T}Page"))]
pub struct Page<T> {
    /// The page's items.
    pub data: Vec<T>,
    /// Where the page stands.
    pub meta: PageMeta,
}

/// A page's place in the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PageMeta {
    /// The page's number, from 1.
    pub page: u32,
    /// The most items a page holds.
    pub limit: u32,
    /// Items in the whole list.
    pub total: u64,
    /// Pages in the whole list.
    pub total_pages: u64,
}

impl PageMeta {
    /// The place of a page in a list of `total` items.
    #[must_use]
    pub const fn new(request: PageRequest, total: u64) -> Self {
        Self {
            page: request.page,
            limit: request.limit,
            total,
            total_pages: total.div_ceil(request.limit as u64),
        }
    }
}

/// A part of a list that is read from one item to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "{T}Slice"))]
pub struct Slice<T> {
    /// Its items.
    pub data: Vec<T>,
    /// Its size.
    pub meta: SliceMeta,
}

/// The first `limit` items, and whether there are more.
#[must_use]
pub fn cut<T>(mut items: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let length = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > length;
    items.truncate(length);
    (items, more)
}

/// How large a part of a list may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SliceMeta {
    /// The most items that it holds.
    pub limit: u32,
}

/// A part of a list as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T, Id> {
    /// What the client reads.
    pub body: ListBody<T>,
    /// The item behind which the list goes on, if it does.
    pub next: Option<Id>,
}

/// A part of a list as clients read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ListBody<T> {
    /// A page by its number.
    Page(Page<T>),
    /// What comes behind an item.
    Slice(Slice<T>),
}

impl<T, Id> Listed<T, Id> {
    /// A page of a list of `total` items.
    pub fn page(page: PageRequest, total: u64, data: Vec<T>, id: impl Fn(&T) -> Id) -> Self {
        let meta = PageMeta::new(page, total);
        let more = u64::from(page.page()) < meta.total_pages;
        let next = data.last().filter(|_| more).map(id);
        Self { body: ListBody::Page(Page { data, meta }), next }
    }

    /// The first `limit` of the items that were read behind another one.
    pub fn slice(read: Vec<T>, limit: u32, id: impl Fn(&T) -> Id) -> Self {
        let (data, more) = cut(read, limit);
        let next = data.last().filter(|_| more).map(id);
        Self { body: ListBody::Slice(Slice { data, meta: SliceMeta { limit } }), next }
    }

    /// The first `limit` of those that `is_wanted`, among the first `most` of the items that were read behind another one. There may be
    /// fewer although the list goes on.
    pub fn sifted(
        read: Vec<T>,
        most: u32,
        limit: u32,
        is_wanted: impl Fn(&T) -> bool,
        id: impl Fn(&T) -> Id,
    ) -> Self {
        let (mut data, more) = cut(read, most);
        let reached = data.last().filter(|_| more).map(&id);
        data.retain(is_wanted);
        let found = Self::slice(data, limit, id);
        Self { next: found.next.or(reached), ..found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(page: Option<&str>, limit: Option<&str>) -> PageRequest {
        PageRequest::from_query(|name| if name == "page" { page } else { limit }.map(Cow::from))
    }

    #[test]
    fn values_out_of_range_are_clamped() {
        for (page, limit, expected) in [
            (None, None, (1, 10)),
            (Some("3"), Some("25"), (3, 25)),
            (Some("0"), Some("0"), (1, 1)),
            (Some("-5"), Some("-1"), (1, 1)),
            (Some("abc"), Some("xyz"), (1, 10)),
            (Some(""), Some(""), (1, 10)),
            (Some("2.9"), Some("99.9"), (2, 99)),
            (Some("1e3"), Some("101"), (1, 100)),
            (Some(" 7 "), Some("-x"), (7, 10)),
            (Some("99999999999999999999"), Some("99999999999999999999"), (u32::MAX, 100)),
        ] {
            let request = request(page, limit);
            assert_eq!((request.page(), request.limit()), expected, "{page:?} {limit:?}");
        }
    }

    #[test]
    fn the_last_page_is_counted_when_it_is_not_full() {
        let request = request(Some("2"), Some("10"));
        assert_eq!(PageMeta::new(request, 0).total_pages, 0);
        assert_eq!(PageMeta::new(request, 10).total_pages, 1);
        assert_eq!(PageMeta::new(request, 11).total_pages, 2);
        assert_eq!(request.offset(), 10);
    }

    #[test]
    fn what_was_sifted_goes_on_behind_what_was_read() {
        let sifted = |numbers: std::ops::Range<u32>, most, limit| {
            let Listed { body, next } =
                Listed::sifted(numbers.collect(), most, limit, |number| number % 2 == 0, |number| *number);
            match body {
                ListBody::Slice(slice) => (slice.data, next),
                ListBody::Page(page) => panic!("{page:?}"),
            }
        };
        assert_eq!(sifted(0..4, 10, 2), (vec![0, 2], None));
        assert_eq!(sifted(0..5, 10, 2), (vec![0, 2], Some(2)));
        assert_eq!(sifted(0..11, 10, 9), (vec![0, 2, 4, 6, 8], Some(9)));
        assert_eq!(sifted(1..3, 1, 9), (vec![], Some(1)));
    }
}
