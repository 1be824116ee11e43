//! One private PostgreSQL and RabbitMQ a test program, shared by its tests. `PAYSAGA_SERVER_ROOT`, which `private-servers`
//! reads, names a directory with servers of another generation (`./dev generation-2`).

use std::collections::HashMap;
use std::process::Stdio;

use contracts::definitions::Definitions;
use contracts::topology::Service;
use local_stack::infrastructure::Description;
use local_stack::postgres::{Passwords, owner_of};
use local_stack::secret::Password;
use strum::VariantArray;
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

/// One database at a time: CREATE DATABASE copies a template that must not be in use.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Makes an empty database and returns its URL.
pub async fn new_database(name: &str) -> String {
    let _lock = ONE_AT_A_TIME.lock().await;
    let endpoint = &servers().await.postgres;
    endpoint.create_database(name).await.expect("a database can be made");
    endpoint.url(name)
}

/// A database of a service, for each of those that use it.
pub struct ServiceDatabase {
    /// Its URL as the role that the service works as.
    pub service_url: String,
    /// Its URL as the role that owns the schema.
    pub owner_url: String,
    /// Its URL as the superuser.
    pub admin_url: String,
}

/// Makes an empty database with a role for its service and one that owns it.
pub async fn new_service_database(name: &str) -> ServiceDatabase {
    let endpoint = &servers().await.postgres;
    let password: Password = serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
    let passwords = Passwords { service: password.clone(), owner: password.clone() };
    {
        let _lock = ONE_AT_A_TIME.lock().await;
        endpoint.ensure_database(name, &passwords).await.expect("a database can be made");
    }
    ServiceDatabase {
        service_url: endpoint.url_as(name, &password, name),
        owner_url: endpoint.url_as(&owner_of(name), &password, name),
        admin_url: endpoint.url(name),
    }
}

/// Makes an empty virtual host and returns its URL.
pub async fn new_virtual_host(name: &str) -> String {
    let endpoint = &servers().await.rabbitmq;
    endpoint.create_vhost(name).await.expect("a virtual host can be made");
    endpoint.amqp_url(name)
}

/// Makes a user for each service in a virtual host, with the permissions of `paysaga definitions`; returns its URLs.
pub async fn broker_users(vhost: &str) -> HashMap<Service, String> {
    let endpoint = &servers().await.rabbitmq;
    let user_of = |service| format!("{vhost}-{service}");
    let password: Password = serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
    let mut urls = HashMap::new();
    for &service in Service::VARIANTS {
        endpoint.create_user(&user_of(service), &password).await.expect("a user can be made");
        urls.insert(service, endpoint.amqp_url_as(&user_of(service), &password, vhost));
    }
    endpoint.import(&Definitions::new(vhost, user_of)).await.expect("definitions can be imported");
    urls
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
