//! `paysaga definitions`: what RabbitMQ is to have.

use clap::Args;
use contracts::definitions::Definitions;

use super::listing::print_json;

/// Prints exchanges, queues, bindings and the permissions of the services' users, as RabbitMQ imports them: then no service needs
/// the permission to configure any (`BROKER_TOPOLOGY=verify`), and none can publish the events of another.
///
/// The users must exist (`rabbitmqctl add_user`). What is there already is not overwritten, but for permissions.
#[derive(Debug, Args)]
#[command(after_help = "Import them with: paysaga definitions | rabbitmqctl import_definitions")]
pub(super) struct PrintDefinitions {
    /// The virtual host
    #[arg(long, value_name = "NAME", default_value = "paysaga")]
    vhost: String,
    /// What the names of the users begin with; a service's name follows
    #[arg(long, value_name = "PREFIX", default_value = "paysaga-")]
    users: String,
}

impl PrintDefinitions {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        print_json(&Definitions::new(&self.vhost, |service| format!("{}{service}", self.users)))
    }
}
