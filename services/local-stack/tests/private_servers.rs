//! `paysaga infra`: both servers serve, and however it ends, nothing of it is left.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

#[path = "../../local-stack/tests/left_behind/mod.rs"]
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

const PAYSAGA: &str = env!("CARGO_BIN_EXE_paysaga");

/// A running `paysaga infra --ephemeral`, or its stand-in parent.
struct Infra {
    child: Child,
    /// What keeps it running.
    input: Option<ChildStdin>,
    description: Description,
}

impl Infra {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let description = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let input = child.stdin.take();
        let infra = Self { child, input, description };
        // Otherwise that nothing is left would prove nothing.
        let running = processes_of(&infra.directories()).join(" ");
        for server in ["postgres", "beam.smp", "epmd"] {
            assert!(running.contains(server), "{server} is not among {running}");
        }
        infra
    }

    fn ephemeral() -> Command {
        let mut command = Command::new(PAYSAGA);
        command.args(["infra", "--ephemeral"]);
        command
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    fn directories(&self) -> [&Path; 2] {
        [&self.description.directory, &self.description.postgres.data]
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(processes_of(&self.directories()), [""; 0]);
        assert!(self.directories().iter().all(|directory| !directory.exists()));
    }
}

impl Drop for Infra {
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
    let mut infra = Infra::start(Infra::ephemeral());
    let Description { postgres, rabbitmq, .. } = &infra.description;
    assert_eq!(select_one(&postgres.url).await, 1);
    postgres.endpoint.create_database("a test's own").await.unwrap();
    assert_eq!(select_one(&postgres.endpoint.url("a test's own")).await, 1);
    postgres.endpoint.drop_database("a test's own").await.unwrap();

    let mut amqp = TcpStream::connect(("127.0.0.1", rabbitmq.endpoint.port)).await.unwrap();
    amqp.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    assert_eq!(amqp.read_u8().await.unwrap(), 1, "a method frame");
    rabbitmq.endpoint.create_vhost("a test's own").await.unwrap();
    rabbitmq.endpoint.delete_vhost("a test's own").await.unwrap();
    rabbitmq.endpoint.delete_vhost("a test's own").await.unwrap_err();

    infra.input = None;
    assert!(infra.wait().success());
    infra.assert_nothing_is_left();
}

#[test]
fn nothing_is_left_when_the_parent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    // The parent holds the writing end of the pipe, as a test kit does.
    let script = r#"mkfifo "$1/pipe"; "$2" infra --ephemeral <"$1/pipe" & exec 3>"$1/pipe"; wait"#;
    let mut parent = Command::new("sh");
    // Named in the environment of all that starts below, the command itself included.
    parent.args(["-c", script, "parent"]).arg(folder.path()).arg(PAYSAGA).env("TMPDIR", folder.path());
    let mut infra = Infra::start(parent);
    infra.child.kill().unwrap();
    infra.wait();
    wait_until_no_process_of(&[folder.path()]);
    infra.assert_nothing_is_left();
}

#[test]
fn nothing_is_left_after_sigterm_in_a_place_that_postgresql_cannot_reach_as_root() {
    // Mode 0700: as root, PostgreSQL's account can't pass, and its data is outside.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Infra::ephemeral();
    command.env("TMPDIR", folder.path());
    let mut infra = Infra::start(command);
    assert!(infra.description.directory.starts_with(folder.path()));
    infra.signal(Signal::TERM);
    assert!(infra.wait().success());
    infra.assert_nothing_is_left();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn no_process_is_left_after_sigkill_and_the_next_run_removes_the_directory() {
    let mut infra = Infra::start(Infra::ephemeral());
    infra.child.kill().unwrap();
    infra.wait();
    wait_until_no_process_of(&infra.directories());
    drop(Directory::ephemeral(&Installation::of_this_machine()).await.unwrap());
    infra.assert_nothing_is_left();
}
