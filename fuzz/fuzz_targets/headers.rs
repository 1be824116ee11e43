//! Headers, a value a line: what is accepted of them fits into a log, a message and a statement, and what a client writes
//! does not change where it comes from.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use contracts::header::{bearer_token, correlation_id, forwarded_client, idempotency_key, preferred_wait};
use contracts::{Owner, OwnerFilter};
use libfuzzer_sys::fuzz_target;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fuzz_target!(|text: &str| {
    let values: Vec<&str> = text.lines().collect();
    for value in &values {
        assert!(correlation_id(value).is_none_or(|id| id.len() <= 128 && is_visible(id)));
        if let Some(key) = idempotency_key(value) {
            assert!((1..=255).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let quoted = format!("\"{key}\"");
            assert!(key.contains('\\') || idempotency_key(&quoted) == Some(key), "quoted, it is the same");
        }
        assert!(bearer_token(value).is_none_or(|token| value.contains(token) && token.trim() == token));
        if let Ok(owner) = value.parse::<Owner>() {
            assert!(is_visible(owner.as_str()) && owner.as_str() != OwnerFilter::Any.as_str());
            assert_eq!(value.parse(), Ok(OwnerFilter::Only(owner)));
        }
    }
    assert!(preferred_wait(values.iter().copied()).is_none_or(|wait| wait.as_secs() <= 30));
    client(&values);
});

/// Only what the last proxy adds says who the client is.
fn client(values: &[&str]) {
    let is_proxy = |address: IpAddr| address.is_loopback();
    let stranger = IpAddr::from([192, 0, 2, 7]);
    assert_eq!(forwarded_client(values.iter().copied(), stranger, is_proxy), stranger);

    let found = forwarded_client(values.iter().copied(), PROXY, is_proxy);
    if !is_proxy(found) {
        let more = ["203.0.113.9", "127.0.0.1, 203.0.113.9"].into_iter().chain(values.iter().copied());
        let more: Vec<&str> = more.collect();
        assert_eq!(
            forwarded_client(more.into_iter(), PROXY, is_proxy),
            found,
            "what comes before is not read"
        );
    }
    if !values.is_empty() {
        let joined = values.join(",");
        let joined = [joined.as_str()].into_iter();
        assert_eq!(forwarded_client(joined, PROXY, is_proxy), found, "in one value, or in several");
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
