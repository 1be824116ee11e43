//! A connection of a process, replaced whenever it is lost. One that publishes does nothing else: while the broker has an
//! alarm it does not read from such connections, and with them acknowledgements would wait too.

use std::iter::Cycle;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use contracts::topology::Service;
use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, Event};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::restoration::{self, Restoration};
use super::{BrokerConfig, Publishers, topology, url};
use crate::backoff::Backoff;
use crate::health::{Health, HealthPart};
use crate::tasks::Tasks;

/// How long connecting, or declaring the topology, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a connection without events is checked, should its end ever go unreported.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The largest frame of a connection that publishes, in bytes. A message's headers, which come from those of an HTTP request,
/// must fit in one; a body may take several. lapin keeps room for 32 frames in either direction, and the broker's usual
/// 128 KiB come to 8 MiB. A connection that consumes keeps them: others may send headers of that size.
const PUBLISHING_FRAME: u32 = 32 * 1024;

/// Why nothing can be published right now. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// There is no connection.
    #[error("the broker can't be reached: {0}")]
    Down(Arc<str>),
    /// The broker has an alarm (memory, disk) and takes no messages
    /// (<https://www.rabbitmq.com/docs/connection-blocked>).
    #[error("the broker takes no messages: {0}")]
    Blocked(Arc<str>),
    /// Messages for the same queue were sent before, and are not confirmed in time.
    #[error("the broker does not confirm earlier messages for the same queue")]
    Congested,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Publishing messages.
    Publishing,
    /// Taking messages and acknowledging them.
    Consuming,
}

impl Purpose {
    /// The name of the connection's part of the service's health.
    const fn health_part(self) -> &'static str {
        match self {
            Self::Publishing => "broker",
            Self::Consuming => "broker (consuming)",
        }
    }
}

#[derive(Clone)]
enum Link {
    Up { connection: Arc<Connection>, blocked: Option<Arc<str>> },
    Down(Arc<str>),
}

/// The supervised connection. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Broker {
    link: watch::Receiver<Link>,
    user: Arc<str>,
    publishers: Publishers,
    restoration: Restoration,
}

impl Broker {
    /// Connects, and stays connected until the tasks stop.
    #[must_use]
    pub fn start(
        service: Service,
        purpose: Purpose,
        config: BrokerConfig,
        health: &Health,
        tasks: &Tasks,
    ) -> Self {
        let (sender, link) = watch::channel(Link::Down("not connected yet".into()));
        let user = config.url.user().into();
        let publishers = config.publishers(service);
        let broker = Self { link, user, publishers, restoration: Restoration::default() };
        let restored = restoration::keep(broker.clone(), service, config.topology, tasks.stopping());
        tasks.spawn_essential(format!("{purpose:?} connection's topology"), restored);
        let supervisor = Supervisor {
            service,
            purpose,
            config,
            link: sender,
            health: health.part(purpose.health_part()),
            stopping: tasks.stopping(),
        };
        tasks.spawn_essential(format!("{purpose:?} connection"), supervisor.run());
        broker
    }

    /// The user that it connects as.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The users that messages must come from.
    pub(crate) fn publishers(&self) -> Publishers {
        self.publishers.clone()
    }

    /// Whether a message could be published right now.
    pub fn availability(&self) -> Result<(), Unavailable> {
        match &*self.link.borrow() {
            Link::Up { blocked: None, .. } => Ok(()),
            Link::Up { blocked: Some(reason), .. } => Err(Unavailable::Blocked(Arc::clone(reason))),
            Link::Down(reason) => Err(Unavailable::Down(Arc::clone(reason))),
        }
    }

    /// Waits until a message could be published.
    pub(super) async fn available(&self) {
        let mut link = self.link.clone();
        // Closed only when the service ends.
        link.wait_for(|link| matches!(link, Link::Up { blocked: None, .. })).await.ok();
    }

    /// The connection, as soon as there is one.
    pub(crate) async fn connection(&self) -> Arc<Connection> {
        let mut link = self.link.clone();
        loop {
            if let Link::Up { connection, .. } = &*link.borrow_and_update()
                && connection.status().connected()
            {
                return Arc::clone(connection);
            }
            // The sender lives as long as the process connects at all; afterwards there is nothing to wait for.
            if tokio::time::timeout(WATCH_INTERVAL, link.changed())
                .await
                .is_ok_and(|changed| changed.is_err())
            {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has the service's topology declared again soon, after a part of it was found missing. Waits for nothing.
    pub(crate) fn restore_topology(&self) {
        self.restoration.ask();
    }

    /// Waits until [`Self::restore_topology`] is called; one call or several since the last time.
    pub(super) async fn asked_for_topology(&self) {
        self.restoration.asked().await;
    }
}

struct Supervisor {
    service: Service,
    purpose: Purpose,
    config: BrokerConfig,
    link: watch::Sender<Link>,
    health: HealthPart,
    stopping: CancellationToken,
}

impl Supervisor {
    async fn run(self) {
        let mut backoff = Backoff::for_infrastructure();
        let mut nodes = self.config.url.nodes().iter().cycle();
        while !self.stopping.is_cancelled() {
            let opened = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                opened = self.open(&mut nodes) => opened,
            };
            let reason = match opened {
                Ok(connection) => {
                    backoff.reset();
                    self.keep(connection).await
                }
                Err(reason) => reason,
            };
            if self.stopping.is_cancelled() {
                return;
            }
            self.health.down(reason.clone());
            self.link.send_replace(Link::Down(reason.into()));
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = backoff.wait() => {}
            }
        }
    }

    /// Tries every node once, beginning with the one after the last that was tried. The error says what is wrong with
    /// each.
    async fn open(&self, nodes: &mut Cycle<slice::Iter<'_, AMQPUri>>) -> Result<Connection, String> {
        let mut failures = Vec::new();
        for node in nodes.take(self.config.url.nodes().len()) {
            let failure = match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(node)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            failures.push(format!("{}: {failure}", url::address(node)));
        }
        Err(failures.join("; "))
    }

    async fn connect(&self, node: &AMQPUri) -> Result<Connection, topology::TopologyError> {
        let name =
            format!("paysaga {} {:?} {}", self.service, self.purpose, std::process::id()).to_lowercase();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let mut node = node.clone();
        if self.purpose == Purpose::Publishing {
            node.query.frame_max.get_or_insert(PUBLISHING_FRAME);
        }
        let connection = self.connect_uri(node, properties).await?;
        topology::establish(&connection, self.service, self.config.topology).await?;
        Ok(connection)
    }

    /// The files of the identity are read each time, so that a new certificate is shown when the old one has expired.
    async fn connect_uri(
        &self,
        node: AMQPUri,
        properties: ConnectionProperties,
    ) -> Result<Connection, topology::TopologyError> {
        let tls = match &self.config.identity {
            Some(files) => files.read().and_then(|identity| identity.of_amqp_connection()),
            None => Ok(OwnedTLSConfig::default()),
        };
        let tls = tls.map_err(topology::TopologyError::Identity)?;
        let runtime = lapin::runtime::default_runtime()?;
        Ok(Connection::connect_uri_with_config(node, properties, tls, runtime).await?)
    }

    /// Publishes the connection to its users until it is lost; returns why it was.
    async fn keep(&self, connection: Connection) -> String {
        let mut events = Box::pin(connection.events_listener());
        let connection = Arc::new(connection);
        let offer = |blocked: Option<Arc<str>>| {
            match &blocked {
                None => self.health.up(),
                Some(reason) => self.health.down(format!("takes no messages: {reason}")),
            }
            self.link.send_replace(Link::Up { connection: Arc::clone(&connection), blocked });
        };
        offer(None);
        loop {
            let event = tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    let closed = connection.close(200, "shutdown".into());
                    // Past its time the process ends anyway, and the broker notices that as well.
                    tokio::time::timeout(Duration::from_secs(2), closed).await.ok();
                    return "shutting down".to_owned();
                }
                event = events.next() => event,
                () = tokio::time::sleep(WATCH_INTERVAL) => Some(Event::Connected),
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => offer(Some(reason.into())),
                Some(Event::ConnectionUnblocked) => offer(None),
                // A channel's error is reported here too, and is its user's business.
                Some(Event::Error(error)) if !connection.status().connected() => return error.to_string(),
                Some(_) if connection.status().connected() => {}
                _ => return "the connection was lost".to_owned(),
            }
        }
    }
}
