//! Thousands of clients that send too much, too slowly, or don't read, beside one that behaves.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chassis::open_files;
use contracts::order::CreateOrderAccepted;
use contracts::topology::Service;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use paysaga::bench::usage;
use reqwest::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{only_short, scenario};
use crate::api::{self, Api};
use crate::api_keys::{KeyFile, SHOP};
use crate::call::Call;
use crate::faults::launch::Plan;
use crate::faults::load::{CustomerRecords, Placed};
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How much memory the gateway may take beyond what it had before.
const MOST_GROWTH: u64 = 64 << 20;

/// How long the client that behaves may wait for an answer. Generous: it shares a few cores with all the others.
const MOST_TIME: Duration = Duration::from_secs(10);

/// The niceness of those who attack.
const LOWEST_PRIORITY: i32 = 19;

/// The pause of an attacker before it connects again.
const PAUSE: Duration = Duration::from_secs(1);

/// Enough orders for the largest page.
const ORDERS: u32 = 110;

/// A body that is far too large, in bytes.
const LARGE: usize = 4_000_000;

/// A body that is just not too large, in bytes.
const LARGEST: usize = 64 * 1024;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario("4 000 hostile clients of each kind", |rig| {
            Box::pin(hostile(rig, 4000, Duration::from_secs(15)))
        }),
        only_short(scenario("400 hostile clients of each kind", |rig| {
            Box::pin(hostile(rig, 400, Duration::from_secs(2)))
        })),
    ]
}

/// What a hostile client does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Connects and sends nothing.
    Idle,
    /// Sends a byte a second of a head.
    SlowHead,
    /// Sends headers without end.
    EndlessHead,
    /// Sends a byte a second of a body.
    SlowBody,
    /// Sends a body but for its last byte.
    UnfinishedBody,
    /// Sends chunks of a body without end.
    EndlessBody,
    /// Sends a body that is far too large, with a key.
    LargeBody,
    /// The same without a key.
    LargeBodyWithoutKey,
    /// Asks for the largest page again and again, and reads none.
    Unread,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Idle,
        Self::SlowHead,
        Self::EndlessHead,
        Self::SlowBody,
        Self::UnfinishedBody,
        Self::EndlessBody,
        Self::LargeBody,
        Self::LargeBodyWithoutKey,
        Self::Unread,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Idle => "silent",
            Self::SlowHead => "a byte a second of a head",
            Self::EndlessHead => "endless heads",
            Self::SlowBody => "a byte a second of a body",
            Self::UnfinishedBody => "64 KiB but for a byte",
            Self::EndlessBody => "endless bodies",
            Self::LargeBody => "4 MB with a key",
            Self::LargeBodyWithoutKey => "4 MB without a key",
            Self::Unread => "100 orders a page, unread",
        }
    }

    /// One connection from beginning to end. The error is that the gateway ended it.
    async fn attack(self, gateway: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(gateway).await?;
        match self {
            Self::Idle => {}
            Self::SlowHead => trickle(&mut stream).await?,
            Self::EndlessHead => {
                stream.write_all(b"GET /api/orders HTTP/1.1\r\n").await?;
                let header = format!("x-more: {}\r\n", "x".repeat(1000));
                repeat(&mut stream, header.as_bytes()).await?;
            }
            Self::SlowBody => {
                stream.write_all(post(&format!("Content-Length: {LARGEST}"), true).as_bytes()).await?;
                trickle(&mut stream).await?;
            }
            Self::UnfinishedBody => {
                stream.write_all(post(&format!("Content-Length: {LARGEST}"), true).as_bytes()).await?;
                stream.write_all(&vec![b' '; LARGEST - 1]).await?;
            }
            Self::EndlessBody => {
                stream.write_all(post("Transfer-Encoding: chunked", true).as_bytes()).await?;
                let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
                repeat(&mut stream, chunk.as_bytes()).await?;
            }
            Self::LargeBody | Self::LargeBodyWithoutKey => {
                let with_key = matches!(self, Self::LargeBody);
                stream.write_all(post(&format!("Content-Length: {LARGE}"), with_key).as_bytes()).await?;
                let part = vec![b' '; 16 * 1024];
                let mut left = LARGE;
                while left > 0 {
                    let size = left.min(part.len());
                    stream.write_all(&part[..size]).await?;
                    left -= size;
                }
            }
            Self::Unread => {
                let get = format!(
                    "GET /api/orders?limit=100 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\n\r\n",
                    SHOP.secret
                );
                // More pages than the buffers on the way hold. An empty line, which is ignored, finds out whether it has ended.
                stream.write_all(get.repeat(8).as_bytes()).await?;
                loop {
                    sleep(Duration::from_secs(2)).await;
                    stream.write_all(b"\r\n").await?;
                }
            }
        }
        // Whatever it answers, and the end.
        let mut answer = [0; 256];
        while stream.read(&mut answer).await? > 0 {}
        Ok(())
    }
}

/// The head of an order.
fn post(length: &str, with_key: bool) -> String {
    let authorization =
        if with_key { format!("Authorization: Bearer {}\r\n", SHOP.secret) } else { String::new() };
    format!(
        "POST /api/orders HTTP/1.1\r\nHost: gateway\r\n{authorization}Content-Type: application/json\r\n{length}\r\n\r\n"
    )
}

/// Sends a byte a second until the gateway ends it.
async fn trickle(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        stream.write_all(b"G").await?;
        sleep(Duration::from_secs(1)).await;
    }
}

/// Sends the same again and again until the gateway ends it. Not as fast as possible: the machine is the client's too.
async fn repeat(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(bytes).await?;
        sleep(Duration::from_millis(200)).await;
    }
}

async fn hostile(rig: &mut Rig<'_>, clients: u64, time: Duration) -> Outcome {
    open_files::raise_limit();
    let keys = KeyFile::of(&[SHOP]);
    // Without lines in the log for the thousands of requests that are refused.
    // What a caller and an address may use up has tests of its own; these are as many callers and addresses as there are
    // clients, as far as the gateway can tell.
    let many = || "1000000".to_owned();
    let environment = vec![
        ("API_KEYS_FILE", keys.path()),
        ("RUST_LOG", "warn".to_owned()),
        ("RATE_LIMIT", many()),
        ("CONCURRENCY_LIMIT", many()),
        ("MAX_CONNECTIONS_PER_ADDRESS", many()),
    ];
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let (gateway, id) = {
        let gateway = rig.first_of(Service::Gateway);
        (gateway.address(), gateway.id().expect("it runs"))
    };
    let mut customer =
        Customer { api: rig.api(), records: CustomerRecords::default(), slowest: Duration::ZERO };
    for _ in 0..ORDERS {
        customer.place().await;
    }
    let memory = || usage::memory(id).expect("the gateway runs");
    let before = memory();
    let (mut notes, mut highest) = (Vec::new(), 0);
    for kind in Kind::ALL {
        customer.slowest = Duration::ZERO;
        let attackers = Attackers::start(kind, gateway, clients);
        let (mut growth, mut requests) = (0, 0);
        let started = Instant::now();
        while started.elapsed() < time {
            customer.place().await;
            customer.look().await;
            growth = growth.max(memory().saturating_sub(before));
            requests += 2;
            sleep(Duration::from_millis(50)).await;
        }
        attackers.end().await;
        highest = highest.max(growth);
        notes.push(format!(
            "{}: {} MiB more (bound {}), slowest of {requests} requests beside them {:.2} s (bound {})",
            kind.name(),
            growth >> 20,
            MOST_GROWTH >> 20,
            customer.slowest.as_secs_f64(),
            MOST_TIME.as_secs(),
        ));
        if customer.slowest > MOST_TIME {
            customer.records.violations.push(format!("a client beside those that are {} waits", kind.name()));
        }
    }
    rig.fault_is_over();
    let mut outcome = rig.judge(customer.records).await;
    outcome.notes.extend(notes);
    outcome.expect(highest < MOST_GROWTH, format!("the gateway grew by {} MiB", highest >> 20))
}

/// Clients of a kind, each of which connects again after the gateway has ended its connection. They have a thread of their
/// own, with the lowest priority: in the real world they have machines of their own.
struct Attackers {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Attackers {
    fn start(kind: Kind, gateway: SocketAddr, count: u64) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            rustix::process::nice(LOWEST_PRIORITY).ok();
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
            runtime.block_on(async {
                let attackers = join_all((0..count).map(|number| persist(kind, gateway, number)));
                tokio::select! {
                    _ = attackers => {}
                    _ = stopped => {}
                }
            });
        });
        Self { thread, stop }
    }

    async fn end(self) {
        self.stop.send(()).ok();
        spawn_blocking(|| self.thread.join()).await.expect("it is waited for").expect("the thread ends");
    }
}

async fn persist(kind: Kind, gateway: SocketAddr, number: u64) {
    // One new one a millisecond.
    sleep(Duration::from_millis(number)).await;
    loop {
        kind.attack(gateway).await.ok();
        sleep(PAUSE).await;
    }
}

/// The client that behaves.
struct Customer {
    api: Api,
    records: CustomerRecords,
    slowest: Duration,
}

impl Customer {
    /// Places an order, which must be accepted.
    async fn place(&mut self) {
        let request = self.api.post_order(api::order("10.01"));
        if let Some(response) = self.answered(request, StatusCode::ACCEPTED).await {
            let accepted: CreateOrderAccepted = response.json().await.expect("the contract's shape");
            self.records.placed.push(Placed::new(accepted.order_id));
        }
    }

    /// Asks for the first of its orders, which must be found.
    async fn look(&mut self) {
        let id = self.records.placed.first().expect("one was placed").id;
        let request = self.api.request(Method::GET, &format!("/api/orders/{id}"));
        self.answered(request, StatusCode::OK).await;
    }

    async fn answered(&mut self, request: Call, wanted: StatusCode) -> Option<Response> {
        let sent = Instant::now();
        let response = request.bearer_auth(SHOP.secret).timeout(2 * MOST_TIME).send().await;
        self.slowest = self.slowest.max(sent.elapsed());
        match response {
            Ok(response) if response.status() == wanted => Some(response),
            other => {
                let answer =
                    other.map_or_else(|error| error.to_string(), |response| response.status().to_string());
                self.records.violations.push(format!("a client that behaves was answered: {answer}"));
                None
            }
        }
    }
}
