//! A network between two programs: a TCP relay that delays, resets, half-closes, refuses and stalls connections.
//!
//! With several targets it is what a load balancer would be: each connection goes to the next that accepts it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Chunks that are buffered in one direction of one connection.
const BUFFERED_CHUNKS: usize = 1024;

/// The conditions of the network.
#[derive(Clone, Debug, Default)]
struct Conditions {
    /// How much longer everything takes, in each direction.
    delay: Duration,
    /// New connections are closed at once.
    refusing: bool,
    /// Nothing is forwarded, and connections stay open.
    stalled: bool,
    /// Counts up: connections made before are reset.
    cuts: u64,
    /// Counts up: of connections made before, the direction to the client ends; the other goes on.
    half_closes: u64,
}

/// A running relay. Its connections end when it is dropped.
pub struct Relay {
    address: SocketAddr,
    conditions: watch::Sender<Conditions>,
    _listening: JoinSet<()>,
}

impl Relay {
    /// Starts one in front of these ports of this machine.
    pub async fn start(targets: Vec<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        Self::start_on(listener, targets)
    }

    /// Starts one that accepts connections there, which may be on another host.
    #[must_use]
    pub fn start_on(listener: TcpListener, targets: Vec<u16>) -> Self {
        let address = listener.local_addr().expect("it has an address");
        let (conditions, receiver) = watch::channel(Conditions::default());
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, Arc::new(targets), receiver));
        Self { address, conditions, _listening: listening }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a server of this machine, as it is through this relay.
    #[must_use]
    pub fn url(&self, direct: &str, port: u16) -> String {
        direct.replace(&format!("127.0.0.1:{port}"), &self.address.to_string())
    }

    /// From now on everything takes this much longer in each direction.
    pub fn delay(&self, delay: Duration) {
        self.conditions.send_modify(|conditions| conditions.delay = delay);
    }

    /// Resets every connection. New ones are made as before.
    pub fn cut(&self) {
        self.conditions.send_modify(|conditions| conditions.cuts += 1);
    }

    /// Ends the direction from the server to the client on every connection; the other stays open.
    pub fn half_close(&self) {
        self.conditions.send_modify(|conditions| conditions.half_closes += 1);
    }

    /// Resets every connection, and each new one, until it is called with `false`.
    pub fn refuse(&self, refusing: bool) {
        self.conditions.send_modify(|conditions| conditions.refusing = refusing);
        if refusing {
            self.cut();
        }
    }

    /// Forwards nothing, with connections open, until it is called with `false`. What was held back arrives then.
    pub fn stall(&self, stalled: bool) {
        self.conditions.send_modify(|conditions| conditions.stalled = stalled);
    }
}

async fn accept(listener: TcpListener, targets: Arc<Vec<u16>>, conditions: watch::Receiver<Conditions>) {
    // Dropped with this task: then all connections end.
    let mut connections = JoinSet::new();
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        if conditions.borrow().refusing {
            reset(&client);
            continue;
        }
        let (targets, conditions, turn) = (Arc::clone(&targets), conditions.clone(), Arc::clone(&turn));
        connections.spawn(async move {
            match connect(&targets, &turn).await {
                Ok(server) => forward_both(client, server, conditions).await,
                Err(_) => reset(&client),
            }
        });
    }
}

/// Connects to the next target that accepts.
async fn connect(targets: &[u16], turn: &AtomicUsize) -> io::Result<TcpStream> {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    let mut refused = io::Error::other("there are no targets");
    for step in 0..targets.len() {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, targets[(first + step) % targets.len()])).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Closes so that the other end gets a reset, not an end of file.
fn reset(stream: &TcpStream) {
    // Fails only on a socket that is gone.
    stream.set_zero_linger().ok();
}

async fn forward_both(client: TcpStream, server: TcpStream, conditions: watch::Receiver<Conditions>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let at_start = conditions.borrow().clone();
    let up = direction(from_client, to_server, conditions.clone(), at_start.cuts, None);
    let down = direction(from_server, to_client, conditions, at_start.cuts, Some(at_start.half_closes));
    tokio::join!(up, down);
}

/// Forwards one direction until it ends, is reset or is half-closed.
async fn direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    conditions: watch::Receiver<Conditions>,
    cuts: u64,
    half_closes: Option<u64>,
) {
    let (mut cut, mut ended) = (conditions.clone(), conditions.clone());
    let is_cut = tokio::select! {
        () = forward(&mut from, &mut to, conditions) => false,
        // The sender lives as long as the relay; with it, all of this ends.
        _ = cut.wait_for(|now| now.cuts != cuts) => true,
        _ = ended.wait_for(|now| half_closes.is_some_and(|then| now.half_closes != then)) => false,
    };
    if is_cut {
        reset(from.as_ref());
        reset(to.as_ref());
        // Dropping it would shut the connection down in order first.
        to.forget();
    }
}

async fn forward(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut conditions: watch::Receiver<Conditions>,
) {
    let (sender, mut buffer) = mpsc::channel::<(Instant, Vec<u8>)>(BUFFERED_CHUNKS);
    let delay = conditions.clone();
    let read = async move {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            let due = Instant::now() + delay.borrow().delay;
            if sender.send((due, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = buffer.recv().await {
            tokio::time::sleep_until(due).await;
            let relay_runs = conditions.wait_for(|conditions| !conditions.stalled).await.is_ok();
            if !relay_runs || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        to.shutdown().await.ok();
    };
    tokio::join!(read, write);
}
