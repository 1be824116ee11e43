//! Publishing with confirms.
//!
//! A lane is a channel in confirm mode that sends one window of messages at a time: publish all of them, await all
//! confirms, then judge. Nothing else is in flight on its channel meanwhile, because lapin hands a returned message to
//! whichever confirm is resolved next, not to the one that it belongs to: only when the whole window is resolved are
//! its returns complete, and they are told apart by message id. Several lanes overlap their round trips.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{Span, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Broker, Message, Room, Unavailable};
use crate::crash_here;
use crate::tasks::Tasks;
use crate::telemetry::{METER, TraceContext};

const LANES: usize = 2;

/// Most messages in flight on a lane. Throughput hardly grows beyond some hundreds.
const WINDOW: usize = 512;

/// Messages that wait for a lane; more make their senders wait.
const QUEUE: usize = 2 * LANES * WINDOW;

/// How long a lane waits for a connection that is being replaced before it gives up on its window.
const RECONNECT_PATIENCE: Duration = Duration::from_millis(500);

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("messaging.client.operation.duration")
        .with_unit("s")
        .with_description("Time from sending a message to the broker's confirm.")
        .build()
});

/// Why a message is not known to be on the broker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// It was not sent.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No queue took it; it is not on the broker.
    #[error("no queue is bound for it")]
    Unroutable,
    /// The broker refused it (a queue is full, or could not write); it is not in every queue.
    #[error("the broker refused it")]
    Refused,
    /// No confirm came. It may be on the broker or not.
    #[error("the broker did not confirm it: {0}")]
    Unconfirmed(Arc<str>),
}

impl PublishError {
    /// Whether the message may be on the broker in spite of the error.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unconfirmed(_))
    }
}

struct Job {
    message: Message,
    reply: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes messages, and says which of them the broker has on disk. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    jobs: Sender<Job>,
    broker: Broker,
}

impl Publisher {
    /// Starts the lanes; they end when the tasks stop.
    #[must_use]
    pub fn start(broker: Broker, confirm_timeout: Duration, tasks: &Tasks) -> Self {
        let (sender, receiver) = async_channel::bounded(QUEUE);
        for number in 0..LANES {
            let lane = Lane {
                jobs: receiver.clone(),
                broker: broker.clone(),
                confirm_timeout,
                stopping: tasks.stopping(),
                channel: None,
            };
            tasks.spawn_essential(format!("publisher lane {number}"), lane.run());
        }
        Self { jobs: sender, broker }
    }

    /// Whether a message could be published right now.
    pub fn availability(&self) -> Result<(), Unavailable> {
        self.broker.availability()
    }

    /// A look at how long the queues are.
    pub(crate) fn room(&self) -> Room {
        Room::new(self.broker.clone())
    }

    /// Publishes one message. `Ok` means that a queue has it on disk.
    pub async fn publish(&self, message: Message) -> Result<(), PublishError> {
        // Told apart from "sent but not confirmed" as early as possible: this one is safe to try again.
        self.availability()?;
        let (reply, result) = oneshot::channel();
        let gone = || PublishError::from(Unavailable::Down("shutting down".into()));
        self.jobs.send(Job { message, reply }).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Publishes many messages at once; the results are in their order.
    pub async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        futures_util::future::join_all(messages.into_iter().map(|message| self.publish(message))).await
    }
}

struct Lane {
    jobs: Receiver<Job>,
    broker: Broker,
    confirm_timeout: Duration,
    stopping: CancellationToken,
    channel: Option<Channel>,
}

impl Lane {
    async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                first = self.jobs.recv() => match first {
                    Ok(first) => first,
                    // Everybody who could publish is gone: the service stops, and this lane is the next to be told.
                    Err(_) => return self.stopping.cancelled().await,
                },
            };
            let mut window = vec![first];
            while window.len() < WINDOW
                && let Ok(job) = self.jobs.try_recv()
            {
                window.push(job);
            }
            // A caller that gave up in the meantime must not have its message sent behind its back.
            window.retain(|job: &Job| !job.reply.is_closed());
            let results = self.send(&window).await;
            if results.contains(&Err(PublishError::Unroutable)) {
                self.broker.restore_topology().await;
            }
            for (job, result) in window.into_iter().zip(results) {
                job.reply.send(result).ok();
            }
        }
    }

    async fn send(&mut self, window: &[Job]) -> Vec<Result<(), PublishError>> {
        let count = window.len();
        let channel = match self.open().await {
            Ok(channel) => channel,
            Err(error) => return vec![Err(error); count],
        };
        let spans: Vec<_> = window.iter().map(|job| publish_span(&job.message)).collect();
        let started = Instant::now();
        let published = publish_window(&channel, window, &spans);
        let outcome = match tokio::time::timeout(self.confirm_timeout, published).await {
            Ok(Ok(results)) => results,
            // Some confirms are missing, and with them, perhaps, returns of messages that were confirmed: judge none.
            Ok(Err(error)) => vec![Err(PublishError::Unconfirmed(error.to_string().into())); count],
            Err(_) => vec![Err(PublishError::Unconfirmed("no answer in time".into())); count],
        };
        // A channel on which a quorum queue without a leader refused a first message goes on refusing when the queue has
        // one again (seen on RabbitMQ 3.10); a new one does not.
        let suspect =
            |error: &PublishError| matches!(error, PublishError::Unconfirmed(_) | PublishError::Refused);
        if outcome.iter().any(|result| result.as_ref().is_err_and(suspect)) {
            self.channel = None;
        }
        let elapsed = started.elapsed().as_secs_f64();
        for (span, result) in spans.iter().zip(&outcome) {
            let error_type = result.as_ref().err().map_or("", error_type);
            if !error_type.is_empty() {
                span.record("error.type", error_type);
                span.record("otel.status_code", "ERROR");
            }
            DURATION.record(
                elapsed,
                &[
                    KeyValue::new("messaging.system", "rabbitmq"),
                    KeyValue::new("messaging.operation.name", "publish"),
                    KeyValue::new("error.type", error_type),
                ],
            );
        }
        outcome
    }

    /// The lane's channel, a new one if the old one is gone.
    async fn open(&mut self) -> Result<Channel, PublishError> {
        if let Some(channel) = self.channel.take().filter(|channel| channel.status().connected()) {
            return Ok(self.channel.insert(channel).clone());
        }
        let Ok(connection) = tokio::time::timeout(RECONNECT_PATIENCE, self.broker.connection()).await else {
            self.broker.availability()?;
            return Err(Unavailable::Down("reconnecting".into()).into());
        };
        let open = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        };
        match tokio::time::timeout(self.confirm_timeout, open).await {
            Ok(Ok(channel)) => Ok(self.channel.insert(channel).clone()),
            Ok(Err(error)) => Err(Unavailable::Down(error.to_string().into()).into()),
            Err(_) => Err(Unavailable::Down("no channel in time".into()).into()),
        }
    }
}

async fn publish_window(
    channel: &Channel,
    window: &[Job],
    spans: &[Span],
) -> Result<Vec<Result<(), PublishError>>, lapin::Error> {
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let mut confirms = Vec::with_capacity(window.len());
    for (Job { message, .. }, span) in window.iter().zip(spans) {
        let route = message.route();
        let confirm = channel
            .basic_publish(
                route.exchange.name().into(),
                route.routing_key.into(),
                mandatory,
                message.body.as_bytes(),
                message.properties(&TraceContext::of(span)),
            )
            .await?;
        confirms.push((message.event_id.to_string(), confirm));
    }
    crash_here!("after-publish-before-confirm");
    let mut returned = HashSet::new();
    let mut results = Vec::with_capacity(confirms.len());
    for (id, confirm) in confirms {
        let (result, message) = match confirm.await? {
            Confirmation::Ack(message) => (Ok(()), message),
            Confirmation::Nack(message) => (Err(PublishError::Refused), message),
            Confirmation::NotRequested => {
                (Err(PublishError::Unconfirmed("the channel is not in confirm mode".into())), None)
            }
        };
        returned.extend(message.and_then(|message| message.delivery.properties.message_id().clone()));
        results.push((id, result));
    }
    Ok(results
        .into_iter()
        .map(
            |(id, result)| {
                if returned.contains(id.as_str()) { Err(PublishError::Unroutable) } else { result }
            },
        )
        .collect())
}

fn publish_span(message: &Message) -> Span {
    let route = message.route();
    let destination = format!("{}:{}", route.exchange, route.routing_key);
    let span = info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        otel.status_code = field::Empty,
        order.id = %message.order_id,
        correlation.id = message.correlation_id,
        error.r#type = field::Empty,
        trace.id = field::Empty,
    );
    span.set_attribute("messaging.system", "rabbitmq");
    span.set_attribute("messaging.operation.name", "publish");
    span.set_attribute("messaging.operation.type", "send");
    span.set_attribute("messaging.destination.name", destination);
    span.set_attribute("messaging.rabbitmq.destination.routing_key", route.routing_key);
    span.set_attribute("messaging.message.id", message.event_id.to_string());
    if let Some(correlation_id) = &message.correlation_id {
        span.set_attribute("messaging.message.conversation_id", correlation_id.clone());
    }
    message.trace.make_parent_of(&span);
    span
}

const fn error_type(error: &PublishError) -> &'static str {
    match error {
        PublishError::Unavailable(_) => "unavailable",
        PublishError::Unroutable => "unroutable",
        PublishError::Refused => "refused",
        PublishError::Unconfirmed(_) => "unconfirmed",
    }
}
