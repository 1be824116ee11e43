//! What many failures have in common: the reason of one without what differs from message to message.

/// Longest reason that is looked at, in characters. A cause is no longer.
const MAX_LENGTH: usize = 200;

/// Stands for what differs.
const VARIABLE: char = '…';

/// Before a piece in quotes that is no content of a message, but the name of a member of the contract.
const BEFORE_NAME: &str = "missing field ";

/// The cause of a failure. UUIDs, numbers, times, and pieces in quotes or in hexadecimal become `…`. The cause of a cause is
/// itself.
#[must_use]
pub fn failure_cause(reason: &str) -> String {
    let reason: Vec<char> = reason.chars().take(MAX_LENGTH).collect();
    let mut cause = String::new();
    let mut rest = &reason[..];
    while let Some(&first) = rest.first() {
        let before = cause.chars().next_back();
        let piece = piece(rest, before, cause.ends_with(BEFORE_NAME));
        if piece.differs {
            push_variable(&mut cause);
        } else if first.is_whitespace() {
            cause.push(' ');
        } else {
            cause.extend(&rest[..piece.length]);
        }
        rest = &rest[piece.length..];
    }
    cause.trim().to_owned()
}

/// The beginning of a text that is kept, or replaced, as a whole.
struct Piece {
    length: usize,
    differs: bool,
}

fn piece(text: &[char], before: Option<char>, is_name: bool) -> Piece {
    let first = text.first().copied().unwrap_or_default();
    let within_word = before.is_some_and(char::is_alphanumeric);
    match first {
        // An apostrophe within a word quotes nothing.
        '"' | '`' | '\'' if first != '\'' || !within_word => {
            let end = text.iter().skip(1).position(|letter| *letter == first);
            let length = end.map_or(text.len(), |end| end + 2);
            Piece { length, differs: end.is_none() || !(is_name && first == '`') }
        }
        _ if first.is_alphanumeric() => {
            let uuid = uuid_length(text);
            let word = text.iter().take_while(|letter| letter.is_alphanumeric() || **letter == '_').count();
            let length = uuid.unwrap_or(word);
            Piece { length, differs: uuid.is_some() || is_variable(&text[..word]) }
        }
        _ => Piece { length: 1, differs: first == VARIABLE },
    }
}

/// How much of a text is the UUID that it begins with.
fn uuid_length(text: &[char]) -> Option<usize> {
    const LENGTH: usize = 36;
    let start = text.get(..LENGTH)?;
    let is_uuid = start.iter().enumerate().all(|(place, letter)| match place {
        8 | 13 | 18 | 23 => *letter == '-',
        _ => letter.is_ascii_hexdigit(),
    });
    let ends = !text.get(LENGTH).is_some_and(|letter| letter.is_alphanumeric());
    (is_uuid && ends).then_some(LENGTH)
}

/// A word with a digit in it, or one that can only be hexadecimal.
fn is_variable(word: &[char]) -> bool {
    const SHORTEST: usize = 8;
    let is_hexadecimal = word.len() >= SHORTEST && word.iter().all(char::is_ascii_hexdigit);
    is_hexadecimal || word.iter().any(|letter| letter.is_numeric())
}

/// Adds `…`; what only joins it to the one before, as in times and decimals, goes with it, and so does a sign.
fn push_variable(cause: &mut String) {
    let joined = cause.trim_end_matches(['-', '+', '.', ':', ',']);
    let is_sign = joined.is_empty() || joined.ends_with(char::is_whitespace);
    if joined.ends_with(VARIABLE) || is_sign {
        cause.truncate(joined.len());
    }
    if !cause.ends_with(VARIABLE) {
        cause.push(VARIABLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_message_to_message_is_left_out() {
        for (reason, cause) in [
            ("the order 0198c0de-abcd-7000-8000-00000000000a does not exist", "the order … does not exist"),
            (
                "not an event envelope: expected value at line 1 column 17",
                "not an event envelope: expected value at line … column …",
            ),
            (
                "payload of OrderCreated: missing field `total` at line 1 column 5",
                "payload of OrderCreated: missing field `total` at line … column …",
            ),
            ("unknown eventType `OrderExploded`", "unknown eventType …"),
            (
                "payload of OrderCreated: invalid type: string \"a b\", expected money",
                "payload of OrderCreated: invalid type: string …, expected money",
            ),
            ("was 'x' at 2026-01-02T03:04:05.678Z, not 2026-01-02", "was … at …, not …"),
            ("must be at most 999999999999.99, is -12.5e3", "must be at most …, is …"),
            ("digest deadbeefcafe differs, see 0x1f", "digest … differs, see …"),
            (
                "OrderCreated has no user_id; it is shop-order's to publish",
                "OrderCreated has no user_id; it is shop-order's to publish",
            ),
            ("rejected", "rejected"),
            ("it says \"and ends", "it says …"),
            ("", ""),
        ] {
            assert_eq!(failure_cause(reason), cause);
        }
    }

    #[test]
    fn a_long_reason_has_a_short_cause() {
        assert_eq!(failure_cause(&"é ".repeat(1000)).chars().count(), MAX_LENGTH - 1);
    }

    proptest! {
        #[test]
        fn the_cause_of_a_cause_is_itself(reason in "\\PC*|([a-f0-9:.,+'`\" -]|missing field |…){0,60}") {
            let cause = failure_cause(&reason);
            prop_assert_eq!(failure_cause(&cause), cause.clone());
        }

        #[test]
        fn ids_make_no_difference(id in any::<u128>()) {
            let reason = |id: u128| format!("the order {} does not exist", uuid::Uuid::from_u128(id));
            prop_assert_eq!(failure_cause(&reason(id)), failure_cause(&reason(0)));
        }
    }
}
