//! Text from elsewhere.

/// Text that PostgreSQL can store: U+FFFD in the place of NUL.
#[must_use]
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
