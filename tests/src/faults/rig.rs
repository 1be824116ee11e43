//! Everything that one scenario stands on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::topology::Service as Role;
use local_stack::ports::Port;
use local_stack::rabbitmq::Endpoint;
use local_stack::secret::Password;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::load::{Load, LoadPlan};
use super::relay::Relay;
use super::servers::Servers;
use crate::amqp::Amqp;
use crate::api::Api;
use crate::binaries;
use crate::infrastructure::new_name;
use crate::management::Management;
use crate::service::Service;

/// How long the services may take to finish everything once the fault is over. What is not done by then is stuck.
const PATIENCE: Duration = Duration::from_mins(2);

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
        Self { plain: binaries::directory().to_owned(), failpoints: None }
    }
}

/// The relays between everything, where there are some.
#[derive(Default)]
pub struct Relays {
    /// In front of RabbitMQ.
    pub broker: Option<Relay>,
    /// In front of PostgreSQL.
    pub database: Option<Relay>,
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
    /// Where the scenario draws from.
    pub random: StdRng,
    /// The relays.
    pub relays: Relays,
    /// How long the services may take to finish everything.
    pub patience: Duration,
    /// The services, by role and then by number.
    pub services: Vec<(Role, Service)>,
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
        servers.mend().await.expect("the servers can be started");
        let name = new_name();
        let password: Password =
            serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
        for role in [Role::Order, Role::Payment] {
            let database = format!("{name}_{role}");
            let created = servers.postgres().endpoint().ensure_owned_database(&database, &password).await;
            created.expect("a database can be made");
        }
        servers.rabbitmq().endpoint().create_vhost(&name).await.expect("a virtual host can be made");
        let logs = TempDir::with_prefix("paysaga-faults-").expect("there is room for logs");
        Self {
            servers,
            seed,
            random: StdRng::seed_from_u64(seed),
            relays: Relays::default(),
            patience: PATIENCE,
            services: Vec::new(),
            programs,
            name,
            password,
            ports: Vec::new(),
            logs,
            fault_over: None,
        }
    }

    /// The services of a role.
    pub fn of(&mut self, role: Role) -> impl Iterator<Item = &mut Service> {
        self.services.iter_mut().filter(move |(of, _)| *of == role).map(|(_, service)| service)
    }

    /// The first service of a role.
    pub fn one(&mut self, role: Role) -> &mut Service {
        self.of(role).next().expect("it was started")
    }

    /// Begins the usual load.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load_of(LoadPlan::default())
    }

    /// Begins a load.
    #[must_use]
    pub fn load_of(&self, plan: LoadPlan) -> Load {
        let urls = if self.relays.gateways.is_empty() {
            let gateways = self.services.iter().filter(|(role, _)| *role == Role::Gateway);
            gateways.map(|(_, service)| service.url()).collect()
        } else {
            self.relays.gateways.iter().map(|relay| format!("http://127.0.0.1:{}", relay.port())).collect()
        };
        Load::start(urls, self.seed, plan)
    }

    /// A client of the first gateway.
    pub fn api(&mut self) -> Api {
        Api::new(self.one(Role::Gateway).url())
    }

    /// Takes note that everything that was broken is whole again: recovery is measured from the last time.
    pub fn fault_is_over(&mut self) {
        self.fault_over = Some(Instant::now());
    }

    /// How long ago the fault was over.
    #[must_use]
    pub fn since_fault(&self) -> Duration {
        self.fault_over.expect("the scenario says when its fault is over").elapsed()
    }

    /// A service's database, and the role that owns it.
    #[must_use]
    pub fn role(&self, role: Role) -> String {
        format!("{}_{role}", self.name)
    }

    /// The URL of a service's database: as the service has it, or past any relay and as the superuser.
    pub fn database_url(&mut self, role: Role, relayed: bool) -> String {
        let mut endpoint = self.servers.postgres().endpoint().clone();
        if let Some(relay) = self.relays.database.as_ref().filter(|_| relayed) {
            endpoint.port = relay.port();
        }
        let database = self.role(role);
        if relayed { endpoint.url_as(&database, &self.password, &database) } else { endpoint.url(&database) }
    }

    /// A connection of the suite's own to a service's database.
    pub async fn database(&mut self, role: Role) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.database_url(role, false)).await
    }

    /// The URL of the broker's virtual host: as the services have it, or past any relay and of the first node only.
    pub fn broker_url(&mut self, relayed: bool) -> String {
        let rabbitmq = self.servers.rabbitmq();
        let first = rabbitmq.endpoint().clone();
        match &self.relays.broker {
            Some(relay) if relayed => Endpoint { port: relay.port(), ..first }.amqp_url(&self.name),
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

    /// Where the services log to.
    #[must_use]
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// Keeps the services' logs, for whoever has to find out what happened, and says where.
    #[must_use]
    pub fn keep_logs(&mut self) -> PathBuf {
        self.logs.disable_cleanup(true);
        self.logs.path().to_owned()
    }

    /// Removes the databases and the virtual host.
    pub async fn discard(mut self) {
        self.services.clear();
        // What can't be removed goes with the servers.
        if self.servers.mend().await.is_ok() {
            for role in [Role::Order, Role::Payment] {
                let name = self.role(role);
                self.servers.postgres().endpoint().drop_database(&name).await.ok();
            }
            self.servers.rabbitmq().endpoint().delete_vhost(&self.name).await.ok();
        }
    }
}
