//! `paysaga export` and `paysaga erase`: what is kept about a customer.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use contracts::UserId;
use contracts::topology::Service;

use super::infrastructure_urls::DatabaseOptions;
use super::listing::print_json;
use super::running_stack::stack_in;
use crate::output::stdout;
use crate::privacy::{self, Databases, Erased};

/// Prints everything that is kept about a customer, as JSON: orders with their events and payments, failed
/// messages and stored answers.
#[derive(Debug, Args)]
#[command(after_help = "What is kept, for how long and why: docs/PRIVACY.md.")]
pub(super) struct Export {
    #[command(flatten)]
    customer: Customer,
}

/// Takes a customer out of orders, their events, failed messages and stored answers. The orders stay without a customer, so that every total is what
/// it was and nothing is charged again.
///
/// The orders must have settled.
#[derive(Debug, Args)]
#[command(after_help = "What is kept nevertheless, and why: docs/PRIVACY.md.")]
pub(super) struct Erase {
    /// Only print what would be erased
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    customer: Customer,
}

/// Which customer, of which databases.
#[derive(Debug, Args)]
struct Customer {
    /// The customer: the `userId` of the orders
    #[arg(long, value_name = "UUID")]
    user: UserId,
    /// Data directory of the `paysaga up` whose databases they are, if no URL is given [default:
    /// `PAYSAGA_HOME`, else .paysaga]
    #[arg(long, value_name = "PATH", help_heading = "Which databases")]
    directory: Option<PathBuf>,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten, next_help_heading = "Which databases (as the roles that own them)")]
    databases: DatabaseOptions,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut databases = self.customer.connect().await?;
        print_json(&privacy::export(&mut databases, self.customer.user).await?)
    }
}

impl Erase {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut databases = self.customer.connect().await?;
        let erased = privacy::erase(&mut databases, self.customer.user, self.dry_run).await?;
        let Erased { orders, events, failed_messages, stored_answers } = erased;
        let done = if self.dry_run { "would be erased" } else { "erased" };
        writeln!(
            stdout(),
            "{done}: {orders} orders, {events} events, {failed_messages} failed messages, {stored_answers} stored answers"
        )?;
        Ok(())
    }
}

impl Customer {
    /// The databases that were given, else those of the stack that runs in the directory.
    async fn connect(&self) -> anyhow::Result<Databases> {
        let (orders, payments) = match Service::WITH_DATABASE.map(|service| self.databases.url(service)) {
            [Ok(Some(orders)), Ok(Some(payments))] => (orders, payments),
            [Ok(None), Ok(None)] => {
                let stack = stack_in(self.directory.as_deref(), "give the URLs of both databases")?;
                (
                    stack.order_owner_database_url.unwrap_or(stack.order_database_url),
                    stack.payment_database_url,
                )
            }
            [Err(error), _] | [_, Err(error)] => return Err(error),
            _ => bail!("give the URLs of both databases: a customer is in both"),
        };
        Ok(Databases::connect(&orders, &payments).await?)
    }
}
