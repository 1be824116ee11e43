//! The gateway's file of API keys: each line is read as it is written, and an error shows nothing of the file.

#![no_main]

use contracts::api_key::{KeyDigest, KeyKind, KnownKey, NewKey, is_damaged, keys_of};
use libfuzzer_sys::fuzz_target;

/// Stands for a key and for its digest in what is tried.
const KEY: char = '$';
const DIGEST: char = '%';

fuzz_target!(|text: &str| {
    let key = NewKey::new(KeyKind::Live, [7; 32]);
    let text = text.replace(KEY, key.expose()).replace(DIGEST, &key.digest().to_string());
    match keys_of(&text) {
        Ok(keys) => {
            assert_eq!(keys.len(), text.lines().count(), "an answer for each line");
            for key in keys.into_iter().flatten() {
                let line = key.to_string();
                assert_eq!(line.parse::<KnownKey>(), Ok(key), "{line}");
                assert_eq!(line.lines().count(), 1, "{line}");
            }
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains(key.expose()) && !error.contains(&key.digest().to_string()), "{error}");
        }
    }

    let presented = text.lines().next().unwrap_or_default();
    assert_eq!(presented == key.expose(), KeyDigest::of(presented) == key.digest());
    assert!(!is_damaged(presented) || presented.starts_with("psk_"));
    let cut_off = key.expose().split_at(text.len() % key.expose().len()).0;
    assert_eq!(is_damaged(cut_off), cut_off.starts_with("psk_"));
});
