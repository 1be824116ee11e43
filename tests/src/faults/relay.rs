//! A network between two programs: a TCP relay that delays, cuts, half-closes, refuses and goes silent.
//!
//! With several targets it is what a load balancer would be: each connection goes to the next that accepts it.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Pieces that are on their way in one direction of one connection.
const ON_THE_WAY: usize = 1024;

/// What the network is like.
#[derive(Clone, Debug, Default)]
struct Weather {
    /// How long everything takes, in each direction.
    delay: Duration,
    /// New connections are closed at once.
    refusing: bool,
    /// Nothing gets through, and nobody is told.
    silent: bool,
    /// Counts up: connections made before are reset.
    cuts: u64,
    /// Counts up: of connections made before, the direction to the client ends; the other goes on.
    half_closes: u64,
}

/// A running relay. Its connections end when it is dropped.
pub struct Relay {
    port: u16,
    weather: watch::Sender<Weather>,
    _listening: JoinSet<()>,
}

impl Relay {
    /// Starts one in front of these ports of this machine.
    pub async fn start(targets: Vec<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let (weather, forecast) = watch::channel(Weather::default());
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, Arc::new(targets), forecast));
        Self { port, weather, _listening: listening }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on everything takes this much longer in each direction.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Resets every connection. New ones are made as before.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Ends the direction from the server to the client on every connection; the other stays open.
    pub fn half_close(&self) {
        self.weather.send_modify(|weather| weather.half_closes += 1);
    }

    /// Resets every connection, and each new one, until told otherwise.
    pub fn refuse(&self, refusing: bool) {
        self.weather.send_modify(|weather| weather.refusing = refusing);
        if refusing {
            self.cut();
        }
    }

    /// Swallows everything without a word, until told otherwise. What was swallowed arrives then.
    pub fn silence(&self, silent: bool) {
        self.weather.send_modify(|weather| weather.silent = silent);
    }
}

async fn accept(listener: TcpListener, targets: Arc<Vec<u16>>, weather: watch::Receiver<Weather>) {
    // Dropped with this task: then all connections end.
    let mut connections = JoinSet::new();
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        if weather.borrow().refusing {
            reset(&client);
            continue;
        }
        let (targets, weather, turn) = (Arc::clone(&targets), weather.clone(), Arc::clone(&turn));
        connections.spawn(async move {
            match connect(&targets, &turn).await {
                Ok(server) => carry(client, server, weather).await,
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

/// Closes without ceremony: the other end gets a reset, not an end of file.
fn reset(stream: &TcpStream) {
    // Fails only on a socket that is gone.
    stream.set_zero_linger().ok();
}

async fn carry(client: TcpStream, server: TcpStream, weather: watch::Receiver<Weather>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let made_at = weather.borrow().clone();
    let up = direction(from_client, to_server, weather.clone(), made_at.cuts, None);
    let down = direction(from_server, to_client, weather, made_at.cuts, Some(made_at.half_closes));
    tokio::join!(up, down);
}

/// Carries one direction to its end, whichever comes first.
async fn direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    cuts: u64,
    half_closes: Option<u64>,
) {
    let (mut cut, mut ended) = (weather.clone(), weather.clone());
    let is_cut = tokio::select! {
        () = forward(&mut from, &mut to, weather) => false,
        // The sender lives as long as the relay; with it, all of this ends.
        _ = cut.wait_for(|now| now.cuts != cuts) => true,
        _ = ended.wait_for(|now| half_closes.is_some_and(|then| now.half_closes != then)) => false,
    };
    if is_cut {
        reset(from.as_ref());
        reset(to.as_ref());
        // Dropped otherwise, it would say good-bye first.
        to.forget();
    }
}

async fn forward(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let delay = weather.clone();
    let read = async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + delay.borrow().delay;
            if sender.send((due, piece[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = on_the_way.recv().await {
            tokio::time::sleep_until(due).await;
            let audible = weather.wait_for(|weather| !weather.silent).await.is_ok();
            if !audible || to.write_all(&piece).await.is_err() {
                return;
            }
        }
        to.shutdown().await.ok();
    };
    tokio::join!(read, write);
}
