//! Migrations beside a service that is at work: they keep nothing waiting, and begin again where they were interrupted.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chassis::config::{Environment, Problems};
use chassis::database::{DatabaseConfig, Schema, migrate};
use chassis::health::Health;
use chassis::tasks::TaskContext;
use chassis::transport::Transport;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};
use tests::infrastructure::{new_database, new_name, new_service_database};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A migrator of these migrations; a second member says that it does without a transaction.
fn migrator(migrations: &[(&'static str, bool)]) -> &'static Migrator {
    let migrations = (1..).zip(migrations).map(|(version, (sql, no_tx))| {
        let sql = AssertSqlSafe(*sql).into_sql_str();
        Migration::new(version, "a test's".into(), MigrationType::Simple, sql, *no_tx)
    });
    Box::leak(Box::new(Migrator { migrations: Cow::Owned(migrations.collect()), ..Migrator::DEFAULT }))
}

async fn bring_up_to_date(url: &str, migrator: &'static Migrator) {
    let schema = Schema { migrations: migrator, grants: "" };
    bring_about(schema, [("DATABASE_URL".into(), url.into())]).await;
}

async fn bring_about<const N: usize>(schema: Schema, environment: [(OsString, OsString); N]) {
    let environment = Environment::new(environment);
    let config =
        DatabaseConfig::from_environment(&Transport::default(), &environment, &mut Problems::default())
            .expect("it is complete");
    let task = TaskContext { health: Health::default().part("schema"), stopping: CancellationToken::new() };
    migrate(&config, "test", &schema, false, &task).await.expect("the schema can be changed");
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the database answers")
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

const TABLE: (&str, bool) = ("CREATE TABLE kept (n integer)", false);

#[tokio::test]
async fn a_migration_that_has_to_wait_for_a_table_keeps_no_reader_of_it_waiting() {
    let url = new_database(&new_name()).await;
    bring_up_to_date(&url, migrator(&[TABLE])).await;
    // A long report. A migration that waited for its end would be first in the queue for the lock.
    let mut report = connect(&url).await;
    run(&mut report, "BEGIN; LOCK TABLE kept IN ACCESS SHARE MODE").await;
    let mut reader = connect(&url).await;
    run(&mut reader, "SET statement_timeout = '3500ms'").await;
    let reads = async {
        loop {
            run(&mut reader, "SELECT * FROM kept").await;
            sleep(Duration::from_millis(10)).await;
        }
    };
    let column = ("ALTER TABLE kept ADD COLUMN added integer", false);
    let migration = bring_up_to_date(&url, migrator(&[TABLE, column]));
    let report_ends = async {
        sleep(Duration::from_secs(8)).await;
        run(&mut report, "ROLLBACK").await;
    };
    tokio::select! {
        () = reads => {}
        ((), ()) = async { tokio::join!(migration, report_ends) } => {}
    }
    run(&mut report, "SELECT added FROM kept").await;
}

#[tokio::test]
async fn an_index_that_was_left_unfinished_is_built_anew() {
    let url = new_database(&new_name()).await;
    bring_up_to_date(&url, migrator(&[TABLE])).await;
    let mut connection = connect(&url).await;
    run(&mut connection, "INSERT INTO kept VALUES (1), (1)").await;
    // Twice the same value: the build fails, and the index stays, invalid.
    let failed =
        sqlx::raw_sql("CREATE UNIQUE INDEX CONCURRENTLY kept_n ON kept (n)").execute(&mut connection).await;
    failed.expect_err("it is not unique");
    let index = ("-- no-transaction\nCREATE INDEX CONCURRENTLY kept_n ON kept (n)", true);
    bring_up_to_date(&url, migrator(&[TABLE, index])).await;
    let valid = sqlx::query_scalar::<_, bool>(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'kept_n'::regclass",
    );
    assert!(valid.fetch_one(&mut connection).await.expect("there is one"));
}

#[tokio::test]
async fn what_a_newer_version_has_granted_an_older_one_leaves_alone() {
    let database = new_service_database(&new_name()).await;
    let bring_up = async |migrations: &[_], grants| {
        let urls = [
            ("DATABASE_URL".into(), database.service_url.clone().into()),
            ("MIGRATION_DATABASE_URL".into(), database.owner_url.clone().into()),
        ];
        bring_about(Schema { migrations: migrator(migrations), grants }, urls).await;
    };
    let may_insert = async |table: &str| {
        let mut connection = connect(&database.service_url).await;
        let may = sqlx::query_scalar::<_, bool>("SELECT has_table_privilege($1, 'INSERT')").bind(table);
        may.fetch_one(&mut connection).await.expect("there is such a table")
    };
    let older = "GRANT USAGE ON SCHEMA public TO :service; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :service; GRANT INSERT ON kept TO :service";
    let newer =
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :service; GRANT INSERT ON kept, added TO :service";
    bring_up(&[TABLE], older).await;
    assert!(may_insert("kept").await);
    bring_up(&[TABLE, ("CREATE TABLE added (n integer)", false)], newer).await;
    assert!(may_insert("added").await);
    bring_up(&[TABLE], older).await;
    assert!(may_insert("kept").await && may_insert("added").await);
}

/// On a table that exists, an ordinary `CREATE INDEX` lets nothing be written until it is done.
#[test]
fn indexes_on_tables_that_exist_are_built_concurrently() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    for service in ["order", "payment"] {
        for file in fs::read_dir(root.join(service)).expect("there are migrations") {
            let path = file.expect("it can be listed").path();
            let sql = fs::read_to_string(&path).expect("it can be read");
            let statements: Vec<&str> = sql.split(';').map(str::trim).collect();
            let indexes = statements.iter().filter(|statement| {
                statement.contains("CREATE INDEX") || statement.contains("CREATE UNIQUE INDEX")
            });
            for index in indexes {
                let table = index
                    .split(" ON ")
                    .nth(1)
                    .and_then(|rest| rest.split([' ', '(']).next())
                    .expect("it is on a table");
                let is_new = sql.contains(&format!("CREATE TABLE {table} ("));
                let is_concurrent = index.contains("CONCURRENTLY") && sql.starts_with("-- no-transaction");
                assert!(is_new || is_concurrent, "{}: {index}", path.display());
            }
        }
    }
}
