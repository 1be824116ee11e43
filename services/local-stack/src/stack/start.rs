//! Starting the stack: servers side by side, then the services side by side.

use std::path::Path;
use std::time::Duration;

use contracts::definitions::Definitions;
use contracts::health::{Health, HealthStatus};
use contracts::topology::Service;
use futures_util::future::try_join_all;
use reqwest::Client;
use strum::VariantArray;

use super::Stack;
use super::plan::{InfrastructureUrls, Planned};
use super::running::RunningStack;
use crate::directory::Directory;
use crate::error::{Error, failed};
use crate::http;
use crate::jaeger::{Jaeger, Storage};
use crate::postgres::{Passwords, Postgres, owner_of};
use crate::process::{Process, ProcessError};
use crate::progress::{Progress, Step};
use crate::rabbitmq::RabbitMq;
use crate::secret::Password;
use crate::services;
use crate::services::environment::{self, BrokerUrls, Connections, DatabaseUrls};

impl Stack {
    /// Starts everything and waits until every service is ready; from then on [`RunningStack::find`] finds it. If this
    /// is dropped half-way, [`Stack::stop`] stops what was started.
    pub async fn start(&mut self, progress: &impl Progress) -> Result<(), Error> {
        let Self { postgres, rabbitmq, jaeger, directory, plan, .. } = self;
        let ([order_database, payment_database], rabbitmq, ()) = tokio::try_join!(
            start_postgres(postgres.as_mut(), &plan.existing, directory, progress),
            start_rabbitmq(rabbitmq.as_mut(), &plan.existing, directory, progress),
            start_jaeger(jaeger, plan.jaeger.as_deref(), directory, progress),
        )?;
        let connections = Connections {
            rabbitmq,
            order_database,
            payment_database,
            api_keys_file: self.key.keys_file(),
            service_token: Password::load_or_create(&directory.gateway().join("service-token"))?,
            otlp_url: jaeger.as_ref().map(Jaeger::otlp_url),
            jaeger_url: jaeger.as_ref().map(Jaeger::url),
        };
        self.start_services(&connections)?;
        let http = http::client()?;
        let (ports, management_ports) = (self.ports(), self.management_ports());
        let ready = self.services.iter_mut().map(|(service, process)| {
            wait_until_ready(process, ports.of(*service), management_ports.of(*service), &http, progress)
        });
        try_join_all(ready).await?;
        self.publish(connections)
    }

    fn publish(&mut self, connections: Connections) -> Result<(), Error> {
        let running = RunningStack {
            gateway_url: format!("http://127.0.0.1:{}", self.ports().gateway),
            api_key: self.key.expose().to_owned(),
            order_database_url: connections.order_database.service,
            order_owner_database_url: connections.order_database.owner,
            payment_database_url: connections.payment_database.service,
            rabbitmq_url: connections.rabbitmq.administrator().to_owned(),
            jaeger_url: self.jaeger.as_ref().map(Jaeger::url),
        };
        let directory = self.directory.path();
        self.published = Some(running.publish(directory).map_err(failed("write to", directory))?);
        Ok(())
    }

    fn start_services(&mut self, connections: &Connections) -> Result<(), ProcessError> {
        let (ports, management_ports) = (self.ports(), self.management_ports());
        for Planned { service, program, .. } in &self.planned {
            let process = self
                .directory
                .launcher()
                .program(service.name(), program, services::STOP_POLICY, None)
                .envs(environment::passed_through(*service))
                .envs(environment::configuration(*service, ports, management_ports, connections))
                .spawn(&self.directory.log(service.name()))?;
            self.services.push((*service, process));
        }
        Ok(())
    }
}

/// Starts the private server, if one is needed, and makes the databases that were not existing.
async fn start_postgres(
    postgres: Option<&mut Postgres>,
    existing: &InfrastructureUrls,
    directory: &Directory,
    progress: &impl Progress,
) -> Result<[DatabaseUrls; 2], Error> {
    let existing = [&existing.order_database_url, &existing.payment_database_url];
    let mut urls = existing.map(|url| DatabaseUrls { service: url.clone().unwrap_or_default(), owner: None });
    let Some(postgres) = postgres else { return Ok(urls) };
    let step = progress.step("PostgreSQL");
    if directory.postgres_is_external() {
        progress.message(&format!(
            "PostgreSQL cannot run as root; its data is in {}",
            directory.postgres().display()
        ));
    }
    postgres.start().await?;
    let endpoint = postgres.endpoint();
    let password =
        |role: &str| Password::load_or_create(&directory.postgres().join(format!("password.{role}")));
    for (name, url) in ["order", "payment"].into_iter().zip(&mut urls) {
        if url.service.is_empty() {
            step.waits_for(&format!("database {name}"));
            let owner = owner_of(name);
            let passwords = Passwords { service: password(name)?, owner: password(&owner)? };
            endpoint.ensure_database(name, &passwords).await?;
            url.service = endpoint.url_as(name, &passwords.service, name);
            url.owner = Some(endpoint.url_as(&owner, &passwords.owner, name));
        }
    }
    step.done(&format!("127.0.0.1:{}", endpoint.port));
    Ok(urls)
}

/// The virtual host of a private node.
const VIRTUAL_HOST: &str = "/";

/// Starts the private node, if one is needed, and makes what the services need there.
async fn start_rabbitmq(
    rabbitmq: Option<&mut RabbitMq>,
    existing: &InfrastructureUrls,
    directory: &Directory,
    progress: &impl Progress,
) -> Result<BrokerUrls, Error> {
    let Some(rabbitmq) = rabbitmq else {
        return Ok(BrokerUrls::Shared(existing.rabbitmq_url.clone().unwrap_or_default()));
    };
    let step = progress.step("RabbitMQ");
    rabbitmq.start().await?;
    let endpoint = rabbitmq.endpoint();
    let user_of = |service: Service| format!("paysaga-{service}");
    let mut services = Vec::new();
    for &service in Service::VARIANTS {
        let user = user_of(service);
        let password = Password::load_or_create(&directory.rabbitmq().join(format!("password.{user}")))?;
        endpoint.create_user(&user, &password).await?;
        services.push((service, endpoint.amqp_url_as(&user, &password, VIRTUAL_HOST)));
    }
    endpoint.import(&Definitions::new(VIRTUAL_HOST, user_of)).await?;
    step.done(&format!("127.0.0.1:{}", endpoint.port));
    Ok(BrokerUrls::OfServices { administrator: endpoint.amqp_url(VIRTUAL_HOST), services })
}

/// Starts Jaeger, if there is one. If it doesn't start, that is reported and stops nothing.
async fn start_jaeger(
    jaeger: &mut Option<Jaeger>,
    program: Option<&Path>,
    directory: &Directory,
    progress: &impl Progress,
) -> Result<(), Error> {
    let Some(program) = program else { return Ok(()) };
    let step = progress.step("Jaeger");
    let storage = Storage::of(directory);
    match Jaeger::start(program, directory, &storage).await {
        Ok(started) => step.done(&jaeger.insert(started).url()),
        // A folder that it can't use, or a program that has no such storage.
        Err(Error::Process(ProcessError::Ended { log, .. })) if storage != Storage::Memory => {
            match Jaeger::start(program, directory, &Storage::Memory).await {
                Ok(started) => step.warn(&format!(
                    "{}, without the traces of former runs and only until this one ends; {} says why",
                    jaeger.insert(started).url(),
                    log.display()
                )),
                Err(error) => step.warn(&format!("going on without traces: {error}")),
            }
        }
        Err(error) => step.warn(&format!("going on without traces: {error}")),
    }
    Ok(())
}

/// Services wait for their database and broker by themselves; here it is shown what they wait for.
async fn wait_until_ready(
    process: &mut Process,
    port: u16,
    management_port: u16,
    http: &Client,
    progress: &impl Progress,
) -> Result<(), ProcessError> {
    const TIMEOUT: Duration = Duration::from_mins(1);
    let step = progress.step(process.name());
    let url = format!("http://127.0.0.1:{management_port}/health/ready");
    let probe = || async {
        let ready = readiness(http, &url).await;
        if let Err(reason) = &ready {
            step.waits_for(reason);
        }
        ready
    };
    process.ready(TIMEOUT, probe).await?;
    step.done(&format!("http://127.0.0.1:{port}"));
    Ok(())
}

/// Whether a service is ready; if not, the error is what it waits for.
async fn readiness(http: &Client, url: &str) -> Result<(), String> {
    let answer = http.get(url).send().await.map_err(|_| "does not answer yet".to_owned())?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = answer.text().await.unwrap_or_default();
    Err(reason(&body).unwrap_or_else(|| format!("answers {status}")))
}

fn reason(body: &str) -> Option<String> {
    let health: Health = serde_json::from_str(body).ok()?;
    let down = health.checks.iter().filter(|(_, state)| *state != "up");
    let reasons: Vec<String> = down.map(|(check, state)| format!("{check}: {state}")).collect();
    (health.status == HealthStatus::Down).then(|| reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_waits_for_is_read_from_its_answer() {
        let body = r#"{"status":"down","checks":{"broker":"connection refused","database":"up"}}"#;
        assert_eq!(reason(body).unwrap(), "broker: connection refused");
        assert_eq!(reason("not found"), None);
    }
}
