//! The body of a message: what is read of it can be written, and means the same when it is read again.

#![no_main]

use contracts::Envelope;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let envelope = match Envelope::decode(body) {
        Ok(envelope) => envelope,
        Err(error) => {
            // It is stored with the message and shown to an operator.
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let encoded = envelope.encode().expect("what was read can be written");
    assert_eq!(Envelope::decode(encoded.body.as_bytes()).expect("and read again"), envelope);
    assert!(encoded.body.contains(encoded.payload.get()), "the payload is in the body as it stands");
    let written: Value = serde_json::from_str(&encoded.body).expect("it is JSON");
    assert!(!has_nul(&written), "PostgreSQL stores no NUL: {written}");
});

fn has_nul(json: &Value) -> bool {
    match json {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        _ => false,
    }
}
