//! Parts of pages that follow what happens: the same part is written again, and sent when it has changed.

use std::time::Duration;

use chassis::http::{self, Response};
use contracts::Problem;
use contracts::api_key::Scope;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use maud::Markup;
use tokio::time::{Instant, sleep, sleep_until};

use super::layout;
use super::visit::Visit;
use crate::changes::Listening;
use crate::shares::Streaming;
use crate::streams::Open;

/// How often something is sent at least: proxies close connections on which nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The shortest time between two versions of a part.
const PACE: Duration = Duration::from_millis(250);

/// A part that is kept up to date for a visit.
pub(super) struct Live {
    pub(super) visit: Visit,
    /// When the part is written anew at the latest.
    pub(super) every: Duration,
    /// What tells that something has changed, if anything does.
    pub(super) listening: Option<Listening>,
}

/// Writes a part, or tells why that is not possible now.
pub(super) type Write = for<'a> fn(&'a Visit) -> BoxFuture<'a, Result<Markup, Problem>>;

struct Stream {
    live: Live,
    write: Write,
    /// The part as it was written last, and what was sent last.
    last_part: String,
    last_sent: String,
    _open: Open,
    _place: Streaming,
    sent_at: Instant,
    read_at: Option<Instant>,
}

impl Live {
    /// A response that lasts until the session is over, the gateway stops, or the browser goes away. It counts among the visitor's
    /// streams, as those of the API do.
    pub(super) async fn response(mut self, write: Write) -> Response {
        let place = match self.visit.gateway.shares.stream(&self.visit.caller).await {
            Ok(place) => place,
            Err(problem) => return http::problem(&problem),
        };
        self.visit.reads_for_a_stream();
        let stream = Stream {
            live: self,
            write,
            last_part: String::new(),
            last_sent: String::new(),
            _open: Open::new(),
            _place: place,
            sent_at: Instant::now(),
            read_at: None,
        };
        let parts = unfold(stream, async |mut stream| {
            let part = stream.next().await?;
            stream.sent_at = Instant::now();
            Some((part.into_bytes(), stream))
        });
        http::streamed("text/event-stream", parts)
    }
}

impl Stream {
    async fn next(&mut self) -> Option<String> {
        loop {
            if !self.wait().await || !self.is_still_permitted() {
                return None;
            }
            self.read_at = Some(Instant::now());
            let stopping = self.live.visit.gateway.stopping.clone();
            let text = match stopping.run_until_cancelled((self.write)(&self.live.visit)).await? {
                Ok(part) => {
                    self.last_part = part.into_string();
                    self.last_part.clone()
                }
                // What was written last stays, below why there is nothing newer.
                Err(problem) => layout::problem(&problem).into_string() + &self.last_part,
            };
            if text != self.last_sent {
                let event = event(&text);
                self.last_sent = text;
                return Some(event);
            }
            if self.sent_at.elapsed() >= HEARTBEAT {
                return Some(":\n\n".to_owned());
            }
        }
    }

    /// Waits until the part is to be written anew; false if the gateway stops.
    async fn wait(&self) -> bool {
        let Some(read_at) = self.read_at else { return true };
        let changed = async {
            match &self.live.listening {
                Some(listening) => listening.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.live.visit.gateway.stopping.cancelled() => return false,
            () = sleep(self.live.every) => {}
            () = changed => sleep_until(read_at + PACE).await,
        }
        true
    }

    /// Whether the session and its key are still good for reading.
    fn is_still_permitted(&self) -> bool {
        let Visit { gateway, request, caller, .. } = &self.live.visit;
        gateway.console.session(&request.headers).is_some()
            && gateway.access.still_permits(caller, Scope::AdminRead)
    }
}

/// A server-sent event without a name: htmx puts its data in place of the part.
fn event(text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 16);
    for line in text.split(['\r', '\n']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}
