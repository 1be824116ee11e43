//! A private RabbitMQ node.

mod amqp;
mod configuration;
mod epmd;
mod management;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::directory::Directory;
use super::http;
use super::installation::{Installation, Missing, RabbitMqPrograms};
use super::launcher::{Launcher, Program};
use super::ports::{Port, PortError};
use super::process::{Ending, Process, ProcessError, StopSignal, Stopped};
use super::secret::{Password, PasswordError, write_private};
use configuration::{Configuration, Ports};
use epmd::Epmd;

pub use management::{Endpoint, ManagementError};

const NAME: &str = "RabbitMQ";
const USER: &str = "paysaga";
/// The name under which the node keeps its data: it must not change while the directory is kept. It need not be
/// unique on the machine either, since the node registers with an epmd of its own.
const NODE: &str = "paysaga@localhost";
/// A node that is just starting may miss SIGTERM; it is built to survive SIGKILL.
const ENDING: Ending =
    Ending { signal: StopSignal::Terminate, patience: Duration::from_secs(20), orphaned: StopSignal::Kill };

/// A RabbitMQ node with its own data, cookie, port mapper and ports. It listens on 127.0.0.1 only.
#[derive(Debug)]
pub struct RabbitMq {
    programs: RabbitMqPrograms,
    launcher: Launcher,
    configuration: Configuration,
    log: PathBuf,
    endpoint: Endpoint,
    // Stopped in this order when dropped: the node signs off at epmd.
    process: Option<Process>,
    epmd: Epmd,
    serves: bool,
    _ports: Vec<Port>,
}

/// The node can't be set up or does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum RabbitMqError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// No port for it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Its password can't be kept.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A file of its directory can't be made.
    #[error("cannot prepare RabbitMQ's files in {home}: {source}")]
    Files {
        /// Where.
        home: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The node, epmd or rabbitmqctl failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The HTTP API does not answer.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// The HTTP client can't be made.
    #[error(transparent)]
    Http(#[from] http::ClientError),
}

impl RabbitMq {
    /// Chooses ports and password, or takes those of the last time, and writes the configuration; starts nothing.
    pub fn prepare(installation: &Installation, directory: &Directory) -> Result<Self, RabbitMqError> {
        let programs = installation.rabbitmq()?;
        let home = directory.rabbitmq();
        let claim = |name: &str| Port::claim_remembered(&home.join(name));
        let amqp = claim("port")?;
        let management = claim("port.management")?;
        let distribution = claim("port.distribution")?;
        let epmd = claim("port.epmd")?;
        let password = Password::load_or_create(&home.join("password"))?;
        let endpoint = Endpoint {
            port: amqp.number(),
            management_port: management.number(),
            user: USER.to_owned(),
            password: password.clone(),
        };
        let ports = Ports {
            amqp: amqp.number(),
            management: management.number(),
            distribution: distribution.number(),
            epmd: epmd.number(),
        };
        let configuration = Configuration { home, node: NODE.to_owned(), ports };
        write_files(&configuration, &password).map_err(files(&configuration.home))?;
        let epmd = Epmd::new(programs.epmd.clone(), directory, epmd);
        Ok(Self {
            programs,
            launcher: directory.launcher().clone(),
            configuration,
            log: directory.log("rabbitmq"),
            endpoint,
            process: None,
            epmd,
            serves: false,
            _ports: vec![amqp, management, distribution],
        })
    }

    /// Starts the node and waits until it greets AMQP clients and its HTTP API knows our user. If this is dropped
    /// half-way, [`RabbitMq::stop`] still stops what was started.
    pub async fn start(&mut self) -> Result<(), RabbitMqError> {
        const PATIENCE: Duration = Duration::from_mins(2);
        self.epmd.start().await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.endpoint.port));
        let http = http::client()?;
        let process = self.process.insert(self.program(&self.programs.server).spawn(&self.log)?);
        let endpoint = &self.endpoint;
        process
            .ready(PATIENCE, || async {
                // The AMQP listener is opened last, after plugins and recovery.
                amqp::greeting(address).await.map_err(|error| format!("AMQP: {error}"))?;
                endpoint.who_am_i(&http).await.map_err(|error| error.to_string())
            })
            .await?;
        self.serves = true;
        Ok(())
    }

    /// Stops the node in order, and its port mapper.
    pub async fn stop(&mut self) -> Result<Stopped, RabbitMqError> {
        let stopped = self.stop_node().await?;
        self.epmd.stop().await?;
        Ok(stopped)
    }

    /// Stops the node and starts it again on the same ports.
    pub async fn restart(&mut self) -> Result<(), RabbitMqError> {
        self.stop_node().await?;
        self.start().await
    }

    /// Kills the node as a crash would (SIGKILL). [`RabbitMq::start`] brings it back.
    pub async fn kill(&mut self) -> Result<(), RabbitMqError> {
        if let Some(process) = &mut self.process {
            process.kill().await?;
        }
        self.process = None;
        self.serves = false;
        Ok(())
    }

    /// Ends node and port mapper at once, when nobody will read the node's data again.
    pub async fn discard(&mut self) -> Result<(), RabbitMqError> {
        self.kill().await?;
        Ok(self.epmd.stop().await?)
    }

    /// Runs `rabbitmqctl` against this node and returns what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String, RabbitMqError> {
        // rabbitmqctl is an Erlang node for a second; it listens too.
        let listener = Port::claim()?;
        let port = listener.number().to_string();
        let program = self
            .program(&self.programs.ctl)
            .env("RABBITMQ_CTL_DIST_PORT_MIN", &port)
            .env("RABBITMQ_CTL_DIST_PORT_MAX", &port)
            .env("RABBITMQ_CTL_ERL_ARGS", configuration::LOOPBACK_DISTRIBUTION)
            .args(arguments);
        Ok(program.run().await?)
    }

    /// Waits until the node ends without having been asked to. Never comes back while it is stopped.
    pub async fn ended(&mut self) -> ProcessError {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Where and as whom to connect.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.configuration.node
    }

    /// The node's process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// The file that holds the node's process id.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.configuration.pid_file()
    }

    async fn stop_node(&mut self) -> Result<Stopped, RabbitMqError> {
        const PATIENCE_BEFORE_IT_SERVES: Duration = Duration::from_secs(3);
        let patience = if self.serves { ENDING.patience } else { PATIENCE_BEFORE_IT_SERVES };
        if self.serves {
            self.detach_statistics().await;
        }
        let stopped = match &mut self.process {
            Some(process) => process.stop_within(patience).await?,
            None => Stopped::InOrder,
        };
        self.process = None;
        self.serves = false;
        Ok(stopped)
    }

    /// Before 3.13.2 the management plugin holds up an ordinary stop for 5 s, because its event handler asks a process
    /// that has ended already (<https://github.com/rabbitmq/rabbitmq-server/pull/11070>). Taken out beforehand, it
    /// asks while that process lives.
    async fn detach_statistics(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let detach = "gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, []).";
        // It only saves time: whatever goes wrong here, the node is stopped all the same.
        let _ = timeout(PATIENCE, self.ctl(&["eval", detach])).await;
    }

    fn program(&self, path: &Path) -> Program {
        self.launcher.program(NAME, path, ENDING, None).envs(self.configuration.environment())
    }
}

fn write_files(configuration: &Configuration, password: &Password) -> io::Result<()> {
    for folder in configuration.folders() {
        fs::create_dir_all(folder)?;
    }
    fs::write(configuration.enabled_plugins_file(), configuration::ENABLED_PLUGINS)?;
    write_private(&configuration.file(), &configuration.render(USER, password))
}

fn files(home: &Path) -> impl FnOnce(io::Error) -> RabbitMqError {
    let home = home.to_owned();
    move |source| RabbitMqError::Files { home, source }
}
