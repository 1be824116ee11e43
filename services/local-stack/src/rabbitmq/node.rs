//! One node: a process, its files and its ports.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::amqp;
use super::configuration::{self, Configuration, Ports};
use super::management::Endpoint;
use crate::directory::Directory;
use crate::error::{Error, failed};
use crate::http;
use crate::installation::{Installation, RabbitMqPrograms};
use crate::ports::Port;
use crate::process::launcher::{Launcher, Program};
use crate::process::{Process, ProcessError, StopPolicy, StopSignal, Stopped};
use crate::secret::{Password, write_private};
use crate::tls::TlsFiles;

const NAME: &str = "RabbitMQ";
const USER: &str = "paysaga";
/// How long a node may take until it is ready.
const TIMEOUT: Duration = Duration::from_mins(2);
/// A node that is just starting may miss SIGTERM; it is built to survive SIGKILL.
const STOP_POLICY: StopPolicy = StopPolicy {
    signal: StopSignal::Terminate,
    timeout: Duration::from_secs(20),
    parent_death_signal: StopSignal::Kill,
};

/// A RabbitMQ node, alone or in a cluster.
#[derive(Debug)]
pub struct Node {
    programs: RabbitMqPrograms,
    launcher: Launcher,
    configuration: Configuration,
    log: PathBuf,
    endpoint: Endpoint,
    process: Option<Process>,
    serves: bool,
    ports: Vec<Port>,
}

/// What the nodes of a cluster share, or what a single node has for itself.
pub(super) struct Shared {
    /// The administrator's password.
    pub(super) password: Password,
    /// The folder that holds the Erlang cookie.
    pub(super) cookie_folder: PathBuf,
    /// The port of epmd.
    pub(super) epmd: u16,
    /// How many nodes there are.
    pub(super) size: usize,
}

impl Node {
    /// Chooses ports, or takes those of the last time, and writes the configuration; starts nothing. Nodes are numbered
    /// from 1.
    pub(super) fn prepare(
        installation: &Installation,
        directory: &Directory,
        number: usize,
        shared: &Shared,
    ) -> Result<Self, Error> {
        let home = home(directory, number);
        fs::create_dir_all(&home).map_err(failed("create", &home))?;
        let claim = |name: &str| Port::claim_remembered(&home.join(name));
        let amqp = claim("port")?;
        let management = claim("port.management")?;
        let distribution = claim("port.distribution")?;
        let endpoint = Endpoint {
            port: amqp.number(),
            management_port: management.number(),
            user: USER.to_owned(),
            password: shared.password.clone(),
        };
        let configuration = Configuration {
            cookie_folder: shared.cookie_folder.clone(),
            node: name(number),
            cluster: if shared.size > 1 { (1..=shared.size).map(name).collect() } else { Vec::new() },
            ports: Ports {
                amqp: amqp.number(),
                management: management.number(),
                distribution: distribution.number(),
                epmd: shared.epmd,
            },
            tls: None,
            home,
        };
        write_files(&configuration, &shared.password)
            .map_err(failed("prepare files in", &configuration.home))?;
        Ok(Self {
            programs: installation.rabbitmq()?,
            launcher: directory.launcher().clone(),
            log: directory.log(&numbered("rabbitmq", number)),
            configuration,
            endpoint,
            process: None,
            serves: false,
            ports: vec![amqp, management, distribution],
        })
    }

    /// Speaks TLS too, from its next start on; returns on which port.
    pub(super) fn speak_tls(&mut self, files: TlsFiles) -> Result<u16, Error> {
        let port = Port::claim_remembered(&self.configuration.home.join("port.tls"))?;
        let number = port.number();
        self.configuration.tls = Some((number, files));
        self.ports.push(port);
        write_files(&self.configuration, &self.endpoint.password)
            .map_err(failed("prepare files in", &self.configuration.home))?;
        Ok(number)
    }

    /// Starts the node unless it runs, and waits until it answers AMQP clients and its HTTP API accepts our user. If this
    /// is dropped half-way, [`Node::stop`] still stops what was started.
    ///
    /// The first time, [`RabbitMq::start`](super::RabbitMq::start) is what to call: it starts the port mapper too.
    pub async fn start(&mut self) -> Result<(), Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.endpoint.port));
        let http = http::client()?;
        let process = match self.process.take().filter(|process| process.id().is_some()) {
            Some(running) => running,
            None => self.program(&self.programs.server).spawn(&self.log)?,
        };
        let process = self.process.insert(process);
        let endpoint = &self.endpoint;
        process
            .ready(TIMEOUT, || async {
                // The AMQP listener is opened last, after plugins and recovery.
                amqp::greeting(address).await.map_err(|error| format!("AMQP: {error}"))?;
                endpoint.who_am_i(&http).await.map_err(|error| error.to_string())
            })
            .await?;
        if !self.configuration.cluster.is_empty() {
            // Its listeners open before it has booted. A virtual host that another node makes meanwhile is not started
            // here, and that node waits for it in vain.
            self.ctl(&["await_startup"]).await?;
        }
        self.serves = true;
        Ok(())
    }

    /// Waits until that many nodes run in the cluster, as this node, which must run, sees it.
    pub async fn wait_for_cluster_of(&mut self, count: usize) -> Result<(), Error> {
        let http = http::client()?;
        let (endpoint, Some(process)) = (&self.endpoint, &mut self.process) else { return Ok(()) };
        let probe = || async {
            match endpoint.running_nodes(&http).await.map_err(|error| error.to_string())? {
                running if running == count => Ok(()),
                running => Err(format!("{running} of {count} nodes run in its cluster")),
            }
        };
        Ok(process.ready(TIMEOUT, probe).await?)
    }

    /// Stops the node in order.
    pub async fn stop(&mut self) -> Result<Stopped, Error> {
        const TIMEOUT_BEFORE_READY: Duration = Duration::from_secs(3);
        let timeout = if self.serves { STOP_POLICY.timeout } else { TIMEOUT_BEFORE_READY };
        if self.serves {
            self.detach_statistics().await;
        }
        let stopped = match &mut self.process {
            Some(process) => process.stop_within(timeout).await?,
            None => Stopped::InOrder,
        };
        self.process = None;
        self.serves = false;
        Ok(stopped)
    }

    /// Kills the node as a crash would (SIGKILL). [`Node::start`] brings it back.
    pub async fn kill(&mut self) -> Result<(), Error> {
        if let Some(process) = &mut self.process {
            process.kill().await?;
        }
        self.process = None;
        self.serves = false;
        Ok(())
    }

    /// Runs `rabbitmqctl` against this node and returns what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String, Error> {
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

    /// Waits until the node ends without having been stopped. Pending while it is stopped.
    pub async fn ended(&mut self) -> ProcessError {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Addresses and administrator.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The node's process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// Before 3.13.2 the management plugin holds up an ordinary stop for 5 s, because its event handler asks a process
    /// that has ended already (<https://github.com/rabbitmq/rabbitmq-server/pull/11070>). Taken out beforehand, it
    /// asks while that process lives.
    async fn detach_statistics(&self) {
        const TIMEOUT: Duration = Duration::from_secs(3);
        let detach = "gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, []).";
        // It only saves time: if it fails, the node is stopped all the same.
        let _ = timeout(TIMEOUT, self.ctl(&["eval", detach])).await;
    }

    fn program(&self, path: &Path) -> Program {
        self.launcher.program(NAME, path, STOP_POLICY, None).envs(self.configuration.environment())
    }
}

fn write_files(configuration: &Configuration, password: &Password) -> io::Result<()> {
    for folder in configuration.folders() {
        fs::create_dir_all(folder)?;
    }
    fs::write(configuration.enabled_plugins_file(), configuration::ENABLED_PLUGINS)?;
    write_private(&configuration.file(), &configuration.render(USER, password))
}

/// The name under which a node keeps its data: it must not change while the directory is kept. It need not be unique
/// on the machine either, since the node registers with an epmd of its own cluster.
fn name(number: usize) -> String {
    format!("{}@localhost", numbered("paysaga", number))
}

/// Where a node's files are: those of the first, which most often is the only one, lie at the top.
fn home(directory: &Directory, number: usize) -> PathBuf {
    let top = directory.rabbitmq();
    if number == 1 { top } else { top.join(numbered("node", number)) }
}

fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}
