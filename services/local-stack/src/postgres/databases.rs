//! What an administrator does with a running PostgreSQL: databases and the roles that own them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::http::path_segment;
use crate::secret::Password;

/// Address and superuser of a private PostgreSQL server on 127.0.0.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// TCP port.
    pub port: u16,
    /// The superuser.
    pub user: String,
    /// The superuser's password.
    pub password: Password,
}

/// A statement or a connection failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct DatabaseError {
    action: String,
    source: sqlx::Error,
}

impl Endpoint {
    /// `postgres://…` of a database, as the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(&self.user, &self.password, database)
    }

    /// `postgres://…` of a database, as a role of it.
    #[must_use]
    pub fn url_as(&self, role: &str, password: &Password, database: &str) -> String {
        let authority = format!("{}:{}@127.0.0.1:{}", path_segment(role), password.expose(), self.port);
        format!("postgres://{authority}/{}", path_segment(database))
    }

    /// Makes an empty database that the superuser owns.
    pub async fn create_database(&self, name: &str) -> Result<(), DatabaseError> {
        self.execute(format!("create the database {name}"), format!("CREATE DATABASE {}", identifier(name)))
            .await
    }

    /// Removes a database, closing every connection to it.
    pub async fn drop_database(&self, name: &str) -> Result<(), DatabaseError> {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
        self.execute(format!("remove the database {name}"), statement).await
    }

    /// Ensures that there is a role `name` with this password, and a database `name` that it owns and that no
    /// other role may connect to.
    pub async fn ensure_owned_database(&self, name: &str, password: &Password) -> Result<(), DatabaseError> {
        let action = || format!("set up the database {name} and its role");
        let mut connection = self.connect().await?;
        let (role_exists, database_exists): (bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
                    EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        )
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .map_err(|source| DatabaseError { action: action(), source })?;
        let verb = if role_exists { "ALTER" } else { "CREATE" };
        let quoted = identifier(name);
        let mut statements = vec![
            // A failing statement must not put the password into the server's log.
            "SET log_min_error_statement = panic".to_owned(),
            format!(
                "{verb} ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}",
                literal(password.expose())
            ),
        ];
        if !database_exists {
            statements.push(format!("CREATE DATABASE {quoted} OWNER {quoted}"));
        }
        statements.push(format!("REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"));
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .map_err(|source| DatabaseError { action: action(), source })?;
        }
        // Everything is committed; how the connection ends changes nothing.
        let _ = connection.close().await;
        Ok(())
    }

    /// Succeeds when the server answers a query.
    pub(super) async fn ping(&self) -> Result<(), DatabaseError> {
        const TIMEOUT: Duration = Duration::from_secs(5);
        let asked = async { self.execute("ask PostgreSQL".to_owned(), "SELECT 1".to_owned()).await };
        let late =
            |_| DatabaseError { action: "ask PostgreSQL".to_owned(), source: sqlx::Error::PoolTimedOut };
        tokio::time::timeout(TIMEOUT, asked).await.map_err(late)?
    }

    async fn execute(&self, action: String, statement: String) -> Result<(), DatabaseError> {
        let mut connection = self.connect().await?;
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        let _ = connection.close().await;
        done.map(|_| ()).map_err(|source| DatabaseError { action, source })
    }

    async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(&self.user)
            .password(self.password.expose())
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
            .connect()
            .await
            .map_err(|source| DatabaseError { action: "connect to PostgreSQL".to_owned(), source })
    }
}

/// A quoted identifier. Statements that define roles and databases take no parameters.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string, with any `standard_conforming_strings` as long as there is no backslash in it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(identifier("order"), "\"order\"");
        assert_eq!(identifier("a\"; DROP TABLE b"), "\"a\"\"; DROP TABLE b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn urls_carry_role_password_and_database() {
        let password: Password = serde_json::from_str("\"secret\"").unwrap();
        let endpoint = Endpoint { port: 20_001, user: "admin".to_owned(), password };
        assert_eq!(endpoint.url("order"), "postgres://admin:secret@127.0.0.1:20001/order");
    }
}
