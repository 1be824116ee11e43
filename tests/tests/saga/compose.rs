//! packaging/compose.yaml and the broker's definitions, as far as it can be tested without a container engine: the services with its variables and
//! secrets, the broker with its users.

use std::fs;
use std::path::Path;
use std::process::Command;

use contracts::api_key::is_damaged;
use contracts::topology::Service;
use local_stack::postgres::owner_of;
use reqwest::Client;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tests::infrastructure::{new_database, new_name, servers};
use tests::programs::{self, Environment};
use tests::service::ServiceProcess;

const COMPOSE: &str = include_str!("../../../packaging/compose.yaml");
const DEFINITIONS: &str = include_str!("../../../packaging/rabbitmq-definitions.json");
const MAKE_ROLES: &str = include_str!("../../../packaging/database-roles.sh");
const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/roles.sql");
const MAKE_SECRETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/compose-secrets.sh");

#[tokio::test]
async fn a_saga_completes_with_what_the_compose_file_gives_the_services() {
    let folder = TempDir::with_prefix("paysaga-compose-").expect("there is room");
    let secrets = folder.path().join("secrets");
    assert!(Command::new(MAKE_SECRETS).arg(&secrets).status().expect("it can be run").success());
    import_definitions(&secrets.join("rabbitmq-definitions.json")).await;

    let mut order = start(Service::Order, &secrets, folder.path(), Environment::new()).await;
    let mut payment = start(Service::Payment, &secrets, folder.path(), Environment::new()).await;
    let urls =
        [("ORDER_SERVICE_URL".to_owned(), order.url()), ("PAYMENT_SERVICE_URL".to_owned(), payment.url())];
    let mut gateway = start(Service::Gateway, &secrets, folder.path(), urls.into()).await;
    tokio::join!(order.ready(), payment.ready(), gateway.ready());
    assert!(gateway.address().ip().is_unspecified());
    let key = fs::read_to_string(secrets.join("api-key")).expect("compose-secrets.sh makes it");
    assert!(key.starts_with("psk_live_") && !is_damaged(key.trim()), "the key is one");

    let mut operator = variables_of("paysaga", &secrets);
    operator.insert("PAYSAGA_GATEWAY".to_owned(), gateway.url());
    let demo = programs::run("paysaga", &["demo"], &operator).await;
    assert!(demo.status.success(), "{demo:?}");
}

#[tokio::test]
async fn the_databases_have_the_settings_of_the_private_server() {
    let mut database = PgConnection::connect(&new_database(&new_name()).await).await.expect("it is there");
    let command = COMPOSE.split("command: [postgres, -c, ").nth(1).and_then(|rest| rest.split(']').next());
    let settings: Vec<_> = command.expect("there is one").split(", -c, ").collect();
    assert!(settings.len() >= 3, "{settings:?}");
    for setting in settings {
        let (name, expected) = setting.split_once('=').expect("name=value");
        let current: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&mut database)
            .await
            .expect("there is such a setting");
        assert_eq!(current, expected, "{name}");
    }
}

#[tokio::test]
async fn every_variable_of_the_compose_file_is_read_by_its_service() {
    for (service, arguments) in [
        ("gateway", &["--help"][..]),
        ("order", &["--help"]),
        ("payment", &["--help"]),
        ("paysaga", &["demo", "--help"]),
    ] {
        let help = programs::run(service, arguments, &Environment::new()).await;
        let help = String::from_utf8(help.stdout).expect("help is text");
        let variables = variables_of(service, Path::new("/"));
        assert!(variables.len() >= 2, "{service}: {variables:?}");
        for variable in variables.keys() {
            let known =
                |name: &str| help.contains(&format!("`{name}`")) || help.contains(&format!("[env: {name}="));
            let value = variable.strip_suffix("_FILE").unwrap_or(variable);
            assert!(known(variable) || known(value), "{service} does not read {variable}");
        }
    }
}

/// Starts a service as compose would, but with the servers and addresses of this test.
async fn start(service: Service, secrets: &Path, logs: &Path, addresses: Environment) -> ServiceProcess {
    let broker = format!("@127.0.0.1:{}/", servers().await.rabbitmq.port);
    rewrite(&secrets.join(format!("{service}-rabbitmq-url")), |url| url.replace("@rabbitmq:5672/", &broker));
    if service != Service::Gateway {
        make_database(service, secrets).await;
        let migration = variables_of(&format!("{service}-migrate"), secrets);
        let migrated = programs::run(service.name(), &["--migrate-only"], &migration).await;
        assert!(migrated.status.success(), "{migrated:?}");
    }
    let mut environment = variables_of(service.name(), secrets);
    // Set by the image.
    environment.insert("LISTEN_ADDRESS".to_owned(), "0.0.0.0".to_owned());
    environment.extend(addresses);
    ServiceProcess::start(service, environment, logs).await
}

/// Makes a service's database as its container would.
async fn make_database(service: Service, secrets: &Path) {
    let server = &servers().await.postgres;
    server.create_database(service.name()).await.expect("a database can be made");
    let script =
        MAKE_ROLES.replace("/run/secrets", &secrets.display().to_string()).replace("/opt/roles.sql", ROLES);
    let made = Command::new("bash")
        .args(["-c", &script])
        .envs([("POSTGRES_DB", service.name()), ("POSTGRES_USER", &server.user)])
        .envs([
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &server.port.to_string()),
            ("PGPASSWORD", server.password.expose()),
        ])
        .status();
    assert!(made.expect("it can be run").success());
    for role in [service.name().to_owned(), owner_of(service.name())] {
        let address = format!("@127.0.0.1:{}/", server.port);
        let container = format!("@{service}-database:5432/");
        rewrite(&secrets.join(format!("{role}-database-url")), |url| url.replace(&container, &address));
    }
}

fn rewrite(file: &Path, change: impl FnOnce(String) -> String) {
    let before = fs::read_to_string(file).expect("compose-secrets.sh makes it");
    fs::write(file, change(before)).expect("it can be written");
}

#[tokio::test]
async fn the_definitions_of_the_broker_are_those_that_paysaga_prints() {
    let printed = programs::run("paysaga", &["definitions"], &Environment::new()).await;
    assert_eq!(
        String::from_utf8(printed.stdout).expect("it prints text"),
        DEFINITIONS,
        "paysaga definitions > packaging/rabbitmq-definitions.json"
    );
}

/// The environment that the compose file gives a service, with its secrets in this folder.
fn variables_of(service: &str, secrets: &Path) -> Environment {
    let service = COMPOSE.split(&format!("\n  {service}:\n")).nth(1).expect("the compose file has it");
    let environment = service.split("\n    environment:\n").nth(1).expect("it has an environment");
    let secrets = format!("{}/", secrets.display());
    let lines = environment.lines().map_while(|line| line.strip_prefix("      "));
    lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name, value.replace("/run/secrets/", &secrets)))
        .map(|(name, value)| (name.to_owned(), value.replace("/run/keys/", &format!("{secrets}keys/"))))
        .collect()
}

/// Imports definitions, as RabbitMQ does at its start.
async fn import_definitions(file: &Path) {
    let broker = &servers().await.rabbitmq;
    rustls::crypto::ring::default_provider().install_default().ok();
    let imported = Client::new()
        .post(format!("{}/api/definitions", broker.management_url()))
        .basic_auth(&broker.user, Some(broker.password.expose()))
        .header("content-type", "application/json")
        .body(fs::read(file).expect("compose-secrets.sh makes it"))
        .send()
        .await
        .expect("the broker answers");
    assert!(imported.status().is_success(), "{}", imported.text().await.unwrap_or_default());
}
