//! The private servers, as a test uses them: crashes, restarts, roles.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod left_behind;

use left_behind::wait_until_no_process_of;
use local_stack::postgres::{Passwords, Postgres, owner_of};
use local_stack::rabbitmq::RabbitMq;
use local_stack::secret::Password;
use local_stack::{Directory, Infrastructure, Installation};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

async fn started() -> Infrastructure {
    let installation = Installation::of_this_machine();
    let directory = Directory::ephemeral(&installation).await.unwrap();
    let mut infrastructure = Infrastructure::prepare(&installation, directory).unwrap();
    infrastructure.start().await.unwrap();
    infrastructure
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>().unwrap().connect().await
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_of_both_servers() {
    let mut infrastructure = started().await;
    let url = infrastructure.postgres.endpoint().url("postgres");
    let mut connection = connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    infrastructure.rabbitmq.endpoint().create_vhost("kept").await.unwrap();

    infrastructure.kill().await.unwrap();
    connect(&url).await.unwrap_err();
    infrastructure.start().await.unwrap();

    let mut connection = connect(&url).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);
    let vhosts = infrastructure.rabbitmq.ctl(&["list_vhosts", "--quiet"]).await.unwrap();
    assert!(vhosts.lines().any(|vhost| vhost == "kept"), "{vhosts}");
    infrastructure.stop().await.unwrap();
}

#[tokio::test]
async fn both_servers_restart_on_their_ports_as_other_processes() {
    let mut infrastructure = started().await;
    let before = (infrastructure.postgres.id().unwrap(), infrastructure.rabbitmq.id().unwrap());
    let url = infrastructure.postgres.endpoint().url("postgres");
    infrastructure.postgres.restart().await.unwrap();
    infrastructure.rabbitmq.restart().await.unwrap();
    assert_ne!(infrastructure.postgres.id().unwrap(), before.0);
    assert_ne!(infrastructure.rabbitmq.id().unwrap(), before.1);
    connect(&url).await.unwrap();
    let pid = std::fs::read_to_string(infrastructure.directory.rabbitmq().join("pid")).unwrap();
    assert_eq!(pid.trim(), infrastructure.rabbitmq.id().unwrap().to_string());
    infrastructure.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_goes_on_without_each_of_its_nodes_in_turn() {
    const SIZE: usize = 3;
    let installation = Installation::of_this_machine();
    let directory = Directory::ephemeral(&installation).await.unwrap();
    let mut rabbitmq = RabbitMq::prepare_cluster(&installation, &directory, SIZE).unwrap();
    rabbitmq.start().await.unwrap();
    let endpoints: Vec<_> = rabbitmq.nodes().map(|node| node.endpoint().clone()).collect();
    for (killed, node) in rabbitmq.nodes_mut().enumerate() {
        node.kill().await.unwrap();
        let name = format!("made without node {killed}");
        endpoints[(killed + 1) % SIZE].create_vhost(&name).await.unwrap();
        node.start().await.unwrap();
        node.wait_for_cluster_of(SIZE).await.unwrap();
        endpoints[killed].delete_vhost(&name).await.unwrap();
    }
    rabbitmq.discard().await.unwrap();
}

#[tokio::test]
#[ignore = "needs ./dev generation-2, and root; ./dev test runs it where both are there"]
async fn servers_of_another_system_run_and_leave_no_mount() {
    let installation = Installation::generation_2().unwrap();
    let directory = Directory::ephemeral(&installation).await.unwrap();
    let mut infrastructure = Infrastructure::prepare(&installation, directory).unwrap();
    infrastructure.start().await.unwrap();
    let mut connection = connect(&infrastructure.postgres.endpoint().url("postgres")).await.unwrap();
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await.unwrap();
    assert!(version.starts_with("17."), "{version}");
    let version = infrastructure.rabbitmq.ctl(&["version"]).await.unwrap();
    assert!(version.starts_with("4."), "{version}");
    infrastructure.stop().await.unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("generation-2"), "{mounts}");
}

#[tokio::test]
async fn a_service_gets_into_its_own_database_only_and_does_not_own_it() {
    let installation = Installation::of_this_machine();
    let directory = Directory::ephemeral(&installation).await.unwrap();
    let mut postgres = Postgres::prepare(&installation, &directory).unwrap();
    postgres.start().await.unwrap();
    let endpoint = postgres.endpoint().clone();
    let folder = tempfile::tempdir().unwrap();
    let password = |name: &str| Password::load_or_create(&folder.path().join(name)).unwrap();
    // Twice: a kept directory has them already.
    for name in ["order", "payment", "order", "payment"] {
        let passwords = Passwords { service: password(name), owner: password(&owner_of(name)) };
        endpoint.ensure_database(name, &passwords).await.unwrap();
    }
    let mut order = connect(&endpoint.url_as("order", &password("order"), "order")).await.unwrap();
    let owner = owner_of("order");
    let mut owner = connect(&endpoint.url_as(&owner, &password(&owner), "order")).await.unwrap();
    sqlx::raw_sql("CREATE TABLE orders (id int)").execute(&mut owner).await.unwrap();
    for statement in
        ["CREATE TABLE more (id int)", "DROP TABLE orders", "SELECT FROM orders", "CREATE SCHEMA more"]
    {
        sqlx::raw_sql(statement).execute(&mut order).await.expect_err(statement);
    }
    for connection in [&mut order, &mut owner] {
        let superuser: bool =
            sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
                .fetch_one(connection)
                .await
                .unwrap();
        assert!(!superuser);
    }
    let refusal =
        connect(&endpoint.url_as("order", &password("order"), "payment")).await.unwrap_err().to_string();
    assert!(refusal.contains("permission denied"), "{refusal}");
    connect(&endpoint.url_as("order", &password("payment"), "order")).await.unwrap_err();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_leaves_no_server_and_no_directory() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        let installation = Installation::of_this_machine();
        let directory = Directory::ephemeral(&installation).await.unwrap();
        let mut postgres = Postgres::prepare(&installation, &directory).unwrap();
        postgres.start().await.unwrap();
        sender.send((directory.path().to_owned(), postgres.data())).unwrap();
        panic!("on purpose");
    });
    let (directory, data) = receiver.await.unwrap();
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    wait_until_no_process_of(&[&directory, &data]);
    assert!(!directory.exists() && !data.exists());
}
