//! `RABBITMQ_URL`: an error never shows a part of it, which could be the password.

#![no_main]

use libfuzzer_sys::fuzz_target;

use crate::url::BrokerUrl;

/// The file itself: chassis as a whole takes five times as long to build as all that is tried here.
#[path = "../../services/chassis/src/broker/url.rs"]
#[expect(dead_code, reason = "the broker's connection is not here")]
mod url;

/// Stands for the password in what is tried.
const PASSWORD: char = '$';

fuzz_target!(|text: &str| {
    let url = text.replace(PASSWORD, "correct-horse-battery");
    match url.parse::<BrokerUrl>() {
        Err(error) => {
            assert!(!error.contains("correct-horse-battery"), "{error}");
            assert!(error.starts_with("must "), "{error}");
        }
        Ok(_) => {
            let spaced = url.split(',').map(|node| format!("  {node} ")).collect::<Vec<_>>().join(",");
            assert!(spaced.parse::<BrokerUrl>().is_ok(), "spaces around a comma mean nothing");
            assert!(
                format!("{url},{url}").parse::<BrokerUrl>().is_ok(),
                "nor do more nodes of the same cluster"
            );
        }
    }
});
