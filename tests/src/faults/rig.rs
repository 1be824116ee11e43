//! Databases, virtual host, relays and services of one scenario.

use std::iter::repeat;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::topology::Service;
use local_stack::ports::Port;
use local_stack::postgres::{Passwords, owner_of};
use local_stack::secret::Password;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::load::{GatewayAddress, Load, LoadPlan};
use super::relay::Relay;
use super::remote_host::RemoteHost;
use super::servers::Servers;
use crate::amqp::Amqp;
use crate::api::Api;
use crate::infrastructure::new_name;
use crate::management::Management;
use crate::programs;
use crate::service::ServiceProcess;

/// How long the services may take until everything is at rest once the fault is over. What is not by then is stuck.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// As they are delivered.
    pub plain: PathBuf,
    /// With failpoints compiled in.
    pub failpoints: Option<PathBuf>,
}

impl Programs {
    /// The programs that belong to this test, built if need be.
    #[must_use]
    pub fn as_delivered() -> Self {
        Self { plain: programs::directory(), failpoints: None }
    }
}

/// The relays between everything, where there are some.
#[derive(Default)]
pub struct Relays {
    /// In front of RabbitMQ.
    pub broker: Option<Relay>,
    /// In front of PostgreSQL.
    pub database: Option<Relay>,
    /// The host of the relay in front of RabbitMQ, if it is another one.
    pub broker_host: Option<RemoteHost>,
    /// The host of the relay in front of PostgreSQL, if it is another one.
    pub database_host: Option<RemoteHost>,
    /// In front of the order service's and the payment service's HTTP.
    pub queries: Vec<Relay>,
    /// In front of the gateways.
    pub gateways: Vec<Relay>,
}

/// A paysaga of one scenario: databases and a virtual host of its own on the servers of the run.
pub struct Rig<'a> {
    /// The servers.
    pub servers: &'a mut Servers,
    /// The run's seed, mixed with the scenario's name.
    pub seed: u64,
    /// The scenario's source of randomness.
    pub random: StdRng,
    /// The relays.
    pub relays: Relays,
    /// How long the services may take to finish everything.
    pub timeout: Duration,
    /// The processes of the services, by service and then by number.
    pub services: Vec<ServiceProcess>,
    pub(super) programs: &'a Programs,
    name: String,
    password: Password,
    pub(super) ports: Vec<Port>,
    pub(super) logs: TempDir,
    fault_over: Option<Instant>,
}

impl<'a> Rig<'a> {
    /// Makes the databases and the virtual host. Starts no service.
    pub async fn new(servers: &'a mut Servers, programs: &'a Programs, seed: u64) -> Self {
        servers.start_stopped().await.expect("the servers can be started");
        let name = new_name();
        let password: Password =
            serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
        for service in Service::WITH_DATABASE {
            let database = database_name(&name, service);
            let passwords = Passwords { service: password.clone(), owner: password.clone() };
            let created = servers.postgres().endpoint().ensure_database(&database, &passwords).await;
            created.expect("a database can be made");
        }
        servers.rabbitmq().endpoint().create_vhost(&name).await.expect("a virtual host can be made");
        let logs = TempDir::with_prefix("paysaga-faults-").expect("there is room for logs");
        Self {
            servers,
            seed,
            random: StdRng::seed_from_u64(seed),
            relays: Relays::default(),
            timeout: TIMEOUT,
            services: Vec::new(),
            programs,
            name,
            password,
            ports: Vec::new(),
            logs,
            fault_over: None,
        }
    }

    /// The processes of a service.
    pub fn processes_of(&mut self, service: Service) -> impl Iterator<Item = &mut ServiceProcess> {
        self.services.iter_mut().filter(move |process| process.service() == service)
    }

    /// The first process of a service.
    pub fn first_of(&mut self, service: Service) -> &mut ServiceProcess {
        self.processes_of(service).next().expect("it was started")
    }

    /// Begins the usual load.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load_of(LoadPlan::default())
    }

    /// Begins a load.
    #[must_use]
    pub fn load_of(&self, plan: LoadPlan) -> Load {
        let gateways = self.services.iter().filter(|process| process.service() == Service::Gateway);
        let relays =
            self.relays.gateways.iter().map(|relay| Some(format!("http://127.0.0.1:{}", relay.port())));
        let gateways = gateways.zip(relays.chain(repeat(None))).map(|(gateway, relay)| {
            GatewayAddress::new(relay.unwrap_or_else(|| gateway.url()), gateway.management_url())
        });
        Load::start(gateways.collect(), self.seed, plan)
    }

    /// A client of the first gateway.
    pub fn api(&mut self) -> Api {
        Api::new(self.first_of(Service::Gateway).url())
    }

    /// Notes that the fault has ended: recovery is measured from the last call.
    pub fn fault_is_over(&mut self) {
        self.fault_over = Some(Instant::now());
    }

    /// How long ago the fault was over.
    #[must_use]
    pub fn since_fault(&self) -> Duration {
        self.fault_over.expect("the scenario notes when its fault is over").elapsed()
    }

    /// The name of a service's database, and of the role that the service works as.
    #[must_use]
    pub fn database_name(&self, service: Service) -> String {
        database_name(&self.name, service)
    }

    /// The URL of a service's database: as the service has it, or past any relay and as the superuser.
    pub fn database_url(&mut self, service: Service, relayed: bool) -> String {
        let endpoint = self.servers.postgres().endpoint().clone();
        let database = self.database_name(service);
        if !relayed {
            return endpoint.url(&database);
        }
        self.relayed(&endpoint.url_as(&database, &self.password, &database), endpoint.port)
    }

    /// The URL of a service's database as the role that owns its schema.
    pub(super) fn migration_url(&mut self, service: Service) -> String {
        let endpoint = self.servers.postgres().endpoint().clone();
        let database = self.database_name(service);
        self.relayed(&endpoint.url_as(&owner_of(&database), &self.password, &database), endpoint.port)
    }

    /// The URL of a database through the relay, if there is one.
    fn relayed(&self, url: &str, port: u16) -> String {
        self.relays.database.as_ref().map_or_else(|| url.to_owned(), |relay| relay.url(url, port))
    }

    /// A connection of the suite's own to a service's database.
    pub async fn database(&mut self, service: Service) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.database_url(service, false)).await
    }

    /// The URL of the broker's virtual host: as the services have it, or past any relay and of the first node only.
    pub fn broker_url(&mut self, relayed: bool) -> String {
        let rabbitmq = self.servers.rabbitmq();
        let first = rabbitmq.endpoint().clone();
        match &self.relays.broker {
            Some(relay) if relayed => relay.url(&first.amqp_url(&self.name), first.port),
            None if relayed => rabbitmq.amqp_url(&self.name),
            _ => first.amqp_url(&self.name),
        }
    }

    /// A connection of the suite's own to the broker.
    pub async fn amqp(&mut self) -> Amqp {
        Amqp::connect(&self.broker_url(false)).await
    }

    /// The broker's HTTP API.
    pub fn management(&mut self) -> Management {
        Management::new(self.servers.rabbitmq().endpoint().clone(), self.name.clone())
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.name
    }

    /// The folder of the services' logs.
    #[must_use]
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// Keeps the services' logs for the analysis of a failure, and returns their folder.
    #[must_use]
    pub fn keep_logs(&mut self) -> PathBuf {
        self.logs.disable_cleanup(true);
        self.logs.path().to_owned()
    }

    /// Removes the databases and the virtual host.
    pub async fn discard(mut self) {
        self.services.clear();
        // What can't be removed goes with the servers.
        if self.servers.start_stopped().await.is_ok() {
            for service in Service::WITH_DATABASE {
                let name = self.database_name(service);
                self.servers.postgres().endpoint().drop_database(&name).await.ok();
            }
            self.servers.rabbitmq().endpoint().delete_vhost(&self.name).await.ok();
        }
    }
}

fn database_name(name: &str, service: Service) -> String {
    format!("{name}_{service}")
}
