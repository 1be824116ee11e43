//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a first-time request is executed, a duplicate request is answered
//! as the first one was.
//!
//! ```text
//! commands → claim → order service: first-time request → execution → answer → stored
//!                                   duplicate request  → the stored answer
//!                                   concurrent request → asked again and again, then 409
//! ```

mod answer;
mod claim;
mod execution;

use contracts::OrderId;
use contracts::header::{MAX_IDEMPOTENCY_KEY, idempotency_key};
use contracts::order::CreateOrder;
use contracts::problem::InvalidMember;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

pub(crate) use answer::Answer;
pub(crate) use claim::{Begun, IdempotencyKeys};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

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

/// The fingerprint of a request that places an order: the same for two bodies that ask for the same order, however they are written.
pub(crate) fn fingerprint_of_order(order: &CreateOrder) -> String {
    fingerprint(&format!("{}\n{}", order.user_id, order.total))
}

/// The fingerprint of a request that cancels an order, the same for both ways to ask for it.
pub(crate) fn fingerprint_of_cancellation(order: OrderId) -> String {
    fingerprint(&format!("PATCH\n/api/orders/{order}\nCANCELLED"))
}

fn fingerprint(request: &str) -> String {
    hex::encode(Sha256::digest(request))
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
        assert_eq!(fingerprint_of_order(&one), fingerprint_of_order(&same));
        assert_ne!(fingerprint_of_order(&one), fingerprint_of_order(&other));
    }

    #[test]
    fn fingerprints_never_change() {
        // Fixed: with another fingerprint, a key that a release before has stored is refused.
        let order = br#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":10.5}"#;
        let order = CreateOrder::from_json(order).unwrap();
        // printf '3f2504e0-4f89-41d3-9a0c-0305e82c3301\n10.5' | sha256sum
        assert_eq!(
            fingerprint_of_order(&order),
            "67639ede3103471fdcda61935126773111bcda56e6b6045a04fc0fe779a860d9"
        );
        let id = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        // printf 'PATCH\n/api/orders/0198c0de-0000-7000-8000-000000000001\nCANCELLED' | sha256sum
        assert_eq!(
            fingerprint_of_cancellation(id),
            "17f5ae298242e4f4144e4c0a67039c74c9196b9c106a068ba036ce41f221f9af"
        );
    }
}
