//! How a service reaches its database, and the pools that it uses.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tracing::log::LevelFilter;

use crate::config::{Environment, Problems};
use crate::transport::{Protocol, Transport};

crate::variables! {
    /// How a service uses PostgreSQL.
    pub struct DatabaseVariables {
        /// URL of the service's own PostgreSQL database (`postgres://user:password@host:5432/database`, or `postgres://user@localhost/database?host=/run/postgresql` over the socket). Beyond loopback with `?sslmode=verify-full`, and `&sslrootcert=FILE` for an authority of your own.
        database_url: secret,
        /// URL of the same database as the role that owns the schema and migrates it. The role of `DATABASE_URL` then gets what the service needs, and can't change the schema. Without it, the role of `DATABASE_URL` owns the schema, or finds it up to date.
        migration_database_url: secret,
        /// Most connections to it for the saga: for messages, due steps and provider answers.
        database_connections = "10",
        /// Most connections to it for queries over HTTP, so that they never take one from the saga.
        database_query_connections = "5",
        /// `on`: traces have a span for each SQL statement, without its parameters.
        trace_statements = "off",
    }
}

/// How a service uses PostgreSQL.
#[derive(Clone)]
pub struct DatabaseConfig {
    url: SecretString,
    migration_url: Option<SecretString>,
    connections: u32,
    query_connections: u32,
    trace_statements: bool,
}

/// How long a query may wait for a free or a new connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take to show that it is alive, after it was used or before it is used again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that was alive is taken to be so still.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How soon PostgreSQL notices that this machine has vanished, so that its locks end: in seconds, but for the last, which is in
/// milliseconds.
const NOTICE_OF_ABSENCE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

/// What PostgreSQL itself sees to, in case this process can't: limits in milliseconds.
const SESSION: [(&str, &str); 5] = [
    // Guards are re-evaluated against what another transaction has committed; the server's default may be another one.
    ("default_transaction_isolation", "read committed"),
    // Statements are small; compiling one takes longer than running it.
    ("jit", "off"),
    ("statement_timeout", "5000"),
    ("lock_timeout", "4000"),
    ("idle_in_transaction_session_timeout", "30000"),
];

/// How long PostgreSQL works on a query over HTTP, in milliseconds. Less than the gateway's `REQUEST_TIMEOUT` of 5 s: a query
/// that the gateway has given up is not worked on any more.
const QUERY_TIMEOUT: (&str, &str) = ("statement_timeout", "4000");

/// A connection for queries sees no rows before it is told whose: no name has a colon.
const NO_ROWS: (&str, &str) = ("paysaga.owners", ":");

/// How the saga's statements are planned: every one of them finds a few rows by an index. A plan is made once for each
/// connection and kept; made while a table was still empty, it would read the whole of it for hours.
const BY_INDEX: [(&str, &str); 3] =
    [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// How a part of a list is read: along the index that has its order, so that it costs what it holds. To sort, PostgreSQL reads all that
/// it is taken from. It does where it expects little, and of what has an owner it expects too little, since it takes the
/// policy for a second condition.
const IN_ORDER: [(&str, &str); 2] = [("enable_sort", "off"), ("enable_incremental_sort", "off")];

impl DatabaseConfig {
    /// Reads [`DatabaseVariables`].
    pub fn from_environment(
        transport: &Transport,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Self> {
        let variables: DatabaseVariables = environment.read(problems)?;
        let url = variables.database_url().secret(problems, check_url);
        let migration_url = variables
            .migration_database_url()
            .optional(problems, |text| check_url(text).map(|()| SecretString::from(text)));
        let urls = [
            ("DATABASE_URL", url.as_ref()),
            ("MIGRATION_DATABASE_URL", migration_url.iter().flatten().next()),
        ];
        for (variable, url) in urls {
            if let Some(host) = url.and_then(plaintext_host) {
                transport.plaintext.require(Protocol::Postgres, &host, variable, problems);
            }
        }
        let connections = variables.database_connections().number(problems, 2..=1000);
        let query_connections = variables.database_query_connections().number(problems, 1..=1000);
        let trace_statements = variables.trace_statements().switch(problems);
        Some(Self {
            url: url?,
            migration_url: migration_url?,
            connections: connections?,
            query_connections: query_connections?,
            trace_statements: trace_statements?,
        })
    }

    /// The pool for the saga. Like the others, it connects when it is first used.
    pub fn pool(&self, service: &'static str) -> Result<PgPool, sqlx::Error> {
        let options = self.options(service)?.options(SESSION).options(BY_INDEX);
        Ok(pool_of(self.connections).connect_lazy_with(options))
    }

    /// The pool for queries over HTTP.
    pub fn query_pool(&self, service: &'static str) -> Result<PgPool, sqlx::Error> {
        let options = self.options(service)?.options(SESSION).options(IN_ORDER);
        let options = options.options([QUERY_TIMEOUT, NO_ROWS]);
        Ok(pool_of(self.query_connections).connect_lazy_with(options))
    }

    /// A small pool for work beside the service's own.
    pub fn small_pool(&self, user: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let options = self.options(user)?.options(SESSION).options(BY_INDEX);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    /// A connection for statements that read whole tables, for which nothing waits.
    pub fn survey_pool(&self, user: &'static str) -> Result<PgPool, sqlx::Error> {
        let unhurried = [("statement_timeout", "60000"), ("work_mem", "32MB")];
        Ok(pool_of(1).connect_lazy_with(self.options(user)?.options(SESSION).options(unhurried)))
    }

    /// A small pool for work that is done again after a crash anyway. Its commits don't wait for the disk
    /// (<https://www.postgresql.org/docs/current/wal-async-commit.html>): a crash of PostgreSQL may undo the last of
    /// them, never tear one.
    pub fn relaxed_pool(&self, user: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let relaxed = [("synchronous_commit", "off")];
        let options = self.options(user)?.options(SESSION).options(BY_INDEX).options(relaxed);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    /// As the role that the service works as.
    pub(super) fn options(&self, user: &'static str) -> Result<PgConnectOptions, sqlx::Error> {
        options(&self.url, user, self.trace_statements)
    }

    /// As the role that owns the schema, if that is another one.
    pub(super) fn migration_options(
        &self,
        user: &'static str,
    ) -> Result<Option<PgConnectOptions>, sqlx::Error> {
        self.migration_url.as_ref().map(|url| options(url, user, self.trace_statements)).transpose()
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
    match PgConnectOptions::from_str(text) {
        Ok(_) if scheme => Ok(()),
        _ => Err("must be a URL such as postgres://user:password@host:5432/database".to_owned()),
    }
}

/// The host that is reached over TCP, if it is not asked for a certificate of its name: with less than `verify-full`, another host
/// could take its place.
fn plaintext_host(url: &SecretString) -> Option<String> {
    let options = PgConnectOptions::from_str(url.expose_secret()).ok()?;
    let protected = options.get_socket().is_some() || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    (!protected).then(|| options.get_host().to_owned())
}

fn options(
    url: &SecretString,
    user: &'static str,
    trace_statements: bool,
) -> Result<PgConnectOptions, sqlx::Error> {
    // The layer that makes spans of them hears of them at this level; the log does not, unless it is asked for.
    let statements = if trace_statements { LevelFilter::Debug } else { LevelFilter::Off };
    Ok(PgConnectOptions::from_str(url.expose_secret())?
        .application_name(&format!("paysaga {user}"))
        .options(NOTICE_OF_ABSENCE)
        .log_statements(statements)
        .log_slow_statements(LevelFilter::Warn, Duration::from_secs(5)))
}

/// A pool whose connections are tested with a deadline. sqlx tests them without one, so that those to a host that vanished
/// would take up their places in the pool until the kernel gives up on them. (It offers no TCP keepalive either.)
fn pool_of(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(
                async move { if meta.idle_for < TRUSTED_FOR { Ok(true) } else { probe(connection).await } },
            )
        })
        .after_release(|connection, _| Box::pin(probe(connection)))
}

/// Waits for the answer to whatever was sent, and to an empty query. An error closes the connection.
async fn probe(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(PROBE_TIMEOUT, connection.ping()).await {
        Ok(answered) => answered.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
