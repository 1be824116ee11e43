//! A lane of the publisher: a channel in confirm mode that sends one window of messages for one queue at a time.
//!
//! It publishes all of them, awaits all confirms, then judges. Nothing else is in flight on its channel meanwhile, because
//! lapin hands a returned message to whichever confirm is resolved next, not to the one that it belongs to: only when the
//! whole window is resolved are its returns complete, and they are told apart by message id. The lanes of a queue overlap
//! their round trips.
//!
//! A confirm that does not come is waited for with the whole window, so messages for different queues never share one: a
//! quorum queue without a leader confirms nothing, and the others do.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::publisher::{Batch, PublishError, PublishResult};
use super::{Broker, Message, Unavailable};
use crate::crash_here;
use crate::telemetry::{METER, TRACE_ONLY, TraceContext, mark_failed};

/// Lanes of each queue.
pub(super) const LANES: usize = 2;

/// Messages at which a window is closed. Throughput hardly grows beyond some hundreds.
pub(super) const WINDOW: usize = 512;

/// How long a lane waits for a connection that is being replaced before it gives up on its window.
const RECONNECT_PATIENCE: Duration = Duration::from_millis(500);

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("messaging.client.operation.duration")
        .with_unit("s")
        .with_description("Time from sending a message to the broker's confirm.")
        .build()
});

pub(super) struct Lane {
    batches: Receiver<Batch>,
    broker: Broker,
    confirm_timeout: Duration,
    stopping: CancellationToken,
    channel: Option<Channel>,
}

impl Lane {
    pub(super) const fn new(
        batches: Receiver<Batch>,
        broker: Broker,
        confirm_timeout: Duration,
        stopping: CancellationToken,
    ) -> Self {
        Self { batches, broker, confirm_timeout, stopping, channel: None }
    }

    pub(super) async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                first = self.batches.recv() => match first {
                    Ok(first) => first,
                    // Every publisher is gone: the service stops, and this lane is the next to be told.
                    Err(_) => return self.stopping.cancelled().await,
                },
            };
            let window = self.fill_window(first);
            if window.is_empty() {
                continue;
            }
            let messages: Vec<&Message> = window.iter().flat_map(|batch| &batch.messages).collect();
            let results = self.send(&messages).await;
            if results.contains(&Err(PublishError::Unroutable)) {
                self.broker.restore_topology();
            }
            let mut results = results.into_iter();
            for Batch { messages, reply } in window {
                reply.send(results.by_ref().take(messages.len()).collect()).ok();
            }
        }
    }

    /// The first batch and those that wait behind it.
    fn fill_window(&self, first: Batch) -> Vec<Batch> {
        let mut length = first.messages.len();
        let mut window = vec![first];
        while length < WINDOW
            && let Ok(batch) = self.batches.try_recv()
        {
            length += batch.messages.len();
            window.push(batch);
        }
        // A caller that gave up in the meantime must not have its messages sent behind its back.
        window.retain(|batch| !batch.reply.is_closed());
        window
    }

    /// Answers what waits while the queue confirms nothing. Sent after it, each would wait as long again.
    fn refuse_waiting(&self) {
        while let Ok(Batch { messages, reply }) = self.batches.try_recv() {
            reply.send(vec![Err(Unavailable::Congested.into()); messages.len()]).ok();
        }
    }

    async fn send(&mut self, messages: &[&Message]) -> Vec<PublishResult> {
        let count = messages.len();
        let channel = match self.open().await {
            Ok(channel) => channel,
            Err(error) => return vec![Err(error); count],
        };
        let spans: Vec<_> = messages.iter().map(|message| publish_span(message)).collect();
        let started = Instant::now();
        let published = publish_window(&channel, messages, &spans, self.broker.user());
        let results = match tokio::time::timeout(self.confirm_timeout, published).await {
            Ok(Ok(results)) => results,
            // Some confirms are missing, and with them, perhaps, returns of messages that were confirmed: judge none.
            Ok(Err(error)) => vec![Err(PublishError::Unconfirmed(error.to_string().into())); count],
            Err(_) => {
                self.refuse_waiting();
                vec![Err(PublishError::Unconfirmed("no answer in time".into())); count]
            }
        };
        // A channel on which a quorum queue without a leader refused a first message goes on refusing when the queue has
        // one again (seen on RabbitMQ 3.10); a new one does not.
        let suspect =
            |error: &PublishError| matches!(error, PublishError::Unconfirmed(_) | PublishError::Refused);
        if results.iter().any(|result| result.as_ref().is_err_and(suspect)) {
            self.channel = None;
        }
        observe(messages, &spans, &results, started.elapsed());
        results
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
    messages: &[&Message],
    spans: &[Span],
    user: &str,
) -> Result<Vec<PublishResult>, lapin::Error> {
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let mut confirms = Vec::with_capacity(messages.len());
    for (message, span) in messages.iter().zip(spans) {
        let route = message.route();
        let confirm = channel
            .basic_publish(
                route.exchange.name().into(),
                route.routing_key.into(),
                mandatory,
                message.body.as_bytes(),
                message.properties(&TraceContext::of(span), user),
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
    let judge = |(id, result): (String, PublishResult)| {
        if returned.contains(id.as_str()) { Err(PublishError::Unroutable) } else { result }
    };
    Ok(results.into_iter().map(judge).collect())
}

/// Writes the results into spans, metrics and the log.
fn observe(messages: &[&Message], spans: &[Span], results: &[PublishResult], elapsed: Duration) {
    for ((message, span), result) in messages.iter().zip(spans).zip(results) {
        let error_type = result.as_ref().err().map_or("", PublishError::kind);
        if let Err(error) = result {
            mark_failed(span, error_type, &error.to_string());
            let event = message.event_type;
            span.in_scope(|| debug!(order.id = %message.order_id, %event, %error, "message not published"));
        }
        DURATION.record(
            elapsed.as_secs_f64(),
            &[
                KeyValue::new("messaging.system", "rabbitmq"),
                KeyValue::new("messaging.operation.name", "publish"),
                KeyValue::new("error.type", error_type),
            ],
        );
    }
}

fn publish_span(message: &Message) -> Span {
    let recorded = message.trace.may_be_recorded();
    let route = message.route();
    let destination = recorded.then(|| format!("{}:{}", route.exchange, route.routing_key));
    let span = info_span!(
        target: TRACE_ONLY,
        "publish",
        otel.name = destination.as_ref().map(|destination| format!("publish {destination}")),
        otel.kind = "producer",
        order.id = recorded.then(|| display(message.order_id)),
        correlation.id = message.correlation_id.as_ref().filter(|_| recorded),
        error.r#type = field::Empty,
    );
    if let Some(destination) = destination {
        span.set_attribute("messaging.system", "rabbitmq");
        span.set_attribute("messaging.operation.name", "publish");
        span.set_attribute("messaging.operation.type", "send");
        span.set_attribute("messaging.destination.name", destination);
        span.set_attribute("messaging.rabbitmq.destination.routing_key", route.routing_key);
        span.set_attribute("messaging.message.id", message.event_id.to_string());
        if let Some(correlation_id) = &message.correlation_id {
            span.set_attribute("messaging.message.conversation_id", correlation_id.clone());
        }
    }
    message.trace.make_parent_of(&span);
    span
}
