//! Every SQL statement in the services' source, prepared against a migrated database: a misspelt table, column, type or
//! row field is found here, not at run time.

mod source;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use contracts::topology::Service;
use sqlx::{AssertSqlSafe, Column, Connection, Executor, PgConnection, SqlSafeStr, Statement as _};
use tests::infrastructure::{new_database, new_name};
use tests::programs::{environment, run};

use source::{Row, Source, Statement};

/// The migrated database of a service.
async fn database(service: Service) -> PgConnection {
    let url = new_database(&format!("{}_{service}", new_name())).await;
    let variables = environment(&[("DATABASE_URL", &url), ("LOG_FORMAT", "json")]);
    let migrated = run(service.name(), &["--migrate-only"], &variables).await;
    assert!(migrated.status.success(), "{migrated:?}");
    PgConnection::connect(&url).await.expect("a connection")
}

struct Databases {
    order: PgConnection,
    payment: PgConnection,
}

impl Databases {
    async fn migrated() -> Self {
        let (order, payment) = tokio::join!(database(Service::Order), database(Service::Payment));
        Self { order, payment }
    }

    /// Prepares a statement and compares its columns with the row that it is read as.
    async fn check(&mut self, statement: &Statement) -> Result<(), String> {
        match statement.owner.as_str() {
            "order" => check(&mut self.order, statement).await,
            "payment" => check(&mut self.payment, statement).await,
            // Beside each service's own tables it knows those whose rows are deleted after a time.
            "chassis" if !statement.place.contains("retention") => {
                check(&mut self.order, statement).await?;
                check(&mut self.payment, statement).await
            }
            // Each statement of these, and of the operator's command, is for one of them.
            _ => match check(&mut self.order, statement).await {
                Ok(()) => Ok(()),
                Err(reason) => check(&mut self.payment, statement).await.map_err(|_| reason),
            },
        }
    }
}

async fn check(connection: &mut PgConnection, statement: &Statement) -> Result<(), String> {
    let sql = AssertSqlSafe(statement.sql.clone());
    let prepared = connection.prepare(sql.into_sql_str()).await.map_err(|error| error.to_string())?;
    let columns: Vec<&str> = prepared.columns().iter().map(Column::name).collect();
    match &statement.row {
        Row::Ignored => Ok(()),
        Row::Unnamed(count) if *count == columns.len() => Ok(()),
        Row::Unnamed(count) => Err(format!("gives {columns:?}, and {count} values are read")),
        Row::Named(fields) => {
            let missing: Vec<_> = fields.iter().filter(|field| !columns.contains(&field.as_str())).collect();
            let unread: Vec<_> =
                columns.iter().filter(|column| !fields.iter().any(|field| field == *column)).collect();
            if missing.is_empty() && unread.is_empty() {
                Ok(())
            } else {
                Err(format!("fields without a column: {missing:?}, columns without a field: {unread:?}"))
            }
        }
    }
}

/// The source of every crate that has statements, and of the contracts whose types are rows.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = ["contracts", "services/chassis", "services/order", "services/payment", "services/paysaga"];
    crates.iter().flat_map(|krate| Source::of_crate(&root.join(krate))).collect()
}

#[tokio::test]
async fn every_statement_fits_the_schema_that_it_runs_against() {
    let sources = sources();
    let statements = source::statements(&sources);
    assert!(statements.len() > 50, "only {} statements found: the search lost some", statements.len());
    let mut databases = Databases::migrated().await;
    let mut wrong = String::new();
    for statement in &statements {
        if let Err(reason) = databases.check(statement).await {
            let _ = writeln!(wrong, "{}: {reason}\n{}\n", statement.place, statement.sql);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[tokio::test]
async fn a_mistake_is_found() {
    let mut databases = Databases::migrated().await;
    for (mistake, expected) in [
        (r#"sqlx::query("SELECT statuss FROM orders");"#, "statuss"),
        (r#"sqlx::query("DELETE FROM order");"#, "syntax error"),
        (r#"sqlx::query_scalar::<_, i64>("SELECT id, total FROM orders");"#, "1 values are read"),
        (r#"sqlx::query_as::<_, Found>("SELECT id, total FROM orders");"#, r#"column: ["amount"]"#),
        (
            r#"sqlx::query("SELECT id FROM jsonb_to_recordset($1) AS new (id uuid, amonut numeric)");"#,
            "amonut",
        ),
        (r#"sqlx::query("SELECT id FROM jsonb_to_recordset($1) AS new (id uuid)");"#, "exactly"),
        (r#"use sqlx::query as ask; sqlx::query("SELECT 1");"#, "imports"),
    ] {
        let text = format!(
            "#[derive(FromRow)] struct Found {{ id: Uuid, amount: Decimal }}
             #[derive(Serialize)] struct New {{ id: Uuid, amount: Decimal }}
             fn mistake() {{ {mistake} }}"
        );
        let source = Source::read("order", PathBuf::from("mistake.rs"), &text);
        let found = match source::try_statements(&[source]) {
            Ok(statements) => {
                assert_eq!(statements.len(), 1);
                databases.check(&statements[0]).await.expect_err(mistake)
            }
            Err(reason) => reason,
        };
        assert!(found.contains(expected), "{mistake}: {found}");
    }
}
