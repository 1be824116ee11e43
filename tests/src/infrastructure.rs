//! One private PostgreSQL and RabbitMQ a test program, shared by its tests. `PAYSAGA_SERVER_ROOT`, which `private-servers`
//! reads, names a directory with servers of another generation (`./dev generation-2`).

use std::process::Stdio;

use local_stack::infrastructure::Description;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

use crate::programs;

struct Servers {
    description: Description,
    /// Holds its standard input: when the test ends, the kernel closes the pipe and the servers stop.
    _process: Child,
}

/// The servers, started by the first caller.
pub async fn servers() -> &'static Description {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    &SERVERS.get_or_init(start).await.description
}

/// Makes an empty database and returns its URL.
pub async fn new_database(name: &str) -> String {
    // One at a time: CREATE DATABASE copies a template that must not be in use.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _lock = ONE_AT_A_TIME.lock().await;
    let endpoint = &servers().await.postgres;
    endpoint.create_database(name).await.expect("a database can be made");
    endpoint.url(name)
}

/// Makes an empty virtual host and returns its URL.
pub async fn new_virtual_host(name: &str) -> String {
    let endpoint = &servers().await.rabbitmq;
    endpoint.create_vhost(name).await.expect("a virtual host can be made");
    endpoint.amqp_url(name)
}

/// A name that no database and no virtual host has.
#[must_use]
pub fn new_name() -> String {
    format!("t{}", Uuid::now_v7().simple())
}

async fn start() -> Servers {
    let mut process = Command::new(programs::built().join("private-servers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("private-servers can be started");
    let stdout = process.stdout.take().expect("its standard output is a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.expect("its output can be read");
    let description = serde_json::from_str(&line)
        .unwrap_or_else(|error| panic!("`private-servers` did not start its servers ({error}): {line:?}"));
    Servers { description, _process: process }
}
