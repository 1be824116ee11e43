//! The `Idempotency-Key` of a request, and what it stands for.

use contracts::header::{MAX_IDEMPOTENCY_KEY, idempotency_key};
use contracts::order::CreateOrder;
use contracts::problem::InvalidMember;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, InvalidMember> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(idempotency_key) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(InvalidMember::new(
            "Idempotency-Key",
            format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters, bare or in double quotes"),
        )),
    }
}

/// What a key stands for: the same for two bodies that ask for the same order, however they are written.
pub(crate) fn fingerprint(order: &CreateOrder) -> String {
    hex::encode(Sha256::digest(format!("{}\n{}", order.user_id, order.total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<String>, InvalidMember> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, value.parse().unwrap());
        key(&headers)
    }

    #[test]
    fn bare_and_quoted_keys_are_the_same() {
        assert_eq!(read("k-1"), Ok(Some("k-1".to_owned())));
        assert_eq!(read("\"k-1\""), Ok(Some("k-1".to_owned())));
        assert_eq!(key(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in ["", "\"\"", "\"open", "in\"side", &"x".repeat(256)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_fingerprint_does_not_depend_on_how_the_body_is_written() {
        let order = |json: &str| CreateOrder::from_json(json.as_bytes()).unwrap();
        let one = order(r#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":10.50}"#);
        let same = order(r#"{ "total": 10.5, "userId": "3F2504E0-4F89-41D3-9A0C-0305E82C3301" }"#);
        let other = order(r#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":10.51}"#);
        assert_eq!(fingerprint(&one), fingerprint(&same));
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}
