//! Query strings of lists: within bounds whatever they say, and written anew they ask for the same.

#![no_main]

use std::borrow::Cow;

use contracts::OrderId;
use contracts::list::{List, ListRequest, OrderList, Part, PaymentList};
use contracts::page::{CursorRequest, PageMeta, PageRequest};
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

fuzz_target!(|query: &str| {
    let page = PageRequest::from_query(first_of(query));
    assert!(page.page() >= 1 && (1..=100).contains(&page.limit()));
    assert!(i64::try_from(page.offset()).is_ok(), "PostgreSQL's OFFSET is a bigint");
    let meta = PageMeta::new(page, u64::MAX);
    assert!(meta.total_pages >= u64::MAX / 100);
    let again = format!("page={}&limit={}", page.page(), page.limit());
    assert_eq!(PageRequest::from_query(first_of(&again)), page);

    let has = |name| first_of(query)(name).is_some();
    list::<OrderList>(query, page);
    list::<PaymentList>(query, page);

    let asked = CursorRequest::<OrderId>::from_query(first_of(query));
    assert!((1..=100).contains(&asked.limit));
    assert!(asked.after.is_none() || has("after"));
});

fn list<L: List + PartialEq>(query: &str, page: PageRequest) {
    let has = |name: &str| first_of(query)(name).is_some();
    match ListRequest::<L>::from_query(first_of(query)) {
        Ok(asked) => {
            match asked.part {
                Part::Page(part) => assert!(!has("cursor") && part == page),
                Part::Slice { behind, limit } => {
                    assert!(behind.is_some() == has("cursor") && !has("page") && limit == page.limit());
                }
            }
            let again = asked.to_string();
            assert!(ListRequest::from_query(first_of(&again)) == Ok(asked), "{again}");
        }
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| has(&error.member))),
    }
}

/// The first value of each name, as `chassis::http::Request` reads it.
fn first_of<'a>(query: &'a str) -> impl Fn(&str) -> Option<Cow<'a, str>> {
    |wanted| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value)
}
