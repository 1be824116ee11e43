//! Stopping the stack, in order or at once.

use contracts::topology::Service;
use futures_util::future::join_all;

use super::Stack;
use crate::error::Error;
use crate::postgres::Postgres;
use crate::process::{Process, ProcessError, Stopped};
use crate::progress::{Progress, Step};
use crate::rabbitmq::RabbitMq;

impl Stack {
    /// Stops everything: first the gateway, so that no more orders are accepted, then the services that process those
    /// that were, then the servers. Reports what had to be killed. May be dropped half-way and followed by
    /// [`Stack::kill`].
    pub async fn stop(&mut self, progress: &impl Progress) -> Result<(), Error> {
        self.published = None;
        let (gateway, workers): (Vec<_>, Vec<_>) =
            self.services.iter_mut().partition(|(service, _)| *service == Service::Gateway);
        for together in [gateway, workers] {
            let stopping = together.into_iter().map(|(_, process)| stop_service(process, progress));
            for stopped in join_all(stopping).await {
                stopped?;
            }
        }
        if let Some(jaeger) = &mut self.jaeger {
            let step = progress.step("Jaeger");
            match jaeger.stop().await {
                Ok(stopped) => report(step, stopped),
                Err(error) => progress.message(&error.to_string()),
            }
        }
        let ephemeral = self.directory.is_ephemeral();
        let (postgres, rabbitmq) = tokio::join!(
            stop_postgres(self.postgres.as_mut(), progress),
            stop_rabbitmq(self.rabbitmq.as_mut(), ephemeral, progress),
        );
        self.end_leftovers(progress).await?;
        postgres?;
        rabbitmq
    }

    /// Kills everything at once, for an operator who does not wait.
    pub async fn kill(&mut self, progress: &impl Progress) -> Result<(), Error> {
        self.published = None;
        for (_, process) in &mut self.services {
            process.kill().await?;
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.kill().await?;
        }
        if let Some(rabbitmq) = &mut self.rabbitmq {
            rabbitmq.discard().await?;
        }
        self.jaeger = None;
        self.end_leftovers(progress).await
    }

    /// There should be none.
    async fn end_leftovers(&self, progress: &impl Progress) -> Result<(), Error> {
        let leftovers = self.directory.stop_leftovers().await?;
        if !leftovers.is_empty() {
            progress.message(&format!("ended processes that were left over: {}", leftovers.join(", ")));
        }
        Ok(())
    }
}

async fn stop_service(process: &mut Process, progress: &impl Progress) -> Result<(), ProcessError> {
    if process.id().is_none() {
        // It is the one that ended by itself.
        return Ok(());
    }
    let step = progress.step(process.name());
    report(step, process.stop().await?);
    Ok(())
}

async fn stop_postgres(postgres: Option<&mut Postgres>, progress: &impl Progress) -> Result<(), Error> {
    let Some(postgres) = postgres else { return Ok(()) };
    let step = progress.step("PostgreSQL");
    report(step, postgres.stop().await?);
    Ok(())
}

async fn stop_rabbitmq(
    rabbitmq: Option<&mut RabbitMq>,
    ephemeral: bool,
    progress: &impl Progress,
) -> Result<(), Error> {
    let Some(rabbitmq) = rabbitmq else { return Ok(()) };
    let step = progress.step("RabbitMQ");
    if ephemeral {
        rabbitmq.discard().await?;
        step.done("ended");
    } else {
        report(step, rabbitmq.stop().await?);
    }
    Ok(())
}

fn report(step: impl Step, stopped: Stopped) {
    match stopped {
        Stopped::InOrder => step.done("stopped"),
        Stopped::Killed => step.warn("did not stop in time and was killed"),
    }
}
