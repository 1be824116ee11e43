//! `paysaga order`: one order, step by step.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use contracts::{OrderId, PaymentId, Timestamp};
use local_stack::RunningStack;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::jaeger_option::JaegerOption;
use super::listing::print_json;
use super::running_stack::StackOptions;
use crate::gateway::Gateway;
use crate::jaeger::{self, FoundTrace, JaegerUrl, Search};
use crate::output::stdout;
use crate::progress::Progress;
use crate::saga::{self, Saga};

/// Shows one order: where order and payment stand, what happened when and which step was waited for the longest, its correlation id,
/// and where its traces can be seen.
#[derive(Debug, Args)]
pub(super) struct ShowOrder {
    /// The order's id, as `POST /api/orders` answers with it
    #[arg(value_parser = order_id)]
    id: OrderId,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    jaeger: JaegerOption,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten)]
    stack: StackOptions,
}

/// What the order service has noted about the request that placed an order. The gateway does not show it.
#[derive(Debug, Default, sqlx::FromRow)]
struct Cause {
    correlation_id: Option<String>,
    trace_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(flatten)]
    saga: &'a Saga,
    correlation_id: Option<String>,
    /// Of the request that placed the order.
    trace_id: Option<String>,
    /// Those that Jaeger has.
    traces: Vec<FoundTrace>,
    /// The page that looks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_search_url: Option<String>,
}

fn order_id(text: &str) -> Result<OrderId, &'static str> {
    text.trim().parse().map_err(|_| {
        "an order's id is a UUID, such as 01a20419-0d0b-7684-9174-e5045bf5b9c4 (GET /api/orders lists them)"
    })
}

impl ShowOrder {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let found = self.stack.find(&progress)?;
        let gateway = self.stack.gateway(found.as_ref())?.without_traces_of_reads();
        let Some(saga) = saga::read(&gateway, self.id).await? else {
            return Err(unknown(&gateway, self.id).await);
        };
        let cause = match &found {
            Some(stack) => cause(stack, self.id).await.unwrap_or_else(|error| {
                progress.message(&format!("no correlation id: {error:#}"));
                Cause::default()
            }),
            None => Cause::default(),
        };
        let jaeger = self.jaeger.of(found.as_ref());
        let shown = Shown::new(self.id, &saga, cause, jaeger.as_ref(), &progress).await;
        if self.json {
            return print_json(&shown);
        }
        let mut output = stdout();
        writeln!(output, "{}\n", saga::render(&saga))?;
        for line in shown.traces_in_lines(jaeger.as_ref()) {
            writeln!(output, "{line}")?;
        }
        Ok(())
    }
}

/// Why there is nothing to show.
async fn unknown(gateway: &Gateway, id: OrderId) -> anyhow::Error {
    match gateway.payment(PaymentId::from(id.as_uuid())).await {
        Ok(Some(payment)) => anyhow::anyhow!(
            "{id} is the id of a payment; its order is shown by: paysaga order {}",
            payment.order_id
        ),
        _ => anyhow::anyhow!(
            "there is no order {id} yet, or it is another client's than that of the API key (GET /api/orders lists those that there are)"
        ),
    }
}

async fn cause(stack: &RunningStack, id: OrderId) -> anyhow::Result<Cause> {
    let mut orders = PgConnection::connect(&stack.order_database_url).await.context("the order database")?;
    let noted = sqlx::query_as::<_, Cause>(
        "SELECT correlation_id, split_part(trace_context ->> 'traceparent', '-', 2) AS trace_id
         FROM orders WHERE id = $1",
    );
    let noted = noted.bind(id.as_uuid()).fetch_optional(&mut orders).await.context("the order database")?;
    Ok(noted.unwrap_or_default())
}

impl<'a> Shown<'a> {
    async fn new(
        id: OrderId,
        saga: &'a Saga,
        cause: Cause,
        jaeger: Option<&JaegerUrl>,
        progress: &Progress,
    ) -> Self {
        let search = search(id, saga);
        let traces = match jaeger {
            Some(url) => jaeger::find(url, search).await.unwrap_or_else(|error| {
                progress.message(&format!("no traces: {error}"));
                Vec::new()
            }),
            None => Vec::new(),
        };
        let first = traces.first();
        Self {
            saga,
            correlation_id: cause.correlation_id.or_else(|| first?.correlation_id.clone()),
            trace_id: cause.trace_id.or_else(|| Some(first?.trace_id.clone())),
            traces,
            trace_search_url: jaeger.map(|jaeger| jaeger.of_search(search)),
        }
    }

    fn traces_in_lines(&self, jaeger: Option<&JaegerUrl>) -> Vec<String> {
        let unknown = || "not shown by the gateway".to_owned();
        let correlation_id = self.correlation_id.clone().unwrap_or_else(unknown);
        let mut lines = vec![saga::field("correlation id", &correlation_id)];
        let of_trace = |trace: &FoundTrace| saga::field("trace", &format!("{}  {}", trace.url, trace.root));
        lines.extend(self.traces.iter().map(of_trace));
        if !self.traces.is_empty() {
            return lines;
        }
        let id = self.trace_id.clone().unwrap_or_else(unknown);
        lines.push(match (jaeger, &self.trace_search_url) {
            (Some(_), Some(search)) => {
                saga::field("trace", &format!("{id}; Jaeger has none yet, or no more; look again: {search}"))
            }
            _ => saga::field("trace", &format!("{id}; give Jaeger's address with --jaeger")),
        });
        lines
    }
}

/// From before the request was sent until after everything that could have been caused by it.
fn search(id: OrderId, saga: &Saga) -> Search {
    const MARGIN: Duration = Duration::from_hours(1);
    let times = saga.events.iter().map(|step| step.entry.occurred_at);
    let first = times.chain(saga.order.as_ref().map(|order| order.created_at)).min();
    let now = Timestamp::now();
    let since = first.unwrap_or(now).as_datetime().checked_sub(time::Duration::hours(1));
    Search { order: id, since: since.map_or(now, Timestamp::from), until: now + MARGIN }
}
