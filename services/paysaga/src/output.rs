//! What the operator's terminal gets. Texts that others wrote (reasons, message bodies, customers' words) may hold escape sequences,
//! with which a terminal can be made to hide what it shows, or worse: they are shown, not sent.

use std::fmt::Write as _;
use std::io::{self, StdoutLock, Write};

/// Standard output, whose control characters other than the end of a line and a tab are written as `\u001b`. In JSON, where they
/// can only stand in strings, that is the same text.
pub struct Output {
    stdout: StdoutLock<'static>,
    /// The beginning of a character whose end was not written yet.
    begun: Vec<u8>,
}

/// Standard output, for as long as this is held.
#[must_use]
pub fn stdout() -> Output {
    Output { stdout: io::stdout().lock(), begun: Vec::new() }
}

/// The text without characters that do something to a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_command(letter) {
            // Writing to a String can't fail.
            let _ = write!(printable, "\\u{:04x}", u32::from(letter));
        } else {
            printable.push(letter);
        }
    }
    printable
}

/// Control characters of either set (ECMA-48), and those that change the direction of a text.
fn is_command(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        letter => letter.is_control(),
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let complete = match std::str::from_utf8(&self.begun) {
            Ok(text) => text.len(),
            // The rest of the character is still to come.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.begun.len(),
        };
        let rest = self.begun.split_off(complete);
        let text = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun = rest;
        self.stdout.write_all(printable(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_a_terminal_are_shown() {
        for (text, shown) in [
            ("caf\u{e9}\n\ttwo", "caf\u{e9}\n\ttwo"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u001b[2J\\u001b]0;title\\u0007"),
            // In one character, as terminals that know UTF-8 take it too.
            ("\u{9b}31m\u{7f}\r", "\\u009b31m\\u007f\\u000d"),
            ("\u{202e}moc", "\\u202emoc"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
