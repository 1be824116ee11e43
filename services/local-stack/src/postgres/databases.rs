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

/// The passwords of the two roles of a database.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// Of the role that the service works as.
    pub service: Password,
    /// Of the role that owns the schema.
    pub owner: Password,
}

/// The role that owns a database and its schema.
#[must_use]
pub fn owner_of(database: &str) -> String {
    format!("{database}-owner")
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

    /// Ensures that there is a database `name`, a role of the same name for its service, which can connect to it, and one that
    /// owns it and its schema ([`owner_of`]). No other role may connect.
    pub async fn ensure_database(&self, name: &str, passwords: &Passwords) -> Result<(), DatabaseError> {
        let action = || format!("set up the database {name} and its roles");
        let failed = |source| DatabaseError { action: action(), source };
        let mut connection = self.connect("postgres").await?;
        let owner = owner_of(name);
        let (service_exists, owner_exists, database_exists): (bool, bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
                    EXISTS (SELECT FROM pg_roles WHERE rolname = $2),
                    EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        )
        .bind(name)
        .bind(&owner)
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
        let (service, owner) = (identifier(name), identifier(&owner));
        let role = |exists: bool, role: &str, password: &Password| {
            let verb = if exists { "ALTER" } else { "CREATE" };
            let password = literal(password.expose());
            format!("{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {password}")
        };
        let database = if database_exists {
            format!("ALTER DATABASE {service} OWNER TO {owner}")
        } else {
            format!("CREATE DATABASE {service} OWNER {owner}")
        };
        let statements = [
            // A failing statement must not put the password into the server's log.
            "SET log_min_error_statement = panic".to_owned(),
            role(service_exists, &service, &passwords.service),
            role(owner_exists, &owner, &passwords.owner),
            database,
            format!("REVOKE ALL ON DATABASE {service} FROM PUBLIC"),
            format!("GRANT CONNECT ON DATABASE {service} TO {service}"),
        ];
        execute_all(connection, statements).await.map_err(failed)?;
        let statements = [
            "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
            format!("GRANT ALL ON SCHEMA public TO {owner}"),
            // What the service made while one role was all there was.
            format!("REASSIGN OWNED BY {service} TO {owner}"),
        ];
        execute_all(self.connect(name).await?, statements).await.map_err(failed)
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
        let done = execute_all(self.connect("postgres").await?, [statement]).await;
        done.map_err(|source| DatabaseError { action, source })
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, DatabaseError> {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(&self.user)
            .password(self.password.expose())
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .connect()
            .await
            .map_err(|source| DatabaseError { action: "connect to PostgreSQL".to_owned(), source })
    }
}

async fn execute_all(
    mut connection: PgConnection,
    statements: impl IntoIterator<Item = String>,
) -> Result<(), sqlx::Error> {
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    // Everything is committed; how the connection ends changes nothing.
    let _ = connection.close().await;
    Ok(())
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
