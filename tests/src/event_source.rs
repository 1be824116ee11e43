//! A client of streams, as a browser's `EventSource` is one: reads server-sent events, and knows where to resume.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::Response;
use serde_json::Value;

use crate::api::{Api, header};
use crate::eventually;
use crate::service::ServiceProcess;

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where to resume behind it.
    pub id: Option<String>,
    /// Its type.
    pub event: String,
    /// Its data, which must be JSON.
    pub data: Value,
}

/// A block of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// An event.
    Event(Event),
    /// A sign of life, and where to resume, if it says so.
    Heartbeat(Option<String>),
    /// How long to wait before coming back.
    Retry(Duration),
}

/// An open stream.
pub struct EventSource {
    response: Response,
    received: Vec<u8>,
    /// Where to resume.
    pub last_event_id: Option<String>,
    /// How long to wait before coming back.
    pub retry: Option<Duration>,
}

/// Asks for a stream, behind an event if one is named.
pub async fn ask(api: &Api, path: &str, last_event_id: Option<&str>) -> Result<Response, reqwest::Error> {
    let request = api.request(Method::GET, path).header("accept", "text/event-stream");
    match last_event_id {
        Some(id) => request.header("last-event-id", id).send().await,
        None => request.send().await,
    }
}

/// Waits until so many streams are open.
pub async fn open_streams_are(gateway: &ServiceProcess, expected: &str) {
    eventually(&format!("{expected} streams are open"), async || {
        let metrics = gateway.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with("paysaga_streams_open"));
        let count = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned();
        if count == expected { Ok(()) } else { Err(count) }
    })
    .await;
}

impl EventSource {
    /// Opens a stream, which must be granted.
    pub async fn open(api: &Api, path: &str, last_event_id: Option<&str>) -> Self {
        let response = ask(api, path, last_event_id).await.expect("the gateway answers");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Self::of(response, last_event_id)
    }

    /// The stream that an answer is.
    #[must_use]
    pub fn of(response: Response, last_event_id: Option<&str>) -> Self {
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        Self { response, received: Vec::new(), last_event_id: last_event_id.map(str::to_owned), retry: None }
    }

    /// The next event; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.next_block().await? {
                Block::Event(event) => return Some(event),
                Block::Heartbeat(_) | Block::Retry(_) => {}
            }
        }
    }

    /// The types of the next events.
    pub async fn types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        while types.len() < count {
            types.push(self.next().await.expect("there is one more").event);
        }
        types
    }

    /// All events until the stream ends.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// The next block; `None` once the stream has ended, however it did.
    pub async fn next_block(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.received.windows(2).position(|bytes| bytes == b"\n\n") {
                let block: Vec<u8> = self.received.drain(..end + 2).collect();
                return Some(self.read(&String::from_utf8(block).expect("it is text")));
            }
            let chunk = tokio::time::timeout(crate::TIMEOUT, self.response.chunk()).await;
            match chunk.expect("something comes in time") {
                Ok(Some(chunk)) => self.received.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn read(&mut self, text: &str) -> Block {
        let field = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(": "));
            fields.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        let id = field("id");
        if id.is_some() {
            self.last_event_id.clone_from(&id);
        }
        if let Some(milliseconds) = field("retry") {
            let retry = Duration::from_millis(milliseconds.parse().expect("a number"));
            self.retry = Some(retry);
            return Block::Retry(retry);
        }
        match field("data") {
            Some(data) => Block::Event(Event {
                id,
                event: field("event").unwrap_or_else(|| panic!("an event has a type: {text}")),
                data: serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {text}")),
            }),
            None => Block::Heartbeat(id),
        }
    }
}
