//! Stands in for a service, or for Jaeger, in the tests of `paysaga up`: answers every request as a service answers
//! `GET /health/ready`, ends on SIGTERM like any process, and prints its environment as its first line. How it behaves
//! is in a file beside it, since a service's environment is not the test's: `<name>.behaviour` with one of
//!
//! - `ready` (also if there is no such file)
//! - `ends`: ends with status 7 half a second after it became ready
//! - `ignores-sigterm`
//! - `only-in-memory`: a Jaeger that ends at once if it is to keep traces on disk

use std::env;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What a Jaeger that has one trace answers to every search.
const TRACES: &str = r#"{"data":[{"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spans":[
    {"operationName":"POST /api/orders","startTime":1767323045678000,"tags":[]}]}]}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut variables: Vec<(String, String)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    variables.sort();
    println!("{}", serde_json::to_string(&variables)?);
    let behaviour = fs::read_to_string(env::current_exe()?.with_extension("behaviour")).unwrap_or_default();
    let _ignored =
        (behaviour.trim() == "ignores-sigterm").then(|| signal(SignalKind::terminate())).transpose()?;
    let address = if let Some(configuration) = env::args().nth(2) {
        let configuration = fs::read_to_string(configuration)?;
        if behaviour.trim() == "only-in-memory" && configuration.contains("badger") {
            println!("no such storage");
            std::process::exit(1);
        }
        let port = jaeger_port(&configuration).unwrap_or_default();
        (Ipv4Addr::LOCALHOST, port).into()
    } else {
        let variable = variables.iter().find(|(name, _)| name == "MANAGEMENT_ADDRESS");
        variable.map_or("127.0.0.1:0", |(_, value)| value).parse::<SocketAddr>()?
    };
    let listener = TcpListener::bind(address).await?;
    let mut asked = 0;
    loop {
        let (mut connection, _) = listener.accept().await?;
        asked += 1;
        let mut request = [0; 1024];
        let length = connection.read(&mut request).await?;
        // The first answers are a service's that still waits for its broker.
        let (status, body) = match asked {
            1..3 => ("503 Service Unavailable", r#"{"status":"down","checks":{"broker":"no connection"}}"#),
            _ if request[..length].starts_with(b"GET /api/traces?") => ("200 OK", TRACES),
            _ => ("200 OK", r#"{"status":"up"}"#),
        };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        connection.write_all(format!("{head}{body}").as_bytes()).await?;
        if asked == 3 && behaviour.trim() == "ends" {
            tokio::time::sleep(Duration::from_millis(500)).await;
            println!("out of ink");
            std::process::exit(7);
        }
    }
}

/// The port of Jaeger's pages in its configuration, which it gets as `--config FILE`.
fn jaeger_port(configuration: &str) -> Option<u16> {
    configuration.split_once("http: {endpoint: 127.0.0.1:")?.1.split_once('}')?.0.parse().ok()
}
