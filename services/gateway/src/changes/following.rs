//! The one response from which the gateway learns what changes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::backoff::Backoff;
use contracts::changes::Changed;
use reqwest::Response;
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::Changes;

/// How long the order service may say nothing. It gives a sign of life every second.
const LONGEST_SILENCE: Duration = Duration::from_secs(3);

/// How long the response is kept when none listens any more.
const LINGER: Duration = Duration::from_secs(10);

/// How long until an order service that can't tell is asked again: it may have been replaced.
const MUTE: Duration = Duration::from_secs(5);

/// Longest line. The order service keeps to far less.
const MOST_BYTES: usize = 1024 * 1024;

/// Why a response is not read any more.
enum End {
    /// None listens.
    Unwanted,
    /// It broke off.
    Lost(&'static str),
}

impl Changes {
    pub(super) async fn follow(&self) {
        let mut backoff = Backoff::for_service();
        loop {
            while !self.unwanted_for().is_zero() {
                self.wanted.notified().await;
            }
            match self.order.changes().await {
                Ok(Some(response)) => {
                    self.is_mute.store(false, Ordering::Relaxed);
                    match self.read(response, &mut backoff).await {
                        End::Unwanted => continue,
                        End::Lost(reason) => debug!(reason, "the order service tells no more what changes"),
                    }
                }
                Ok(None) => {
                    if !self.is_mute.swap(true, Ordering::Relaxed) {
                        info!("the order service can't tell what changes; it is asked instead");
                    }
                    self.tell_to_look_anew();
                    sleep(MUTE).await;
                    continue;
                }
                Err(error) => debug!(?error, "the order service does not tell what changes"),
            }
            backoff.wait().await;
        }
    }

    async fn read(&self, mut response: Response, backoff: &mut Backoff) -> End {
        let mut received = Vec::new();
        loop {
            if self.unwanted_for() > LINGER {
                return End::Unwanted;
            }
            match timeout(LONGEST_SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => received.extend_from_slice(&chunk),
                Ok(Ok(None)) => return End::Lost("it stops"),
                Ok(Err(_)) => return End::Lost("the connection was lost"),
                Err(_) => return End::Lost("it says nothing"),
            }
            while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                let Ok(changed) = serde_json::from_slice::<Changed>(&received[..end]) else {
                    return End::Lost("it sent what is no line");
                };
                received.drain(..=end);
                backoff.reset();
                self.tell(&changed);
            }
            if received.len() > MOST_BYTES {
                return End::Lost("it sent too long a line");
            }
        }
    }
}
