//! Cursors and times: what was read prints a text that reads the same, and that text never changes again.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use contracts::feed::{EventCursor, ReadFrom};
use contracts::{EventId, OrderId, PaymentId, Timestamp, UserId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    same::<OrderId>(text);
    same::<PaymentId>(text);
    same::<EventId>(text);
    same::<UserId>(text);
    same::<Timestamp>(text);
    same::<EventCursor>(text);
    same::<ReadFrom>(text);
    if let Ok(id) = text.parse::<OrderId>() {
        let printed = id.to_string();
        assert!(printed.len() == 36 && printed.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
        // As a `Link` header gives it.
        assert!(text.len() != 36 || text.to_lowercase() == printed, "{text} prints {printed}");
    }
});

fn same<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        let again: T = printed.parse().expect("what was printed can be read");
        assert_eq!(again, value, "{text}");
        assert_eq!(again.to_string(), printed, "{text}");
    }
}
