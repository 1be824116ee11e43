//! Calls the provider.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use chassis::crash_here;
use chassis::tasks::Tasks;
use chassis::telemetry::{METER, TRACE_ONLY, TraceContext, mark_failed};
use chassis::text::storable;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field, info_span};

use super::Answer;
use super::breaker::Breaker;
use super::calls::BegunCall;
use crate::domain::{ProviderCall, Step, Trigger};
use crate::provider::{Charge, PaymentProvider, Refund, Unanswered};
use crate::samples;

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("paysaga.provider.duration")
        .with_unit("s")
        .with_description("Time that the payment provider takes to answer.")
        .build()
});

pub(super) struct ProviderClient<P> {
    pub(super) provider: P,
    pub(super) timeout: Duration,
    /// How long after its step was taken a charge may still be carried out.
    pub(super) charge_deadline: Duration,
    pub(super) breaker: Arc<Breaker>,
}

impl<P: PaymentProvider> ProviderClient<P> {
    /// Makes the calls that are begun, each as a task, until the task is to stop and no further ones come.
    pub(super) async fn run(
        self: Arc<Self>,
        mut begun: mpsc::UnboundedReceiver<BegunCall>,
        answers: mpsc::Sender<Answer>,
        tasks: Tasks,
        stopping: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                next = begun.recv() => next,
                () = stopping.cancelled() => {
                    // No step is taken any more; calls that were begun are made.
                    begun.close();
                    continue;
                }
            };
            let Some(BegunCall { call, slot }) = next else { return stopping.cancelled().await };
            let (client, answers) = (Arc::clone(&self), answers.clone());
            tasks.spawn(async move {
                let answer = client.call(call).await;
                drop(slot);
                crash_here!("after-provider-call-before-commit");
                // The receiver ends after the last sender.
                answers.send(answer).await.ok();
            });
        }
    }

    /// Calls the provider. A call that takes too long is one without an answer.
    async fn call(&self, call: ProviderCall) -> Answer {
        let span = provider_span(&call);
        let started = Instant::now();
        let asked = self.ask(&call).instrument(span.clone());
        let answer = if let Ok(answer) = tokio::time::timeout(self.timeout, asked).await {
            answer.map_err(|unanswered| ("unanswered", unanswered))
        } else {
            let error = format!("no answer within {} ms", self.timeout.as_millis());
            Err(("timeout", Unanswered(error)))
        };
        let trigger = match answer {
            Ok(trigger) => {
                self.breaker.answered();
                samples::answered(started.elapsed());
                trigger
            }
            Err((error_type, unanswered)) => {
                self.breaker.unanswered(Instant::now());
                samples::unanswered();
                let error = unanswered.to_string();
                mark_failed(&span, error_type, &error);
                Trigger::Unanswered { attempt: call.attempt, error: storable(&error) }
            }
        };
        let outcome = <&str>::from(&trigger);
        span.record("payment.outcome", outcome);
        DURATION.record(
            started.elapsed().as_secs_f64(),
            &[KeyValue::new("step", <&str>::from(call.step)), KeyValue::new("outcome", outcome)],
        );
        Answer { call, trigger, trace: TraceContext::of(&span) }
    }

    async fn ask(&self, call: &ProviderCall) -> Result<Trigger, Unanswered> {
        Ok(match call.step {
            Step::Charge => {
                let not_after = call.taken_at + self.charge_deadline;
                charged(self.provider.charge(call.payment_id, call.amount, not_after).await?)
            }
            Step::Lookup => match self.provider.lookup(call.payment_id).await? {
                Some(charge) => charged(charge),
                None => {
                    Trigger::NotCharged { attempt: call.attempt, charge_in_transit: call.charge_in_transit }
                }
            },
            Step::Refund => match self.provider.refund(call.payment_id, call.amount).await? {
                Refund::Done => Trigger::Refunded,
                Refund::Refused { reason } => {
                    Trigger::RefundRefused { attempt: call.attempt, reason: storable(&reason) }
                }
            },
        })
    }
}

fn charged(charge: Charge) -> Trigger {
    match charge {
        Charge::Approved { transaction_id } => {
            Trigger::Approved { transaction_id: storable(&transaction_id) }
        }
        Charge::Declined { transaction_id, reason } => {
            Trigger::Declined { transaction_id: storable(&transaction_id), reason: storable(&reason) }
        }
        Charge::Failed { error } => Trigger::Failed { error: storable(&error) },
    }
}

fn provider_span(call: &ProviderCall) -> Span {
    let trace = &call.cause.trace;
    let recorded = trace.may_be_recorded();
    let name = match call.step {
        Step::Charge => "charge",
        Step::Lookup => "lookup",
        Step::Refund => "refund",
    };
    let span = info_span!(
        target: TRACE_ONLY,
        "provider",
        otel.name = name,
        otel.kind = "client",
        error.r#type = field::Empty,
        peer.service = "payment-provider",
        payment.id = recorded.then(|| display(call.payment_id)),
        payment.attempt = i64::from(call.attempt),
        payment.call_reason = <&str>::from(call.reason),
        payment.outcome = field::Empty,
        order.id = recorded.then(|| display(call.order_id)),
        correlation.id = call.cause.correlation_id.as_ref().filter(|_| recorded),
    );
    trace.continue_in(&span);
    span
}
