//! The options that name a broker and databases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use contracts::topology::Service;
use local_stack::stack::plan::InfrastructureUrls;

/// A broker and databases.
#[derive(Args)]
pub(super) struct InfrastructureOptions {
    #[command(flatten)]
    broker: BrokerOptions,
    #[command(flatten)]
    databases: DatabaseOptions,
}

/// The broker.
#[derive(Args)]
pub(super) struct BrokerOptions {
    /// RabbitMQ: amqp://…, or one for each node with commas between them (other users see command lines; prefer the variable or the file)
    #[arg(long, value_name = "URL", env = "RABBITMQ_URL", hide_env_values = true)]
    rabbitmq_url: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "PATH", env = "RABBITMQ_URL_FILE", conflicts_with = "rabbitmq_url")]
    rabbitmq_url_file: Option<PathBuf>,
}

/// The databases.
#[derive(Args)]
pub(super) struct DatabaseOptions {
    /// The order service's database: postgres://…
    #[arg(long, value_name = "URL", env = "ORDER_DATABASE_URL", hide_env_values = true)]
    order_database_url: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "PATH", env = "ORDER_DATABASE_URL_FILE", conflicts_with = "order_database_url")]
    order_database_url_file: Option<PathBuf>,
    /// The payment service's database: postgres://…
    #[arg(long, value_name = "URL", env = "PAYMENT_DATABASE_URL", hide_env_values = true)]
    payment_database_url: Option<String>,
    /// The same, from a file
    #[arg(
        long,
        value_name = "PATH",
        env = "PAYMENT_DATABASE_URL_FILE",
        conflicts_with = "payment_database_url"
    )]
    payment_database_url_file: Option<PathBuf>,
}

impl InfrastructureOptions {
    /// Reads the files.
    pub(super) fn read(&self) -> anyhow::Result<InfrastructureUrls> {
        Ok(InfrastructureUrls {
            rabbitmq_url: self.broker.url()?,
            order_database_url: self.databases.url(Service::Order)?,
            payment_database_url: self.databases.url(Service::Payment)?,
        })
    }
}

impl BrokerOptions {
    /// The URL of the broker, if it was given.
    pub(super) fn url(&self) -> anyhow::Result<Option<String>> {
        value(self.rabbitmq_url.as_deref(), self.rabbitmq_url_file.as_deref())
    }
}

impl DatabaseOptions {
    /// The URL of a service's database, if it was given.
    pub(super) fn url(&self, service: Service) -> anyhow::Result<Option<String>> {
        match service {
            Service::Gateway => Ok(None),
            Service::Order => {
                value(self.order_database_url.as_deref(), self.order_database_url_file.as_deref())
            }
            Service::Payment => {
                value(self.payment_database_url.as_deref(), self.payment_database_url_file.as_deref())
            }
        }
    }
}

/// The value itself, or the content of the file; an empty one is none, as in the services.
fn value(direct: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let value = match (direct, file) {
        (Some(direct), _) => direct.to_owned(),
        (None, Some(file)) => {
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}

impl std::fmt::Debug for BrokerOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BrokerOptions(…)")
    }
}

impl std::fmt::Debug for DatabaseOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DatabaseOptions(…)")
    }
}

impl std::fmt::Debug for InfrastructureOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InfrastructureOptions(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_come_from_a_file_and_an_empty_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        fs::write(&file, "amqp://broker\n").unwrap();
        assert_eq!(value(None, Some(&file)).unwrap().unwrap(), "amqp://broker");
        assert_eq!(value(Some("amqp://other"), None).unwrap().unwrap(), "amqp://other");
        assert_eq!(value(Some(""), None).unwrap(), None);
        assert!(value(None, Some(Path::new("/nowhere"))).is_err());
    }
}
