//! `paysaga refunds`: money that is owed to customers.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use contracts::PaymentId;
use contracts::refund::{Refund, RefundStatus, SettleRequest};
use uuid::Uuid;

use super::listing::{ListOptions, print_json};
use super::running_stack::StackOptions;
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;

/// Money that is owed to customers: show it, and decide about refunds that the payment provider refused.
///
/// A refund that got no answer is repeated until it gets one. A refund that the provider refused for good waits for a
/// decision: ask it once more, or give the money back by other means and say by which.
#[derive(Debug, Args)]
pub(super) struct Refunds {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List those that are owed, the oldest first
    List(List),
    /// Show one, with what the provider answered and what was decided
    Show(Show),
    /// Have the provider asked once more for one that it refused
    Retry(Retry),
    /// State that the money of a refused one went back by other means
    Settle(Settle),
}

#[derive(Debug, Args)]
struct List {
    /// Their status
    #[arg(long, value_enum, default_value_t = Status::Any)]
    status: Status,
    #[command(flatten)]
    how: ListOptions,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Show {
    /// The payment's id
    payment: Uuid,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Retry {
    /// The payment's id
    payment: Uuid,
    /// Why the provider should answer otherwise now
    #[arg(long)]
    note: String,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Settle {
    /// The payment's id
    payment: Uuid,
    /// What names the transfer by which the money went back, a bank's reference for instance
    #[arg(long)]
    reference: String,
    /// How and why the money went back so
    #[arg(long)]
    note: String,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    /// The provider is asked until it answers
    Open,
    /// The provider refused for good
    Refused,
    /// Both
    Any,
}

impl Refunds {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Retry(retry) => retry.run().await,
            Action::Settle(settle) => settle.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let page = gateway.refunds(self.status.into(), self.how.paging()).await?;
        let summary = format!("{} of {} refunds that are owed", page.data.len(), page.meta.total);
        self.how.print(&page.data, render, &summary)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let Some(details) = gateway.refund(PaymentId::from(self.payment)).await? else {
            bail!(
                "no refund was ever owed for a payment {} (paysaga refunds list shows those that are)",
                self.payment
            );
        };
        print_json(&details)
    }
}

impl Retry {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        gateway.retry_refund(PaymentId::from(self.payment), self.note).await?;
        writeln!(stdout(), "the provider is asked once more to refund {}", self.payment)?;
        Ok(())
    }
}

impl Settle {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let settlement = SettleRequest { reference: self.reference, note: self.note };
        gateway.settle_refund(PaymentId::from(self.payment), &settlement).await?;
        writeln!(stdout(), "{} is refunded, by {}", self.payment, settlement.reference)?;
        Ok(())
    }
}

impl From<Status> for Option<RefundStatus> {
    fn from(status: Status) -> Self {
        match status {
            Status::Open => Some(RefundStatus::Open),
            Status::Refused => Some(RefundStatus::Refused),
            Status::Any => None,
        }
    }
}

fn render(refunds: &[Refund]) -> String {
    let mut table =
        table::with_header(["payment", "order", "amount", "status", "since", "attempts", "reason"]);
    for refund in refunds {
        table.add_row([
            refund.payment_id.to_string(),
            refund.order_id.to_string(),
            refund.amount.to_string(),
            refund.status.to_string(),
            refund.since.to_string(),
            refund.attempts.to_string(),
            refund.reason.clone().unwrap_or_else(|| "–".to_owned()),
        ]);
    }
    table.trim_fmt()
}
