//! Server-sent events as text (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::{Display, Write};
use std::time::Duration;

/// What is sent of a stream at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames(String);

impl Frames {
    /// How long a client is to wait before it comes back after the stream broke off.
    pub(super) fn retry(time: Duration) -> Self {
        let mut frames = Self::default();
        frames.write(format_args!("retry: {}\n\n", time.as_millis()));
        frames
    }

    /// A sign of life, which also moves the place to resume from, if there is one. No event of the client's.
    pub(super) fn heartbeat(id: Option<impl Display>) -> Self {
        let mut frames = Self(":\n".to_owned());
        if let Some(id) = id {
            frames.write(format_args!("id: {id}\n"));
        }
        frames.0.push('\n');
        frames
    }

    /// Adds an event with a place to resume from. None of these has a line break: they are ids, names and compact JSON.
    pub(super) fn push(&mut self, id: impl Display, event: &str, data: &str) {
        self.write(format_args!("id: {id}\nevent: {event}\ndata: {data}\n\n"));
    }

    /// Adds the last event of a stream that is complete.
    pub(super) fn push_end(&mut self, data: &str) {
        self.write(format_args!("event: end\ndata: {data}\n\n"));
    }

    /// Adds what comes behind.
    pub(super) fn append(&mut self, Self(text): Self) {
        self.0.push_str(&text);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is sent.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_block_of_fields() {
        let mut frames = Frames::retry(Duration::from_secs(1));
        frames.push(7, "OrderCreated", "{}");
        frames.push_end("{}");
        frames.append(Frames::heartbeat(Some("1-2")));
        frames.append(Frames::heartbeat(None::<u64>));
        let expected = "retry: 1000\n\n\
                        id: 7\nevent: OrderCreated\ndata: {}\n\n\
                        event: end\ndata: {}\n\n\
                        :\nid: 1-2\n\n\
                        :\n\n";
        assert_eq!(frames.0, expected);
    }
}
