//! Asks the provider.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chassis::telemetry::{METER, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::{Instrument, Span, field, info_span};

use super::Answer;
use super::breaker::Breaker;
use crate::domain::{Step, Trigger};
use crate::provider::{Charge, PaymentProvider, Unanswered};
use crate::store::{Note, TakenStep};

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("paysaga.provider.duration")
        .with_unit("s")
        .with_description("Time that the payment provider takes to answer.")
        .build()
});

pub(super) struct Asker<P> {
    pub(super) provider: P,
    pub(super) timeout: Duration,
    pub(super) breaker: Breaker,
}

impl<P: PaymentProvider> Asker<P> {
    /// Carries the step out. A call that takes too long is one without an answer.
    pub(super) async fn ask(&self, step: TakenStep) -> Answer {
        let span = provider_span(&step);
        let started = Instant::now();
        let call = self.call(&step).instrument(span.clone());
        let answer = match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(Unanswered(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        match &answer {
            Ok(_) => self.breaker.answered(),
            Err(_) => self.breaker.unanswered(Instant::now()),
        }
        let outcome = match &answer {
            Ok(trigger) => <&str>::from(trigger),
            Err(_) => "unanswered",
        };
        span.record("payment.outcome", outcome);
        DURATION.record(
            started.elapsed().as_secs_f64(),
            &[KeyValue::new("step", <&str>::from(step.step)), KeyValue::new("outcome", outcome)],
        );
        let mut cause = step.cause.clone();
        cause.trace = TraceContext::of(&span);
        let (trigger, error) = match answer {
            Ok(trigger) => {
                let error = bad_news(&trigger);
                (trigger, error)
            }
            Err(unanswered) => {
                span.record("otel.status_code", "ERROR");
                (Trigger::Unanswered, Some(unanswered.to_string()))
            }
        };
        Answer { step, trigger, note: Note { cause, error, ..Note::default() } }
    }

    async fn call(&self, step: &TakenStep) -> Result<Trigger, Unanswered> {
        Ok(match step.step {
            Step::Charge => charged(self.provider.charge(step.payment_id, step.amount).await?),
            Step::Lookup => match self.provider.lookup(step.payment_id).await? {
                Some(charge) => charged(charge),
                None => Trigger::NotCharged { attempt: step.attempt, settled: step.settled },
            },
            Step::Refund => {
                self.provider.refund(step.payment_id).await?;
                Trigger::Refunded
            }
        })
    }
}

fn charged(charge: Charge) -> Trigger {
    match charge {
        Charge::Approved { transaction_id } => Trigger::Approved { transaction_id },
        Charge::Declined { transaction_id, reason } => Trigger::Declined { transaction_id, reason },
        Charge::Failed { error } => Trigger::Failed { error },
    }
}

fn bad_news(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Declined { reason, .. } => Some(reason.clone()),
        Trigger::Failed { error } => Some(error.clone()),
        _ => None,
    }
}

fn provider_span(step: &TakenStep) -> Span {
    let name = <&str>::from(step.step).to_lowercase();
    let span = info_span!(
        "provider",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = field::Empty,
        peer.service = "payment-provider",
        payment.id = %step.payment_id,
        payment.attempt = i64::from(step.attempt),
        payment.outcome = field::Empty,
        order.id = %step.order_id,
        correlation.id = step.cause.correlation_id,
        trace.id = field::Empty,
    );
    step.cause.trace.make_parent_of(&span);
    span
}
