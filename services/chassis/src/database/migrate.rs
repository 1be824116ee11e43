//! Brings the schema up to date, beside services that are at work on it.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use thiserror::Error;
use tracing::info;

use super::error::sqlstate;
use super::{DatabaseConfig, FailureKind};
use crate::backoff::Backoff;
use crate::crash_here;
use crate::tasks::TaskContext;

/// How long a migration waits for a lock. Everything that comes after it in the queue for that lock waits too: it is
/// better to step back and to try again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the database may take to answer before the schema is worked on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a schema can't be brought up to date.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The role of `DATABASE_URL` does not own the schema, and it is not up to date.
    #[error(
        "the schema lacks {0} migrations; they are for the role that owns it (--migrate-only with MIGRATION_DATABASE_URL)"
    )]
    Outdated(usize),
    /// The role of `DATABASE_URL` does not own the schema, and was not granted what the service needs.
    #[error(
        "this role may not use all of the schema yet (--migrate-only with MIGRATION_DATABASE_URL grants it)"
    )]
    NotGranted,
    /// The role of `DATABASE_URL` does not own the schema, and no other is given.
    #[error("the role of DATABASE_URL does not own the schema; give MIGRATION_DATABASE_URL")]
    NotOwned,
    /// Another replica is at it.
    #[error("another replica is changing the schema")]
    Busy,
    /// A migration failed.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The database refused, or can't be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl SchemaError {
    /// Whether it is worth trying again: a condition that passes, not a mistake in a migration.
    fn passes(&self) -> bool {
        match self {
            Self::Busy | Self::Outdated(_) | Self::NotGranted => true,
            Self::Database(error) | Self::Migrate(MigrateError::Execute(error)) => {
                FailureKind::of(error) != FailureKind::Permanent
            }
            // Syntax errors and unknown names are of class 42.
            Self::Migrate(MigrateError::ExecuteMigration(error, _)) => {
                let mistaken = sqlstate(error).is_some_and(|code| code.starts_with("42"));
                !mistaken && FailureKind::of(error) != FailureKind::Permanent
            }
            Self::NotOwned | Self::Migrate(_) => false,
        }
    }
}

/// What a service's database is to be.
pub struct Schema {
    /// How it comes about.
    pub migrations: &'static Migrator,
    /// What the role `:service` gets, if it is not the one that owns the tables.
    pub grants: &'static str,
}

/// Brings the schema up to date, waiting for the database and for other replicas (advisory lock) as long as it takes
/// or until the service is told to stop.
///
/// A schema that is newer than this program is accepted: migrations only ever add, so that two versions can run side by
/// side and a release can be rolled back. An index on a table that exists is a migration of its own, which begins with
/// `-- no-transaction` and creates it `CONCURRENTLY`.
///
/// A role that does not own the schema waits until it is up to date; `migrate_only` is refused to it.
pub async fn migrate(
    config: &DatabaseConfig,
    service: &'static str,
    schema: &Schema,
    migrate_only: bool,
    task: &TaskContext,
) -> Result<(), SchemaError> {
    let mut backoff = Backoff::for_infrastructure();
    loop {
        match task.unless_stopping(run(config, service, schema, migrate_only)).await {
            None => return Ok(()),
            Some(Ok(())) => {
                info!("the database schema is up to date");
                task.health.up();
                return Ok(());
            }
            Some(Err(error)) if error.passes() => task.health.down(error.to_string()),
            Some(Err(error)) => return Err(error),
        }
        task.unless_stopping(backoff.wait()).await;
    }
}

async fn run(
    config: &DatabaseConfig,
    service: &'static str,
    Schema { migrations, grants }: &Schema,
    migrate_only: bool,
) -> Result<(), SchemaError> {
    // Not from the pool: building an index on a large table takes longer than any query may. The lock ends with it.
    let (own, owner) = (config.options(service)?, config.migration_options(service)?);
    let mut connection = in_time(owner.as_ref().unwrap_or(&own).connect()).await?;
    if owner.is_none() && !in_time(owns_schema(&mut connection)).await? {
        return if migrate_only { Err(SchemaError::NotOwned) } else { verify(connection, migrations).await };
    }
    // Asked for, not waited for: building an index concurrently waits for every transaction that is open, and a replica
    // that waits for a lock is in one.
    let locked = sqlx::query_scalar::<_, bool>(
        "SELECT pg_try_advisory_lock(hashtextextended('paysaga migrations', 0))",
    );
    if !in_time(locked.fetch_one(&mut connection)).await? {
        return Err(SchemaError::Busy);
    }
    let mut end = 0;
    for group in migrations.migrations.chunk_by(|one, other| one.no_tx == other.no_tx) {
        let concurrent = group.iter().any(|migration| migration.no_tx);
        // Building an index concurrently locks nothing out, and may have to wait for the end of a backup.
        let timeout = if concurrent { Duration::ZERO } else { LOCK_TIMEOUT };
        sqlx::query("SELECT set_config('lock_timeout', $1, false)")
            .bind(timeout.as_millis().to_string())
            .execute(&mut connection)
            .await?;
        if concurrent {
            let versions: Vec<i64> = group.iter().map(|migration| migration.version).collect();
            drop_unfinished_indexes(&mut connection, &versions).await?;
        }
        end += group.len();
        // Those before have been applied, and are only checked.
        let upto = Cow::Borrowed(&migrations.migrations[..end]);
        let mut migrator = Migrator { migrations: upto, ..Migrator::DEFAULT };
        migrator.set_ignore_missing(true).set_locking(false);
        migrator.run(&mut connection).await?;
    }
    crash_here!("during-migration");
    // A newer version has granted what its tables need, which this one would take away.
    if owner.is_some() && !is_newer(&mut connection, migrations).await? {
        let role = format!("\"{}\"", own.get_username().replace('"', "\"\""));
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(grants.replace(":service", &role))).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

/// Whether this role may migrate: it owns what is there, or there is nothing yet and it may create it.
async fn owns_schema(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let owns = sqlx::query_scalar::<_, bool>(
        "SELECT coalesce((SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class
                          WHERE oid = to_regclass('_sqlx_migrations')),
                         has_schema_privilege(current_schema(), 'CREATE'), false)",
    );
    owns.fetch_one(connection).await
}

/// Fails unless the schema is up to date.
async fn verify(mut connection: PgConnection, migrations: &Migrator) -> Result<(), SchemaError> {
    // Where there is no table yet, nothing has been migrated.
    let exists = sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    let applied = if in_time(exists.fetch_one(&mut connection)).await? {
        let applied = sqlx::query_scalar::<_, i64>("SELECT version FROM _sqlx_migrations WHERE success");
        in_time(applied.fetch_all(&mut connection)).await?
    } else {
        Vec::new()
    };
    // Granted after the last migration, all at once.
    let granted = sqlx::query_scalar::<_, bool>(
        "SELECT coalesce(bool_and(has_table_privilege(oid, 'SELECT')), false) FROM pg_class
         WHERE relnamespace = to_regnamespace(current_schema()::text) AND relkind = 'r'",
    );
    let granted = in_time(granted.fetch_one(&mut connection)).await?;
    connection.close().await?;
    match migrations.iter().filter(|migration| !applied.contains(&migration.version)).count() {
        0 if granted => Ok(()),
        0 => Err(SchemaError::NotGranted),
        missing => Err(SchemaError::Outdated(missing)),
    }
}

/// Whether migrations are applied that this program does not know.
async fn is_newer(connection: &mut PgConnection, migrations: &Migrator) -> Result<bool, sqlx::Error> {
    let known: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
    let newer = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version <> ALL ($1::bigint[]))",
    );
    newer.bind(known).fetch_one(connection).await
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    // On the heap: the future of a connection is large.
    tokio::time::timeout(ANSWER_TIMEOUT, Box::pin(asked)).await.unwrap_or(late)
}

/// Building an index concurrently leaves an invalid one if it is interrupted, and would not begin again beside it. Only while
/// one of these migrations is still to be applied, and never an index that is being built right now.
async fn drop_unfinished_indexes(connection: &mut PgConnection, versions: &[i64]) -> Result<(), sqlx::Error> {
    let statements = sqlx::query_scalar::<_, String>(
        "SELECT format('DROP INDEX CONCURRENTLY %s', indexrelid::regclass)
         FROM pg_index
         WHERE NOT indisvalid
           AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)
           AND EXISTS (SELECT FROM UNNEST($1::bigint[]) AS wanted (version)
                       WHERE wanted.version NOT IN (SELECT version FROM _sqlx_migrations))",
    )
    .bind(versions);
    for statement in statements.fetch_all(&mut *connection).await? {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}
