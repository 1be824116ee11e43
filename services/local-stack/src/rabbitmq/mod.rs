//! A private RabbitMQ: one node, or several that form a cluster.

mod amqp;
mod configuration;
mod epmd;
mod management;
mod node;

use std::iter::once;

use futures_util::future::{join_all, select_all, try_join_all};

use crate::directory::Directory;
use crate::error::Error;
use crate::installation::Installation;
use crate::ports::Port;
use crate::process::{ProcessError, Stopped};
use crate::secret::Password;
use crate::tls::TlsFiles;
use epmd::Epmd;
use node::Shared;

pub use management::{Endpoint, ManagementError};
pub use node::Node;

/// RabbitMQ with its own data, cookie, port mapper and ports. It listens on 127.0.0.1 only.
#[derive(Debug)]
pub struct RabbitMq {
    // Stopped in this order when dropped: the nodes deregister from epmd.
    first: Node,
    others: Vec<Node>,
    epmd: Epmd,
}

impl RabbitMq {
    /// Chooses ports and password of one node, or takes those of the last time, and writes its configuration; starts
    /// nothing.
    pub fn prepare(installation: &Installation, directory: &Directory) -> Result<Self, Error> {
        Self::prepare_cluster(installation, directory, 1)
    }

    /// The same for a cluster of `size` nodes, which find each other when they first start
    /// (<https://www.rabbitmq.com/docs/cluster-formation>). A directory that is kept keeps its size.
    pub fn prepare_cluster(
        installation: &Installation,
        directory: &Directory,
        size: usize,
    ) -> Result<Self, Error> {
        let home = directory.rabbitmq();
        let epmd = Port::claim_remembered(&home.join("port.epmd"))?;
        // Left to themselves the nodes of a cluster would each make a cookie and shut out the others.
        Password::load_or_create(&home.join(".erlang.cookie"))?;
        let shared = Shared {
            password: Password::load_or_create(&home.join("password"))?,
            cookie_folder: home,
            epmd: epmd.number(),
            size,
        };
        let node = |number| Node::prepare(installation, directory, number, &shared);
        let first = node(1)?;
        let others = (2..=size).map(node).collect::<Result<_, _>>()?;
        Ok(Self { first, others, epmd: Epmd::new(installation.rabbitmq()?.epmd, directory, epmd) })
    }

    /// Starts every node that does not run, and waits until all serve, in one cluster. If this is dropped half-way,
    /// [`RabbitMq::stop`] still stops what was started.
    pub async fn start(&mut self) -> Result<(), Error> {
        self.epmd.start().await?;
        let count = try_join_all(self.nodes_mut().map(Node::start)).await?.len();
        self.first.wait_for_cluster_of(count).await
    }

    /// Stops the nodes in order, and the port mapper.
    pub async fn stop(&mut self) -> Result<Stopped, Error> {
        let stopped = self.stop_nodes().await?;
        self.epmd.stop().await?;
        Ok(stopped)
    }

    /// Stops the nodes and starts them again on the same ports.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop_nodes().await?;
        self.start().await
    }

    /// Kills the nodes as a crash would (SIGKILL). [`RabbitMq::start`] brings them back.
    pub async fn kill(&mut self) -> Result<(), Error> {
        join_all(self.nodes_mut().map(Node::kill)).await.into_iter().collect()
    }

    /// Kills the nodes and stops the port mapper, when the data will not be read again.
    pub async fn discard(&mut self) -> Result<(), Error> {
        self.kill().await?;
        Ok(self.epmd.stop().await?)
    }

    /// Speaks TLS too, from its next start on: the first node does, on the port that is returned. Clients show a certificate there,
    /// and may be known by it (EXTERNAL).
    pub fn speak_tls(&mut self, files: TlsFiles) -> Result<u16, Error> {
        self.first.speak_tls(files)
    }

    /// Waits until a node ends without having been stopped. Pending while they are stopped.
    pub async fn ended(&mut self) -> ProcessError {
        let (ended, ..) = select_all(self.nodes_mut().map(|node| Box::pin(node.ended()))).await;
        ended
    }

    /// What `RABBITMQ_URL` must be to use a virtual host: the URLs of all nodes.
    #[must_use]
    pub fn amqp_url(&self, vhost: &str) -> String {
        let urls: Vec<String> = self.nodes().map(|node| node.endpoint().amqp_url(vhost)).collect();
        urls.join(",")
    }

    /// The nodes, the first first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        once(&self.first).chain(&self.others)
    }

    /// The nodes, to stop, kill and start them one by one.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        once(&mut self.first).chain(&mut self.others)
    }

    /// Runs `rabbitmqctl` against the first node and returns what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String, Error> {
        self.first.ctl(arguments).await
    }

    /// Addresses and administrator of the first node.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.first.endpoint()
    }

    /// The process id of the first node while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.first.id()
    }

    async fn stop_nodes(&mut self) -> Result<Stopped, Error> {
        let stopped = join_all(self.nodes_mut().map(Node::stop)).await;
        let stopped = stopped.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(if stopped.contains(&Stopped::Killed) { Stopped::Killed } else { Stopped::InOrder })
    }
}
