//! Brings the schema up to date.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{ConnectOptions, Connection};
use tracing::info;

use super::{DatabaseConfig, FailureKind};
use crate::backoff::Backoff;
use crate::crash_here;
use crate::tasks::TaskContext;

/// Brings the schema up to date, waiting for the database and for other replicas (advisory lock) as long as it takes
/// or until the service is told to stop.
///
/// A schema that is newer than this program is accepted: migrations only ever add, so that two versions can run side by
/// side and a release can be rolled back.
pub async fn migrate(
    config: &DatabaseConfig,
    service: &'static str,
    migrations: &'static Migrator,
    task: &TaskContext,
) -> Result<(), MigrateError> {
    let mut backoff = Backoff::for_infrastructure();
    loop {
        match task.unless_stopping(run(config, service, migrations)).await {
            None => return Ok(()),
            Some(Ok(())) => {
                info!("the database schema is up to date");
                task.health.up();
                return Ok(());
            }
            Some(Err(MigrateError::Execute(error))) if FailureKind::of(&error) != FailureKind::Permanent => {
                task.health.down(error.to_string());
            }
            Some(Err(error)) => return Err(error),
        }
        task.unless_stopping(backoff.wait()).await;
    }
}

async fn run(
    config: &DatabaseConfig,
    service: &'static str,
    migrations: &'static Migrator,
) -> Result<(), MigrateError> {
    // Not from the pool: building an index on a large table takes longer than any query may.
    let mut connection = config.options(service)?.connect().await?;
    let mut migrator = Migrator { migrations: Cow::Borrowed(&migrations.migrations), ..Migrator::DEFAULT };
    migrator.set_ignore_missing(true);
    migrator.run(&mut connection).await?;
    crash_here!("during-migration");
    connection.close().await?;
    Ok(())
}
