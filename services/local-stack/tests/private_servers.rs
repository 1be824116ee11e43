//! `private-servers`: both servers serve, and however it ends, nothing of it is left.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod left_behind;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use left_behind::{processes_of, wait_until_no_process_of};
use local_stack::infrastructure::Description;
use local_stack::{Directory, Installation};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_private-servers");

/// A running `private-servers`, or its stand-in parent.
struct PrivateServers {
    child: Child,
    /// What keeps it running.
    input: Option<ChildStdin>,
    description: Description,
}

impl PrivateServers {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let description = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let input = child.stdin.take();
        let servers = Self { child, input, description };
        // Otherwise that nothing is left would prove nothing.
        let running = processes_of(&servers.directories()).join(" ");
        for server in ["postgres", "beam.smp", "epmd"] {
            assert!(running.contains(server), "{server} is not among {running}");
        }
        servers
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    fn directories(&self) -> [&Path; 2] {
        [&self.description.directory, &self.description.postgres_data]
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(processes_of(&self.directories()), [""; 0]);
        assert!(self.directories().iter().all(|directory| !directory.exists()));
    }
}

impl Drop for PrivateServers {
    fn drop(&mut self) {
        // A test that failed half-way must not leave what it tests for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn select_one(url: &str) -> i32 {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let one = sqlx::query_scalar("SELECT 1").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    one
}

#[tokio::test]
async fn both_servers_serve_and_nothing_is_left_when_standard_input_ends() {
    let mut servers = PrivateServers::start(Command::new(PROGRAM));
    let Description { postgres, rabbitmq, .. } = &servers.description;
    assert_eq!(select_one(&postgres.url("postgres")).await, 1);
    postgres.create_database("a test's own").await.unwrap();
    assert_eq!(select_one(&postgres.url("a test's own")).await, 1);
    postgres.drop_database("a test's own").await.unwrap();

    let mut amqp = TcpStream::connect(("127.0.0.1", rabbitmq.port)).await.unwrap();
    amqp.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    assert_eq!(amqp.read_u8().await.unwrap(), 1, "a method frame");
    rabbitmq.create_vhost("a test's own").await.unwrap();
    rabbitmq.delete_vhost("a test's own").await.unwrap();
    rabbitmq.delete_vhost("a test's own").await.unwrap_err();

    servers.input = None;
    assert!(servers.wait().success());
    servers.assert_nothing_is_left();
}

#[test]
fn nothing_is_left_when_the_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    // The parent holds the writing end of the pipe, as a test kit does.
    let script = r#"mkfifo "$1/pipe"; "$2" <"$1/pipe" & exec 3>"$1/pipe"; wait"#;
    let mut parent = Command::new("sh");
    // Named in the environment of all that starts below, the command itself included.
    parent.args(["-c", script, "parent"]).arg(folder.path()).arg(PROGRAM).env("TMPDIR", folder.path());
    let mut servers = PrivateServers::start(parent);
    servers.child.kill().unwrap();
    servers.wait();
    wait_until_no_process_of(&[folder.path()]);
    servers.assert_nothing_is_left();
}

#[test]
fn nothing_is_left_after_sigterm_in_a_place_that_postgresql_cannot_reach_as_root() {
    // Mode 0700: as root, PostgreSQL's account can't pass, and its data is outside.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.env("TMPDIR", folder.path());
    let mut servers = PrivateServers::start(command);
    assert!(servers.description.directory.starts_with(folder.path()));
    servers.signal(Signal::TERM);
    assert!(servers.wait().success());
    servers.assert_nothing_is_left();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn no_process_is_left_after_sigkill_and_the_next_run_removes_the_directory() {
    let mut servers = PrivateServers::start(Command::new(PROGRAM));
    servers.child.kill().unwrap();
    servers.wait();
    wait_until_no_process_of(&servers.directories());
    drop(Directory::ephemeral(&Installation::of_this_machine()).await.unwrap());
    servers.assert_nothing_is_left();
}
