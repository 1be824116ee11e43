//! What a service sends to PostgreSQL: a TCP relay that reads the frontend's messages (the [protocol], version 3) on their way.
//!
//! [protocol]: https://www.postgresql.org/docs/current/protocol-message-formats.html

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The code of a first message that asks for TLS; what follows has no type either.
const SSL_REQUEST: u32 = 80_877_103;

/// Something that the service waited for, once.
#[derive(Clone, Debug)]
pub struct RoundTrip {
    /// Which connection it was on.
    pub connection: usize,
    /// The statements that it carried out: none if it was a test of the connection, or prepared a statement.
    pub statements: Vec<String>,
    /// The parameters of each statement, as they were sent; NULL is empty.
    pub parameters: Vec<Vec<Bytes>>,
    /// The settings that the connection began with, `-c name=value …`.
    pub settings: String,
}

type Recorded = Arc<Mutex<Vec<RoundTrip>>>;

/// A relay in front of PostgreSQL. Its connections end when it is dropped.
pub struct StatementTap {
    port: u16,
    recorded: Recorded,
    _listening: JoinSet<()>,
}

impl StatementTap {
    /// Starts one in front of this port of this machine.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let recorded = Recorded::default();
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, target, Arc::clone(&recorded)));
        Self { port, recorded, _listening: listening }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What was recorded since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<RoundTrip> {
        std::mem::take(&mut *lock(&self.recorded))
    }
}

fn lock(recorded: &Recorded) -> MutexGuard<'_, Vec<RoundTrip>> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, target: u16, recorded: Recorded) {
    // Dropped with this task: then all connections end.
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (client, _) = listener.accept().await.expect("a connection can be accepted");
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await.expect("PostgreSQL listens");
        let connection = Frontend::new(number, Arc::clone(&recorded));
        connections.spawn(relay(client, server, connection));
    }
}

async fn relay(client: TcpStream, server: TcpStream, mut frontend: Frontend) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut unread = BytesMut::new();
        loop {
            let before = unread.len();
            match from_client.read_buf(&mut unread).await {
                Ok(1..) if to_server.write_all(&unread[before..]).await.is_ok() => frontend.read(&mut unread),
                _ => break to_server.shutdown().await.ok(),
            }
        }
    };
    let down = async {
        tokio::io::copy(&mut from_server, &mut to_client).await.ok();
        to_client.shutdown().await.ok()
    };
    tokio::join!(up, down);
}

/// The frontend's side of a connection.
struct Frontend {
    connection: usize,
    settings: String,
    recorded: Recorded,
    is_started: bool,
    /// The texts of the prepared statements, by name.
    prepared: HashMap<Bytes, String>,
    /// The prepared statement of each portal, by name, and its parameters.
    portals: HashMap<Bytes, (Bytes, Vec<Bytes>)>,
    /// What was executed since the last round trip, and with which parameters.
    executed: Vec<(String, Vec<Bytes>)>,
}

impl Frontend {
    fn new(connection: usize, recorded: Recorded) -> Self {
        let (settings, prepared, portals) = (String::new(), HashMap::new(), HashMap::new());
        Self { connection, settings, recorded, is_started: false, prepared, portals, executed: Vec::new() }
    }

    /// Takes the messages that are complete.
    fn read(&mut self, unread: &mut BytesMut) {
        loop {
            let type_length = usize::from(self.is_started);
            let Some(mut length) = unread.get(type_length..type_length + 4) else { return };
            let length = type_length + usize::try_from(length.get_u32()).expect("it fits");
            if unread.len() < length {
                return;
            }
            let mut message = unread.split_to(length).freeze();
            let kind = self.is_started.then(|| message.get_u8());
            message.advance(4);
            match kind {
                Some(kind) => self.message(kind, message),
                None if message.get_u32() == SSL_REQUEST => {}
                None => self.start(message),
            }
        }
    }

    /// Takes the parameters of the connection, of which the last has no name.
    fn start(&mut self, mut body: Bytes) {
        self.is_started = true;
        while body.remaining() > 1 {
            let (name, value) = (word(&mut body), text(&mut body));
            if name == "options" {
                self.settings = value;
            }
        }
    }

    fn message(&mut self, kind: u8, mut body: Bytes) {
        match kind {
            b'Q' => {
                let statement = text(&mut body);
                self.executed.push((statement, Vec::new()));
                self.round_trip();
            }
            b'P' => {
                let name = word(&mut body);
                let statement = text(&mut body);
                self.prepared.insert(name, statement);
            }
            b'B' => {
                let portal = word(&mut body);
                let name = word(&mut body);
                self.portals.insert(portal, (name, parameters(body)));
            }
            b'E' => {
                let (name, parameters) =
                    self.portals.get(&word(&mut body)).expect("what is executed was bound");
                let prepared = self.prepared.get(name).expect("what is bound was prepared");
                self.executed.push((prepared.clone(), parameters.clone()));
            }
            b'S' => self.round_trip(),
            _ => {}
        }
    }

    fn round_trip(&mut self) {
        let (statements, parameters) = std::mem::take(&mut self.executed).into_iter().unzip();
        let (connection, settings) = (self.connection, self.settings.clone());
        lock(&self.recorded).push(RoundTrip { connection, statements, parameters, settings });
    }
}

/// The parameters of a `Bind` message, from its formats on.
fn parameters(mut body: Bytes) -> Vec<Bytes> {
    let formats = body.get_u16();
    body.advance(2 * usize::from(formats));
    let count = body.get_u16();
    // NULL has a negative length.
    let mut next = || {
        let length = usize::try_from(body.get_i32()).unwrap_or(0);
        body.split_to(length)
    };
    (0..count).map(|_| next()).collect()
}

/// The next word, which ends with a zero.
fn word(body: &mut Bytes) -> Bytes {
    let length = body.iter().position(|byte| *byte == 0).expect("a word ends with a zero");
    let word = body.split_to(length);
    body.advance(1);
    word
}

fn text(body: &mut Bytes) -> String {
    String::from_utf8(word(body).to_vec()).expect("statements are UTF-8")
}
